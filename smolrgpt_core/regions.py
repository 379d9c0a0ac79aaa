"""Regions of an image: one object each, with an id, a label and a mask.

Masks are created from bitmaps, COCO run-length encodings, instance images or boxes, and stored as
boolean arrays cropped to their box.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, bad_input

MAX_REGION_ID = 2**32 - 1
"""Largest id that `msg/Region` can carry."""

MAX_MASK_PIXELS = 2**28
"""A mask with more pixels than any camera has is broken, and would exhaust the memory."""

MAX_REGIONS = 10_000
"""A frame with more regions comes from a broken segmenter, and would block the answerers."""

MAX_LABEL_LENGTH = 200
"""Characters; a class name has a word or two, the label of a referring segmenter a sentence."""

FRACTIONS_PX, LEAST_SIZE_PX = 2, 32
"""Regions that all lie in so many columns and rows of an image of at least this width and height
have coordinates in fractions of the image."""

_NAMES_SHOWN = 20
"""Regions that a message names; the others are only counted."""

_MAX_GROUPS = 7
"""Longest number in compressed run lengths: 35 bits, so that sums of them fit into 64."""


@dataclass(frozen=True)
class Box:
    """Axis-aligned box in pixels: columns x..x+width-1, rows y..y+height-1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) to crop an image to the box."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @classmethod
    def covering(
        cls, low: NDArray[np.floating], high: NDArray[np.floating], image_size: tuple[int, int]
    ) -> Box:
        """The pixels whose centers lie in a box, at least one each way, clipped to the image.

        Args:
            low: upper left corner (x, y); the upper left pixel spans 0 to 1.
            high: lower right corner (x, y).
            image_size: (height, width).

        Returns:
            The box, empty if it lies outside the image.
        """
        first = np.floor(low + 0.5)
        return cls.cut(first, np.maximum(np.floor(high + 0.5), first + 1), image_size)

    @classmethod
    def cut(
        cls, first: NDArray[np.floating], end: NDArray[np.floating], image_size: tuple[int, int]
    ) -> Box:
        """The box of the pixels (x, y) from `first` up to but excluding `end` inside an image.

        Args:
            first: (2,), first column and row.
            end: (2,), column and row after the last.
            image_size: (height, width).
        """
        limits = image_size[::-1]
        x, y = np.clip(first, 0, limits).astype(int).tolist()
        right, bottom = np.clip(end, 0, limits).astype(int).tolist()
        return cls(x, y, right - x, bottom - y)

    def fits(self, image_size: tuple[int, int]) -> bool:
        """Whether the box is not empty and lies inside an image of (height, width)."""
        height, width = image_size
        return (
            min(self.x, self.y) >= 0
            and min(self.width, self.height) >= 1
            and self.x + self.width <= width
            and self.y + self.height <= height
        )


@dataclass(frozen=True, eq=False)
class Region:
    """One object in an image.

    Attributes:
        id: unique among the regions of the frame, 0 to `MAX_REGION_ID`.
        label: object class such as "pallet", stored in lower case; empty if unknown.
        box: position of `mask` in the image.
        mask: bool (box.height, box.width), at least one pixel set.
        score: confidence of the segmenter, 0 to 1.
        source_label: the label as spelled by its source; by default, `label`.

    Raises:
        SpatialError: BAD_INPUT when the id or the score is out of range, the label is too long, or
            the mask is not boolean, is empty, or does not have the size of its box.
    """

    id: int
    label: str
    box: Box
    mask: NDArray[np.bool_]
    score: float = 1.0
    source_label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source_label", self.source_label or self.label.strip())
        object.__setattr__(self, "label", self.label.strip().lower())
        if not 0 <= self.id <= MAX_REGION_ID:
            raise bad_input(f"region ids must be 0 to {MAX_REGION_ID}, got {self.id}")
        if len(self.label) > MAX_LABEL_LENGTH:
            raise bad_input(
                f"the label of region {self.id} has {len(self.label)} characters, but at most "
                f"{MAX_LABEL_LENGTH} are allowed; use the name of a class"
            )
        if not 0 <= self.score <= 1:
            raise bad_input(f"score of region {self.id} must be 0 to 1, got {self.score}")
        if self.mask.dtype != np.bool_ or self.mask.shape != (self.box.height, self.box.width):
            raise bad_input(
                f"mask of region {self.id} must be bool {(self.box.height, self.box.width)} like "
                f"its box, got {self.mask.dtype} {self.mask.shape}"
            )
        if not self.mask.any():
            raise bad_input(f"mask of region {self.id} is empty; omit empty regions")

    @cached_property
    def area(self) -> int:
        """Number of mask pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def name(self) -> str:
        """Name for messages, such as "pallet 7"; "region 7" if the label contains no letters."""
        is_word = any(character.isalpha() for character in self.label)
        return f"{self.label if is_word else 'region'} {self.id}"

    def iou(self, other: Region) -> float:
        """Intersection over union of the masks of two regions of an image, 0 to 1."""
        a, b = self.box, other.box
        x, y = max(a.x, b.x), max(a.y, b.y)
        right, bottom = min(a.x + a.width, b.x + b.width), min(a.y + a.height, b.y + b.height)
        if right <= x or bottom <= y:
            return 0.0
        first, second = (
            region.mask[
                y - region.box.y : bottom - region.box.y, x - region.box.x : right - region.box.x
            ]
            for region in (self, other)
        )
        common = int(np.count_nonzero(first & second))
        return common / (self.area + other.area - common)

    @classmethod
    def from_bitmap(cls, id: int, label: str, bitmap: NDArray, score: float = 1.0) -> Region:
        """From a full-size mask.

        Args:
            id: of the region.
            label: object class.
            bitmap: (H, W), bool or any integer type, non-zero = object.
            score: confidence of the segmenter, 0 to 1.

        Raises:
            SpatialError: BAD_INPUT when the mask has another shape or type, or is empty.
        """
        if bitmap.ndim != 2 or bitmap.dtype.kind not in "bui":
            raise bad_input(
                f"mask of region {id} must be a bool or integer (H, W) array, got {bitmap.dtype} "
                f"{bitmap.shape}"
            )
        filled = bitmap != 0
        rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
        if rows.size == 0:
            raise bad_input(f"mask of region {id} is empty; omit empty regions")
        box = _spanned_box(rows, columns)
        return cls(id, label, box, np.ascontiguousarray(filled[box.slices]), score)

    @classmethod
    def from_pixels(
        cls, id: int, label: str, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> Region:
        """From the pixels (rows[i], columns[i]), at least one.

        Args:
            id: of the region.
            label: object class.
            rows: int (N,).
            columns: int (N,).
        """
        box = _spanned_box(rows, columns)
        mask = np.zeros((box.height, box.width), dtype=bool)
        mask[rows - box.y, columns - box.x] = True
        return cls(id, label, box, mask)

    @classmethod
    def from_rle(cls, id: int, label: str, rle: Mapping, score: float = 1.0) -> Region:
        """From a COCO run-length encoding.

        Args:
            id: of the region.
            label: object class.
            rle: {"size": [H, W], "counts": str, bytes or list}.
            score: confidence of the segmenter, 0 to 1.

        Raises:
            SpatialError: BAD_INPUT when the encoding is broken or empty.
        """
        return cls.from_bitmap(id, label, decode_rle(rle), score)

    @classmethod
    def from_box(cls, id: int, label: str, box: Box, score: float = 1.0) -> Region:
        """From a detector's box: the whole box counts as the object.

        Args:
            id: of the region.
            label: object class.
            box: in pixels of the image.
            score: confidence of the detector, 0 to 1.

        Raises:
            SpatialError: BAD_INPUT when the box is empty or too large.
        """
        if min(box.width, box.height) < 1 or box.width * box.height > MAX_MASK_PIXELS:
            raise bad_input(
                f"{box} of region {id} must have a width and height of at least one pixel"
            )
        return cls(id, label, box, np.ones((box.height, box.width), dtype=bool), score)


@dataclass(frozen=True, eq=False)
class RegionSet:
    """All regions of one image.

    Attributes:
        image_size: (height, width) in pixels of the segmented image.
        regions: in the order of their source.
        declared_classes: labels that the user's label map declares as classes (`label_map`).
        doubt: why regions may be missing or out of place; empty if there is no sign of it.
        lost: names of regions that are outside of the image since its lens distortion was removed.

    Raises:
        SpatialError: BAD_INPUT when there are more than `MAX_REGIONS`, an id occurs twice, or a box
            extends beyond the image.
    """

    image_size: tuple[int, int]
    regions: tuple[Region, ...] = ()
    declared_classes: frozenset[str] = frozenset()
    doubt: str = ""
    lost: tuple[str, ...] = ()
    _by_id: dict[int, Region] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_number(len(self.regions))
        by_id: dict[int, Region] = {}
        for region in self.regions:
            if region.id in by_id:
                raise bad_input(
                    f"region id {region.id} occurs twice; ids must be unique in a frame"
                )
            if not region.box.fits(self.image_size):
                raise bad_input(
                    f"{region.box} of region {region.id} extends beyond the image of (height, "
                    f"width) {self.image_size}; masks and image must have the same resolution"
                )
            by_id[region.id] = region
        object.__setattr__(self, "_by_id", by_id)

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    def __contains__(self, id: int) -> bool:
        return id in self._by_id

    def __getitem__(self, id: int) -> Region:
        """The region with this id.

        Raises:
            SpatialError: UNKNOWN_REGION; the message names the regions that exist.
        """
        if id not in self._by_id:
            raise SpatialError(
                Status.UNKNOWN_REGION,
                f"region {id} is not in this frame; its regions are: "
                f"{names_of(self.regions) or 'none'}",
            )
        return self._by_id[id]

    @property
    def labels(self) -> list[str]:
        """The distinct labels, in order of first appearance."""
        return list(dict.fromkeys(region.label for region in self.regions))

    @cached_property
    def _bounds(self) -> NDArray[np.intp]:
        """(4, N): first column and row of each box, and the column and row after its last."""
        boxes = [region.box for region in self.regions]
        bounds = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
        return np.array(bounds, dtype=np.intp).reshape(-1, 4).T

    @property
    def is_in_fractions(self) -> bool:
        """Whether all regions lie in the first pixels, as fractions of the image read as pixels."""
        if not self.regions or min(self.image_size) < LEAST_SIZE_PX:
            return False
        return bool(self._bounds[2:].max() <= FRACTIONS_PX)

    def overlapping(self, box: Box) -> list[Region]:
        """The regions whose boxes have pixels in common with a box."""
        x, y, right, bottom = self._bounds
        found = (x < box.x + box.width) & (right > box.x)
        found &= (y < box.y + box.height) & (bottom > box.y)
        return [self.regions[index] for index in np.flatnonzero(found)]

    def with_label(self, label: str) -> list[Region]:
        """The regions of one class."""
        return [region for region in self.regions if region.label == label]

    def full_mask(self, id: int) -> NDArray[np.bool_]:
        """The mask of one region at image size, bool (H, W)."""
        region = self[id]
        mask = np.zeros(self.image_size, dtype=bool)
        mask[region.box.slices] = region.mask
        return mask

    @classmethod
    def from_label_image(cls, image: NDArray[np.integer], labels: Mapping[int, str]) -> RegionSet:
        """From an instance image: pixel value = region id, 0 = background.

        Args:
            image: (H, W) of any integer type.
            labels: label of each id; an id without one gets an empty label.

        Raises:
            SpatialError: BAD_INPUT when the image has another shape or type, or too many regions.
        """
        if image.ndim != 2 or image.dtype.kind not in "ui":
            raise bad_input(
                f"an instance image must be an integer (H, W) array, got {image.dtype} "
                f"{image.shape}"
            )
        rows, columns = np.nonzero(image)
        order = np.argsort(image[rows, columns], kind="stable")
        rows, columns = rows[order], columns[order]
        ids, starts = np.unique(image[rows, columns], return_index=True)
        _check_number(ids.size)
        parts = zip(ids, np.split(rows, starts[1:]), np.split(columns, starts[1:]), strict=False)
        regions = [
            Region.from_pixels(int(id), labels.get(int(id), ""), rows, columns)
            for id, rows, columns in parts
        ]
        return cls((image.shape[0], image.shape[1]), tuple(regions))

    def to_label_image(self) -> NDArray[np.int32]:
        """Instance image int32 (H, W): region ids, 0 = background; later regions overwrite others.

        Raises:
            SpatialError: BAD_INPUT for an id that does not fit into int32.
        """
        image = np.zeros(self.image_size, dtype=np.int32)
        largest = np.iinfo(np.int32).max
        for region in self.regions:
            if not 1 <= region.id <= largest:
                raise bad_input(f"an instance image can hold ids 1 to {largest}, got {region.id}")
            image[region.box.slices][region.mask] = region.id
        return image


def names_of(regions: Sequence[Region]) -> str:
    """Names of regions for a message, by class; if there are many, the first ones and a count.

    Such as "buffer 1, 2; pallet 3, 4, 5".
    """
    groups = groupby(regions[:_NAMES_SHOWN], lambda region: region.name.rsplit(" ", 1)[0])
    names = "; ".join(
        _names_of_class(noun, [region.id for region in group]) for noun, group in groups
    )
    more = len(regions) - _NAMES_SHOWN
    return f"{names} and {more} more" if more > 0 else names


def _names_of_class(noun: str, ids: Sequence[int]) -> str:
    between = ", region " if noun == "region" else ", "
    return f"{noun} {between.join(map(str, ids))}"


def decode_rle(rle: Mapping) -> NDArray[np.bool_]:
    """Mask bool (H, W) from a COCO run-length encoding, compressed or not.

    Raises:
        SpatialError: BAD_INPUT when the encoding is broken or does not fill its own size.
    """
    (height, width), runs = rle_run_lengths(rle)
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return filled.reshape(width, height).T


def rle_run_lengths(rle: Mapping) -> tuple[tuple[int, int], NDArray[np.int64]]:
    """(H, W) and run lengths int64 (R,) of a COCO run-length encoding, compressed or not.

    The runs go down the columns, one column after the other, background and object in turn,
    background first.

    Raises:
        SpatialError: BAD_INPUT when the encoding is broken or does not fill its own size.
    """
    check_rle_form(rle)
    try:
        height, width = (operator.index(value) for value in rle["size"])
        counts = rle["counts"]
        if isinstance(counts, (str, bytes)):
            runs = _compressed_run_lengths(counts)
        else:
            runs = np.array([operator.index(run) for run in counts], dtype=np.int64)
        _check_run_lengths(runs, height, width)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise bad_input(
            'a COCO mask must be {"size": [height, width], "counts": ...}, this one cannot be '
            f"decoded: {error!r}"
        ) from error
    return (height, width), runs


def check_rle_form(rle: object) -> None:
    """Check that an object may be a COCO run-length encoding.

    Raises:
        SpatialError: BAD_INPUT; the message states what it is instead: a polygon, text, nothing,
        ...
    """
    if isinstance(rle, Mapping):
        return
    found = "nothing (null)" if rle is None else type(rle).__name__
    for kind, form in ((str, "text (a path or base64?)"), (list, "a list (a polygon?)")):
        found = form if isinstance(rle, kind) else found
    raise bad_input(
        f'a COCO mask must be {{"size": [height, width], "counts": ...}}, got {found}: {rle!r:.60}'
    )


def encode_rle(mask: NDArray[np.bool_]) -> dict:
    """COCO run-length encoding {"size": [H, W], "counts": str} of a mask (H, W)."""
    # Imported here because a robot that gets its masks over ROS does not need pycocotools.
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _compressed_run_lengths(counts: str | bytes) -> NDArray[np.int64]:
    """Run lengths from COCO's compressed text: 6-bit groups, delta to the run before the last."""
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    groups = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    if groups.size and not 0 <= groups.min() <= groups.max() < 64:
        raise ValueError(f"characters that COCO run lengths do not use in {text[:80]!r}")
    last = np.flatnonzero((groups & 0x20) == 0)
    if groups.size and (last.size == 0 or last[-1] != groups.size - 1):
        raise ValueError("the run lengths end in the middle of a number")
    sizes = np.diff(last, prepend=-1)
    if sizes.size and sizes.max() > _MAX_GROUPS:
        raise ValueError(f"a run length has more than {5 * _MAX_GROUPS} bits")
    first = last - sizes + 1
    shifts = 5 * (np.arange(groups.size) - np.repeat(first, sizes))
    runs = np.add.reduceat((groups & 0x1F) << shifts, first) if last.size else groups
    runs = runs - np.where(groups[last] & 0x10, 1 << (5 * sizes), 0)
    for parity in (1, 2):
        runs[parity::2] = np.cumsum(runs[parity::2])
    return runs


def _check_run_lengths(runs: NDArray[np.int64], height: int, width: int) -> None:
    if min(height, width) < 1 or height * width > MAX_MASK_PIXELS:
        raise ValueError(f"size must be positive and at most {MAX_MASK_PIXELS} pixels")
    if np.any(runs < 0) or np.any(runs > MAX_MASK_PIXELS) or runs.sum() != height * width:
        raise ValueError(
            f"run lengths must not be negative and must add up to {height * width} pixels, "
            f"got {runs.sum()}"
        )


def _check_number(regions: int) -> None:
    if regions > MAX_REGIONS:
        raise bad_input(
            f"a frame has {regions} regions, but at most {MAX_REGIONS} are allowed; is the "
            "segmenter broken, or is this the wrong topic for regions?"
        )


def _spanned_box(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Box:
    """The smallest box that contains all these pixels."""
    x, y = int(columns.min()), int(rows.min())
    return Box(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)
