"""The readings of one object in floor coordinates that are turned by the yaw of the object.

In these coordinates the sides of an upright cuboid are at constant first or second coordinate. The
camera stands at (0, 0, camera_height).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.floor_rectangle import turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.order_statistics import median
from smolrgpt_core.geometry.surface import Edge, Surface


@dataclass(frozen=True, eq=False)
class TurnedView:
    """One object as the camera sees it.

    Attributes:
        yaw: by which the axes are turned, radians.
        camera_height: above the floor, meters.
        noise: standard deviation of the inverse depth, 1/m.
        rays: float64 (N, 3), rays of the surface; depth times ray is a point from the camera.
        depth: float64 (N,), meters along the optical axis.
        outline: float64 (M, 3), rays of the outline.
        inner_outline: float64 (M, 3), the same half a pixel further inside.
        outline_depth: float64 (M,), of the surface just inside, meters; NaN without a reading.
        ends: bool (M,), whether the object ends at that part of its outline.
        cut: bool (M,), whether something nearer or the border of the image hides what goes on
            there.
        step: float64 (M,), how far behind the surface lies what is seen beside it, meters; NaN
            without a reading, -inf at the border of the image.
        pixels_per_reading: of the object, as not all of its readings are among the N.
    """

    yaw: float
    camera_height: float
    noise: float
    rays: NDArray[np.float64]
    depth: NDArray[np.float64]
    outline: NDArray[np.float64]
    inner_outline: NDArray[np.float64]
    outline_depth: NDArray[np.float64]
    ends: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    step: NDArray[np.float64]
    pixels_per_reading: int

    @classmethod
    def of(cls, surface: Surface, plane: GroundPlane, max_points: int) -> TurnedView:
        """The view with yaw 0.

        Args:
            surface: of the object.
            plane: the floor.
            max_points: that are taken of the surface, and of its outline, at most.
        """
        step = len(surface.depth) // max_points + 1
        outline = surface.outline
        outline_step = len(outline.depth) // max_points + 1
        edges = outline.edges[::outline_step]
        to_floor = plane.axes.T
        return cls(
            yaw=0.0,
            camera_height=plane.camera_height,
            noise=plane.noise,
            rays=surface.rays(step) @ to_floor,
            depth=surface.depth[::step],
            outline=outline.rays[::outline_step] @ to_floor,
            inner_outline=outline.inner_rays[::outline_step] @ to_floor,
            outline_depth=outline.depth[::outline_step],
            ends=edges == Edge.OBJECT,
            cut=(edges == Edge.OCCLUDED) | (edges == Edge.IMAGE),
            step=np.where(edges == Edge.IMAGE, -np.inf, outline.step[::outline_step]),
            pixels_per_reading=step,
        )

    def turned(self, yaw: float) -> TurnedView:
        """The same view with axes that are turned by `yaw` in all."""
        angle = yaw - self.yaw
        return TurnedView(
            yaw,
            self.camera_height,
            self.noise,
            turn_level(self.rays, angle),
            self.depth,
            turn_level(self.outline, angle),
            turn_level(self.inner_outline, angle),
            self.outline_depth,
            self.ends,
            self.cut,
            self.step,
            self.pixels_per_reading,
        )

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Points (N, 3) of the surface, meters."""
        return self.at(self.rays, self.depth)

    @cached_property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation (N, 3) of the points along each axis by depth noise, meters."""
        return np.abs(self.rays) * (self.noise * self.depth**2)[:, None]

    @cached_property
    def depth_std(self) -> float:
        """Typical standard deviation of a reading, meters."""
        return self.noise * median(self.depth) ** 2

    @cached_property
    def pixel_height(self) -> float:
        """Height of a pixel at the object, meters."""
        half = np.abs(self.outline[:, 2] - self.inner_outline[:, 2]).max()
        return float(2 * half) * median(self.depth)

    def at(self, rays: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3) on rays (N, 3) at depths (N,)."""
        return rays * depth[:, None] + [0.0, 0.0, self.camera_height]


def turn_level(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Points (..., 3) along axes that are turned about the vertical one by `angle` radians."""
    turned = points.copy()
    turned[..., :2] = turn(points[..., :2], angle)
    return turned
