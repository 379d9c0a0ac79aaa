"""Equal rectangles packed into free floor, in rows along one direction or the other.

A row is as deep as one side of the rectangle. In it the rectangle that ends first is placed again
and again, which is the most that fit into it, and the rows are chosen so that together they hold
the most. Patterns that are no rows may hold more, so the number is a lower bound; all its places
are real.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
Places = NDArray[np.intp]

_NEVER = np.iinfo(np.intp).max // 2
"""A column that is never reached."""


def pack(free: Cells, sides: tuple[int, int], gap: int) -> Places:
    """Places of equal rectangles on free cells, none of which come nearer than a gap.

    Args:
        free: (R, C) which cells may be covered.
        sides: of the rectangle, in cells; it may be turned by 90 degrees.
        gap: cells between two rectangles; none is needed to cells that are not free.

    Returns:
        (P, 4) first row, first column, rows and columns of each.
    """
    in_rows = _pack_rows(free, sides, gap)
    in_columns = _pack_rows(np.ascontiguousarray(free.T), sides, gap)[:, [1, 0, 3, 2]]
    return in_rows if len(in_rows) >= len(in_columns) else in_columns


@dataclass(frozen=True, eq=False)
class _Rectangle:
    """One way to place the rectangle in a row of a given depth.

    Attributes:
        size: rows and columns of it.
        fits: (R', C') where its first row and column may be.
        following: (T, C'') by first row of the row: the next first column at or after a column.
    """

    size: tuple[int, int]
    fits: Cells
    following: Places


@dataclass(frozen=True, eq=False)
class _Row:
    """Rows of one depth.

    Attributes:
        depth: in cells.
        rectangles: what is placed in them.
        numbers: (T,) by first row, how many fit.
    """

    depth: int
    rectangles: tuple[_Rectangle, ...]
    numbers: NDArray[np.intp]


def _pack_rows(free: Cells, sides: tuple[int, int], gap: int) -> Places:
    longer, shorter = max(sides), min(sides)
    end = free.shape[1] + longer + gap + 1
    lying, upright = _fits(free, (shorter, longer)), _fits(free, (longer, shorter))
    flat = _Rectangle((shorter, longer), lying, _following(lying, end))
    # In a row that is deeper than it, a lying one may be at any depth.
    loose = _any_of(lying, longer - shorter + 1)
    deep = (
        _Rectangle((longer, shorter), upright, _following(upright, end)),
        _Rectangle((shorter, longer), lying, _following(loose, end)),
    )
    kinds = [
        _Row(depth, rectangles, _numbers(rectangles, free.shape[1], gap))
        for depth, rectangles in ((shorter, (flat,)), (longer, deep))
    ]
    found = [
        place
        for first, kind in _best_rows(kinds, free.shape[0], gap)
        for place in _places(kind, first, free.shape[1], gap)
    ]
    return np.array(found, dtype=np.intp).reshape(-1, 4)


def _fits(free: Cells, size: tuple[int, int]) -> Cells:
    """(R', C') whether all cells of a window are free, by its first row and column."""
    height, width = size
    sums = np.pad(free.cumsum(axis=0, dtype=np.int32).cumsum(axis=1), ((1, 0), (1, 0)))
    if height > free.shape[0] or width > free.shape[1]:
        shape = (max(free.shape[0] - height + 1, 0), max(free.shape[1] - width + 1, 0))
        return np.zeros(shape, dtype=bool)
    inside = sums[height:, width:] - sums[:-height, width:]
    inside -= sums[height:, :-width] - sums[:-height, :-width]
    return np.asarray(inside == height * width)


def _any_of(fits: Cells, rows: int) -> Cells:
    """Whether any of so many rows fits, by the first of them."""
    sums = np.pad(fits.cumsum(axis=0, dtype=np.int32), ((1, 0), (0, 0)))
    return np.asarray(sums[rows:] > sums[:-rows])


def _following(fits: Cells, end: int) -> Places:
    """(R', end) the first column at or after a column where it fits."""
    columns = np.where(fits, np.arange(fits.shape[1]), _NEVER)
    columns = np.minimum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]
    return np.pad(columns, ((0, 0), (0, end - fits.shape[1])), constant_values=_NEVER)


def _numbers(rectangles: tuple[_Rectangle, ...], columns: int, gap: int) -> NDArray[np.intp]:
    """(T,) how many fit into the row that begins at each row."""
    height = min(len(rectangle.following) for rectangle in rectangles)
    rows, at = np.arange(height), np.zeros(height, dtype=np.intp)
    numbers = np.zeros(height, dtype=np.intp)
    while True:
        ends = np.min([one.following[rows, at] + one.size[1] for one in rectangles], axis=0)
        fit = ends <= columns
        if not fit.any():
            return numbers
        numbers += fit
        at = np.where(fit, ends + gap, columns + gap)


def _best_rows(kinds: list[_Row], rows: int, gap: int) -> list[tuple[int, _Row]]:
    """The rows that hold the most together, each with where it begins."""
    # most[end]: how many fit before a row that begins there; chosen[end]: the last row of these.
    most, chosen = [0] * (rows + gap + 1), [(-1, kinds[0])] * (rows + gap + 1)
    numbers = [kind.numbers.tolist() for kind in kinds]
    for end in range(1, rows + gap + 1):
        most[end] = most[end - 1]
        for kind, held in zip(kinds, numbers, strict=True):
            first = end - kind.depth - gap
            if 0 <= first < len(held) and most[first] + held[first] > most[end]:
                most[end], chosen[end] = most[first] + held[first], (first, kind)
    found: list[tuple[int, _Row]] = []
    end = rows + gap
    while end > 0:
        first, kind = chosen[end]
        found += [(first, kind)] if first >= 0 else []
        end = first if first >= 0 else end - 1
    return found[::-1]


def _places(kind: _Row, row: int, columns: int, gap: int) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    at = 0
    while True:
        ends = [int(one.following[row, at]) + one.size[1] for one in kind.rectangles]
        end = min(ends)
        if end > columns:
            return found
        rectangle = kind.rectangles[ends.index(end)]
        height, width = rectangle.size
        first = end - width
        depths = rectangle.fits[row : row + kind.depth - height + 1, first]
        found.append((row + int(depths.argmax()), first, height, width))
        at = end + gap
