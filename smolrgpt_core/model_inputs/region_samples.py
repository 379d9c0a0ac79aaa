"""Metric depth of regions: for each so many viewing rays with the depth read along them.

This is what the metric depth branch takes. Pixels are taken from the full-size image and nothing is
resized: resizing depth mixes the depths of two objects at an edge. The first are spread evenly over
the mask, so that every pixel under it has the same weight; the last are a grid over its
surroundings, which shows what stands on a region or before it and has no mask of its own.

One more sample of each region describes the floor: what is up, and how high the camera hangs. A
network that sees masks alone cannot know it, and heights, bearings and sizes depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.ground_plane import find_floor
from smolrgpt_core.kernels.masks import MaskForm, MasksOfImage, read_batch
from smolrgpt_core.regions import RegionSet

if TYPE_CHECKING:
    import torch

AROUND_SIDE = 8
AROUND = AROUND_SIDE**2
"""Samples of the surroundings, row by row, behind those of the mask."""

_AROUND_FACTOR = 1.5
"""Side of the square of the surroundings, over the longer side of the region."""
_GOLDEN_RATIO = (5**0.5 - 1) / 2


def region_samples(
    masks: MasksOfImage,
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    count: int,
) -> NDArray[np.float32]:
    """Rays and depths of pixels of each mask; the same masks always give the same pixels.

    Args:
        masks: of one image, in any form that `smolrgpt_core.kernels` takes.
        depth: float32 (H, W), meters along the optical axis, NaN = no reading.
        intrinsics: calibration of the same image.
        count: pixels under each mask; a smaller mask gives pixels several times.

    Returns:
        float32 (M, K, 3), K = count + AROUND: x / z and y / z of the ray in the optical frame, and
        the depth z in meters, NaN where there is no reading, and outside of the image.

    Raises:
        SpatialError: BAD_INPUT when depth, calibration and masks are of different size, or a mask
            has no pixel.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise bad_input(
            f"the calibration is for an image of (height, width) {size}, depth has {depth.shape}; "
            "give the calibration of this image",
        )
    (image,) = read_batch([masks], [size])
    samples = np.empty((len(image), count + AROUND, 3), dtype=np.float32)
    for mask, (form, place) in enumerate(image.single()):
        if not form.pixel_count(place):
            raise bad_input(f"{image.describe(mask)} has no pixel; omit the region")
        pixels = pixels_of_mask(form, place, count)
        samples[mask] = pixel_rays(pixels[:, 0], pixels[:, 1], intrinsics)
        samples[mask, :, 2] = _read(depth, pixels)
    return samples


def pixels_of_mask(form: MaskForm, place: int, count: int) -> NDArray[np.int64]:
    """Rows and columns (count + AROUND, 2) of the pixels that stand for a mask.

    Args:
        form: masks of an image.
        place: of the mask in it; it has a pixel.
        count: pixels under the mask; those of its surroundings follow, some may be outside the
            image.
    """
    rows, columns = form.pixels_at(place, _spread(form.pixel_count(place), count)).T
    return np.concatenate([np.stack([rows, columns], axis=1), _around(rows, columns)])


def _around(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows and columns (AROUND, 2) of a square grid about pixels; some may be outside the image."""
    side = _AROUND_FACTOR * (max(np.ptp(rows), np.ptp(columns)) + 1)
    steps = ((np.arange(AROUND_SIDE) + 0.5) / AROUND_SIDE - 0.5) * side
    down, right = np.meshgrid(steps, steps, indexing="ij")
    grid = np.stack([down.ravel() + _middle(rows), right.ravel() + _middle(columns)], axis=1)
    return np.asarray(grid.round(), dtype=np.int64)


def _middle(places: NDArray[np.int64]) -> float:
    return float(places.min() + places.max()) / 2


def _read(depth: NDArray[np.float32], pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Depths (K,) at rows and columns (K, 2), NaN outside of the image."""
    size = np.array(depth.shape)
    is_inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
    rows, columns = pixels.clip(0, size - 1).T
    return np.where(is_inside, depth[rows, columns], np.float32(np.nan))


def _spread(length: int, count: int) -> NDArray[np.int64]:
    """`count` places in `length`: evenly spread, and no regular pattern in rows and columns."""
    fractions = (np.arange(count) * _GOLDEN_RATIO + 0.5) % 1.0
    return np.asarray(fractions * length, dtype=np.int64)


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
        len(shape) == 3 and shape[0] == count and shape[1] > AROUND and shape[2] == 3
        for shape, count in zip(shapes, counts, strict=True)
    )
    if not fits:
        raise ValueError(
            f"region_samples must be (M, K, 3) for each image with M = {list(counts)} regions and "
            f"K above {AROUND}, got {shapes}; prepare them with SmolRGPTProcessor"
        )


def camera_foot(
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    up: NDArray[np.float64] | None = None,
    camera_height: float | None = None,
) -> NDArray[np.float32]:
    """The point of the floor below the camera, float32 (3,), optical frame, meters.

    The floor is that of `geometry.ground_plane`, searched without the regions, of which a training
    row has only some.

    Args:
        depth: float32 (H, W), meters, NaN = no reading.
        intrinsics: calibration of the same image.
        up: as of `RGBDFrame`.
        camera_height: as of `RGBDFrame`.

    Returns:
        NaN where no floor is found.
    """
    size = (intrinsics.height, intrinsics.width)
    frame = RGBDFrame(
        np.zeros((*size, 3), dtype=np.uint8), depth, intrinsics, RegionSet(size),
        up=up, camera_height=camera_height,
    )  # fmt: skip
    floor = find_floor(frame)
    foot = np.full(3, np.nan) if floor is None else -floor.camera_height * floor.up
    return foot.astype(np.float32)


def with_foot(samples: NDArray[np.float32], foot: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples float32 (M, K, 3) of regions with the camera's foot (3,) behind them."""
    return np.concatenate([samples, np.broadcast_to(foot, (len(samples), 1, 3))], axis=1)
