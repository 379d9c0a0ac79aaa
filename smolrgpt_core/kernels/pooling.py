"""Mask pooling: one vector for each mask, the weighted mean of the cells that lie under it.

Ragged batches: each image has its own number of masks. Arithmetic is in float32 for features of
half precision and in the features' own type otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from smolrgpt_core.errors import bad_input
from smolrgpt_core.kernels.masks import ImageMasks, MasksOfImage, read_batch
from smolrgpt_core.kernels.weights import (
    EmptyMask,
    Mode,
    check_empty,
    check_mode,
    image_weights,
    refuse_empty,
)

EPSILON = 1e-8
"""Added to the sum of weights of a weighted mean, as in the released model."""

DENSE_FRACTION = 0.5
"""Above this fraction of cells under masks, gathering them costs more than it saves."""


class PooledMasks(NamedTuple):
    """Pooled features of a batch.

    Attributes:
        features: (sum of M_i, C), image by image, masks in order, dtype of the input features.
        counts: M_i of each image; `features.split(counts)` gives them image by image.
    """

    features: Tensor
    counts: list[int]


def pool_masks(
    features: Tensor,
    masks: Sequence[MasksOfImage],
    mode: Mode = "bilinear",
    empty: EmptyMask = "error",
    *,
    grid_size: tuple[int, int] | None = None,
) -> PooledMasks:
    """Weighted mean of the features under each mask.

    The sum of weights has 1e-8 added, as in the released model.

    Args:
        features: float (B, C, H, W), or (B, H*W, C) row by row.
        masks: one entry for each image, in any form that the package's docstring names, or the
            result of `mask_weights`.
        mode: `bilinear` as in the released model, which can lose small and thin masks, or `area`.
        empty: what a mask gives that has no weight in any cell, be it that no pixel is set or that
            `bilinear` lost it.
        grid_size: (H, W) of features (B, H*W, C); a square by default.

    Raises:
        SpatialError: BAD_INPUT when a mask cannot be read, has another size than the others of its
            image, or has no weight (with `empty="error"`), naming it; or when there are masks for
            another number of images.
        ValueError: for arguments of the wrong shape or an unknown mode.
    """
    check_mode(mode)
    cells, grid = _as_cells(features, grid_size)
    check_empty(empty)
    images = read_for(cells, masks)
    results = [
        _pool_image(image_cells, image, grid, mode)
        for image_cells, image in zip(cells, images, strict=True)
    ]
    pooled = torch.cat([pooled for pooled, _ in results])
    totals = torch.cat([weights.sum(dim=1) for _, weights in results])
    if empty == "error":
        refuse_empty(totals, images, mode)
    return PooledMasks(pooled.to(features.dtype), [len(image) for image in images])


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def read_for(batch: Tensor, masks: Sequence[MasksOfImage]) -> list[ImageMasks]:
    """The masks of each image of a batch (B, ...), B >= 1.

    Raises:
        SpatialError: BAD_INPUT when masks cannot be read or their images are not as many as the
            batch's.
    """
    images = read_batch(masks)
    if len(images) != len(batch) or not images:
        raise bad_input(
            f"expected masks of {len(batch)} images like the features, got {len(images)}; "
            "give one entry for each image, an empty list where it has none"
        )
    return images


def weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Means (M, C) of features (N, C) with weights (M, N)."""
    return weighted_sum(features, weights) / (weights.sum(dim=1, keepdim=True) + EPSILON)


def weighted_sum(features: Tensor, weights: Tensor) -> Tensor:
    """Sums (M, C) of features (N, C) with weights (M, N), in their own type under autocast too."""
    with torch.autocast(features.device.type, enabled=False):
        return weights @ features


def compute_type(dtype: torch.dtype) -> torch.dtype:
    """Type in which features of this type are summed up."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _as_cells(
    features: Tensor, grid_size: tuple[int, int] | None
) -> tuple[Tensor, tuple[int, int]]:
    """Features as (B, H*W, C), and (H, W)."""
    if features.ndim == 4:
        size = (features.shape[2], features.shape[3])
        if grid_size not in (None, size):
            raise ValueError(f"grid_size {grid_size} differs from features' (H, W) {size}")
        return features.flatten(2).transpose(1, 2), size
    if features.ndim != 3:
        raise ValueError(
            f"features must be (B, C, H, W) or (B, H*W, C), got {tuple(features.shape)}"
        )
    size = grid_size or (isqrt(features.shape[1]),) * 2
    if size[0] * size[1] != features.shape[1]:
        raise ValueError(
            f"features (B, H*W, C) {tuple(features.shape)} do not fill a grid of {size}; "
            "give grid_size=(H, W)"
        )
    return features, size


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def _pool_image(
    cells: Tensor, image: ImageMasks, grid: tuple[int, int], mode: Mode
) -> tuple[Tensor, Tensor]:
    """Means (M, C) of the cells (H*W, C) of one image under its masks, and weights (M, H*W)."""
    weights = image_weights(image, grid, mode).flatten(1).to(cells.device)
    return _weighted_mean_of_used(cells, weights.to(compute_type(cells.dtype))), weights


def _weighted_mean_of_used(cells: Tensor, weights: Tensor) -> Tensor:
    """As `weighted_mean`, reading only the cells under a mask where that is faster."""
    if cells.device.type == "cpu" and cells.stride(1) == 1:
        used = torch.nonzero(weights.any(dim=0)).flatten()
        if len(used) < DENSE_FRACTION * len(cells):
            cells, weights = cells[used], weights[:, used]
    return weighted_mean(cells.to(weights.dtype), weights)
