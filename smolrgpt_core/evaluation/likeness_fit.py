"""Measures the reference data of the likeness test of a checkpoint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from smolrgpt_core.answerers.likeness import (
    FORMAT,
    MIN_FRACTION,
    Likeness,
    classes_of,
    features_of,
    range_of,
)
from smolrgpt_core.data.warehouse_format import SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.predictions import Camera, ImageJob, read_cameras
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.language import SpatialQuestion, measures_of


def measure_likeness(
    asked: Sequence[tuple[SplitFolder, Sequence[WarehouseRecord]]],
    camera: Camera | None,
    weights_sha256: str,
) -> Likeness:
    """The ranges of all features of questions, and their classes.

    Unusable questions and images are skipped.

    Args:
        asked: splits and records of each; with images and questions as the model was trained on.
        camera: for images without calibration.
        weights_sha256: fingerprint of the weights.

    Raises:
        SpatialError: BAD_INPUT when `cameras.json` cannot be used.
    """
    classes: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    values: dict[str, list[float]] = defaultdict(list)
    questions = images = 0
    for frame, of_frame in _usable_images(asked, camera):
        geometry, images = FrameGeometry(frame), images + 1
        for question in of_frame:
            questions += 1
            geometry.expect(question.region_ids)
            classes.update(classes_of(frame, question))
            if question.program is not None:
                operators.update(measures_of(question.program))
            for name, value in features_of(geometry, question).items():
                values[name].append(value)
    return Likeness(
        classes=_frequent(classes, questions),
        ranges={name: range_of(name, found) for name, found in values.items()},
        data=", ".join(folder.name for folder, _ in asked),
        images=images,
        questions=questions,
        weights_sha256=weights_sha256,
        format=FORMAT,
        operators=_frequent(operators, questions),
    )


def _frequent(counted: Counter[str], questions: int) -> tuple[str, ...]:
    """Names that enough of the questions have."""
    return tuple(sorted(name for name, n in counted.items() if n >= MIN_FRACTION * questions))


def _usable_images(
    asked: Sequence[tuple[SplitFolder, Sequence[WarehouseRecord]]], camera: Camera | None
) -> Iterator[tuple[RGBDFrame, list[SpatialQuestion]]]:
    """Each image, and the questions about it that can be read."""
    for folder, records in asked:
        cameras = read_cameras(folder)
        of_image: dict[str, list[WarehouseRecord]] = defaultdict(list)
        for record in records:
            of_image[record.image].append(record)
        for image, of_one in of_image.items():
            try:
                frame, items = ImageJob(folder, of_one, cameras.get(image), camera).read()
            except SpatialError:
                continue
            yield frame, [item.question for item in items if item.question is not None]
