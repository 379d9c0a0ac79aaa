"""Answers from metric depth and masks alone, without learning.

Objects are fitted with boxes on the floor, so a distance is one between centres of objects and not
of the surfaces that the camera happens to see. Left and right need no depth. What depth does not
decide is refused with the reason; docs/accuracy.md says how often the rest is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smolrgpt_core.answer import SpatialAnswer, answer_sentence
from smolrgpt_core.answerers.base import answer_or_error, each_deadline
from smolrgpt_core.answerers.geometric_findings import Finder, Finding, RefusalMargins
from smolrgpt_core.answerers.kept_geometry import KEPT_FRAMES, KeptGeometry
from smolrgpt_core.answerers.region_places import region_notes, region_places
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, GeometryConfig
from smolrgpt_core.question import Category, SpatialQuestion


@dataclass(frozen=True)
class GeometricAnswererConfig:
    """How the geometric answerer measures, when it refuses, and what it keeps.

    Attributes:
        margins: what is too close to call.
        geometry: how a frame is measured.
        kept_frames: number of frames whose geometry is kept for further questions.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    margins: RefusalMargins = field(default_factory=RefusalMargins)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    kept_frames: int = KEPT_FRAMES

    def __post_init__(self) -> None:
        if self.kept_frames < 1:
            raise ValueError(f"kept_frames must be at least 1, got {self.kept_frames}")


class GeometricAnswerer:
    """Implements `Answerer` with geometry.

    The confidence of an answer is the probability that it is right if errors of position were
    normal with the standard deviations that the fits report.

    Args:
        config: how to measure and when to refuse.
        kept: geometry of frames that is shared with another answerer; None: its own. It measures
            by its own configuration.
    """

    def __init__(
        self, config: GeometricAnswererConfig | None = None, kept: KeptGeometry | None = None
    ) -> None:
        self._config = config or GeometricAnswererConfig()
        self._kept = kept or KeptGeometry(self._config.geometry, self._config.kept_frames)

    def prepare(self, frame: RGBDFrame) -> None:
        """Look for the floor, which the places of all regions rest on."""
        self._kept.of(frame).find_floor()

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: UNKNOWN_REGION, NO_VALID_DEPTH, CANNOT_TELL or BAD_QUESTION.
        """
        geometry = self._kept.of(frame)
        finding = Finder(geometry, question, self._config.margins).find()
        return _write_down(finding, question, geometry)

    def answer_together(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """Answer questions one by one; what is measured for one serves the others.

        A measurement that has begun is finished.
        """
        return [
            answer_or_error(self, frame, question, deadline)
            for question, deadline in zip(
                questions, each_deadline(questions, deadlines), strict=True
            )
        ]


def _write_down(
    finding: Finding, question: SpatialQuestion, geometry: FrameGeometry
) -> SpatialAnswer:
    """The answer with what is known about the regions that it is about."""
    regions = geometry.frame.regions
    ids = question.region_ids or (*question.target_ids, *question.anchor_ids)
    centres, valid_depth = region_places(geometry, ids)
    notes = "" if question.category is Category.LEFT_RIGHT else region_notes(geometry, ids)
    text = answer_sentence(
        question, regions, value=finding.value, region_id=finding.region_id, side=finding.side
    )
    return SpatialAnswer(
        status=Status.OK,
        category=question.category,
        message=notes,
        text=text,
        value=finding.value,
        region_id=finding.region_id,
        counted_ids=finding.counted_ids,
        side=finding.side,
        confidence=finding.confidence,
        geometric_value=finding.value,
        region_ids=ids,
        centres=centres,
        valid_depth=valid_depth,
    )
