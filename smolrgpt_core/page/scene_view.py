"""A frame in 3-D: colored points, boxes of objects, zones, and measurements.

Meters; x right, y forward, z up. The origin is on the floor if it is visible, else at the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.canvas import Color, label_color
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.language.marks import MarkKind

MAX_POINTS = 12_000
"""More of them the browser of a tablet draws too slowly."""

UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Right, forward, up as rows in the optical frame of a level camera."""

BOTTOM = ((0, 1), (1, 2), (2, 3), (3, 0))
"""Edges between the corners of a face."""

Line = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Two ends."""


@dataclass(frozen=True, eq=False)
class DrawnObject:
    """The edges of a box or a zone.

    Attributes:
        name: of its region.
        color: of its class.
        edges: lines to draw.
    """

    name: str
    color: Color
    edges: tuple[Line, ...]


class SceneView:
    """A frame in 3-D. Measures all regions, which takes tenths of a second.

    Args:
        frame: to show.

    Attributes:
        points: float64 (N, 3), at most `MAX_POINTS`.
        colors: float64 (N, 3), 0 to 1.
        objects: boxes and zones; regions that cannot be located are omitted.
    """

    def __init__(self, frame: RGBDFrame) -> None:
        geometry = FrameGeometry(frame)
        geometry.expect(region.id for region in frame.regions)
        self._plane = geometry.plane
        self.points, self.colors = self._cloud(frame)
        found = (self._object(geometry, region.id) for region in frame.regions)
        self.objects = [item for item in found if item is not None]

    def measured(self, answer: SpatialAnswer) -> list[Line]:
        """The lines of an answer's measurement."""
        lines: list[Line] = []
        for mark in answer.shown_marks:
            points = self._placed(mark.points)
            ring = [*points, points[0]] if mark.kind is MarkKind.AREA else points
            lines += [_line(*ends) for ends in pairwise(ring) if np.isfinite(ends).all()]
        return [(start, end) for start, end in lines if start != end]

    def _placed(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (N, 3) of the optical frame."""
        if self._plane is None:
            return np.asarray(points @ UPRIGHT.T)
        return self._plane.to_floor(points)

    def _cloud(self, frame: RGBDFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = np.flatnonzero(np.isfinite(frame.depth))
        step = max(1, -(-known.size // MAX_POINTS))
        chosen = known[::step]
        points = back_project(frame.depth, frame.intrinsics).reshape(-1, 3)[chosen]
        return self._placed(points), frame.rgb.reshape(-1, 3)[chosen] / 255

    def _object(self, geometry: FrameGeometry, id: int) -> DrawnObject | None:
        region = geometry.frame.regions[id]
        try:
            located = geometry.locate(id)
        except SpatialError:
            return None  # what depth does not show is not drawn, as in the image of an answer
        edges = _edges(located, is_flat=geometry.is_zone(id))
        return DrawnObject(region.name, label_color(region.label), edges) if edges else None


def turned_along(line: Line) -> NDArray[np.float64]:
    """A rotation (3, 3) that turns the y axis into the direction of a line.

    Args:
        line: two ends, meters.
    """
    start, end = np.asarray(line)
    along = (end - start) / np.linalg.norm(end - start)
    across = np.cross(np.eye(3)[np.argmin(np.abs(along))], along)
    across /= np.linalg.norm(across)
    return np.column_stack([across, along, np.cross(across, along)])


def _edges(located: Located, is_flat: bool) -> tuple[Line, ...]:
    if located.box is not None and not is_flat:
        box = located.box
        low, high = (_level(box.footprint.corners, height) for height in (box.bottom, box.top))
        faces = [_line(face[a], face[b]) for face in (low, high) for a, b in BOTTOM]
        return (*faces, *(_line(*ends) for ends in zip(low, high, strict=True)))
    if located.footprint is not None:
        corners = _level(located.footprint.corners, 0.0)
        return tuple(_line(corners[a], corners[b]) for a, b in BOTTOM)
    return ()


def _level(corners: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    return np.pad(corners, ((0, 0), (0, 1)), constant_values=height)


def _line(start: Sequence[float], end: Sequence[float]) -> Line:
    x1, y1, z1, x2, y2, z2 = map(partial(round, ndigits=3), map(float, (*start, *end)))
    return (x1, y1, z1), (x2, y2, z2)
