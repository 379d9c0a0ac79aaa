"""Rectangles on the floor: where objects stand, and whether two of them collide."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Footprint:
    """Rectangle on the floor.

    Attributes:
        x, y: middle in world meters.
        length, width: sides along the rectangle's own x and y axes, meters.
        yaw_rad: direction of its x axis.
    """

    x: float
    y: float
    length: float
    width: float
    yaw_rad: float = 0.0

    @property
    def axes(self) -> NDArray[np.float64]:
        """(2, 2): its unit x and y axes, one per row."""
        cosine, sine = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[cosine, sine], [-sine, cosine]])

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) world meters, anticlockwise."""
        signs = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return (signs * (self.length, self.width)) @ self.axes + (self.x, self.y)

    def grown(self, margin_m: float) -> Footprint:
        """The rectangle with every side moved outwards (inwards if negative)."""
        return Footprint(
            self.x,
            self.y,
            max(self.length + 2 * margin_m, 0.0),
            max(self.width + 2 * margin_m, 0.0),
            self.yaw_rad,
        )

    def overlaps(self, other: Footprint) -> bool:
        """Whether the rectangles share an area (separating axis test)."""
        reach = math.hypot(self.length, self.width) + math.hypot(other.length, other.width)
        if math.hypot(self.x - other.x, self.y - other.y) > reach / 2:
            return False
        a, b = self.corners, other.corners
        for axis in (*self.axes, *other.axes):
            along_a, along_b = a @ axis, b @ axis
            if along_a.max() <= along_b.min() or along_b.max() <= along_a.min():
                return False
        return True

    def contains(self, other: Footprint) -> bool:
        """Whether the other rectangle lies completely inside."""
        return all(self.signed_distance(x, y) >= 0 for x, y in other.corners)

    def signed_distance(self, x: float, y: float) -> float:
        """Meters from a point to the nearest edge: positive inside, negative outside."""
        local = self.axes @ (x - self.x, y - self.y)
        outside = np.abs(local) - np.array([self.length, self.width]) / 2
        if outside.max() <= 0:
            return float(-outside.max())
        return float(-np.hypot(*np.maximum(outside, 0.0)))


@dataclass(frozen=True)
class Area:
    """Rectangle along the axes of the hall: (lowest, highest) x and y in world meters."""

    x: tuple[float, float]
    y: tuple[float, float]

    def contains(self, footprint: Footprint) -> bool:
        """Whether a rectangle lies inside completely."""
        corners = footprint.corners
        low, high = (self.x[0], self.y[0]), (self.x[1], self.y[1])
        return bool(np.all(corners >= low) and np.all(corners <= high))


def is_free(candidate: Footprint, taken: Iterable[Footprint], clearance_m: float) -> bool:
    """Whether a rectangle keeps its clearance from all others.

    Args:
        candidate: the rectangle.
        taken: the other rectangles.
        clearance_m: smallest distance, meters.
    """
    grown = candidate.grown(clearance_m)
    return not any(grown.overlaps(other) for other in taken)
