"""Point maps: for each pixel x, y, z in meters in the camera's optical frame, and its validity.

A point map is float32 (H, W, 4). Where there is no reading the validity is 0 and the coordinates
are NaN, unless a source states otherwise. `model_points` makes of it what a model was trained on.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.model.point_map.code import PointCode

PointMap = NDArray[np.float32]
"""(H, W, 4): x, y, z in meters and validity, 1 or 0."""

RELATIVE_LEVELS = 255
"""Relative depth goes from 0, the nearest reading of the image, to this, the farthest."""


def depth_point_map(depth: NDArray[np.floating], intrinsics: CameraIntrinsics) -> PointMap:
    """The point map of a depth image (H, W) in meters, NaN = no reading."""
    return estimated_point_map(back_project(depth, intrinsics), np.isfinite(depth))


def frame_point_map(frame: RGBDFrame) -> PointMap:
    """The point map of a frame."""
    return depth_point_map(frame.depth, frame.intrinsics)


def estimated_point_map(points: NDArray[np.floating], valid: NDArray[np.bool_]) -> PointMap:
    """The point map of an estimator such as MoGe-2: points (H, W, 3) and their mask (H, W).

    Raises:
        SpatialError: BAD_INPUT when the shapes are not these.
    """
    if points.ndim != 3 or points.shape[2] != 3 or valid.shape != points.shape[:2]:
        raise bad_input(
            f"expected points (H, W, 3) and a mask (H, W), got {points.shape} and {valid.shape}"
        )
    known = np.where(valid[..., None], points, np.nan)
    return np.concatenate([known, valid[..., None]], axis=-1).astype(np.float32)


def resized_point_map(points: PointMap, height: int, width: int) -> PointMap:
    """The point map (height, width, 4) of the image stretched to this size.

    Each pixel takes the point of one pixel: a mean of two surfaces is a point of neither.

    Args:
        points: point map of the image.
        height: of the result, pixels.
        width: of the result, pixels.
    """
    resized = cv2.resize(points, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.float32)


def model_points(points: PointMap, code: PointCode) -> torch.Tensor:
    """The input of a model with this code, from a point map: float32 (4, H, W), all finite."""
    # RGB-D cameras give NaN, estimators infinity; HiSpatial's code takes both for far away.
    limit = code.limit_m
    coordinates = np.nan_to_num(points[..., :3], nan=limit, posinf=limit, neginf=limit)
    valid = points[..., 3:]
    if code.missing_points == "coded":
        coordinates = np.minimum(coordinates, limit)
    else:
        in_range = (np.abs(points[..., :3]) <= limit).all(axis=-1, keepdims=True)
        valid = valid * in_range
        coordinates = np.where(valid > 0, coordinates, 0.0)
    return _as_tensor(np.concatenate([coordinates, valid], axis=-1))


def relative_points(points: PointMap) -> torch.Tensor:
    """Depth without a scale in the place of all coordinates, float32 (4, H, W) (section 4.4).

    Whole numbers from 0 to `RELATIVE_LEVELS`; the range of the paper is not public.
    """
    valid = (points[..., 3] > 0) & np.isfinite(points[..., 2])
    depth = np.where(valid, points[..., 2], np.nan)
    levels = np.zeros_like(points[..., 2])
    if valid.any():
        nearest, farthest = np.nanmin(depth), np.nanmax(depth)
        span = max(float(farthest - nearest), np.finfo(np.float32).tiny)
        levels = np.where(valid, np.round((depth - nearest) / span * RELATIVE_LEVELS), 0)
    return _as_tensor(np.stack([levels, levels, levels, valid], axis=-1))


def _as_tensor(points: NDArray[np.floating]) -> torch.Tensor:
    return torch.from_numpy(points.astype(np.float32)).permute(2, 0, 1).contiguous()
