"""Point maps of the records that HiSpatial's authors released, each as their code reads them.

Their streams differ in rays and in what an invalid pixel holds (facts: docs/model.md), and a model
that was trained on them has seen just that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.hispatial_data.calibrations import CA1M_FAR_M, ca1m_depth, wild_depth
from smolrgpt_core.model.point_map.points import PointMap, depth_point_map


def wild_point_map(depth: NDArray[np.floating], normalized: NDArray[np.floating]) -> PointMap:
    """Of COYO and Objects365: half-pixel centers, calibration (3, 3) as fractions of the image."""
    known = np.where(np.isfinite(depth), depth, np.nan).astype(np.float32)
    return _zero_where_invalid(depth_point_map(known, wild_depth(known, normalized).camera))


def ca1m_point_map(depth: NDArray[np.floating], pixels: NDArray[np.floating]) -> PointMap:
    """Of CA-1M: centers of pixels at whole numbers, calibration (3, 3) in pixels; 0 = no depth."""
    camera = ca1m_depth(depth, pixels).camera
    points = _zero_where_invalid(depth_point_map(np.where(depth > 0, depth, np.nan), camera))
    points[..., 3] *= points[..., 2] < CA1M_FAR_M
    return points


def _zero_where_invalid(points: PointMap) -> PointMap:
    points[points[..., 3] == 0] = 0
    return points
