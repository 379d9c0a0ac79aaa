"""Geometry of one image axis laid onto the cells of a feature grid.

Both resizings are separable, so each axis is described on its own. Arrays are shared by all callers
and read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BilinearTaps:
    """Where bilinear resizing of `size` pixels to `cells` cells reads one axis.

    As in PyTorch with align_corners=False and no antialiasing: a cell is a blend of the two pixels
    around its centre, however many pixels the cell spans.

    Attributes:
        pixels: int64 (U,), the pixels that are read at all, ascending, each once.
        low, high: int64 (cells,), the two pixels of each cell, as indices into `pixels`.
        fraction: float32 (cells,), share of the high one.
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
    centre = scale * (np.arange(cells, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    source = np.maximum(centre, np.float32(0))
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
