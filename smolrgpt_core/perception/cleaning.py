"""The points of an object under its mask, without those of objects behind and in front of it.

A mask is never exact, and depth at its border mixes two surfaces: a raw point cloud reaches from
the object to the wall. DBSCAN finds the clusters; the largest one is the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.regions import Region

# Those of DBSCAN in SpatialRGPT's pipeline; no data set of ours asks for others.
EPS_M = 0.2
"""Points at most this far apart are neighbors, meters."""

NEIGHBORS = 10
"""A point with at least this many points around it, itself included, belongs to a cluster."""

MIN_POINTS = 10
"""An object with fewer points, before or after cleaning, cannot be measured."""

CELLS_PER_EPS = 4
"""Points are clustered as weighted cells of this fraction of `EPS_M`, so that a near object of
100,000 points takes milliseconds; the result is that of all points to within half a cell."""

MANY_CELLS = 4000
"""An object with more cells is large, and clustered in coarser ones."""

_COARSE_CELLS_PER_EPS = 2
"""In larger cells, those of one surface would not be neighbors."""


@dataclass(frozen=True, eq=False)
class PointBox:
    """Axis-aligned box around points.

    Attributes:
        low, high: float64 (3,), opposite corners, meters, in the frame of the points.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def center(self) -> NDArray[np.float64]:
        """(3,), meters."""
        return (self.low + self.high) / 2

    @property
    def size(self) -> NDArray[np.float64]:
        """(3,), meters."""
        return self.high - self.low


@dataclass(frozen=True, eq=False)
class ObjectCloud:
    """The points of one object: what the camera sees of its surface.

    Attributes:
        points: float64 (N, 3) in the optical frame (x right, y down, z forward), meters.
        raw_count: number of readings under the mask.
        camera_box: around the points in the optical frame.
        level_box: around the points along right, forward and up, with the camera at the origin;
            None if it is not known what is up.
    """

    points: NDArray[np.float64]
    raw_count: int
    camera_box: PointBox
    level_box: PointBox | None


def clean_object(
    region: Region,
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    up: NDArray[np.float64] | None = None,
    trim_percent: float = 0.0,
) -> ObjectCloud | None:
    """The points of a region's object and the boxes around them.

    Args:
        region: with its mask.
        depth: float32 (H, W), meters; NaN where there is no reading.
        intrinsics: of the same image.
        up: unit vector (3,) in the optical frame, opposite to gravity; None: not known.
        trim_percent: of the points, ignored by the boxes at either end of each axis, 0 to below 50.

    Returns:
        None when too few points are left.

    Raises:
        ValueError: when trim_percent is outside its range.
    """
    if not 0 <= trim_percent < 50:
        raise ValueError(f"trim_percent must be 0 to below 50, got {trim_percent}")
    raw = object_points(region, depth, intrinsics)
    points = largest_cluster(raw)
    if len(points) < MIN_POINTS:
        return None
    level = None if up is None else box_around(points @ level_axes(up).T, trim_percent)
    return ObjectCloud(points, len(raw), box_around(points, trim_percent), level)


def object_points(
    region: Region, depth: NDArray[np.float32], intrinsics: CameraIntrinsics
) -> NDArray[np.float64]:
    """All readings under a mask as points.

    Args:
        region: with its mask.
        depth: float32 (H, W), meters; NaN where there is no reading.
        intrinsics: of the same image.

    Returns:
        float64 (N, 3) in the optical frame, meters.
    """
    window = depth[region.box.slices]
    rows, columns = np.nonzero(region.mask & np.isfinite(window))
    rays = pixel_rays(rows + region.box.y, columns + region.box.x, intrinsics)
    return rays * window[rows, columns].astype(np.float64)[:, None]


def largest_cluster(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (M, 3) of the cluster with the most points; of two, the nearer one.

    Args:
        points: (N, 3), meters, from the camera.

    Returns:
        (M, 3) in their order; (0, 3) if no cluster forms.
    """
    if len(points) < MIN_POINTS:
        return points[:0]
    cells, centers, counts = _in_cells(points, EPS_M / CELLS_PER_EPS)
    if len(counts) > MANY_CELLS:
        cells, centers, counts = _in_cells(points, EPS_M / _COARSE_CELLS_PER_EPS)
    search = DBSCAN(eps=EPS_M, min_samples=NEIGHBORS)
    labels = search.fit(centers, sample_weight=counts).labels_
    clusters = labels.max() + 1
    if clusters == 0:
        return points[:0]
    in_cluster = labels >= 0
    sizes = np.bincount(labels[in_cluster], weights=counts[in_cluster], minlength=clusters)
    distances = np.array([centers[labels == label, 2].min() for label in range(clusters)])
    best = np.lexsort((distances, -sizes))[0]
    return points[labels[cells] == best]


def box_around(points: NDArray[np.float64], trim_percent: float = 0.0) -> PointBox:
    """The box around points (N, 3), at least one, along the axes of their frame.

    Args:
        points: meters.
        trim_percent: of the points, ignored at either end of each axis.
    """
    low, high = np.percentile(points, [trim_percent, 100 - trim_percent], axis=0)
    return PointBox(low, high)


def level_axes(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (3, 3) right, forward and up as unit vectors in the optical frame; see `GroundPlane`."""
    return GroundPlane(up, camera_height=0.0).axes


def _in_cells(
    points: NDArray[np.float64], side: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The cell (N,) of each point, and of each cell the mean (C, 3) and number (C,) of its points.

    Args:
        points: (N, 3), meters.
        side: of the cells, meters.
    """
    places = np.floor(points / side).astype(np.int64)
    places -= places.min(axis=0)
    keys = np.ravel_multi_index(tuple(places.T), tuple(places.max(axis=0) + 1))
    _, cells, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(cells, weights=axis, minlength=len(counts)) for axis in points.T]
    return cells, np.stack(sums, axis=1) / counts[:, None], counts.astype(np.float64)
