"""Pixels mapped to the cells of a feature grid: bilinearly, or by the exact fraction covered.

Both resizings are separable, so each axis is described on its own. From full-size masks they are
plain products of PyTorch on any device (`weights`); from spans of pixels, on the CPU and without
PyTorch, their cost depends on the number of spans. A span is a stretch of pixels along one line of
the image (a column for COCO run lengths, a row for bitmaps). Sums of spans are integers below 2^53,
so that a cell without any coverage is exactly 0 and a full one exactly 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BilinearTaps:
    """Where bilinear resizing of `size` pixels to `cells` cells reads one axis.

    As in PyTorch with align_corners=False and no antialiasing: a cell is a blend of the two pixels
    around its center, however many pixels the cell spans.

    Attributes:
        pixels: int64 (U,), the pixels that are read at all, ascending, each once.
        low, high: int64 (cells,), the two pixels of each cell, as indices into `pixels`.
        fraction: float32 (cells,), weight of the high one.
        rank: int64 (size + 1,), how many of `pixels` lie before each position.
    """

    pixels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    fraction: NDArray[np.float32]
    rank: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AreaOverlaps:
    """Which cells each pixel of one axis overlaps, and how much.

    Lengths are integers, so that coverage is exact: in units of 1 / `cells` pixel, a pixel is
    `cells` long and a cell `size` long.

    Attributes:
        cells: int64 (size, K), the cells that a pixel overlaps; K is the most that any one does.
        lengths: int64 (size, K), length of each overlap, 0 where there is none.
    """

    cells: NDArray[np.int64]
    lengths: NDArray[np.int64]


_Tables = TypeVar("_Tables", BilinearTaps, AreaOverlaps)


@lru_cache(maxsize=64)
def bilinear_taps(size: int, cells: int) -> BilinearTaps:
    """Taps of an axis of `size` pixels; in float32 like the released model."""
    scale = np.float32(size) / np.float32(cells)
    center = scale * (np.arange(cells, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    source = np.maximum(center, np.float32(0))
    low = np.minimum(source.astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    pixels = np.unique(np.concatenate([low, high]))
    rank = np.searchsorted(pixels, np.arange(size + 1))
    taps = BilinearTaps(pixels, rank[low], rank[high], (source - low).astype(np.float32), rank)
    return _read_only(taps)


@lru_cache(maxsize=64)
def area_overlaps(size: int, cells: int) -> AreaOverlaps:
    """Overlaps of an axis of `size` pixels."""
    pixel = np.arange(size, dtype=np.int64)[:, None]
    first = pixel * cells // size
    last = ((pixel + 1) * cells - 1) // size
    cell = first + np.arange(int((last - first).max()) + 1)
    end = np.minimum((pixel + 1) * cells, (cell + 1) * size)
    lengths = np.maximum(end - np.maximum(pixel * cells, cell * size), 0)
    return _read_only(AreaOverlaps(np.minimum(cell, cells - 1), lengths))


def _read_only(tables: _Tables) -> _Tables:
    for array in vars(tables).values():
        array.flags.writeable = False
    return tables


class Spans(NamedTuple):
    """Pixels `start` to `stop` (exclusive) of line `line` belong to mask `mask`; int64 (S,) each.

    Spans of one mask must not overlap.
    """

    mask: NDArray[np.int64]
    line: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


def split_at_lines(
    start: NDArray[np.int64], stop: NDArray[np.int64], line_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut stretches of flat positions at the ends of lines.

    Args:
        start: int64 (R,), flat positions where stretches begin.
        stop: int64 (R,), where they end (exclusive); an empty stretch gives at most an empty span.
        line_length: positions in a line.

    Returns:
        (source, line, start, stop), int64 (S,) each: the stretch that a span comes from, its line,
        and its positions in that line.
    """
    first = start // line_length
    lines = (stop - 1) // line_length - first + 1
    source = np.repeat(np.arange(start.size), lines)
    line = first[source] + np.arange(source.size) - np.repeat(np.cumsum(lines) - lines, lines)
    begin = np.maximum(start[source] - line * line_length, 0)
    end = np.minimum(stop[source] - line * line_length, line_length)
    return source, line, begin, end


def coverage_of_spans(
    spans: Spans, count: int, image_size: tuple[int, int], grid_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Coverage float32 (count, cells across lines, cells along lines), 0 to 1.

    Args:
        spans: of `count` masks.
        count: number of masks.
        image_size: (number of lines, length of a line) in pixels.
        grid_size: (cells across the lines, cells along a line).
    """
    (lines, length), (across, along) = image_size, grid_size
    overlaps = area_overlaps(lines, across)
    cell = (spans.mask[:, None] * across + overlaps.cells[spans.line]).ravel()
    width = overlaps.lengths[spans.line].ravel()
    repeats = overlaps.cells.shape[1]
    # A span covers what lies behind its start less what lies behind its stop.
    edge = np.concatenate([np.repeat(spans.start, repeats), np.repeat(spans.stop, repeats)])
    width = np.concatenate([width, -width])
    slot = edge * along // length
    # One slot more than cells, for edges at the very end of a line.
    index = np.concatenate([cell, cell]) * (along + 1) + slot
    shape = (count, across, along + 1)
    partial = _sum_at(index, width * ((slot + 1) * length - edge * along), shape)
    opened = _sum_at(index, width, shape)
    whole = (np.cumsum(opened, axis=2) - opened) * length
    return ((partial + whole)[:, :, :along] / (lines * length)).astype(np.float32)


def _sum_at(
    index: NDArray[np.int64], values: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    size = shape[0] * shape[1] * shape[2]
    sums = np.bincount(index, weights=values, minlength=size)
    return sums.astype(np.float64, copy=False).reshape(shape)
