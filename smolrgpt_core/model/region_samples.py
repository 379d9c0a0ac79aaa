"""Metric depth under masks: for each region so many viewing rays with the depth read along them.

This is what the metric depth branch takes. Pixels are taken from the full-size image, spread evenly
over the mask, so that every pixel under the mask has the same weight and nothing is resized:
resizing depth mixes the depths of two objects at an edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.kernels.masks import MasksOfImage, read_batch

_GOLDEN_RATIO = (5**0.5 - 1) / 2


def region_samples(
    masks: MasksOfImage,
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    count: int,
) -> torch.Tensor:
    """Rays and depths of pixels under each mask; the same masks always give the same pixels.

    Args:
        masks: of one image, in any form that `smolrgpt_core.kernels` takes.
        depth: float32 (H, W), metres along the optical axis, NaN = no reading.
        intrinsics: calibration of the same image.
        count: K, pixels for each mask; a smaller mask gives pixels several times.

    Returns:
        float32 (M, K, 3): x / z and y / z of the ray in the optical frame, and the depth z in
        metres, NaN where there is no reading.

    Raises:
        SpatialError: BAD_INPUT when depth, calibration and masks are of different size, or a mask
            has no pixel.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise SpatialError(
            Status.BAD_INPUT,
            f"the calibration is for an image of (height, width) {size}, depth has {depth.shape}; "
            "give the calibration of this image",
        )
    (image,) = read_batch([masks], [size])
    samples = np.empty((len(image), count, 3), dtype=np.float32)
    for mask, (form, place) in enumerate(image.single()):
        pixels = form.pixel_count(place)
        if not pixels:
            raise SpatialError(
                Status.BAD_INPUT, f"{image.describe(mask)} has no pixel; leave the region out"
            )
        rows, columns = form.pixels_at(place, _spread(pixels, count)).T
        samples[mask] = pixel_rays(rows, columns, intrinsics)
        samples[mask, :, 2] = depth[rows, columns]
    return torch.from_numpy(samples)


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """`count` places in `length`: evenly spread, and no regular pattern in rows and columns."""
    shares = (np.arange(count) * _GOLDEN_RATIO + 0.5) % 1.0
    return np.asarray(shares * length, dtype=np.int64)


def check_samples(samples: Sequence[torch.Tensor], counts: Sequence[int]) -> None:
    """Refuse samples that do not fit the regions of their images.

    Args:
        samples: (M_i, K, 3) for each image, as `region_samples` gives them.
        counts: M_i of each image.

    Raises:
        ValueError: when shapes do not fit.
    """
    shapes = [tuple(item.shape) for item in samples]
    fits = len(shapes) == len(counts) and all(
        len(shape) == 3 and shape[0] == count and shape[2] == 3
        for shape, count in zip(shapes, counts, strict=True)
    )
    if not fits:
        raise ValueError(
            f"region_samples must be (M, K, 3) for each image with M = {list(counts)} regions, "
            f"got {shapes}; prepare them with SmolRGPTProcessor"
        )
