"""Masks in every form that a caller may give, and how each form is laid onto a grid on the CPU.

Sizes and types are checked here, so that no kernel meets a mask that does not fit. Each form
answers two questions without a full-size float mask: what do the few pixels hold that bilinear
resizing reads, and what fraction of each cell is covered.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.kernels.grid import (
    BilinearTaps,
    Spans,
    coverage_of_spans,
    split_at_lines,
)
from smolrgpt_core.regions import Region, RegionSet, rle_run_lengths

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs


def is_tensor(value: Any) -> TypeIs[Tensor]:
    """Whether this is a tensor of PyTorch, which is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


class MaskForm(Protocol):
    """One or several masks of one image."""

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What a person would call each mask, empty for one without a name."""
        ...

    def sampled(self, rows: BilinearTaps, columns: BilinearTaps) -> NDArray:
        """Pixels (M, U rows, U columns) that the taps read, bool or float."""
        ...

    def coverage(self, grid_size: tuple[int, int]) -> NDArray[np.float32]:
        """Fraction (M, H, W) of each cell that the mask covers, 0 to 1."""
        ...

    def pixel_count(self, mask: int) -> int:
        """Number of pixels of one mask."""
        ...

    def pixels_at(self, mask: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows and columns (K, 2) of some pixels of one mask.

        Args:
            mask: which.
            places: (K,), counted down the columns over the pixels of the mask.
        """
        ...


@dataclass(frozen=True, eq=False)
class BitmapMasks:
    """Bitmaps cut to a common box.

    Attributes:
        bitmaps: (M, box height, box width), bool, integer (not 0 = object) or float (weights).
        image_size: (height, width) of the whole image.
        offset: (row, column) of the box's upper left pixel.
        names: of the masks.
    """

    bitmaps: NDArray
    image_size: tuple[int, int]
    names: Sequence[str]
    offset: tuple[int, int] = (0, 0)

    def sampled(self, rows: BilinearTaps, columns: BilinearTaps) -> NDArray:
        """See `MaskForm`."""
        (top, left), (height, width) = self.offset, self.bitmaps.shape[1:]
        row_range = slice(rows.rank[top], rows.rank[top + height])
        column_range = slice(columns.rank[left], columns.rank[left + width])
        inside = self.bitmaps[:, rows.pixels[row_range] - top]
        inside = _pixel_values(inside[:, :, columns.pixels[column_range] - left])
        if inside.shape[1:] == (rows.pixels.size, columns.pixels.size):
            return inside
        shape = (len(self.bitmaps), rows.pixels.size, columns.pixels.size)
        values = np.zeros(shape, dtype=inside.dtype)
        values[:, row_range, column_range] = inside
        return values

    def coverage(self, grid_size: tuple[int, int]) -> NDArray[np.float32]:
        """See `MaskForm`."""
        pixels = _pixel_values(self.bitmaps)
        if pixels.dtype != np.bool_:
            # Weights of pixels are rare, and a robot with ONNX Runtime alone has no PyTorch.
            import torch

            from smolrgpt_core.kernels.weights import area_weights

            # NumPy knows no bfloat16, which autocast would make of this.
            with torch.autocast("cpu", enabled=False):
                return area_weights(torch.from_numpy(pixels), grid_size).numpy()
        count, height, width = pixels.shape
        flat = np.ascontiguousarray(pixels).reshape(-1)
        edges = _edges(flat)
        _, line, start, stop = split_at_lines(edges[::2], edges[1::2], width)
        top, left = self.offset
        spans = Spans(line // height, line % height + top, start + left, stop + left)
        return coverage_of_spans(spans, count, self.image_size, grid_size)

    def pixel_count(self, mask: int) -> int:
        """See `MaskForm`."""
        return int(np.count_nonzero(self.bitmaps[mask]))

    def pixels_at(self, mask: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `MaskForm`."""
        return _down_columns(self.bitmaps[mask], places) + np.array(self.offset)


@dataclass(frozen=True, eq=False)
class RunLengthMask:
    """One mask as run lengths down the columns, background and object in turn.

    Attributes:
        runs: int64 (R,), adding up to the pixels of the image.
        image_size: (height, width).
        names: one name.
    """

    runs: NDArray[np.int64]
    image_size: tuple[int, int]
    names: Sequence[str] = ("",)

    def sampled(self, rows: BilinearTaps, columns: BilinearTaps) -> NDArray:
        """See `MaskForm`. Sampled run lengths are run lengths again, so nothing is decoded."""
        height, width = self.image_size
        column, row = np.divmod(np.cumsum(self.runs), height)
        before = columns.rank[column]
        is_sampled = columns.rank[np.minimum(column + 1, width)] - before
        ends = before * rows.pixels.size + is_sampled * rows.rank[row]
        bits = np.repeat(np.arange(ends.size) % 2 == 1, np.diff(ends, prepend=0))
        return bits.reshape(1, columns.pixels.size, rows.pixels.size).transpose(0, 2, 1)

    def coverage(self, grid_size: tuple[int, int]) -> NDArray[np.float32]:
        """See `MaskForm`."""
        (height, width), (grid_height, grid_width) = self.image_size, grid_size
        ends = np.cumsum(self.runs)
        _, line, start, stop = split_at_lines(ends[:-1:2], ends[1::2], height)
        spans = Spans(np.zeros_like(line), line, start, stop)
        across = coverage_of_spans(spans, 1, (width, height), (grid_width, grid_height))
        return across.transpose(0, 2, 1)

    def pixel_count(self, mask: int) -> int:
        """See `MaskForm`."""
        return int(self.runs[1::2].sum())

    def pixels_at(self, mask: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `MaskForm`. Run lengths locate pixels, so nothing is decoded."""
        lengths = self.runs[1::2]
        ends = np.cumsum(lengths)
        run = np.searchsorted(ends, places, side="right")
        starts = np.cumsum(self.runs)[: 2 * lengths.size : 2]
        columns, rows = np.divmod(starts[run] + places - (ends - lengths)[run], self.image_size[0])
        return np.stack([rows, columns], axis=1)


@dataclass(frozen=True, eq=False)
class LabelImage:
    """Masks of an instance image, all laid onto the grid in one pass over it.

    Attributes:
        image: integer instance ids (H, W), 0 = background; array or tensor.
        ids: the ids asked for, one mask each, in order; an id may occur twice.

    Raises:
        SpatialError: BAD_INPUT when the image is not an integer (H, W) array or 0 is asked for.
    """

    image: NDArray[np.integer] | Tensor
    ids: Sequence[int]

    def __post_init__(self) -> None:
        if is_tensor(self.image):
            object.__setattr__(self, "image", self.image.cpu().numpy())
        if self._pixels.ndim != 2 or self._pixels.dtype.kind not in "ui":
            raise bad_input(
                f"an instance image must be an integer (H, W) array, got {self.image.dtype} "
                f"{tuple(self.image.shape)}"
            )
        if 0 in self.ids:
            raise bad_input("id 0 of an instance image is the background, not an object")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    @property
    def names(self) -> Sequence[str]:
        """The ids."""
        return [f"id {id}" for id in self.ids]

    def sampled(self, rows: BilinearTaps, columns: BilinearTaps) -> NDArray:
        """See `MaskForm`."""
        labels = self._pixels[rows.pixels][:, columns.pixels]
        return labels == self._id_array()[:, None, None]

    def coverage(self, grid_size: tuple[int, int]) -> NDArray[np.float32]:
        """See `MaskForm`."""
        flat = np.ascontiguousarray(self._pixels).reshape(-1)
        change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        start = np.concatenate([[0], change])
        stop = np.concatenate([change, [flat.size]])
        ids, position = np.unique(self._id_array(), return_inverse=True)
        mask = np.minimum(np.searchsorted(ids, flat[start]), max(ids.size - 1, 0))
        asked = ids[mask] == flat[start] if ids.size else np.zeros(start.size, dtype=bool)
        mask, start, stop = mask[asked], start[asked], stop[asked]
        source, line, start, stop = split_at_lines(start, stop, self.image_size[1])
        spans = Spans(mask[source], line, start, stop)
        return coverage_of_spans(spans, ids.size, self.image_size, grid_size)[position]

    def pixel_count(self, mask: int) -> int:
        """See `MaskForm`."""
        return int(np.count_nonzero(self._pixels == self.ids[mask]))

    def pixels_at(self, mask: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `MaskForm`."""
        return _down_columns(self._pixels == self.ids[mask], places)

    @property
    def _pixels(self) -> NDArray:
        return np.asarray(self.image)

    def _id_array(self) -> NDArray[np.int64]:
        return np.array(self.ids, dtype=np.int64)


def _pixel_values(pixels: NDArray) -> NDArray:
    """Bool (not 0 = object), or float32 weights as they are."""
    if pixels.dtype.kind != "f":
        return pixels if pixels.dtype == np.bool_ else pixels != 0
    if pixels.size and not 0 <= pixels.min() <= pixels.max() < np.inf:
        raise bad_input("float masks hold the weight of each pixel: finite, not negative")
    return pixels.astype(np.float32)


def _down_columns(bitmap: NDArray, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows and columns (K, 2) of set pixels, counted down the columns."""
    is_set = bitmap != 0
    counts = np.count_nonzero(is_set, axis=0)
    ends = np.cumsum(counts)
    columns = np.searchsorted(ends, places, side="right")
    # Only the columns that were hit are looked through.
    within = places - (ends - counts)[columns]
    rows = np.argmax(np.cumsum(is_set[:, columns], axis=0) > within, axis=0)
    return np.stack([rows, columns], axis=1)


def _edges(flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions where set stretches of a flat mask begin and end, in turn."""
    if flat.size == 0:
        return np.zeros(0, dtype=np.int64)
    change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begin = [0] if flat[0] else []
    end = [flat.size] if flat[-1] else []
    return np.concatenate([begin, change, end]).astype(np.int64)


Mask: TypeAlias = "Tensor | NDArray | Mapping | Region"
"""One mask: (h, w), a COCO run-length encoding, or a region."""

MasksOfImage: TypeAlias = "Tensor | NDArray | LabelImage | RegionSet | Sequence[Mask]"
"""The masks of one image: (M, h, w), an instance image, or single masks."""

EXPECTED = (
    "expected a tensor or array (M, h, w), a LabelImage, a RegionSet, or a sequence of (h, w) "
    "arrays, run-length encodings or regions"
)


@dataclass(frozen=True, eq=False)
class ImageMasks:
    """All masks of one image, in order.

    Attributes:
        index: of the image in the batch.
        forms: the masks, in groups; a bitmap stack for an accelerator stays a tensor (M, h, w).
        image_size: (height, width), None without masks.
    """

    index: int
    forms: tuple[MaskForm | Tensor, ...]
    image_size: tuple[int, int] | None

    def __len__(self) -> int:
        return sum(count_masks(form) for form in self.forms)

    def single(self) -> list[tuple[MaskForm, int]]:
        """Each mask as a form on the CPU and its place in that form."""
        forms = [_on_cpu(form) for form in self.forms]
        return [(form, place) for form in forms for place in range(len(form.names))]

    def describe(self, mask: int) -> str:
        """How to call one of the masks in a message."""
        names = [name for form in self.forms for name in _names(form)]
        name = f" ({names[mask]})" if names[mask] else ""
        return f"mask {mask}{name} of image {self.index}"


def read_batch(
    masks: Sequence[MasksOfImage], image_sizes: Sequence[tuple[int, int]] | None = None
) -> list[ImageMasks]:
    """The masks of each image of a batch.

    Args:
        masks: one entry for each image.
        image_sizes: (height, width) of each image, which its masks must have; needed for lists of
            `Region`.

    Raises:
        SpatialError: BAD_INPUT when a mask has an unknown form or another size than the others of
            its image, naming mask and image.
    """
    if is_tensor(masks) or isinstance(masks, (np.ndarray, Mapping, RegionSet, LabelImage)):
        raise bad_input(f"expected a list with the masks of each image, got {_describe(masks)}")
    if image_sizes is not None and len(image_sizes) != len(masks):
        raise bad_input(f"expected masks of {len(image_sizes)} images, got {len(masks)}")
    sizes = [None] * len(masks) if image_sizes is None else [(h, w) for h, w in image_sizes]
    return [
        _read_image(index, entry, size)
        for index, (entry, size) in enumerate(zip(masks, sizes, strict=True))
    ]


def count_masks(form: MaskForm | Tensor) -> int:
    """Number of masks in one form; a tensor is (M, H, W)."""
    return len(form) if is_tensor(form) else len(form.names)


def _read_image(index: int, masks: MasksOfImage, size: tuple[int, int] | None) -> ImageMasks:
    try:
        forms = _read_forms(masks, size)
    except SpatialError as error:
        raise SpatialError(error.status, f"masks of image {index}: {error.message}") from error
    first = size
    for form in forms:
        found = _image_size(form)
        first = first or found
        if found != first:
            raise bad_input(
                f"masks of image {index}: expected (height, width) {first} like "
                f"{'the image' if size else 'the first one'}, got {found}; "
                "masks and image must have the same resolution"
            )
    return ImageMasks(index, tuple(forms), first)


def _read_forms(masks: MasksOfImage, size: tuple[int, int] | None) -> list[MaskForm | Tensor]:
    if isinstance(masks, LabelImage):
        return [masks]
    if is_tensor(masks) or isinstance(masks, np.ndarray):
        if masks.ndim != 3:
            raise bad_input(
                f"{EXPECTED}, got {_describe(masks)}; write a single mask as mask[None], an "
                "instance image as LabelImage"
            )
        return [_bitmaps(masks)]
    if isinstance(masks, RegionSet):
        return [_region(region, masks.image_size) for region in masks]
    if isinstance(masks, (str, bytes, Mapping)) or not isinstance(masks, Sequence):
        raise bad_input(f"{EXPECTED}, got {_describe(masks)}")
    return [_read_single(number, mask, size) for number, mask in enumerate(masks)]


def _read_single(number: int, mask: Mask, size: tuple[int, int] | None) -> MaskForm | Tensor:
    if isinstance(mask, Mapping):
        image_size, runs = rle_run_lengths(mask)
        return RunLengthMask(runs, image_size)
    if isinstance(mask, Region):
        if size is None:
            raise bad_input(
                "a region does not know the size of its image; give image_sizes or a RegionSet"
            )
        return _region(mask, size)
    if (is_tensor(mask) or isinstance(mask, np.ndarray)) and mask.ndim == 2:
        return _bitmaps(mask[None])
    raise bad_input(f"{EXPECTED}, got {_describe(mask)} as mask {number}")


def _region(region: Region, image_size: tuple[int, int]) -> BitmapMasks:
    if not region.box.fits(image_size):
        raise bad_input(
            f"{region.box} of region {region.id} leaves the image of (height, width) {image_size}; "
            "masks and image must have the same resolution"
        )
    offset = region.box.y, region.box.x
    return BitmapMasks(region.mask[None], image_size, (region.name,), offset)


def _bitmaps(stack: Tensor | NDArray) -> MaskForm | Tensor:
    if is_tensor(stack):
        stack = stack.detach()
        if stack.is_complex() or min(stack.shape[1:]) < 1:
            raise bad_input(f"bitmaps must be real numbers with pixels, got {_describe(stack)}")
        if stack.device.type != "cpu":
            return stack
        return _bitmaps_on_cpu(stack)
    if stack.dtype.kind not in "buif" or min(stack.shape[1:]) < 1:
        raise bad_input(f"bitmaps must be real numbers with pixels, got {_describe(stack)}")
    return BitmapMasks(stack, (stack.shape[1], stack.shape[2]), ("",) * len(stack))


def _bitmaps_on_cpu(stack: Tensor) -> MaskForm:
    values = (stack.float() if stack.is_floating_point() else stack).numpy(force=True)
    return BitmapMasks(values, (stack.shape[1], stack.shape[2]), ("",) * len(stack))


def _on_cpu(form: MaskForm | Tensor) -> MaskForm:
    return _bitmaps_on_cpu(form) if is_tensor(form) else form


def _image_size(form: MaskForm | Tensor) -> tuple[int, int]:
    if is_tensor(form):
        return form.shape[1], form.shape[2]
    return form.image_size


def _names(form: MaskForm | Tensor) -> Sequence[str]:
    return ("",) * len(form) if is_tensor(form) else form.names


def _describe(value: object) -> str:
    """Type, dtype and shape of what came instead."""
    if is_tensor(value) or isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value.dtype} {tuple(value.shape)}"
    return type(value).__name__
