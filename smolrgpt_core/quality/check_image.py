"""Checks one image of a data set with its depth, its camera and every question about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import read_answer
from smolrgpt_core.data.samples import DepthFile, ImageFile
from smolrgpt_core.data.truths import read_truth, same_answer
from smolrgpt_core.data.warehouse_format import (
    HUMAN,
    MODEL,
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
    placeholders_in,
)
from smolrgpt_core.depth import depth_readings
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import METERS_PER_UNIT, read_bytes
from smolrgpt_core.language import CATEGORIES, MASK, Category
from smolrgpt_core.quality.problems import Problem, ProblemKind
from smolrgpt_core.regions import rle_run_lengths
from smolrgpt_core.synthesis.mixtures import TASKS, UNMIXED_TASKS

ImageSize = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class ImageTask:
    """What one process checks at a time.

    Attributes:
        folder: the split.
        entries: of `SPLIT.json` about one image, each with its number in the file.
        cameras: the entry of the image in `cameras.json`, if there is one; None: no such file.
    """

    folder: SplitFolder
    entries: Sequence[tuple[int, Any]]
    cameras: Mapping[str, CameraRecord] | None


@dataclass(frozen=True)
class ImageFindings:
    """The findings about an image.

    Attributes:
        problems: what is wrong.
        image: file name; empty if no record could be read.
        content_hash: of the image file; empty if it cannot be read.
        ids: of the records that could be read, and their places.
        has_depth_without_unit: whether its depth is an 8 bit visualization, without a unit.
    """

    problems: tuple[Problem, ...]
    image: str = ""
    content_hash: str = ""
    ids: tuple[tuple[str, str], ...] = ()
    has_depth_without_unit: bool = False


def check_image(task: ImageTask) -> ImageFindings:
    """Check an image and everything that belongs to it."""
    problems: list[Problem] = []
    records = _read_records(task, problems)
    if not records:
        return ImageFindings(tuple(problems))
    image = next(iter(records.values())).image
    size, content_hash = _check_color(task.folder, image, problems)
    if task.cameras is not None:
        problems += _check_camera(task.folder, image, task.cameras.get(image), size)
    levels = _read_depth(task.folder, image, problems)
    if levels is not None:
        problems += _check_depth(task, image, levels, size)
    decoded: dict[str, tuple[ProblemKind, str] | None] = {}
    for place, record in records.items():
        if not record.question:
            found = f"expected a question, a turn of {HUMAN} with words, found none"
            problems.append(Problem(ProblemKind.BROKEN_RECORD, place, found))
        problems += _check_masks(record, place, size, decoded)
        problems += check_answer(record, place, answer_expected=task.folder.split != "test")
    ids = tuple((record.id, place) for place, record in records.items())
    is_without_unit = levels is not None and levels.dtype == np.uint8
    return ImageFindings(tuple(problems), image, content_hash, ids, is_without_unit)


def _read_records(task: ImageTask, problems: list[Problem]) -> dict[str, WarehouseRecord]:
    """The records that can be read, by their place."""
    records = {}
    for number, entry in task.entries:
        place = f"{task.folder.records_path}: record {number}"
        try:
            record = WarehouseRecord.from_json(entry)
        except SpatialError as error:
            problems.append(Problem(ProblemKind.BROKEN_RECORD, place, str(error)))
            continue
        records[f"{place} ({record.id})"] = record
    return records


def _check_color(
    folder: SplitFolder, image: str, problems: list[Problem]
) -> tuple[ImageSize | None, str]:
    """Size of the image, None if it cannot be decoded; hash of its file."""
    place, content_hash = image, ""
    try:
        path = folder.image_path(image)
        place = str(path)
        content = read_bytes(path)
        content_hash = hashlib.blake2b(content, digest_size=16).hexdigest()
        height, width = ImageFile(path, content).read().shape[:2]
    except SpatialError as error:
        problems.append(Problem(ProblemKind.IMAGE, place, _without_place(error, place)))
        return None, content_hash
    return (height, width), content_hash


def _check_camera(
    folder: SplitFolder, image: str, camera: CameraRecord | None, size: ImageSize | None
) -> Iterator[Problem]:
    place = f"{folder.cameras_path}: {image}"
    if camera is None:
        yield Problem(ProblemKind.CAMERA_MISSING, place, "expected a calibration, found none")
        return
    calibrated = (camera.intrinsics.height, camera.intrinsics.width)
    if size is not None and calibrated != size:
        yield Problem(
            ProblemKind.CAMERA_SIZE,
            place,
            f"expected (height, width) {size} as the image, found {calibrated}",
        )


def _read_depth(
    folder: SplitFolder, image: str, problems: list[Problem]
) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """The depth image as stored; None if it cannot be decoded."""
    place = image
    try:
        path = folder.depth_path(image)
        place = str(path)
        return DepthFile(path).read()
    except SpatialError as error:
        problems.append(Problem(ProblemKind.DEPTH, place, _without_place(error, place)))
        return None


def _check_depth(
    task: ImageTask, image: str, levels: NDArray, size: ImageSize | None
) -> Iterator[Problem]:
    place = str(task.folder.depth_path(image))
    if size is not None and levels.shape != size:
        yield Problem(
            ProblemKind.DEPTH_SIZE,
            place,
            f"expected (height, width) {size} as the image, found {levels.shape}",
        )
    if not levels.any():
        yield Problem(ProblemKind.DEPTH_EMPTY, place, "expected depth, found only zeros")
    elif levels.dtype == np.uint16:
        camera = (task.cameras or {}).get(image)
        scale = camera.depth_scale if camera else METERS_PER_UNIT["uint16"]
        try:
            loss = depth_readings(levels, scale).loss
        except SpatialError as error:
            yield Problem(ProblemKind.DEPTH_UNIT, place, f"{error} (scale {scale:g} m per unit)")
        else:
            if loss.is_reported:
                yield Problem(ProblemKind.DEPTH_LOSS, place, str(loss))


def _check_masks(
    record: WarehouseRecord,
    place: str,
    size: ImageSize | None,
    decoded: dict[str, tuple[ProblemKind, str] | None],
) -> Iterator[Problem]:
    """`decoded` caches the result for masks that several questions share."""
    placeholders = placeholders_in(record.dialogue)
    if placeholders != len(record.rle):
        yield Problem(
            ProblemKind.MASK_COUNT,
            place,
            f"expected one mask for each {MASK}, found {placeholders} {MASK} and "
            f"{len(record.rle)} masks",
        )
    for index, rle in enumerate(record.rle):
        key = str(rle)
        if key not in decoded:
            decoded[key] = _mask_problem(rle, size)
        found = decoded[key]
        if found is not None:
            yield Problem(found[0], f"{place}, mask {index}", found[1])


def _mask_problem(rle: Any, size: ImageSize | None) -> tuple[ProblemKind, str] | None:
    try:
        mask_size, runs = rle_run_lengths(rle)
    except SpatialError as error:
        return ProblemKind.MASK_BROKEN, str(error)
    if size is not None and mask_size != size:
        found = f"expected (height, width) {size} as the image, found {mask_size}"
        return ProblemKind.MASK_SIZE, found
    if not runs[1::2].any():
        return ProblemKind.MASK_EMPTY, "expected at least one pixel, found none"
    return None


def _without_place(error: SpatialError, place: str) -> str:
    """The message without the name of the file, which stands beside it."""
    return str(error).removeprefix(f"{Path(place)}: ")


def check_answer(record: WarehouseRecord, place: str, answer_expected: bool) -> Iterator[Problem]:
    """What is wrong with the answers of a record.

    Args:
        record: the question.
        place: for the problems.
        answer_expected: False for a test split, whose answers may be withheld.
    """
    sentences = list(
        dict.fromkeys(text for text in (record.freeform_answer, _first_answer(record)) if text)
    )
    has_answer = bool(sentences or record.normalized_answer)
    category = CATEGORIES.get(record.category)
    if record.category in TASKS | UNMIXED_TASKS:
        # Their answers have no single form that could be checked.
        if has_answer or answer_expected:
            yield from _check_missing(record, sentences, place)
    elif category is None:
        # The public test split states no category, and has no answer that needs one.
        if record.category or has_answer or answer_expected:
            known = ", ".join((*CATEGORIES, *sorted(TASKS | UNMIXED_TASKS)))
            found = f"expected one of {known}, found {record.category!r}"
            yield Problem(ProblemKind.CATEGORY, place, found)
    elif has_answer or answer_expected:
        yield from _check_present(record, category, sentences, place)


def _check_present(
    record: WarehouseRecord, category: Category, sentences: list[str], place: str
) -> Iterator[Problem]:
    yield from _check_missing(record, sentences, place)
    normalized = None
    if record.normalized_answer:
        try:
            normalized = read_truth(
                record.normalized_answer, record.category, len(record.question_rle)
            )
        except ValueError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, f"normalized answer: {error}")
    for sentence in sentences:
        try:
            parsed = read_answer(sentence, category)
        except SpatialError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, str(error))
            continue
        if normalized is not None and not same_answer(parsed, normalized, category):
            yield Problem(
                ProblemKind.ANSWER_DISAGREES,
                place,
                f"normalized {record.normalized_answer!r}, free form {sentence!r}",
            )


def _check_missing(record: WarehouseRecord, sentences: list[str], place: str) -> Iterator[Problem]:
    missing = [
        name
        for name, has_answer in (
            ("normalized_answer", record.normalized_answer),
            ("freeform_answer or a turn of gpt", sentences),
        )
        if not has_answer
    ]
    if missing:
        yield Problem(ProblemKind.ANSWER_MISSING, place, f"expected {' and '.join(missing)}")


def _first_answer(record: WarehouseRecord) -> str:
    """The expected output of the model; empty in a test split."""
    return next((turn.text for turn in record.dialogue if turn.speaker == MODEL), "")
