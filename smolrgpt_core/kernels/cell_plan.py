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
        tokens: int64 (n0,), needed tokens, in the batch of B*T.
        parents: for each level and each of four children int64 (n,), rows of the level's input.
        cells: for each of four children int64 (n,), the finest cells computed, in the H*W cells
            of their image, row by row.
        bounds: for each of four children, B + 1 positions that cut `cells` into images.
    """

    tokens: Index
    parents: list[list[Index]]
    cells: list[Index]
    bounds: list[list[int]]


def plan_cells(used: NDArray[np.bool_], levels: int) -> CellPlan:
    """The cells to compute.

    Args:
        used: bool (B, H, W), the cells of the finest grid that are needed.
        levels: number of refiner levels; H and W are multiples of 2**levels.
    """
    batch, height, width = used.shape
    order = _raster_order(height, width, levels)
    codes = np.flatnonzero(used.reshape(batch, -1)[:, order])
    ranks, children, tokens = _ancestry(codes, levels)
    row_of = np.arange(tokens.size)
    parents = []
    for rank, child in zip(ranks, children, strict=True):
        groups = [np.flatnonzero(child == number) for number in range(4)]
        parents.append([row_of[rank[group]] for group in groups])
        row_of = np.empty(child.size, dtype=np.int64)
        row_of[np.concatenate(groups)] = np.arange(child.size)
    image, inside = np.divmod(codes, height * width)
    edges = np.arange(batch + 1)
    bounds = [np.searchsorted(image[group], edges).tolist() for group in groups]
    return CellPlan(tokens, parents, [order[inside[group]] for group in groups], bounds)


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
