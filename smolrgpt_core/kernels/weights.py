"""Weights of grid cells under masks, as tensors, wherever the masks are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from smolrgpt_core.kernels.form_weights import EmptyMask, Mode, empty_mask, form_weights
from smolrgpt_core.kernels.grid import area_overlaps
from smolrgpt_core.kernels.masks import ImageMasks, MaskForm, MasksOfImage, read_batch


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def mask_weights(
    masks: Sequence[MasksOfImage],
    grid_size: tuple[int, int] = (64, 64),
    mode: Mode = "bilinear",
    empty: EmptyMask = "zero",
    *,
    image_sizes: Sequence[tuple[int, int]] | None = None,
) -> list[Tensor]:
    """Weight of each grid cell under each mask.

    The result may stand wherever masks are expected (float masks of the size of the grid are taken
    as they are), so that several feature maps share it.

    Args:
        masks: one entry for each image, in any form that the package's docstring names.
        grid_size: (H, W) of the feature grid.
        mode: `bilinear` as in the released model, or `area`, exact coverage.
        empty: whether a mask without any weight is an error, or has weights of zero.
        image_sizes: (height, width) of each image, which its masks must have.

    Returns:
        float32 (M_i, H, W) for each image, 0 to 1 for bool and integer masks; bitmaps on an
        accelerator give weights there, every other form on the CPU.

    Raises:
        SpatialError: BAD_INPUT when a mask cannot be read or has another size than its image, or
            has no weight (with `empty="error"`), naming it.
        ValueError: for an unknown mode, or another word for `empty`.
    """
    check_mode(mode)
    check_empty(empty)
    images = read_batch(masks, image_sizes)
    weights = [image_weights(image, grid_size, mode) for image in images]
    if empty == "error" and weights:
        totals = torch.cat([of_image.flatten(1).sum(dim=1).cpu() for of_image in weights])
        refuse_empty(totals, images, mode)
    return weights


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def image_weights(image: ImageMasks, grid_size: tuple[int, int], mode: Mode) -> Tensor:
    """Weights float32 (M, H, W) of the masks of one image, on the device of the masks.

    Args:
        image: masks of one image.
        grid_size: (H, W) of the feature grid.
        mode: how masks are resized.
    """
    parts = [_weights_of(form, grid_size, mode) for form in image.forms]
    return torch.cat(parts) if parts else torch.zeros(0, *grid_size)


def refuse_empty(totals: Tensor, images: Sequence[ImageMasks], mode: Mode) -> None:
    """Refuse masks without weight.

    Args:
        totals: sum of weights of each mask (N,), image by image.
        images: where the masks came from.
        mode: how they were resized.

    Raises:
        SpatialError: BAD_INPUT, naming the first of them.
    """
    without = torch.nonzero(~(totals > 0)).flatten().tolist()
    if without:
        raise empty_mask(without[0], images, mode)


def check_mode(mode: str) -> None:
    """Refuse a mode that does not exist.

    Raises:
        ValueError: naming the modes.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {get_args(Mode)}, got {mode!r}")


def check_empty(empty: str) -> None:
    """Refuse another word for what masks without weight give.

    Raises:
        ValueError: naming the words.
    """
    if empty not in get_args(EmptyMask):
        raise ValueError(f"empty must be one of {get_args(EmptyMask)}, got {empty!r}")


def _weights_of(form: MaskForm | Tensor, grid_size: tuple[int, int], mode: Mode) -> Tensor:
    if isinstance(form, Tensor):
        return _tensor_weights(form, grid_size, mode)
    return torch.from_numpy(form_weights(form, grid_size, mode))


def _tensor_weights(stack: Tensor, grid_size: tuple[int, int], mode: Mode) -> Tensor:
    if mode == "area":
        return area_weights(stack, grid_size)
    return bilinear_weights(stack, grid_size)


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
