"""Regions of an image: one object each, with an id, a label and a mask.

Masks come as bitmaps, COCO run-length encodings, label images or boxes; inside, a mask is a
boolean array cut to its box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from smolrgpt_core.errors import SpatialError, Status


@dataclass(frozen=True)
class Box:
    """Axis-aligned box in pixels: columns x..x+width-1, rows y..y+height-1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) to cut the box out of an image."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

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
        id: unique among the regions of the frame, not negative.
        label: object class in lower case, such as "pallet"; empty if unknown.
        box: where `mask` lies in the image.
        mask: bool (box.height, box.width), at least one pixel set.
        score: confidence of the segmenter, 0 to 1.

    Raises:
        SpatialError: BAD_INPUT when the mask is not boolean, is empty, or has another size than
            its box.
    """

    id: int
    label: str
    box: Box
    mask: NDArray[np.bool_]
    score: float = 1.0

    def __post_init__(self) -> None:
        if self.id < 0:
            raise _bad(f"region ids must not be negative, got {self.id}")
        if self.mask.dtype != np.bool_ or self.mask.shape != (self.box.height, self.box.width):
            raise _bad(
                f"mask of region {self.id} must be bool {(self.box.height, self.box.width)} like "
                f"its box, got {self.mask.dtype} {self.mask.shape}"
            )
        if not self.mask.any():
            raise _bad(f"mask of region {self.id} has no pixel set; leave empty regions out")

    @property
    def area(self) -> int:
        """Number of mask pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def name(self) -> str:
        """How a person would call it, such as "pallet 7"."""
        return f"{self.label or 'region'} {self.id}"

    @classmethod
    def from_bitmap(
        cls, id: int, label: str, bitmap: NDArray, score: float = 1.0
    ) -> Region:
        """From a full-size mask (H, W), bool or any integer type with non-zero = object."""
        if bitmap.ndim != 2:
            raise _bad(f"mask of region {id} must have two dimensions, got {bitmap.shape}")
        filled = bitmap != 0
        rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
        if rows.size == 0:
            raise _bad(f"mask of region {id} has no pixel set; leave empty regions out")
        box = Box(
            int(columns[0]),
            int(rows[0]),
            int(columns[-1] - columns[0]) + 1,
            int(rows[-1] - rows[0]) + 1,
        )
        return cls(id, label, box, np.ascontiguousarray(filled[box.slices]), score)

    @classmethod
    def from_rle(cls, id: int, label: str, rle: Mapping, score: float = 1.0) -> Region:
        """From a COCO run-length encoding {"size": [H, W], "counts": str, bytes or list}."""
        return cls.from_bitmap(id, label, decode_rle(rle), score)

    @classmethod
    def from_box(cls, id: int, label: str, box: Box, score: float = 1.0) -> Region:
        """From a detector's box: the whole box counts as the object."""
        return cls(id, label, box, np.ones((box.height, box.width), dtype=bool), score)


@dataclass(frozen=True, eq=False)
class RegionSet:
    """All regions of one image.

    Attributes:
        image_size: (height, width) in pixels of the image that was segmented.
        regions: in the order of their source.

    Raises:
        SpatialError: BAD_INPUT when an id occurs twice or a box leaves the image.
    """

    image_size: tuple[int, int]
    regions: tuple[Region, ...] = ()
    _by_id: dict[int, Region] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_id: dict[int, Region] = {}
        for region in self.regions:
            if region.id in by_id:
                raise _bad(f"region id {region.id} occurs twice; ids must be unique in a frame")
            if not region.box.fits(self.image_size):
                raise _bad(
                    f"{region.box} of region {region.id} leaves the image of (height, width) "
                    f"{self.image_size}; masks and image must have the same resolution"
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
            SpatialError: UNKNOWN_REGION, naming the ids that exist.
        """
        if id not in self._by_id:
            known = ", ".join(region.name for region in self.regions) or "none"
            raise SpatialError(
                Status.UNKNOWN_REGION,
                f"region {id} is not in this frame; its regions are: {known}",
            )
        return self._by_id[id]

    @property
    def labels(self) -> list[str]:
        """The distinct labels, in order of first appearance."""
        return list(dict.fromkeys(region.label for region in self.regions))

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
    def from_label_image(
        cls, image: NDArray[np.integer], labels: Mapping[int, str]
    ) -> RegionSet:
        """From an instance image (H, W): pixel value = region id, 0 = background.

        Args:
            image: integer instance ids.
            labels: label of each id; an id without one gets the empty label.
        """
        if image.ndim != 2 or not np.issubdtype(image.dtype, np.integer):
            raise _bad(
                f"an instance image must be an integer (H, W) array, got {image.dtype} "
                f"{image.shape}"
            )
        regions = [
            Region.from_bitmap(int(id), labels.get(int(id), ""), image == id)
            for id in np.unique(image)
            if id != 0
        ]
        return cls((image.shape[0], image.shape[1]), tuple(regions))

    def to_label_image(self) -> NDArray[np.int32]:
        """Instance image int32 (H, W): region ids, 0 = background; later regions cover earlier."""
        image = np.zeros(self.image_size, dtype=np.int32)
        for region in self.regions:
            image[region.box.slices][region.mask] = region.id
        return image


def decode_rle(rle: Mapping) -> NDArray[np.bool_]:
    """Mask bool (H, W) from a COCO run-length encoding, compressed or not.

    Raises:
        SpatialError: BAD_INPUT when the encoding is broken or does not fill its own size.
    """
    try:
        height, width = (int(value) for value in rle["size"])
        counts = rle["counts"]
        if isinstance(counts, Sequence) and not isinstance(counts, (str, bytes)):
            _check_run_lengths(counts, height * width)
            encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        else:
            encoded = {"size": [height, width], "counts": counts}
            _check_run_lengths(_compressed_run_lengths(counts), height * width)
        return coco_mask.decode(encoded).astype(bool)
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(
            'a COCO mask must be {"size": [height, width], "counts": ...}, this one cannot be '
            f"decoded: {error!r}"
        ) from error


def encode_rle(mask: NDArray[np.bool_]) -> dict:
    """COCO run-length encoding {"size": [H, W], "counts": str} of a mask (H, W)."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _compressed_run_lengths(counts: str | bytes) -> list[int]:
    """Run lengths from COCO's compressed text: 6-bit groups, delta to the run before the last."""
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        group = byte - 48
        if not 0 <= group < 64:
            raise ValueError(f"character {chr(byte)!r} does not occur in COCO run lengths")
        value |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the run lengths end in the middle of a number")
    return runs


def _check_run_lengths(runs: Sequence[int], pixels: int) -> None:
    """pycocotools writes past its buffer when runs do not add up, so they are checked first."""
    if any(run < 0 for run in runs) or sum(runs) != pixels:
        raise ValueError(f"run lengths must add up to {pixels} pixels, got {sum(runs)}")


def _bad(message: str) -> SpatialError:
    return SpatialError(Status.BAD_INPUT, message)
