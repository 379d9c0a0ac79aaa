"""Measures the reference data of the likeness test of a checkpoint on a split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from smolrgpt_core.answerers.likeness import (
    FORMAT,
    MIN_CLASS_FRACTION,
    Likeness,
    classes_of,
    features_of,
    range_of,
)
from smolrgpt_core.data.warehouse_format import SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.predictions import Camera, ImageJob, read_cameras
from smolrgpt_core.geometry.frame_geometry import FrameGeometry


def measure_likeness(
    folder: SplitFolder,
    records: Sequence[WarehouseRecord],
    camera: Camera | None,
    weights_sha256: str,
) -> Likeness:
    """The ranges of all features of questions, and their classes.

    Unusable questions and images are skipped.

    Args:
        folder: the split.
        records: of the split; with images and questions as the model was trained on.
        camera: for images without calibration.
        weights_sha256: fingerprint of the weights.

    Raises:
        SpatialError: BAD_INPUT when `cameras.json` cannot be used.
    """
    cameras = read_cameras(folder)
    of_image: dict[str, list[WarehouseRecord]] = defaultdict(list)
    for record in records:
        of_image[record.image].append(record)
    classes: Counter[str] = Counter()
    values: dict[str, list[float]] = defaultdict(list)
    questions = images = 0
    for image, asked in of_image.items():
        try:
            frame, items = ImageJob(folder, asked, cameras.get(image), camera).read()
        except SpatialError:
            continue
        geometry, images = FrameGeometry(frame), images + 1
        for question in (item.question for item in items if item.question is not None):
            questions += 1
            classes.update(classes_of(frame, question))
            for name, value in features_of(geometry, question).items():
                values[name].append(value)
    return Likeness(
        classes=tuple(
            sorted(name for name, n in classes.items() if n >= MIN_CLASS_FRACTION * questions)
        ),
        ranges={name: range_of(name, found) for name, found in values.items()},
        data=f"{folder.root.name}/{folder.split}",
        images=images,
        questions=questions,
        weights_sha256=weights_sha256,
        format=FORMAT,
    )
