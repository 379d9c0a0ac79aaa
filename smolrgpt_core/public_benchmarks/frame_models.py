"""Models that take frames with depth: engines and answerers of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.answer.scoring import write_normalized
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.depth import depth_readings
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference import Engine
from smolrgpt_core.language import read_question
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.perception.stages import DepthEstimator
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.models import (
    RGB,
    BenchmarkAnswer,
    ModelOptions,
    rgb_of,
    unanswered,
)
from smolrgpt_core.public_benchmarks.questions import BenchmarkQuestion
from smolrgpt_core.regions import RegionSet

METRIC, ESTIMATED, RELATIVE = "metric depth", "metric depth, estimated", "relative depth"
"""Input tracks; figures of different ones do not compare."""

DEFAULT_FOV_DEG = 55.0
"""Vertical field of view that stands in a frame without depth, where nothing is measured by it."""

GRAY = 128
"""Of the image for a model that cannot be asked without one."""

GRAY_SIZE = (240, 320)
"""(height, width) of that image."""


@dataclass(frozen=True, eq=False)
class DepthSource:
    """The source of a question's depth.

    Attributes:
        estimator: of depth from color; None: the data's own.
        about: name and hash of the estimator.
    """

    estimator: DepthEstimator | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    def frame(self, question: BenchmarkQuestion, blind: bool) -> RGBDFrame:
        """The frame of a question; depth is NaN if there is none.

        Raises:
            SpatialError: BAD_INPUT when an image or mask cannot be used.
        """
        if blind:
            return _gray_frame(question)
        rgb = rgb_of(question)
        height, width = rgb.shape[:2]
        known = None if question.camera is None else question.camera.intrinsics
        depth = np.full((height, width), np.nan, np.float32)
        if self.estimator is not None:
            estimate = self.estimator.estimate(rgb, known)
            depth, known = estimate.depth, estimate.intrinsics
        elif question.depth is not None and question.camera is not None:
            raw = question.depth.plane()
            depth = depth_readings(raw, question.camera.depth_scale).meters
        regions = (*question.regions, *question.others)
        camera = known or CameraIntrinsics.from_vertical_fov(width, height, DEFAULT_FOV_DEG)
        return RGBDFrame(rgb, depth, camera, RegionSet((height, width), regions))

    def check(self, question: BenchmarkQuestion) -> None:
        """Refuse questions without depth, since the answer would not be a measurement.

        Raises:
            SpatialError: NO_DEPTH.
        """
        if self.estimator is None and None in (question.depth, question.camera):
            raise SpatialError(
                Status.NO_DEPTH,
                "this model needs depth, and the data has none with a calibration; name an "
                "estimator with --depth-model",
            )

    @property
    def described(self) -> Mapping[str, Any]:
        """The input track, and the estimator."""
        if self.estimator is None:
            return {"track": METRIC}
        return {"track": ESTIMATED, "depth": dict(self.about)}


@dataclass(frozen=True, eq=False)
class EngineModel:
    """A SmolRGPT or point-map checkpoint that answers in its own words.

    Attributes:
        engine: with the model.
        depth: where its depth comes from.
        options: how it is asked.
        about: what it is.
    """

    engine: Engine
    depth: DepthSource
    options: ModelOptions
    about: Mapping[str, Any]

    @property
    def described(self) -> Mapping[str, Any]:
        """See `BenchmarkModel`."""
        config = self.engine.model_config
        sees = self.depth.described if self._needs_depth else {"track": RGB}
        if isinstance(config, PointMapConfig) and config.points == "relative":
            sees = {**sees, "track": RELATIVE}
        return {
            **self.about, **sees, "blind": self.options.blind,
            "max_new_tokens": self.options.max_new_tokens,
        }  # fmt: skip

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """See `BenchmarkModel`.

        Raises:
            UnansweredError, SpatialError: as of `BenchmarkModel`.
        """
        try:
            self._check_depth(question)
            frame = self.depth.frame(question, self.options.blind)
            ids = [region.id for region in question.regions]
            asked = (question.masked, ids)
            style = self.engine.model_config.answer_style
            reply = self.engine.ask_each([asked], style, frame=frame)[0]
        except SpatialError as error:
            raise unanswered(question, error) from error
        if isinstance(reply, SpatialError):
            raise unanswered(question, reply) from reply
        return BenchmarkAnswer(reply.text)

    @property
    def _needs_depth(self) -> bool:
        config = self.engine.model_config
        return not isinstance(config, PointMapConfig) or config.points != "none"

    def _check_depth(self, question: BenchmarkQuestion) -> None:
        """SmolRGPT sees depth only under masks, a point-map model in every question."""
        by_regions = not isinstance(self.engine.model_config, PointMapConfig)
        if self._needs_depth and (question.regions or not by_regions) and not self.options.blind:
            self.depth.check(question)


@dataclass(frozen=True, eq=False)
class AnswererModel:
    """An answerer of this package; its typed answer is written in the form that the benchmark
    expects.

    Attributes:
        answerer: geometry, the packaged model, or both.
        depth: where its depth comes from.
        options: how it is asked.
        about: what it is.
        measures_sides: whether left and right follow the conventions too; a model was trained on
            those of the masks.
    """

    answerer: Answerer
    depth: DepthSource
    options: ModelOptions
    about: Mapping[str, Any]
    measures_sides: bool

    @property
    def described(self) -> Mapping[str, Any]:
        """See `BenchmarkModel`."""
        conventions = self.options.conventions.name
        return {
            **self.about, **self.depth.described, "blind": self.options.blind,
            "conventions": conventions,
        }  # fmt: skip

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """See `BenchmarkModel`.

        Raises:
            UnansweredError, SpatialError: as of `BenchmarkModel`.
        """
        try:
            if not self.options.blind:
                self.depth.check(question)
            frame = self.depth.frame(question, self.options.blind)
            ids = tuple(region.id for region in question.regions)
            read = read_question(question.masked, frame.regions, None, ids)
            if read.program is not None and (self.measures_sides or not asked_side(read.program)):
                read = replace(read, program=self.options.conventions.meant(read.program))
            return BenchmarkAnswer(
                answer_as_text(self.answerer.answer(frame, read), ids, question.asked)
            )
        except SpatialError as error:
            raise unanswered(question, error) from error


def answer_as_text(
    answer: SpatialAnswer, region_ids: tuple[int, ...], asked: AnswerSpec | None = None
) -> str:
    """A typed answer in the words of a benchmark: "B", "yes", "Region [1]", "0.82 m", "3 o'clock",
    "0.60, 0.00, 0.80".

    Args:
        answer: of an answerer.
        region_ids: of the question, which numbers refer to.
        asked: what the question asks for; a side, where a benchmark wants one for "is it left of
            ...?"; None where that is not known.
    """
    if answer.option:
        return answer.option
    if asked is not None and asked.kind is AnswerKind.SIDE and answer.side is not Side.NONE:
        return answer.side.name.lower()
    if answer.truth is not None:
        return "yes" if answer.truth else "no"
    if answer.region_id is not None:
        return f"Region [{region_ids.index(answer.region_id)}]"
    if answer.value is None and answer.vector is not None:
        return write_normalized(tuple(map(float, answer.vector)))
    if answer.value is None:
        return answer.relation or answer.text
    if answer.unit == "h":
        return f"{answer.value:.0f} o'clock"
    unit = "" if answer.unit == "objects" else f" {answer.unit}"
    return f"{answer.value:.4g}{unit}"


def _gray_frame(question: BenchmarkQuestion) -> RGBDFrame:
    """A frame without anything to see: gray, no depth, each region the whole image."""
    height, width = GRAY_SIZE
    whole = np.ones((height, width), dtype=bool)
    regions = tuple(
        region.from_bitmap(region.id, region.label, whole) for region in question.regions
    )
    rgb = np.full((height, width, 3), GRAY, dtype=np.uint8)
    camera = CameraIntrinsics.from_vertical_fov(width, height, DEFAULT_FOV_DEG)
    depth = np.full((height, width), np.nan, np.float32)
    return RGBDFrame(rgb, depth, camera, RegionSet((height, width), regions))
