"""Whether the inputs of a model are similar to its training data.

A network answers whatever it is shown, and is as sure of what it has never seen as of what it
knows; its calibration holds only for images like those of its training. So a checkpoint comes
with the range of what can be measured of such images and questions: classes, camera, depth and
masks. They are measured on a data set (`smolrgpt calibrate`) and lie beside the weights as
`likeness.json`. To lie within the ranges is necessary, and no proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.checkpoints.files import LIKENESS_FILE
from smolrgpt_core.checkpoints.weights import check_fingerprint
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error, read_json
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.surface import valid_depth_fraction
from smolrgpt_core.language import Category, SpatialQuestion, measures_of
from smolrgpt_core.language.model_wording import masked_question
from smolrgpt_core.object_classes import known_class
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.settings_file import from_entries, with_current_names, write_json_entries

FORMAT = 1
"""Version of the file; others are refused."""

UNLIKE_CONFIDENCE = 0.4
"""The most that a model's own answer about something unlike its training is trusted."""

QUANTILES = (0.001, 0.999)
"""Of a feature over all questions: the ends of its range."""

MIN_FRACTION = 0.001
"""A class that fewer of the questions are about does not count as trained on, nor does an operator
that fewer of them have."""

MARGIN = 0.05
"""By which each end of a range is moved outwards, relative to itself."""

MARGIN_DEG = 2.0
"""By which it is moved at least where it is an angle, which may be 0."""

READINGS_STEP = 16
"""Of the depth readings of a frame, one of so many is taken for their quantiles."""

FEATURES = {
    "view_deg": "horizontal field of view, degrees",
    "aspect": "aspect ratio of the image (width / height)",
    "floor_seen": "whether the floor is visible (1) or not (0)",
    "camera_height_m": "height of the camera above the floor, m",
    "camera_tilt_deg": "downward tilt of the camera, degrees",
    "camera_roll_deg": "roll of the camera to its right, degrees",
    "depth_fraction": "fraction of the image with a depth reading",
    "depth_near_m": "5th percentile of the depth of the image, m",
    "depth_median_m": "median depth of the image, m",
    "depth_far_m": "95th percentile of the depth of the image, m",
    "regions": "number of regions asked about",
    "smallest_region": "fraction of the image covered by the smallest mask asked about",
    "largest_region": "fraction of the image covered by the largest mask asked about",
    "region_depth_fraction": "lowest fraction of a mask asked about that has depth readings",
    "region_near_m": "median depth under the nearest mask asked about, m",
    "region_far_m": "median depth under the farthest mask asked about, m",
}
"""What is measured, and what to call it; none depends on the number of pixels of the image."""


def features_of(geometry: FrameGeometry, question: SpatialQuestion) -> dict[str, float]:
    """The features of a question; those that cannot be measured, such as a floor, are missing.

    Args:
        geometry: of the frame.
        question: about regions of the frame.

    Returns:
        Values by the names of `FEATURES`.
    """
    return {**features_of_frame(geometry), **_region_features(geometry.frame, question)}


def features_of_frame(geometry: FrameGeometry) -> dict[str, float]:
    """The features that are the same for all questions about a frame."""
    frame = geometry.frame
    return {
        "view_deg": frame.intrinsics.view_deg[0],
        "aspect": frame.intrinsics.width / frame.intrinsics.height,
        **_floor_features(geometry.plane),
        **_depth_features(frame),
    }


def classes_of(frame: RGBDFrame, question: SpatialQuestion) -> set[str]:
    """The classes of the regions that a question is about; known ones by their own name."""
    return {known_class(frame.regions[id].label) for id in question.region_ids}


def _floor_features(plane: GroundPlane | None) -> dict[str, float]:
    if plane is None:
        return {"floor_seen": 0.0}
    right, _, ahead = np.clip(plane.up, -1, 1)
    return {
        "floor_seen": 1.0,
        "camera_height_m": plane.camera_height,
        "camera_tilt_deg": math.degrees(math.asin(-ahead)),
        "camera_roll_deg": math.degrees(math.asin(-right)),
    }


def _depth_features(frame: RGBDFrame) -> dict[str, float]:
    readings = frame.depth[np.isfinite(frame.depth)]
    found = {"depth_fraction": readings.size / frame.depth.size}
    if readings.size:
        near, median, far = np.quantile(readings[::READINGS_STEP], (0.05, 0.5, 0.95)).tolist()
        found |= {"depth_near_m": near, "depth_median_m": median, "depth_far_m": far}
    return found


def _region_features(frame: RGBDFrame, question: SpatialQuestion) -> dict[str, float]:
    regions = [frame.regions[id] for id in question.region_ids]
    found = {"regions": float(len(regions))}
    if not regions:
        return found
    sizes = [np.count_nonzero(region.mask) / frame.depth.size for region in regions]
    valid_fractions = [valid_depth_fraction(frame, region) for region in regions]
    found |= {
        "smallest_region": min(sizes),
        "largest_region": max(sizes),
        "region_depth_fraction": min(valid_fractions),
    }
    measured = [
        region for region, fraction in zip(regions, valid_fractions, strict=True) if fraction > 0
    ]
    if measured:
        depths = [float(np.nanmedian(frame.depth[r.box.slices][r.mask])) for r in measured]
        found |= {"region_near_m": min(depths), "region_far_m": max(depths)}
    return found


@dataclass(frozen=True)
class Likeness:
    """What a checkpoint was trained on.

    Attributes:
        classes: of the regions asked about, known ones by their own name.
        ranges: lowest and highest value by the names of `FEATURES`; one that could never be
            measured in the training data is missing.
        data: name and split of the data set that was measured, for people.
        images: that were measured.
        questions: that were measured.
        weights_sha256: fingerprint of the weights, see `weights_fingerprint`.
        format: `FORMAT`.
        operators: names of the attributes and predicates of the questions; empty where they were
            not recorded.

    Raises:
        ValueError: for an unknown feature or format, an empty range, or without a fingerprint.
    """

    classes: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    data: str
    images: int
    questions: int
    weights_sha256: str
    format: int
    operators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(
                f"format must be {FORMAT}, got {self.format}: it was written by another version; "
                "run `smolrgpt calibrate` again"
            )
        check_fingerprint(self.weights_sha256)
        for name, (low, high) in self.ranges.items():
            if name not in FEATURES:
                raise ValueError(f"ranges must be named {', '.join(FEATURES)}, got {name!r}")
            if not -math.inf < low <= high < math.inf:
                raise ValueError(f"ranges.{name} must be [low, high], got [{low}, {high}]")

    @property
    def has_unseen_regions(self) -> bool:
        """Whether it was trained on regions without a single depth reading."""
        low, _ = self.ranges.get("region_depth_fraction", (math.nan, math.nan))
        return low <= 0

    def differences(
        self,
        geometry: FrameGeometry,
        question: SpatialQuestion,
        of_frame: Mapping[str, float] | None = None,
    ) -> list[str]:
        """How a question differs from those of the training; empty when it does not.

        Args:
            geometry: of the frame.
            question: about regions of the frame.
            of_frame: `features_of_frame`, where they are known.
        """
        frame = geometry.frame
        strange = classes_of(frame, question) - set(self.classes)
        of_frame = features_of_frame(geometry) if of_frame is None else of_frame
        found = list(self._outside({**of_frame, **_region_features(frame, question)}))
        if strange:
            names = ", ".join(sorted(name or "without a label" for name in strange))
            found.insert(0, f"class: {names} (trained on {', '.join(self.classes)})")
        return [*self._strange_operators(question), *found]

    def _strange_operators(self, question: SpatialQuestion) -> Iterator[str]:
        if self.operators and question.program is not None:
            strange = measures_of(question.program) - set(self.operators)
            if strange:
                yield f"what is measured: {', '.join(sorted(strange))}"

    def _outside(self, features: Mapping[str, float]) -> Iterator[str]:
        for name, value in features.items():
            low, high = self.ranges.get(name, (math.nan, math.nan))
            if not low <= value <= high:
                yield f"{FEATURES[name]}: {value:.3g} (trained on {low:.3g} to {high:.3g})"


class LikenessTest:
    """Says why an answer of a model is not to be trusted by itself; thread-safe.

    Args:
        likeness: of the model's checkpoint; None: it has none.
        cache: geometry of frames.
    """

    def __init__(self, likeness: Likeness | None, cache: GeometryCache) -> None:
        self._likeness = likeness
        self._cache = cache
        self._of_frames: WeakKeyDictionary[FrameGeometry, dict[str, float]] = WeakKeyDictionary()

    def doubt(self, frame: RGBDFrame, question: SpatialQuestion) -> str:
        """Why not; empty when the question is like those of the training.

        Without a single depth reading of a region, a model that was not trained on such has nothing
        to measure either: it guesses, and is right about as often.
        """
        question = _with_regions(question, frame.regions)
        unseen = [
            region.name
            for region in (frame.regions[id] for id in question.region_ids)
            if valid_depth_fraction(frame, region) == 0
        ]
        knows_unseen = self._likeness is not None and self._likeness.has_unseen_regions
        if unseen and not knows_unseen and question.category is not Category.LEFT_RIGHT:
            return f"no depth reading under the mask of {', '.join(unseen)}"
        if self._likeness is None:
            return (
                f"the checkpoint has no {LIKENESS_FILE}, so it is unknown whether the model was "
                f"trained on similar data; run `smolrgpt calibrate`"
            )
        geometry = self._cache.get(frame)
        of_frame = self._of_frames.get(geometry)
        if of_frame is None:
            of_frame = self._of_frames[geometry] = features_of_frame(geometry)
        found = self._likeness.differences(geometry, question, of_frame)
        return f"unlike the training data of the model: {'; '.join(found)}" if found else ""


def _with_regions(question: SpatialQuestion, regions: RegionSet) -> SpatialQuestion:
    """A question with the regions that a model is shown, also where its words name them by id."""
    if question.region_ids or question.program is None:
        return question
    shown = masked_question(question.program, regions, looks=True)
    return (
        question
        if shown is None
        else replace(question, text=shown.text, region_ids=shown.region_ids)
    )


def at_most(limit: float, confidence: float) -> float:
    """A confidence limited from above; NaN stays NaN."""
    return float(np.minimum(confidence, limit))


def range_of(name: str, values: Sequence[float]) -> tuple[float, float]:
    """The range of a feature from at least one value of it.

    Args:
        name: of `FEATURES`.
        values: over all questions that it can be measured of.
    """
    low, high = np.quantile(values, QUANTILES).tolist()
    least = MARGIN_DEG if name.endswith("_deg") else 0.0
    return low - max(MARGIN * abs(low), least), high + max(MARGIN * abs(high), least)


def read_likeness(path: Path) -> Likeness:
    """Read the file.

    Raises:
        SpatialError: BAD_INPUT that names the file and what is wrong in it.
    """
    entries = with_current_names(read_json(path))
    try:
        return from_entries(Likeness, entries)
    except SpatialError as error:
        raise file_error(path, error.message) from error


def write_likeness(path: Path, likeness: Likeness) -> None:
    """Write the file, completely or not at all."""
    write_json_entries(path, likeness)
