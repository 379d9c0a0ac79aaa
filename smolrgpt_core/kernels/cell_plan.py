"""Which cells of every refiner level are needed for the cells under masks; index arithmetic only.

A level turns each cell into four children (kernel 2, stride 2: neighbours never mix), so a cell of
the finest grid needs one ancestor in each level and nothing else. Cells are named by codes: token
number, then two bits for the child taken in each level, so that a parent's code is its child's
code >> 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CellPlan:
    """What to compute, level by level.

    A level computes its needed cells child by child: first all needed first children, then all
    second ones, and so on. That order is the row order of its output.

    Attributes:
        parents: for each level int64 (n,), the parent of each cell to compute, as the row of the
            level's input; rows of the first level's are tokens of the batch, B*T.
        counts: for each level, how many of its cells are first, second, third, fourth children.
        cells: int64 (n,), the finest cells computed, in the H*W cells of their image, row by row.
        images: int64 (n,), the image of each.
    """

    parents: list[Index]
    counts: list[list[int]]
    cells: Index
    images: Index


def plan_cells(used: NDArray[np.bool_], levels: int) -> CellPlan:
    """The cells to compute.

    Args:
        used: bool (B, H, W), the cells of the finest grid that are needed.
        levels: number of refiner levels; H and W are multiples of 2**levels.
    """
    batch, height, width = used.shape
    order = _raster_order(height, width, levels)
    codes = np.flatnonzero(used.reshape(batch, -1)[:, order])
    ranks, children, row_of = _ancestry(codes, levels)
    parents, counts = [], []
    for rank, child in zip(ranks, children, strict=True):
        by_child = np.argsort(child, kind="stable")
        parents.append(row_of[rank[by_child]])
        counts.append(np.bincount(child, minlength=4).tolist())
        row_of = np.empty_like(by_child)
        row_of[by_child] = np.arange(child.size)
    images, inside = np.divmod(codes[by_child], height * width)
    return CellPlan(parents, counts, order[inside], images)


@lru_cache(maxsize=16)
def _raster_order(height: int, width: int, levels: int) -> Index:
    """Place in the row-by-row order of H*W cells of each code, int64 (H*W,)."""
    scale = 2**levels
    split = (height // scale, *(2,) * levels, width // scale, *(2,) * levels)
    axes = [axis + offset for axis in range(levels + 1) for offset in (0, levels + 1)]
    order = np.arange(height * width).reshape(split).transpose(axes).reshape(-1)
    order.flags.writeable = False
    return order


def _ancestry(codes: Index, levels: int) -> tuple[list[Index], list[Index], Index]:
    """Ancestors of cells with ascending codes.

    Returns:
        (ranks, children, tokens): for each level, coarsest first, which of the needed parents in
        ascending order each needed cell has, and which child (0 to 3) it is; the needed tokens.
    """
    ranks: list[Index] = []
    children: list[Index] = []
    for _ in range(levels):
        parent = codes >> 2
        is_new = np.diff(parent, prepend=-1) != 0
        ranks.insert(0, np.cumsum(is_new) - 1)
        children.insert(0, codes & 3)
        codes = parent[is_new]
    return ranks, children, codes
