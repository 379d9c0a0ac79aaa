"""The plainest form of every kernel: full-size float masks, whole grids, PyTorch's own operators.

This is what the released model computes, and what the faster back ends are tested against. It runs
on any device and is differentiable with respect to features, tokens and weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from smolrgpt_core.kernels.grid import area_overlaps
from smolrgpt_core.kernels.refiner_weights import RefinerWeights

EPSILON = 1e-8
"""Added to the sum of weights of a weighted mean, as in the released model."""


def bilinear_weights(masks: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Masks (M, h, w) resized to (M, H, W) bilinearly, without antialiasing; float32."""
    return functional.interpolate(
        _pixel_weights(masks)[:, None], grid_size, mode="bilinear", align_corners=False
    )[:, 0]


def area_weights(masks: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Share of each cell (M, H, W) that masks (M, h, w) cover; float32."""
    rows = _overlap_matrix(masks.shape[1], grid_size[0], masks.device)
    columns = _overlap_matrix(masks.shape[2], grid_size[1], masks.device)
    return rows @ _pixel_weights(masks) @ columns.T


def weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Means (M, C) of features (N, C) with weights (M, N)."""
    return weighted_sum(features, weights) / (weights.sum(dim=1, keepdim=True) + EPSILON)


def weighted_sum(features: Tensor, weights: Tensor) -> Tensor:
    """Sums (M, C) of features (N, C) with weights (M, N), in their own type under autocast too."""
    with torch.autocast(features.device.type, enabled=False):
        return weights @ features


def refine(refiner: RefinerWeights, tokens: Tensor, token_grid: tuple[int, int]) -> Tensor:
    """Feature grid (B, C out, H, W) of tokens (B, T, C), row by row."""
    grid = tokens.transpose(1, 2).unflatten(2, token_grid)
    for level in refiner.levels:
        grid = functional.conv_transpose2d(grid, level.weight, level.bias, stride=2)
        if level.norm_weight is not None:
            scale, epsilon = level.norm_weight, level.norm_epsilon
            last = grid.movedim(1, -1)
            last = functional.layer_norm(last, scale.shape, scale, level.norm_bias, epsilon)
            grid = last.movedim(-1, 1)
        grid = functional.gelu(grid, approximate=refiner.gelu)
    return grid


def _pixel_weights(masks: Tensor) -> Tensor:
    return masks.float() if masks.is_floating_point() else (masks != 0).float()


def _overlap_matrix(size: int, cells: int, device: torch.device) -> Tensor:
    """Shares (cells, size) of each pixel in the length of each cell."""
    overlaps = area_overlaps(size, cells)
    matrix = torch.zeros(cells, size, dtype=torch.float64)
    for cell, length in zip(overlaps.cells.T.copy(), overlaps.lengths.T.copy(), strict=True):
        matrix[torch.from_numpy(cell), torch.arange(size)] += torch.from_numpy(length) / size
    return matrix.float().to(device)
