"""The forms in which masks of one image come, and how each is laid onto a grid on the CPU.

Each form answers two questions without a full-size float mask: what do the few pixels hold that
bilinear resizing reads, and what share of each cell is covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.kernels import reference
from smolrgpt_core.kernels.coverage import Spans, coverage_of_spans, split_at_lines
from smolrgpt_core.kernels.grid import BilinearTaps


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
        """Share (M, H, W) of each cell that the mask covers, 0 to 1."""
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
            # NumPy knows no bfloat16, which autocast would make of this.
            with torch.autocast("cpu", enabled=False):
                return reference.area_weights(torch.from_numpy(pixels), grid_size).numpy()
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
        """See `MaskForm`. Run lengths say where a pixel is, so nothing is decoded."""
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
        if isinstance(self.image, Tensor):
            object.__setattr__(self, "image", self.image.cpu().numpy())
        if self._pixels.ndim != 2 or self._pixels.dtype.kind not in "ui":
            raise bad_mask(
                f"an instance image must be an integer (H, W) array, got {self.image.dtype} "
                f"{tuple(self.image.shape)}"
            )
        if 0 in self.ids:
            raise bad_mask("id 0 of an instance image is the background, not an object")

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


def bad_mask(message: str) -> SpatialError:
    """The error that masks cannot be used."""
    return SpatialError(Status.BAD_INPUT, message)


def _pixel_values(pixels: NDArray) -> NDArray:
    """Bool (not 0 = object), or float32 weights as they are."""
    if pixels.dtype.kind != "f":
        return pixels if pixels.dtype == np.bool_ else pixels != 0
    if pixels.size and not 0 <= pixels.min() <= pixels.max() < np.inf:
        raise bad_mask("float masks hold the weight of each pixel: finite, not negative")
    return pixels.astype(np.float32)


def _down_columns(bitmap: NDArray, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows and columns (K, 2) of set pixels, counted down the columns."""
    return np.argwhere(bitmap.T)[places][:, ::-1]


def _edges(flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions where set stretches of a flat mask begin and end, in turn."""
    if flat.size == 0:
        return np.zeros(0, dtype=np.int64)
    change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begin = [0] if flat[0] else []
    end = [flat.size] if flat[-1] else []
    return np.concatenate([begin, change, end]).astype(np.int64)
