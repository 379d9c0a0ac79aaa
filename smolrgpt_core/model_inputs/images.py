"""Images as arrays: depth in the forms that a caller may give, and resizing as in training.

The released model was trained on images that torchvision resized through Pillow. OpenCV and PyTorch
round differently, which moves every feature a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolrgpt_core.depth import clean_depth
from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.kernels.masks import is_tensor

PixelRange = Sequence[float | Sequence[float]]
"""Value of level 0 and of level 255: two numbers, or two lists of one for each channel."""


def resize_bilinear(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize with a triangle filter that widens when shrinking (antialiasing).

    Args:
        image: uint8 (H, W) or (H, W, 3).
        size: (height, width) wanted.

    Returns:
        uint8 (height, width) or (height, width, 3).
    """
    height, width = size
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def resize_nearest(image: NDArray, size: tuple[int, int]) -> NDArray:
    """Pick the pixel under the center of each new pixel.

    Args:
        image: (H, W), any dtype.
        size: (height, width) wanted.

    Returns:
        (height, width), same dtype.
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.intp)
        for new, old in zip(size, image.shape, strict=True)
    )
    return image[rows[:, None], columns]


def scaled(levels: NDArray[np.uint8], value_range: PixelRange) -> NDArray[np.float32]:
    """Levels 0 to 255 as numbers in (low, high).

    Args:
        levels: uint8 (3, H, W).
        value_range: low and high, each a number, or one for each channel.
    """
    low, high = (
        bound if isinstance(bound, float | int) else np.array(bound, np.float32)[:, None, None]
        for bound in value_range
    )
    return (levels / np.float32(255) * (high - low) + low).astype(np.float32)


def metric_view(
    depth: Any, intrinsics: CameraIntrinsics | None, unit_m: float
) -> tuple[NDArray[np.float32], CameraIntrinsics]:
    """Depth (H, W) in meters, NaN = no reading, and its calibration.

    Args:
        depth: image (H, W) of floats in meters, or of whole numbers.
        intrinsics: its calibration.
        unit_m: meters per unit of whole numbers.

    Raises:
        SpatialError: BAD_INPUT when the calibration is missing, or the depth is a visualization
            without unit; NO_DEPTH when there is none.
    """
    if depth is None:
        raise SpatialError(Status.NO_DEPTH, "the metric depth branch needs a depth image")
    if intrinsics is None:
        raise bad_input(
            "the metric depth branch needs the calibration of the image; give intrinsics"
        )
    levels = as_depth(depth)
    if levels.dtype == np.uint8:
        raise bad_input(
            "the metric depth branch needs depth in meters or 16 bit, got an 8 bit "
            "visualization, which has no unit"
        )
    return in_meters(levels, unit_m), intrinsics


def in_meters(depth: NDArray, unit_m: float) -> NDArray[np.float32]:
    """Meters (H, W) of floats or of whole numbers, NaN = no reading; the unit is checked."""
    unit = 1.0 if np.issubdtype(depth.dtype, np.floating) else unit_m
    return clean_depth(depth, unit)


def as_depth(depth: Any) -> NDArray:
    """(H, W) of an array, tensor or PIL image; a gray image may come with equal channels.

    Raises:
        SpatialError: BAD_INPUT for anything else.
    """
    values = as_array(depth)
    if values.ndim == 3 and values.shape[2] in (1, 3) and np.all(values == values[..., :1]):
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uif" or not values.size:
        raise bad_input(
            "a depth image must be (height, width) of integers or floats, not a color map, got "
            f"{values.dtype} {values.shape}"
        )
    return values


def as_array(values: Any) -> NDArray:
    """An array of an array, a tensor or an image."""
    return values.numpy(force=True) if is_tensor(values) else np.asarray(values)
