"""Free floor in a zone: its area, and whether one more pallet fits.

Both are counted on a grid, in fewer copies than other things, for they cost more.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.scene.copies import SceneCopies, Values
from smolrgpt_core.scene.footprints import corners

CELL_M = 0.02
"""Side of a cell of the grid on which a rectangle is fitted."""

SAMPLES = 100
"""Points along each side of a zone by which its free area is counted."""

FOOTPRINT_M = (1.2, 0.8)
"""The standard pallet (EN 13698-1) for which there is room or not."""

MARGIN_M = 0.05
"""Kept free around whatever stands in the zone."""

ORIENTATIONS = 18
"""Yaws that are tried, 10 degrees apart."""

DISTURBED = 16
"""Copies that are computed; the others repeat them."""

_SHIFT = 4
"""Fractional bits of polygon corners."""


def free_areas(copies: SceneCopies, zone: int) -> Values:
    """(K,) area of a zone that is not under a footprint, m2."""
    few = min(DISTURBED, copies.count)
    shapes = _others(copies, zone, 0.0)
    areas = np.array([_free_area(copies, zone, shapes, copy) for copy in range(few)])
    return _repeated(areas, copies.count)


def room_for(copies: SceneCopies, zone: int) -> Values:
    """(K,) 1 where the standard footprint fits into the free part of a zone, else 0."""
    few = min(DISTURBED, copies.count)
    shapes = _others(copies, zone, MARGIN_M)
    fits = np.array([_fits(copies, zone, shapes, copy) for copy in range(few)], dtype=np.float64)
    return _repeated(fits, copies.count)


def _others(copies: SceneCopies, zone: int, grown: float) -> list[Values]:
    """Corners (K, 4, 2) of the footprints of all objects that may reach into a zone."""
    center, half = copies.center[0, zone, :2], np.linalg.norm(copies.size[0, zone, :2]) / 2
    found = []
    for index in np.flatnonzero(~copies.zones):
        reach = np.linalg.norm(copies.size[0, index, :2]) / 2 + 1.0
        if np.linalg.norm(copies.center[0, index, :2] - center) < half + reach:
            found.append(corners(copies, np.full(copies.count, index), grown))
    return found


def _free_area(copies: SceneCopies, zone: int, shapes: list[Values], copy: int) -> float:
    """Counted by the middles of the cells: painted polygons would be half a cell too large."""
    own = corners(copies, np.full(copies.count, zone))[copy]
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES
    first, second = np.meshgrid(steps, steps)
    points = own[0] + first[..., None] * (own[1] - own[0]) + second[..., None] * (own[3] - own[0])
    free = np.ones(first.shape, dtype=bool)
    for shape in shapes:
        free &= ~_within(points, shape[copy])
    return float(free.mean() * copies.size[copy, zone, :2].prod())


def _within(points: Values, rectangle: Values) -> NDArray[np.bool_]:
    """(...) whether points (..., 2) lie in a rectangle (4, 2)."""
    inside = np.ones(points.shape[:-1], dtype=bool)
    for side in (rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]):
        along = (points - rectangle[0]) @ side
        inside &= (along >= 0) & (along <= side @ side)
    return inside


def _fits(copies: SceneCopies, zone: int, shapes: list[Values], copy: int) -> bool:
    """A rectangle fits where a window of its size, turned to the axes of the grid, is all free."""
    kernel = np.ones([round(side / CELL_M) for side in FOOTPRINT_M], dtype=np.uint8)
    for step in range(ORIENTATIONS):
        yaw = float(copies.yaw[zone]) + np.pi * step / ORIENTATIONS
        grid = _grid(copies, zone, shapes, copy, yaw)
        if cv2.erode(grid, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).any():
            return True
    return False


def _grid(
    copies: SceneCopies, zone: int, shapes: list[Values], copy: int, yaw: float
) -> NDArray[np.uint8]:
    """Cells of a zone, 1 = free, along axes turned by `yaw`, with a border of one cell."""
    own = corners(copies, np.full(copies.count, zone))[copy]
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    low = (own @ turn).min(axis=0)
    size = np.ceil(((own @ turn).max(axis=0) - low) / CELL_M).astype(int) + 2
    grid = np.zeros((size[1], size[0]), dtype=np.uint8)
    for shape, value in [(own, 1), *((shape[copy], 0) for shape in shapes)]:
        cells = (shape @ turn - low) / CELL_M + 0.5
        points = np.round(cells * (1 << _SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(grid, points, value, shift=_SHIFT)
    return grid


def _repeated(values: Values, count: int) -> Values:
    """(count,) the first value first, the disturbed ones in turn after it."""
    if len(values) == 1:
        return np.full(count, values[0])
    return np.concatenate([values[:1], np.resize(values[1:], count - 1)])
