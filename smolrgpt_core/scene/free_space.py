"""Free floor in a zone: its area, whether one more pallet fits, and how many do.

Both are counted on a grid, in fewer copies than other things, for they cost more.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.packing import pack
from smolrgpt_core.scene.copies import SceneCopies, Values
from smolrgpt_core.scene.footprints import corners

CELL_M = 0.025
"""Side of a cell of the grid on which rectangles are fitted; it divides their sides and margin."""

SAMPLES = 100
"""Points along each side of a zone by which its free area is counted."""

FOOTPRINT_M = (1.2, 0.8)
"""The standard pallet (EN 13698-1) for which there is room or not."""

MARGIN_M = 0.05
"""Kept free around whatever stands in the zone, or is put there."""

YAWS = 9
"""Directions that are tried, 10 degrees apart, each with either side along it."""

DISTURBED = 16
"""Copies that are computed; the others repeat them."""

ROUNDING_M = 1e-6
"""What a cell may reach out of a zone."""

_WINDOW = (round(FOOTPRINT_M[0] / CELL_M), round(FOOTPRINT_M[1] / CELL_M))
"""The standard footprint in cells."""

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


def room_for_region(copies: SceneCopies, zone: int, guest: NDArray[np.intp]) -> Values:
    """(K,) 1 where the footprint of a region (K,) fits into a zone beside all others, else 0.

    It does not stand in its own way. Of sizes between two cells, the larger is looked for.

    Args:
        copies: of the scene.
        zone: index of the zone.
        guest: (K,), index of the region.
    """
    few = min(DISTURBED, copies.count)
    fits = []
    for copy in range(few):
        shapes = _others(copies, zone, MARGIN_M, without=int(guest[copy]))
        sides = np.ceil(copies.size[copy, guest[copy], :2] / CELL_M - ROUNDING_M)
        cells = max(int(sides[0]), 1), max(int(sides[1]), 1)
        fits.append(_fits(copies, zone, shapes, copy, cells))
    return _repeated(np.array(fits, dtype=np.float64), copies.count)


def capacities(copies: SceneCopies, zone: int) -> Values:
    """(K,) how many standard footprints fit into the free part of a zone together.

    Along its sides; where none fits so but one fits turned, as `room_for` has it, that one.
    """
    few = min(DISTURBED, copies.count)
    shapes = _others(copies, zone, MARGIN_M)
    found = np.array([_capacity(copies, zone, shapes, copy) for copy in range(few)])
    return _repeated(found, copies.count)


def packed_rectangles(copies: SceneCopies, zone: int) -> list[Values]:
    """Corners (4, 2) of the places that `capacities` counts in the undisturbed copy."""
    own = corners(copies, np.full(copies.count, zone))[0]
    turn, low = _axes(own, float(copies.yaw[zone]))
    packed = _packed(copies, zone, _others(copies, zone, MARGIN_M), 0)
    if not len(packed):
        single = free_rectangle(copies, zone)
        return [] if single is None else [single]
    return [_on_floor(place, turn, low) for place in packed]


def free_floor(copies: SceneCopies, zone: int, margin: float = 0.0) -> tuple[list[Values], float]:
    """The free part of a zone in the undisturbed copy.

    Args:
        copies: of the scene.
        zone: index of the zone.
        margin: kept free around what stands there, meters.

    Returns:
        Its outlines (M, 2) on the floor, those of its holes too, and its area in m2.
    """
    own = corners(copies, np.full(copies.count, zone))[0]
    free = _free(own, _others(copies, zone, margin), 0)
    rings, _ = cv2.findContours(
        np.pad(free.astype(np.uint8), 1), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    outlines = [cv2.approxPolyDP(ring, 1.0, True).reshape(-1, 2) for ring in rings]
    sides = np.stack([own[1] - own[0], own[3] - own[0]]) / SAMPLES
    # The border moved the first cell to (1, 1); its middle is half a cell from the corner.
    found = [own[0] + (outline - 0.5) @ sides for outline in outlines if len(outline) > 2]
    return found, float(free.mean() * np.linalg.norm(sides, axis=1).prod() * SAMPLES**2)


def free_rectangle(copies: SceneCopies, zone: int) -> Values | None:
    """Corners (4, 2) of a place for the standard footprint in the undisturbed copy; None: no room.

    Of all places of the first yaw for which there is one, that with the most space around it.
    """
    shapes = _others(copies, zone, MARGIN_M)
    for yaw, window, fits in _places(copies, zone, shapes, 0):
        if not fits.any():
            continue
        distances = cv2.distanceTransform(np.pad(fits, 1), cv2.DIST_L2, cv2.DIST_MASK_3)
        row, column = np.unravel_index(int(np.argmax(distances)), distances.shape)
        turn, low = _axes(corners(copies, np.full(copies.count, zone))[0], yaw)
        height, width = window
        # Both the grid and the distances have a border of one cell.
        at = [int(row) - 2 - height // 2, int(column) - 2 - width // 2, *window]
        return _on_floor(np.array(at), turn, low)
    return None


def _on_floor(place: NDArray[np.intp], turn: Values, low: Values) -> Values:
    """Corners (4, 2) of first row, first column, rows and columns on a grid."""
    row, column, height, width = place
    cells = np.array([[0, 0], [width, 0], [width, height], [0, height]]) + np.array([column, row])
    return np.asarray((low + cells * CELL_M) @ turn.T)


def _others(
    copies: SceneCopies, zone: int, grown: float, without: int | None = None
) -> list[Values]:
    """Corners (K, 4, 2) of the footprints of all objects that may reach into a zone, but one."""
    center, half = copies.center[0, zone, :2], np.linalg.norm(copies.size[0, zone, :2]) / 2
    found = []
    for index in np.flatnonzero(~copies.zones & (np.arange(copies.number) != without)):
        reach = np.linalg.norm(copies.size[0, index, :2]) / 2 + 1.0
        if np.linalg.norm(copies.center[0, index, :2] - center) < half + reach:
            found.append(corners(copies, np.full(copies.count, index), grown))
    return found


def _free_area(copies: SceneCopies, zone: int, shapes: list[Values], copy: int) -> float:
    own = corners(copies, np.full(copies.count, zone))[copy]
    return float(_free(own, shapes, copy).mean() * copies.size[copy, zone, :2].prod())


def _free(own: Values, shapes: list[Values], copy: int) -> NDArray[np.bool_]:
    """(SAMPLES, SAMPLES) whether the cells of a rectangle (4, 2) are free, along its sides.

    Counted by the middles of the cells: painted polygons would be half a cell too large.
    """
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES
    free = np.ones((SAMPLES, SAMPLES), dtype=bool)
    for shape in shapes:
        free &= ~_within(own, steps, shape[copy])
    return free


def _within(own: Values, steps: Values, rectangle: Values) -> NDArray[np.bool_]:
    """(S, S) whether points lie in a rectangle (4, 2).

    Args:
        own: corners (4, 2) of the rectangle that holds the points.
        steps: (S,) where they are along its first side (columns) and its last (rows), 0 to 1.
        rectangle: corners.
    """
    inside = np.ones((len(steps), len(steps)), dtype=bool)
    for side in (rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]):
        start, first, last = ((point - rectangle[0]) @ side for point in own[[0, 1, 3]])
        along = start + steps * (first - start) + (steps * (last - start))[:, None]
        inside &= (along >= 0) & (along <= side @ side)
    return inside


def _fits(
    copies: SceneCopies,
    zone: int,
    shapes: list[Values],
    copy: int,
    cells: tuple[int, int] = _WINDOW,
) -> bool:
    return any(fits.any() for _, _, fits in _places(copies, zone, shapes, copy, cells))


def _capacity(copies: SceneCopies, zone: int, shapes: list[Values], copy: int) -> float:
    packed = len(_packed(copies, zone, shapes, copy))
    return float(packed or _fits(copies, zone, shapes, copy))


def _packed(copies: SceneCopies, zone: int, shapes: list[Values], copy: int) -> NDArray[np.intp]:
    """(P, 4) first row, first column, rows and columns of footprints along the sides of a zone."""
    grid = _grid(copies, zone, shapes, copy, float(copies.yaw[zone]))
    return pack(grid[1:-1, 1:-1].astype(bool), _WINDOW, round(MARGIN_M / CELL_M))


def _places(
    copies: SceneCopies,
    zone: int,
    shapes: list[Values],
    copy: int,
    cells: tuple[int, int] = _WINDOW,
) -> Iterator[tuple[float, tuple[int, int], NDArray[np.uint8]]]:
    """Each yaw and size (rows, columns), and the cells around which all of that size is free."""
    for step in range(YAWS):
        yaw = float(copies.yaw[zone]) + np.pi / 2 * step / YAWS
        grid = _grid(copies, zone, shapes, copy, yaw)
        for window in (cells, cells[::-1]):
            kernel = np.ones(window, dtype=np.uint8)
            fits = cv2.erode(grid, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
            yield yaw, window, fits


def _axes(own: Values, yaw: float) -> tuple[Values, Values]:
    """Columns (2, 2) of axes turned by `yaw`, and the least coordinates (2,) of corners (4, 2)."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return turn, (own @ turn).min(axis=0)


def _grid(
    copies: SceneCopies, zone: int, shapes: list[Values], copy: int, yaw: float
) -> NDArray[np.uint8]:
    """Cells of a zone, 1 = free, along axes turned by `yaw`, with a border of one cell."""
    own = corners(copies, np.full(copies.count, zone))[copy]
    turn, low = _axes(own, yaw)
    columns, rows = np.ceil(((own @ turn).max(axis=0) - low) / CELL_M).astype(int) + 2
    grid = _whole_cells(own @ turn - low, rows, columns).astype(np.uint8)
    for shape in shapes:
        cells = (shape[copy] @ turn - low) / CELL_M + 0.5
        points = np.round(cells * (1 << _SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(grid, points, 0, shift=_SHIFT)
    return grid


def _whole_cells(own: Values, rows: int, columns: int) -> NDArray[np.bool_]:
    """(rows, columns) which cells lie in a rectangle (4, 2) with all of their area.

    The cell (1, 1) begins at the origin.
    """
    inside = np.ones((rows, columns), dtype=bool)
    for side in (own[1] - own[0], own[3] - own[0]):
        length = np.linalg.norm(side)
        if length == 0:  # of a zone that is hardly seen, a copy may have no width
            return np.zeros((rows, columns), dtype=bool)
        across, down = side / length
        x, y = ((np.arange(number) - 0.5) * CELL_M for number in (columns, rows))
        along = (x - own[0, 0]) * across + ((y - own[0, 1]) * down)[:, None]
        reach = (abs(across) + abs(down)) * CELL_M / 2 - ROUNDING_M
        inside &= (along >= reach) & (along <= length - reach)
    return inside


def _repeated(values: Values, count: int) -> Values:
    """(count,) the first value first, the disturbed ones in turn after it."""
    if len(values) == 1:
        return np.full(count, values[0])
    return np.concatenate([values[:1], np.resize(values[1:], count - 1)])
