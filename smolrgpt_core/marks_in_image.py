"""Where the marks of an answer are in the image: projected, and cut off where nothing is seen.

The camera itself is drawn below the middle of the image, a center without depth in the middle of
its mask.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Side
from smolrgpt_core.canvas import Point, center_of_area
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import project
from smolrgpt_core.language.marks import Mark
from smolrgpt_core.regions import Region

NEAREST_M = 0.1
"""Depth at which lines that go on behind the camera are cut off."""

FARTHEST_PX = 1e6
"""Drawing cuts off at the border of the image what lies no farther outside than this."""


def point_in_image(mark: Mark, frame: RGBDFrame) -> Point | None:
    """(column, row) of the first point of a mark; None where it is not seen."""
    known = _known_place(mark, 0, frame)
    if known is None and mark.points[0, 2] >= NEAREST_M:
        known = _projected(mark.points[:1], frame)[0]
    if known is None or not _is_inside(known, frame):
        return None
    return known


def segments_in_image(mark: Mark, frame: RGBDFrame) -> list[tuple[Point, Point]]:
    """The parts of the line through the points of a mark that are seen, by their two ends."""
    found = []
    for index in range(len(mark.points) - 1):
        ends = _ends(mark, index, frame)
        inside = ends and _cut_at_border(*ends, frame)
        if inside:
            found.append(inside)
    return found


def outline_in_image(mark: Mark, frame: RGBDFrame) -> list[Point]:
    """The closed outline through the points of a mark; empty where nothing of it is seen.

    It may go beyond the border of the image, where drawing cuts it off.
    """
    points = _in_front(mark.points)
    return [] if len(points) < 3 else _projected(points, frame)


def side_arrow(pair: tuple[Region, Region], side: Side) -> tuple[Point, Point]:
    """The ends of an arrow between two regions that points to the side that was answered."""
    (x1, y1), (x2, y2) = (center_of_area(region) for region in pair)
    left, right = ((x, (y1 + y2) / 2) for x in sorted((x1, x2)))
    return (right, left) if side is Side.LEFT else (left, right)


def _known_place(mark: Mark, index: int, frame: RGBDFrame) -> Point | None:
    """Where a point is drawn that has no projection."""
    height, width = frame.depth.shape
    point = mark.points[index]
    if not point.any():
        return width / 2, float(height)
    if np.isfinite(point).all() or not mark.region_ids:
        return None
    id = mark.region_ids[index]
    return None if id is None else center_of_area(frame.regions[id])


def _ends(mark: Mark, index: int, frame: RGBDFrame) -> tuple[Point, Point] | None:
    """Two points of a mark one after the other in the plane of the image; None if behind it."""
    places = [_known_place(mark, place, frame) for place in (index, index + 1)]
    points = mark.points[index : index + 2]
    if places[0] is None and places[1] is None:
        visible = _in_front(points)
        if len(visible) < 2:
            return None
        first, second = _projected(visible[:2], frame)
        return first, second
    unseen = [not point[2] > NEAREST_M for point in points]
    if (places[0] is None and unseen[0]) or (places[1] is None and unseen[1]):
        return None
    first, second = (
        _projected(point[None], frame)[0] if place is None else place
        for place, point in zip(places, points, strict=True)
    )
    return first, second


def _in_front(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part (M, 3) of a closed outline (N, 3), or of a line (2, 3), in front of the camera."""
    visible = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] >= NEAREST_M:
            visible.append(start)
        if (start[2] >= NEAREST_M) != (end[2] >= NEAREST_M):
            fraction = (NEAREST_M - start[2]) / (end[2] - start[2])
            visible.append(start + fraction * (end - start))
    return np.array(visible).reshape(-1, 3)


def _projected(points: NDArray[np.float64], frame: RGBDFrame) -> list[Point]:
    places = np.clip(project(points, frame.intrinsics), -FARTHEST_PX, FARTHEST_PX)
    return [(float(column), float(row)) for row, column in places]


def _is_inside(point: Point, frame: RGBDFrame) -> bool:
    height, width = frame.depth.shape
    return 0 <= point[0] <= width and 0 <= point[1] <= height


def _cut_at_border(start: Point, end: Point, frame: RGBDFrame) -> tuple[Point, Point] | None:
    if _is_inside(start, frame) and _is_inside(end, frame):
        return start, end
    height, width = frame.depth.shape
    whole = [(round(x), round(y)) for x, y in (start, end)]
    seen, first, second = cv2.clipLine((0, 0, width, height), *whole)
    if not seen:
        return None
    return (float(first[0]), float(first[1])), (float(second[0]), float(second[1]))
