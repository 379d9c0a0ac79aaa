"""Rectangles on the floor in many copies of a scene: containment, overlap and clearance."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.scene.copies import Mask, SceneCopies, Values

_SIGNS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) / 2


def depth_inside(copies: SceneCopies, zone: NDArray[np.intp]) -> Values:
    """(K, N) how far the middle of each footprint is inside a zone (K,), meters; < 0 outside.

    NaN for what is not measured, and in copies without the zone.
    """
    rows = np.arange(copies.count)
    index = np.maximum(zone, 0)
    offset = copies.center[..., :2] - copies.center[rows, index][:, None, :2]
    turned = _along_axes(offset, copies.yaw[index][:, None])
    beyond = np.abs(turned) - copies.size[rows, index][:, None, :2] / 2
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=2)
    depth = -np.minimum(beyond.max(axis=2), 0) - outside
    return np.where((zone < 0)[:, None], np.nan, depth)


def corners(copies: SceneCopies, index: NDArray[np.intp], grown: float = 0.0) -> Values:
    """(K, 4, 2) corners of one footprint (K,) in order, meters; grown on all sides.

    Args:
        copies: of the scene.
        index: (K,), index of the footprint in each copy.
        grown: distance by which it is enlarged on all sides, meters.
    """
    rows = np.arange(copies.count)
    index = np.maximum(index, 0)
    size = copies.size[rows, index, None, :2] + 2 * grown
    yaw = copies.yaw[index][:, None]
    return copies.center[rows, index, None, :2] + _along_axes(_SIGNS * size, -yaw)


def clearances(copies: SceneCopies, subjects: Mask, other: NDArray[np.intp]) -> Values:
    """(K, N) distance of footprints from another one (K,), meters; 0 where they overlap.

    Args:
        copies: of the scene.
        subjects: bool (K, N), the footprints to measure.
        other: (K,), index of the other footprint in each copy.
    """
    found = np.full((copies.count, copies.number), np.nan)
    own = corners(copies, other)
    for index in np.flatnonzero(subjects.any(axis=0)):
        theirs = corners(copies, np.full(copies.count, index))
        gap = np.minimum(_to_edges(own, theirs), _to_edges(theirs, own))
        found[:, index] = np.where(_overlap(own, theirs), 0.0, gap)
    return found


def nearest_points(copies: SceneCopies, first: int, second: int) -> Values:
    """(2, 2) points of two footprints in the undisturbed copy between which the gap is smallest.

    Where the footprints overlap, both are the middle of what they share.

    Args:
        copies: of the scene.
        first: index of a region.
        second: index of another one.
    """
    own, theirs = (corners(copies, np.full(copies.count, index))[0] for index in (first, second))
    if _overlap(own[None], theirs[None])[0]:
        _, shared = cv2.intersectConvexConvex(own.astype(np.float32), theirs.astype(np.float32))
        middle = shared.reshape(-1, 2).mean(axis=0) if shared is not None else own.mean(axis=0)
        return np.stack([middle, middle]).astype(np.float64)
    offset, back = _to_nearest_edge(own, theirs), _to_nearest_edge(theirs, own)[::-1]
    return min(offset, back, key=lambda pair: float(np.linalg.norm(pair[1] - pair[0])))


def footprints_overlap(copies: SceneCopies, subjects: Mask, other: NDArray[np.intp]) -> Mask:
    """(K, N) whether footprints overlap with another one (K,).

    Args:
        copies: of the scene.
        subjects: bool (K, N), the footprints to check.
        other: (K,), index of the other footprint in each copy.
    """
    found = np.zeros((copies.count, copies.number), dtype=bool)
    own = corners(copies, other)
    for index in np.flatnonzero(subjects.any(axis=0)):
        found[:, index] = _overlap(own, corners(copies, np.full(copies.count, index)))
    return found


def _along_axes(points: Values, yaw: Values) -> Values:
    """Coordinates (..., 2) along axes that are turned by `yaw` radians."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    x, y = points[..., 0], points[..., 1]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1)


def _overlap(first: Values, second: Values) -> Mask:
    """(K,) whether convex quadrilaterals (K, 4, 2) overlap: no axis of a side separates them."""
    overlap = np.ones(len(first), dtype=bool)
    for shape in (first, second):
        for side in range(2):
            edge = shape[:, side + 1] - shape[:, side]
            a = (first * edge[:, None]).sum(axis=2)
            b = (second * edge[:, None]).sum(axis=2)
            overlap &= (a.max(axis=1) >= b.min(axis=1)) & (b.max(axis=1) >= a.min(axis=1))
    return overlap


def _to_edges(points: Values, shape: Values) -> Values:
    """(K,) smallest distance of points (K, 4, 2) from the sides of a shape (K, 4, 2)."""
    return np.asarray(np.linalg.norm(_offsets_from_edges(points, shape), axis=3).min(axis=(1, 2)))


def _to_nearest_edge(points: Values, shape: Values) -> Values:
    """(2, 2) that of points (4, 2) which is nearest to the sides of a shape (4, 2), and where."""
    offsets = _offsets_from_edges(points[None], shape[None])[0]
    lengths = np.linalg.norm(offsets, axis=2)
    point, side = np.unravel_index(int(np.argmin(lengths)), lengths.shape)
    return np.stack([points[point], points[point] - offsets[point, side]])


def _offsets_from_edges(points: Values, shape: Values) -> Values:
    """(K, 4, 4, 2) each of the points (K, 4, 2) less the nearest point of each side of a shape."""
    start = shape[:, None]  # (K, 1, 4, 2)
    edge = np.roll(shape, -1, axis=1)[:, None] - start
    offset = points[:, :, None] - start  # (K, 4, 4, 2)
    length = np.maximum((edge**2).sum(axis=3), 1e-12)
    fraction = np.clip((offset * edge).sum(axis=3) / length, 0, 1)
    return np.asarray(offset - fraction[..., None] * edge)
