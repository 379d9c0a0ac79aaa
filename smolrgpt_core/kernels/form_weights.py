"""Weights of grid cells under masks on the CPU: resizing masks to the feature grid.

`bilinear` is what the released model does. It reads four pixels for each cell, however many pixels
the cell spans, so it can lose a small or thin mask completely: of a 1920x1080 image, 64x64 cells of
30x17 pixels, it reads 2 of 30 columns and 2 of 17 rows, and a pole 20 pixels wide may stand between
them. `area` gives each cell the exact fraction that the mask covers: no mask with a pixel set is
ever lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.kernels.grid import BilinearTaps, bilinear_taps
from smolrgpt_core.kernels.masks import ImageMasks, MaskForm

Mode: TypeAlias = Literal["bilinear", "area"]
"""How masks are resized to the grid."""

EmptyMask: TypeAlias = Literal["error", "zero"]
"""What a mask without any weight gives: an error, or zeros."""


def form_weights(form: MaskForm, grid_size: tuple[int, int], mode: Mode) -> NDArray[np.float32]:
    """Weights (M, H, W), 0 to 1, of the cells under the masks of a form.

    Args:
        form: masks (M, h, w) in any representation.
        grid_size: (H, W) of the feature grid.
        mode: how masks are resized.
    """
    if mode == "area":
        return np.ascontiguousarray(form.coverage(grid_size))
    (height, width), (grid_height, grid_width) = form.image_size, grid_size
    rows, columns = bilinear_taps(height, grid_height), bilinear_taps(width, grid_width)
    pixels = form.sampled(rows, columns)
    return _blend(_blend(pixels, columns, axis=2), rows, axis=1)


def empty_mask(number: int, images: Sequence[ImageMasks], mode: Mode) -> SpatialError:
    """The error that a mask has no weight, with the reason and what to do.

    Args:
        number: of the mask in the batch.
        images: masks of each image.
        mode: how masks are resized.
    """
    for image in images:
        if number < len(image):
            break
        number -= len(image)
    name = image.describe(number)
    choice = 'choose "zero" for empty masks (a model\'s empty_masks) to accept it'
    form, place = image.single()[number]
    area = float(form.coverage((1, 1))[place].sum())
    if not area < float("inf"):
        return bad_input(f"{name} holds weights that are not finite numbers")
    if area == 0 or mode == "area":
        return bad_input(f"{name} has no weight in any pixel; omit it, or {choice}")
    return bad_input(
        f'{name} is so small or thin that bilinear resizing to the grid lost it; mode="area" keeps '
        f"it (a model's mask_pooling), or {choice}"
    )


def _blend(pixels: NDArray, taps: BilinearTaps, axis: int) -> NDArray[np.float32]:
    """Pixels (M, U, ...) or (M, ..., U) that taps read, blended to cells along that axis."""
    fraction = taps.fraction if axis == 2 else taps.fraction[:, None]
    low, high = np.take(pixels, taps.low, axis), np.take(pixels, taps.high, axis)
    return (low * (1 - fraction) + high * fraction).astype(np.float32, copy=False)
