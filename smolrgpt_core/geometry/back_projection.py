"""Pixels to rays and metric points.

All points are in the optical frame of the camera (REP 103: x right, y down, z forward), meters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smolrgpt_core.frame import CameraIntrinsics


def pixel_rays(
    rows: ArrayLike, columns: ArrayLike, intrinsics: CameraIntrinsics
) -> NDArray[np.float64]:
    """Rays (..., 3) through pixels (...), scaled so that z is 1: a depth times a ray is a point.

    Args:
        rows: of the pixels, (...); fractions lie between two pixels.
        columns: of the pixels, (...).
        intrinsics: of the camera.
    """
    x = (np.asarray(columns, dtype=np.float64) - intrinsics.cx) / intrinsics.fx
    y = (np.asarray(rows, dtype=np.float64) - intrinsics.cy) / intrinsics.fy
    rays = np.ones((*np.broadcast(x, y).shape, 3))
    rays[..., 0], rays[..., 1] = x, y
    return rays


def back_project(depth: NDArray[np.floating], intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    """Points (H, W, 3) of a depth image (H, W) in meters; NaN stays NaN.

    Args:
        depth: meters along the optical axis.
        intrinsics: calibration of the same image.
    """
    height, width = depth.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return pixel_rays(rows, columns, intrinsics) * depth[..., None]


def project(points: NDArray[np.floating], intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    """Pixels (..., 2) as (row, column) of points (..., 3); NaN for points behind the camera."""
    z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
    columns = points[..., 0] / z * intrinsics.fx + intrinsics.cx
    rows = points[..., 1] / z * intrinsics.fy + intrinsics.cy
    return np.stack([rows, columns], axis=-1)
