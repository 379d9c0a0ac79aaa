"""Painted zones: the rectangle on the floor that a buffer's mask shows parts of.

Once the floor is known, the rays of the mask's outline meet it exactly; depth adds only noise.
Objects that stand in a zone, or in front of it, hide parts of its border: those parts of the
outline say how far the zone reaches at least, the others say where its sides are.

Limits: a side that is hidden along its whole length is taken to lie where the visible part ends.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.surface import Edge, Outline

MAX_OUTLINE_POINTS = 600


def fit_zone(outline: Outline, plane: GroundPlane, name: str = "the region") -> FloorRectangle:
    """The rectangle of a painted zone.

    Args:
        outline: edge of the zone's mask.
        plane: the floor.
        name: of the region, for the message.

    Raises:
        SpatialError: CANNOT_TELL when the mask does not meet the floor.
    """
    points = plane.intersect(outline.rays)
    on_floor = np.isfinite(points).all(axis=1)
    points, edges = points[on_floor], outline.edges[on_floor]
    if len(points) < 4 or np.ptp(points, axis=0).min() < 1e-6:
        raise SpatialError(
            Status.CANNOT_TELL,
            f"the mask of {name} does not meet the floor that depth shows; is it a painted zone, "
            "and is its mask aligned to depth?",
        )
    sides = points[edges == Edge.OBJECT] if np.any(edges == Edge.OBJECT) else points
    sides = sides[:: len(sides) // MAX_OUTLINE_POINTS + 1]
    # One pixel covers more floor the farther away it is, so far pixels place a side less exactly.
    weights = 1 / np.sum(sides**2, axis=1)
    yaw = best_yaw(sides, weights, points[:: len(points) // MAX_OUTLINE_POINTS + 1])
    turned = turn(points, yaw)
    return FloorRectangle.from_bounds(yaw, turned.min(axis=0), turned.max(axis=0))
