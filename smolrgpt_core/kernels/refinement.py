"""Refinement: unfolding connector tokens into a feature grid, whole or only under masks.

Exact either way: a token unfolds into its own patch alone, so leaving out cells that no mask needs
changes nothing but the order of sums. There is no Triton kernel here, because gathering the rows
of a matrix product costs a thousandth of the product itself: PyTorch's own are used on every
device. On a GPU the whole grid of a few images is too little work to gain from leaving cells out;
there `refinement="dense"` needs fewer launches.

Operators are few and large on purpose: where other processes keep the cores busy, each parallel
operator may have to wait for a core.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smolrgpt_core.kernels.cell_plan import plan_cells
from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.kernels.pooling import (
    EmptyMask,
    PooledMasks,
    check_empty,
    compute_type,
    fill_empty,
    pool_masks,
    read_for,
)
from smolrgpt_core.kernels.reference import EPSILON, weighted_sum
from smolrgpt_core.kernels.refiner_weights import RefinerLevel, RefinerWeights
from smolrgpt_core.kernels.weights import Mode, check_mode, image_weights

Refinement: TypeAlias = Literal["sparse", "dense"]
"""Which cells are computed: those under masks, or all."""

CHILDREN = (2, 2)
"""Rows and columns of the cells that one cell becomes."""


def refine(
    refiner: RefinerWeights, tokens: Tensor, *, token_grid: tuple[int, int] | None = None
) -> Tensor:
    """The whole feature grid of each image.

    Args:
        refiner: weights for C channels in.
        tokens: (B, T, C), row by row.
        token_grid: (rows, columns) of the tokens; a square by default.

    Returns:
        (B, H*W, C out) row by row, where (H, W) is the token grid times `refiner.scale`.

    Raises:
        ValueError: for tokens of the wrong shape.
    """
    rows, columns = _token_grid(refiner, tokens, token_grid)
    cells = tokens.flatten(0, 1)
    for level in refiner.levels:
        weight = level.by_child
        bias = None if level.bias is None else level.bias.repeat(4)
        children = functional.linear(cells, weight.flatten(1).T, bias)
        cells = _activate(children.unflatten(1, weight.shape[1:]).flatten(0, 1), level, refiner)
    return _row_by_row(
        cells.unflatten(0, (len(tokens), rows, columns, *CHILDREN * len(refiner.levels)))
    )


def refine_and_pool(
    refiner: RefinerWeights,
    tokens: Tensor,
    masks: Sequence[MasksOfImage],
    mode: Mode = "bilinear",
    empty: EmptyMask = "error",
    refinement: Refinement = "sparse",
    *,
    token_grid: tuple[int, int] | None = None,
    image_sizes: Sequence[tuple[int, int]] | None = None,
) -> PooledMasks:
    """Refine tokens and pool the features under each mask.

    The same as `pool_masks(refine(refiner, tokens), masks, mode, empty)`; with
    `refinement="sparse"`, only cells under a mask are computed, each once, however many masks
    share it, and pooled where they are, without a grid.

    Args:
        refiner: weights for C channels in.
        tokens: (B, T, C), row by row.
        masks: as in `pool_masks`.
        mode: as in `pool_masks`.
        empty: as in `pool_masks`.
        refinement: `sparse` or `dense`.
        token_grid: (rows, columns) of the tokens; a square by default.
        image_sizes: as in `pool_masks`.

    Raises:
        SpatialError: BAD_INPUT for masks, as in `pool_masks`.
        ValueError: for arguments of the wrong shape, an unknown mode or refinement.
    """
    if refinement not in get_args(Refinement):
        raise ValueError(f"refinement must be one of {get_args(Refinement)}, got {refinement!r}")
    check_mode(mode)
    rows, columns = _token_grid(refiner, tokens, token_grid)
    grid = (rows * refiner.scale, columns * refiner.scale)
    if refinement == "dense":
        features = refine(refiner, tokens, token_grid=token_grid)
        return pool_masks(features, masks, mode, empty, grid_size=grid, image_sizes=image_sizes)
    channels = refiner.levels[-1].weight.shape[1]
    check_empty(empty, channels)
    images = read_for(tokens, masks, image_sizes)
    weights = [image_weights(image, grid, mode) for image in images]
    totals = torch.cat([image.flatten(1).sum(dim=1) for image in weights]).to(tokens.device)
    pooled = _pool_needed(refiner, tokens, weights)
    filled = fill_empty(pooled.to(tokens.dtype), totals, images, mode, empty)
    return PooledMasks(filled, [len(image) for image in images])


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def _pool_needed(refiner: RefinerWeights, tokens: Tensor, weights: list[Tensor]) -> Tensor:
    """Means (N, C out) under weights (M_i, H, W), computing only cells that have weight."""
    used = torch.stack([image.any(dim=0).cpu() for image in weights]).numpy()
    plan = plan_cells(used, len(refiner.levels))
    *parents, finest, image = _to_device([*plan.parents, plan.cells, plan.images], tokens.device)
    cells = tokens.flatten(0, 1)
    for level, rows, counts in zip(refiner.levels, parents, plan.counts, strict=True):
        cells = _activate(_children(cells.index_select(0, rows), level, counts), level, refiner)
    flat = torch.cat([of_image.flatten(1) for of_image in weights])
    flat = flat.to(tokens.device, compute_type(tokens.dtype))
    owner = torch.repeat_interleave(torch.tensor([len(of_image) for of_image in weights]))
    # One product for the batch: cells of other images get no weight.
    is_own = owner[:, None].to(tokens.device) == image
    shares = flat.index_select(1, finest) * is_own
    return weighted_sum(cells.to(flat.dtype), shares) / (flat.sum(dim=1, keepdim=True) + EPSILON)


def _children(parents: Tensor, level: RefinerLevel, counts: list[int]) -> Tensor:
    """Cells (n, C out) from their parents (n, C in), `counts[k]` times the child k in turn."""
    parts = zip(parents.split(counts), level.by_child.unbind(1), strict=True)
    return torch.cat([functional.linear(part, weight.T, level.bias) for part, weight in parts])


def _activate(cells: Tensor, level: RefinerLevel, refiner: RefinerWeights) -> Tensor:
    """LayerNorm over channels if the level has one, then GELU; cells (n, C)."""
    if level.norm_weight is not None:
        shape = (cells.shape[1],)
        cells = functional.layer_norm(
            cells, shape, level.norm_weight, level.norm_bias, level.norm_epsilon
        )
    return functional.gelu(cells, approximate=refiner.gelu)


def _row_by_row(cells: Tensor) -> Tensor:
    """Cells (B, H*W, C) from (B, token row, token column, child row, child column, ..., C)."""
    last = cells.ndim - 1
    return cells.permute(0, *range(1, last, 2), *range(2, last, 2), last).flatten(1, -2)


def _token_grid(
    refiner: RefinerWeights, tokens: Tensor, token_grid: tuple[int, int] | None
) -> tuple[int, int]:
    """(rows, columns) of the tokens; refuses tokens that do not fit."""
    channels = refiner.levels[0].weight.shape[0]
    if tokens.ndim != 3 or tokens.shape[2] != channels:
        raise ValueError(f"tokens must be (B, T, {channels}), got {tuple(tokens.shape)}")
    rows, columns = token_grid or (isqrt(tokens.shape[1]),) * 2
    if rows * columns != tokens.shape[1]:
        raise ValueError(
            f"{tokens.shape[1]} tokens do not fill a grid of {(rows, columns)}; "
            "give token_grid=(rows, columns)"
        )
    return rows, columns


def _to_device(arrays: list[np.ndarray], device: torch.device) -> list[Tensor]:
    """Index arrays as tensors, with one transfer for all."""
    joined = torch.from_numpy(np.concatenate(arrays)).to(device)
    return list(joined.split([array.size for array in arrays]))
