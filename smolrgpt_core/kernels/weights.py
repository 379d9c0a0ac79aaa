"""Weights of grid cells under masks: resizing masks to the feature grid.

`bilinear` is what the released model does. It reads four pixels for each cell, however many pixels
the cell spans, so it can lose a small or thin mask completely: of a 1920x1080 image, 64x64 cells of
30x17 pixels, it reads 2 of 30 columns and 2 of 17 rows, and a pole 20 pixels wide may stand between
them. `area` gives each cell the exact share that the mask covers: no mask with a pixel set is ever
lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smolrgpt_core.kernels.grid import BilinearTaps, area_weights, bilinear_taps, bilinear_weights
from smolrgpt_core.kernels.masks import ImageMasks, MaskForm, MasksOfImage, bad_mask, read_batch

Mode: TypeAlias = Literal["bilinear", "area"]
"""How masks are resized to the grid."""

EmptyMask: TypeAlias = Literal["error", "zero"]
"""What a mask without any weight gives: an error, or zeros."""


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
    """Weights float32 (M, H, W) of the masks of one image, where they were given."""
    parts = [_form_weights(form, grid_size, mode) for form in image.forms]
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
        raise bad_mask(_explain_empty(without[0], images, mode))


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


def _form_weights(form: MaskForm | Tensor, grid_size: tuple[int, int], mode: Mode) -> Tensor:
    if isinstance(form, Tensor):
        return _tensor_weights(form, grid_size, mode)
    if mode == "area":
        return torch.from_numpy(np.ascontiguousarray(form.coverage(grid_size)))
    (height, width), (grid_height, grid_width) = form.image_size, grid_size
    rows, columns = bilinear_taps(height, grid_height), bilinear_taps(width, grid_width)
    pixels = form.sampled(rows, columns)
    return torch.from_numpy(_blend(_blend(pixels, columns, axis=2), rows, axis=1))


def _tensor_weights(stack: Tensor, grid_size: tuple[int, int], mode: Mode) -> Tensor:
    if mode == "area":
        return area_weights(stack, grid_size)
    return bilinear_weights(stack, grid_size)


def _blend(pixels: NDArray, taps: BilinearTaps, axis: int) -> NDArray[np.float32]:
    """Pixels (M, U, ...) or (M, ..., U) that taps read, blended to cells along that axis."""
    share = taps.fraction if axis == 2 else taps.fraction[:, None]
    low, high = np.take(pixels, taps.low, axis), np.take(pixels, taps.high, axis)
    return (low * (1 - share) + high * share).astype(np.float32, copy=False)


def _explain_empty(number: int, images: Sequence[ImageMasks], mode: Mode) -> str:
    """Why mask `number` of the batch has no weight, and what to do."""
    for image in images:
        if number < len(image):
            break
        number -= len(image)
    name = image.describe(number)
    choice = 'choose "zero" for empty masks (a model\'s empty_masks) to accept it'
    area = float(image_weights(image, (1, 1), "area")[number].sum())
    if not area < float("inf"):
        return f"{name} holds weights that are not finite numbers"
    if area == 0 or mode == "area":
        return f"{name} has no weight in any pixel; leave it out, or {choice}"
    return (
        f'{name} is so small or thin that bilinear resizing to the grid lost it; mode="area" keeps '
        f"it (a model's mask_pooling), or {choice}"
    )
