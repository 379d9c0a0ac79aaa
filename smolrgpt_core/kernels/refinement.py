"""Refinement: unfolding connector tokens into a feature grid, whole or only under masks.

Exact either way: a token unfolds into its own patch alone, so leaving out cells that no mask needs
changes nothing but the order of sums. Gathering the rows of a matrix product costs a thousandth of
the product itself, so PyTorch's own operators do the work on every device. On a GPU the whole grid
of a few images is too little work to gain from leaving cells out; there `refinement="dense"` needs
fewer launches.

Operators are few and large on purpose: where other processes keep the cores busy, each parallel
operator may have to wait for a core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.kernels.pooling import (
    EPSILON,
    PooledMasks,
    compute_type,
    pool_masks,
    read_for,
    weighted_sum,
)
from smolrgpt_core.kernels.weights import (
    EmptyMask,
    Mode,
    check_empty,
    check_mode,
    image_weights,
    refuse_empty,
)

Refinement: TypeAlias = Literal["sparse", "dense"]
"""Which cells are computed: those under masks, or all."""

Index = NDArray[np.int64]

CHILDREN = (2, 2)
"""Rows and columns of the cells that one cell becomes."""


@dataclass(frozen=True, eq=False)
class LevelWeights:
    """A transposed convolution, kernel 2 and stride 2, then maybe a LayerNorm over channels.

    Attributes:
        weight: (C in, C out, 2, 2), as in `nn.ConvTranspose2d`. If it lies in memory with the
            output channels last (`torch.channels_last`), it is used as it is; otherwise each call
            copies it.
        bias: (C out,) or None.
        norm_weight, norm_bias: (C out,) each, both None without a LayerNorm.
        norm_epsilon: of the LayerNorm.

    Raises:
        ValueError: when shapes do not fit together.
    """

    weight: Tensor
    bias: Tensor | None = None
    norm_weight: Tensor | None = None
    norm_bias: Tensor | None = None
    norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if self.weight.ndim != 4 or self.weight.shape[2:] != (2, 2):
            raise ValueError(
                f"weight of a refiner level must be (C in, C out, 2, 2), got "
                f"{tuple(self.weight.shape)}"
            )
        for name in ("bias", "norm_weight", "norm_bias"):
            value = getattr(self, name)
            if value is not None and value.shape != (self.weight.shape[1],):
                raise ValueError(
                    f"{name} of a refiner level must be ({self.weight.shape[1]},), got "
                    f"{tuple(value.shape)}"
                )

    @property
    def by_child(self) -> Tensor:
        """The weight as (C in, 4, C out): one matrix for each of the four cells that one becomes.

        Children are ordered row by row.
        """
        return self.weight.permute(0, 2, 3, 1).contiguous().flatten(1, 2)


@dataclass(frozen=True, eq=False)
class RefinerWeights:
    """Levels of a refiner, each followed by GELU.

    Attributes:
        levels: from the coarsest to the finest.

    Raises:
        ValueError: when the channels of one level do not fit the next.
    """

    levels: tuple[LevelWeights, ...]

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("a refiner needs at least one level")
        for before, after in zip(self.levels, self.levels[1:], strict=False):
            if before.weight.shape[1] != after.weight.shape[0]:
                raise ValueError(
                    f"a level gives {before.weight.shape[1]} channels, the next expects "
                    f"{after.weight.shape[0]}"
                )

    @property
    def scale(self) -> int:
        """Cells per token along each axis."""
        return int(2 ** len(self.levels))


def refine(refiner: RefinerWeights, tokens: Tensor) -> Tensor:
    """The whole feature grid of each image.

    Args:
        refiner: weights for C channels in.
        tokens: (B, T, C), a square row by row.

    Returns:
        (B, H*W, C out) row by row, where H = W is the side of the square times `refiner.scale`.

    Raises:
        ValueError: for tokens of the wrong shape.
    """
    side = _side(refiner, tokens)
    cells = tokens.flatten(0, 1)
    for level in refiner.levels:
        weight = level.by_child
        bias = None if level.bias is None else level.bias.repeat(4)
        children = functional.linear(cells, weight.flatten(1).T, bias)
        cells = _activate(children.unflatten(1, weight.shape[1:]).flatten(0, 1), level)
    return _row_by_row(
        cells.unflatten(0, (len(tokens), side, side, *CHILDREN * len(refiner.levels)))
    )


def refine_and_pool(
    refiner: RefinerWeights,
    tokens: Tensor,
    masks: Sequence[MasksOfImage],
    mode: Mode = "bilinear",
    empty: EmptyMask = "error",
    refinement: Refinement = "sparse",
) -> PooledMasks:
    """Refine tokens and pool the features under each mask.

    The same as `pool_masks(refine(refiner, tokens), masks, mode, empty)`; with
    `refinement="sparse"`, only cells under a mask are computed, each once, however many masks
    share it, and pooled where they are, without a grid.

    Args:
        refiner: weights for C channels in.
        tokens: (B, T, C), a square row by row.
        masks: as in `pool_masks`.
        mode: as in `pool_masks`.
        empty: as in `pool_masks`.
        refinement: `sparse` or `dense`.

    Raises:
        SpatialError: BAD_INPUT for masks, as in `pool_masks`.
        ValueError: for arguments of the wrong shape, an unknown mode or refinement.
    """
    if refinement not in get_args(Refinement):
        raise ValueError(f"refinement must be one of {get_args(Refinement)}, got {refinement!r}")
    check_mode(mode)
    if refinement == "dense":
        return pool_masks(refine(refiner, tokens), masks, mode, empty)
    check_empty(empty)
    grid = (_side(refiner, tokens) * refiner.scale,) * 2
    images = read_for(tokens, masks)
    weights = [image_weights(image, grid, mode) for image in images]
    totals = torch.cat([image.flatten(1).sum(dim=1) for image in weights]).to(tokens.device)
    pooled = _pool_needed(refiner, tokens, weights)
    if empty == "error":
        refuse_empty(totals, images, mode)
    return PooledMasks(pooled.to(tokens.dtype), [len(image) for image in images])


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def _pool_needed(refiner: RefinerWeights, tokens: Tensor, weights: list[Tensor]) -> Tensor:
    """Means (N, C out) under weights (M_i, H, W), computing only cells that have weight."""
    used = torch.stack([image.any(dim=0).cpu() for image in weights]).numpy()
    plan = plan_cells(used, len(refiner.levels))
    *parents, finest, image = _to_device([*plan.parents, plan.cells, plan.images], tokens.device)
    cells = tokens.flatten(0, 1)
    for level, rows, counts in zip(refiner.levels, parents, plan.counts, strict=True):
        cells = _activate(_children(cells.index_select(0, rows), level, counts), level)
    flat = torch.cat([of_image.flatten(1) for of_image in weights])
    flat = flat.to(tokens.device, compute_type(tokens.dtype))
    owner = torch.repeat_interleave(torch.tensor([len(of_image) for of_image in weights]))
    # One product for the batch: cells of other images get no weight.
    is_own = owner[:, None].to(tokens.device) == image
    cell_weights = flat.index_select(1, finest) * is_own
    return weighted_sum(cells.to(flat.dtype), cell_weights) / (
        flat.sum(dim=1, keepdim=True) + EPSILON
    )


def _children(parents: Tensor, level: LevelWeights, counts: list[int]) -> Tensor:
    """Cells (n, C out) from their parents (n, C in), `counts[k]` times the child k in turn."""
    parts = zip(parents.split(counts), level.by_child.unbind(1), strict=True)
    return torch.cat([functional.linear(part, weight.T, level.bias) for part, weight in parts])


def _activate(cells: Tensor, level: LevelWeights) -> Tensor:
    """LayerNorm over channels if the level has one, then GELU; cells (n, C)."""
    if level.norm_weight is not None:
        shape = (cells.shape[1],)
        cells = functional.layer_norm(
            cells, shape, level.norm_weight, level.norm_bias, level.norm_epsilon
        )
    return functional.gelu(cells)


def _row_by_row(cells: Tensor) -> Tensor:
    """Cells (B, H*W, C) from (B, token row, token column, child row, child column, ..., C)."""
    last = cells.ndim - 1
    return cells.permute(0, *range(1, last, 2), *range(2, last, 2), last).flatten(1, -2)


def _side(refiner: RefinerWeights, tokens: Tensor) -> int:
    """Rows, and columns, of the tokens; refuses tokens that do not fit."""
    channels = refiner.levels[0].weight.shape[0]
    if tokens.ndim != 3 or tokens.shape[2] != channels:
        raise ValueError(f"tokens must be (B, T, {channels}), got {tuple(tokens.shape)}")
    side = isqrt(tokens.shape[1])
    if side**2 != tokens.shape[1]:
        raise ValueError(f"{tokens.shape[1]} tokens do not fill a square grid")
    return side


def _to_device(arrays: list[np.ndarray], device: torch.device) -> list[Tensor]:
    """Index arrays as tensors, with one transfer for all."""
    joined = torch.from_numpy(np.concatenate(arrays)).to(device)
    return list(joined.split([array.size for array in arrays]))


@dataclass(frozen=True, eq=False)
class CellPlan:
    """Which cells of every refiner level are needed for the cells under masks.

    A level turns each cell into four children (kernel 2, stride 2: neighbors never mix), so a cell
    of the finest grid needs one ancestor in each level and nothing else. Cells are named by codes:
    token number, then two bits for the child taken in each level, so that a parent's code is its
    child's code >> 2. A level computes its needed cells child by child: first all needed first
    children, then all second ones, and so on. That order is the row order of its output.

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
