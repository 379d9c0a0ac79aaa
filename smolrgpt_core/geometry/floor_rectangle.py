"""Rectangles on the floor: the shape of painted zones and of the footprints of objects.

Coordinates are (right, forward) in meters on the floor, as `GroundPlane.to_floor` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FloorRectangle:
    """An oriented rectangle on the floor.

    Attributes:
        center: (2,), meters.
        yaw: angle of the first side from the right axis towards forward, radians.
        size: (2,), extent along the first side and across it, meters.
    """

    center: NDArray[np.float64]
    yaw: float
    size: NDArray[np.float64]

    @classmethod
    def from_bounds(
        cls, yaw: float, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> FloorRectangle:
        """From its bounds along turned axes.

        Args:
            yaw: of the axes, radians.
            low: (2,), smallest coordinates along the axes, meters.
            high: (2,), largest coordinates along the axes, meters.
        """
        return cls(turn((low + high) / 2, -yaw), yaw, np.asarray(high - low, dtype=np.float64))

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners (4, 2) in order around the rectangle."""
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        return self.center + turn(signs * self.size, -self.yaw)

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest coordinate (2,) along the turned axes."""
        middle = turn(self.center, self.yaw)
        return middle - self.size / 2, middle + self.size / 2

    def misfit_at_end(self, other: FloorRectangle) -> float:
        """How far another rectangle is from standing straight at the middle of a side, meters.

        The gap between the two, how far its middle is from a middle axis, and how far it is
        turned (half a meter away from its middle).
        """
        away = np.abs(turn(other.center - self.center, self.yaw))
        half = np.abs(turn(other.corners - other.center, self.yaw)).max(axis=0)
        gap = max(float(np.max(away - self.size / 2 - half)), 0.0)
        turned = abs((other.yaw - self.yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4)
        return gap + float(away.min()) + 0.5 * float(turned)

    def depth_inside(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far points (..., 2) are inside, meters: distance to the border, negative outside."""
        beyond = np.abs(turn(np.asarray(points) - self.center, self.yaw)) - self.size / 2
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        depth: NDArray[np.float64] = -np.minimum(beyond.max(axis=-1), 0) - outside
        return depth


def turn(points: NDArray[np.floating], yaw: float) -> NDArray[np.float64]:
    """Coordinates (..., 2) of points (..., 2) along axes that are turned by `yaw` radians."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned: NDArray[np.float64] = points @ np.array([[cosine, -sine], [sine, cosine]])
    return turned


def best_yaw(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    bounding: NDArray[np.float64],
    cap_m: float = 0.1,
) -> float:
    """Yaw in [0, pi/2) of the rectangle around `bounding` that lies closest to `points`.

    Args:
        points: (N, 2), where the rectangle's sides were seen.
        weights: (N,).
        bounding: (M, 2), what the rectangle must contain.
        cap_m: distance from which a point counts as not being on a side.
    """
    coarse = np.arange(0, np.pi / 2, np.deg2rad(2))
    yaw = coarse[np.argmin(side_distances(points, weights, bounding, coarse, 3 * cap_m))]
    for step_deg in (0.5, 0.1):
        fine = yaw + np.deg2rad(step_deg) * np.arange(-5, 6)
        yaw = fine[np.argmin(side_distances(points, weights, bounding, fine, cap_m))]
    return float(yaw % (np.pi / 2))


def side_distances(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    bounding: NDArray[np.float64],
    yaws: NDArray[np.float64],
    cap_m: float,
) -> NDArray[np.float64]:
    """Mean capped distance (K,) of points to the nearest side of a rectangle around others.

    Args:
        points: (N, 2), meters.
        weights: (N,), of the points.
        bounding: (M, 2), the points that the rectangle bounds, meters.
        yaws: (K,), of the rectangle, radians.
        cap_m: larger distances count as this, meters.
    """
    rotations = np.stack(
        [np.stack([np.cos(yaws), np.sin(yaws)], -1), np.stack([-np.sin(yaws), np.cos(yaws)], -1)],
        axis=1,
    )
    around = rotations @ bounding.T
    turned = around if points is bounding else rotations @ points.T
    low, high = around.min(axis=2, keepdims=True), around.max(axis=2, keepdims=True)
    distance = np.minimum(np.abs(turned - low), np.abs(turned - high)).min(axis=1)
    mean: NDArray[np.float64] = np.minimum(distance, cap_m) @ weights / weights.sum()
    return mean
