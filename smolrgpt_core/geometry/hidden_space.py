"""Where something may be without being seen: space that the camera does not look through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame


def look_up(image: NDArray[np.bool_], pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The image (H, W) at pixels (..., 2); False outside of it."""
    indices = np.rint(np.nan_to_num(pixels, nan=-1.0)).astype(np.int64)
    inside = np.all((indices >= 0) & (indices < image.shape), axis=-1)
    indices[~inside] = 0
    values: NDArray[np.bool_] = inside & image[indices[..., 0], indices[..., 1]]
    return values


def is_seen_through(
    points: NDArray[np.float64], frame: RGBDFrame, tolerance_m: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Which points (..., 3) of the optical frame lie in front of what the camera measures there.

    Points outside the image, behind something, or where there is no reading may hide anything.

    Args:
        points: (..., 3), meters.
        frame: what the camera measures.
        tolerance_m: how far a point must lie in front of what is measured, for all or (...),
            meters.
    """
    camera, away = frame.intrinsics, points[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = np.rint(points[..., 0] / away * camera.fx + camera.cx)
        rows = np.rint(points[..., 1] / away * camera.fy + camera.cy)
    inside = (away > 0) & (rows >= 0) & (rows < camera.height)
    inside &= (columns >= 0) & (columns < camera.width)
    depth = frame.depth[
        np.where(inside, rows, 0).astype(np.intp), np.where(inside, columns, 0).astype(np.intp)
    ]
    return inside & (depth > away + tolerance_m)
