"""Full-size masks laid onto the cells of a feature grid by products of PyTorch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from smolrgpt_core.kernels.grid import area_overlaps


def bilinear_weights(masks: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Masks (M, h, w) resized to (M, H, W) bilinearly, without antialiasing; float32."""
    return functional.interpolate(
        _pixel_weights(masks)[:, None], grid_size, mode="bilinear", align_corners=False
    )[:, 0]


def area_weights(masks: Tensor, grid_size: tuple[int, int]) -> Tensor:
    """Fraction of each cell (M, H, W) that masks (M, h, w) cover; float32."""
    rows = _overlap_matrix(masks.shape[1], grid_size[0], masks.device)
    columns = _overlap_matrix(masks.shape[2], grid_size[1], masks.device)
    return rows @ _pixel_weights(masks) @ columns.T


def _pixel_weights(masks: Tensor) -> Tensor:
    return masks.float() if masks.is_floating_point() else (masks != 0).float()


def _overlap_matrix(size: int, cells: int, device: torch.device) -> Tensor:
    """Fractions (cells, size) of each pixel in the length of each cell."""
    overlaps = area_overlaps(size, cells)
    matrix = torch.zeros(cells, size, dtype=torch.float64)
    for cell, length in zip(overlaps.cells.T.copy(), overlaps.lengths.T.copy(), strict=True):
        matrix[torch.from_numpy(cell), torch.arange(size)] += torch.from_numpy(length) / size
    return matrix.float().to(device)
