"""Point maps of the records that HiSpatial's authors released, each as their code reads them.

Their streams differ in rays and in what an invalid pixel holds (facts: docs/model.md), and a model
that was trained on them has seen just that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.model.point_map.points import PointMap, depth_point_map

FAR_M = 30.0
"""CA-1M: points beyond this stay, but count as not valid."""

_INFINITE_LEVEL = 65535


def read_log_depth(path: Path) -> NDArray[np.float32]:
    """Depth (H, W) in meters of a 16-bit PNG on a logarithmic scale; NaN = none, inf = sky.

    Level 0 is no depth and 65535 infinity; the others go from `near` to `far`, which the PNG's
    text chunks hold.

    Raises:
        SpatialError: BAD_INPUT when the file is no such image.
    """
    with Image.open(path) as image:
        texts, levels = dict(getattr(image, "text", {})), np.asarray(image)
    if "near" not in texts or "far" not in texts or levels.dtype not in (np.uint16, np.int32):
        raise bad_input(
            f"{path} is no depth on a logarithmic scale: expected a 16-bit PNG with the texts "
            f"near and far, got {levels.dtype} with {sorted(texts) or 'no texts'}"
        )
    near, far = float(texts["near"]), float(texts["far"])
    along = (levels.astype(np.float64) - 1) / (_INFINITE_LEVEL - 2)
    depth = near ** (1 - along) * far**along
    depth[levels == 0], depth[levels == _INFINITE_LEVEL] = np.nan, np.inf
    return depth.astype(np.float32)


def wild_point_map(depth: NDArray[np.floating], normalized: NDArray[np.floating]) -> PointMap:
    """Of COYO and Objects365: half-pixel centers, calibration (3, 3) as fractions of the image."""
    height, width = depth.shape
    camera = CameraIntrinsics(
        width=width,
        height=height,
        fx=float(normalized[0, 0]) * width,
        fy=float(normalized[1, 1]) * height,
        cx=float(normalized[0, 2]) * width - 0.5,
        cy=float(normalized[1, 2]) * height - 0.5,
    )
    return _zero_where_invalid(depth_point_map(np.where(np.isfinite(depth), depth, np.nan), camera))


def ca1m_point_map(depth: NDArray[np.floating], pixels: NDArray[np.floating]) -> PointMap:
    """Of CA-1M: centers of pixels at whole numbers, calibration (3, 3) in pixels; 0 = no depth."""
    height, width = depth.shape
    camera = CameraIntrinsics(
        width=width,
        height=height,
        fx=float(pixels[0, 0]),
        fy=float(pixels[1, 1]),
        cx=float(pixels[0, 2]),
        cy=float(pixels[1, 2]),
    )
    points = _zero_where_invalid(depth_point_map(np.where(depth > 0, depth, np.nan), camera))
    points[..., 3] *= points[..., 2] <= FAR_M
    return points


def _zero_where_invalid(points: PointMap) -> PointMap:
    points[points[..., 3] == 0] = 0
    return points
