"""One question of a public benchmark, in the one form that all of them are read into."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import decode_image, read_bytes, read_rgb
from smolrgpt_core.public_benchmarks.row_places import RowField
from smolrgpt_core.regions import Box, Region

OPTION_LETTERS = "ABCDEFGHIJ"
"""Letters of options, in order; no benchmark here has more than six."""

MAX_PATH_LENGTH = 1024
"""Characters of a path to an image; base64 has no dot in these."""

Point = tuple[float, float]
"""x and y as fractions of the width and height of the image."""


@dataclass(frozen=True, eq=False, slots=True)
class StoredImage:
    """An image of a published file, read and decoded only when it is asked for.

    Attributes:
        name: where it stands, for messages: a path, or a file with a row.
        field: of the row that holds it; None: it is a file of its own.
    """

    name: Path
    field: RowField | None = None

    def rgb(self) -> NDArray[np.uint8]:
        """The image, uint8 (H, W, 3) RGB.

        Raises:
            SpatialError: BAD_INPUT when there is no such file, or it is not an image.
        """
        return read_rgb(self.name, self._encoded())

    def plane(self) -> NDArray:
        """A mask or depth image as stored, its first channel if it has several, (H, W).

        Raises:
            SpatialError: BAD_INPUT when there is no such file, or it is not an image.
        """
        image = decode_image(self.name, cv2.IMREAD_UNCHANGED, "a mask or depth", self._encoded())
        return image if image.ndim == 2 else image[:, :, 0]

    def _encoded(self) -> bytes:
        return read_bytes(self.name) if self.field is None else image_content(self.field.value())


def image_path(value: Any) -> str:
    """The path in a field of an image; empty where the field holds the image, or nothing."""
    found = _only(value)
    if isinstance(found, Mapping):
        found = "" if found.get("bytes") else found.get("path")
    is_path = isinstance(found, str) and not is_missing(found)
    return str(found) if is_path and Path(str(found)[:MAX_PATH_LENGTH]).suffix else ""


def image_content(value: Any) -> bytes:
    """The encoded image in a field: {"bytes", "path"} as in parquet files, or base64.

    Returns:
        Empty where there is none.

    Raises:
        ValueError: it is a text, and neither a path nor base64.
    """
    found = _only(value)
    if isinstance(found, Mapping):
        if found.get("bytes"):
            return bytes(found["bytes"])
        found = found.get("path")
    if not isinstance(found, str) or is_missing(found):
        return b""
    try:
        return base64.b64decode(found, validate=True)
    except ValueError as error:
        raise ValueError(f"the image is neither a path nor base64: {found!r:.40}") from error


def _only(value: Any) -> Any:
    """The first of several images in a field, such as the frames of a video."""
    return value[0] if isinstance(value, (list, tuple)) and value else value


class StoredMask(Protocol):
    """A mask of a published file."""

    def rle(self) -> Any:
        """Its COCO run-length encoding, read again.

        Raises:
            SpatialError: BAD_INPUT when the file changed meanwhile.
        """
        ...


@dataclass(frozen=True, eq=False, slots=True)
class StoredRegion:
    """A region of a published file, decoded only when it is asked for.

    Attributes:
        id: of the region.
        label: its class.
        mask: where it stands, or the box that stands for it.
    """

    id: int
    label: str
    mask: StoredMask | Box

    def region(self) -> Region:
        """The region with its mask.

        Raises:
            SpatialError: BAD_INPUT when the mask cannot be used.
        """
        if isinstance(self.mask, Box):
            return Region.from_box(self.id, self.label, self.mask)
        return Region.from_rle(self.id, self.label, self.mask.rle())


@dataclass(frozen=True, eq=False)
class BenchmarkRecord:
    """One question with its truth.

    Attributes:
        id: unique within a benchmark; predictions refer to it.
        question: as published.
        prompt: what the benchmark's authors give to a model.
        truth: a letter, a word, a sentence, or (Q-Spatial) centimeters, as the benchmark has it.
        category: kind of question, as published.
        image: what is asked about; None when the file has no image.
        stored_regions: of the objects in question, in the order of their placeholders.
        other_regions: objects of the image that the question does not name; empty where the data
            has none.
        options: texts of a multiple choice, in the order of the letters.
        group: rows of one group are one question with its options or its image changed.
        source: data set or split that the question comes from.
        mask: where the points of an answer may lie.
        depth: of the image, as published.
        camera: calibration of the image, and unit of `depth`; None where they are not published.
        problems: what is wrong with the row, though it can be scored.
    """

    id: str
    question: str
    prompt: str
    truth: str | float
    category: str = ""
    image: StoredImage | None = None
    stored_regions: tuple[StoredRegion, ...] = ()
    other_regions: tuple[StoredRegion, ...] = ()
    options: tuple[str, ...] = ()
    group: str = ""
    source: str = ""
    mask: StoredImage | None = None
    depth: StoredImage | None = None
    camera: CameraRecord | None = None
    problems: tuple[str, ...] = ()

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions with their masks, decoded at each call."""
        return tuple(stored.region() for stored in self.stored_regions)

    @property
    def letters(self) -> str:
        """The letters that an answer may have."""
        return OPTION_LETTERS[: len(self.options)]


@dataclass(frozen=True)
class RejectedRow:
    """A row of a published file that cannot be used at all.

    Attributes:
        place: file and row.
        reason: what was expected and what was found.
    """

    place: str
    reason: str


@dataclass(frozen=True, eq=False)
class BenchmarkData:
    """The content of the published files.

    Attributes:
        records: in the order of the files.
        rejected: rows that are in no denominator because they cannot be read; never silently.
        notes: what is missing from the data as a whole.
    """

    records: tuple[BenchmarkRecord, ...]
    rejected: tuple[RejectedRow, ...] = ()
    notes: tuple[str, ...] = ()


def options_text(options: Sequence[str]) -> str:
    """Options one a line, such as "A. a desk"."""
    return "\n".join(map("{}. {}".format, OPTION_LETTERS, options))


def published_regions(
    rles: Sequence[Any],
    masks: Iterable[StoredMask],
    boxes: Sequence[Any],
    names: Sequence[str],
    size: tuple[int, int],
) -> tuple[tuple[StoredRegion, ...], tuple[str, ...]]:
    """Regions of SpatialRGPT-Bench, and what is wrong with them.

    As its authors do, a mask that cannot be decoded is replaced by its box, clamped to the image.

    Args:
        rles: COCO run-length encodings, which are checked and not stored.
        masks: where they stand.
        boxes: (x1, y1, x2, y2) in pixels, one for each mask.
        names: class of each object.
        size: (height, width) of the image.

    Raises:
        SpatialError: BAD_INPUT when neither a mask nor its box can be used.
    """
    regions, problems = [], []
    found = zip(rles, boxes, names, strict=True)
    for id, (mask, (rle, box, name)) in enumerate(zip(masks, found, strict=False)):
        stored = StoredRegion(id, name, mask)
        try:
            Region.from_rle(id, name, rle)
        except SpatialError as error:
            problems.append(f"mask {id} does not decode, its box stands for it: {error.message}")
            stored = StoredRegion(id, name, _clamped(box, size))
            stored.region()
        regions.append(stored)
    return tuple(regions), tuple(problems)


def _clamped(corners: Sequence[float], size: tuple[int, int]) -> Box:
    x1, x2 = (min(max(int(x), 0), size[1]) for x in corners[::2])
    y1, y2 = (min(max(int(y), 0), size[0]) for y in corners[1::2])
    return Box(x1, y1, x2 - x1, y2 - y1)


def text_field(row: Mapping[str, Any], name: str) -> str:
    """A text of a row.

    Raises:
        ValueError: there is none; says which fields there are.
    """
    value = row.get(name)
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or is_missing(value):
        raise ValueError(f"expected a text {name!r}, got {value!r:.60}; fields: {sorted(row)}")
    return str(value)


def is_missing(value: object) -> bool:
    """Whether a field is empty: nothing, NaN, "nan" (as pandas writes it) or blanks."""
    if value is None or (isinstance(value, float) and value != value):
        return True
    return isinstance(value, str) and value.strip().lower() in ("", "nan")


def lettered_options(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Options from one field each, up to the first empty one.

    Raises:
        ValueError: fewer than two, or an option after an empty one, so that letters would move.
    """
    values = [row.get(name) for name in names]
    count = next((i for i, value in enumerate(values) if is_missing(value)), len(values))
    if count < 2 or not all(map(is_missing, values[count:])):
        raise ValueError(f"expected at least two options and no gap, got {values!r:.120}")
    return tuple(str(value) for value in values[:count])


def letter_truth(value: object, options: Sequence[str]) -> str:
    """The letter of the true option, also from "(A)".

    Raises:
        ValueError: it is not the letter of an option.
    """
    letter = str(value).strip().strip("()")
    if len(letter) != 1 or letter not in OPTION_LETTERS[: len(options)]:
        raise ValueError(f"expected the letter of one of {len(options)} options, got {value!r:.60}")
    return letter
