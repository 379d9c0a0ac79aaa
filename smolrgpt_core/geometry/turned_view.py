"""The readings of objects in floor coordinates that are turned by the yaw of each object.

In these coordinates the sides of an upright cuboid are at constant first or second coordinate. The
camera stands at (0, 0, camera_height).

The objects of a frame are processed together: NumPy takes hardly longer for the few hundred numbers
of a dozen objects than for those of one. Arrays have a row for each of B objects, filled up to
`WIDTH`, so that sums are rounded the same whatever objects are processed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.order_statistics import counts_of, medians_of
from smolrgpt_core.geometry.surface import Edge, Surface

Value = TypeVar("Value", bound=np.generic)

WIDTH = 300
"""Surface points, and outline points, of an object that take part at most: neighbors err alike, so
that more add little."""


@dataclass(frozen=True, eq=False)
class TurnedViews:
    """Objects as the camera sees them.

    N and M are `WIDTH`. Rays that only fill a row up are 0.

    Attributes:
        yaw: (B,), by which the axes are turned, radians.
        camera_height: (B,), above the floor, or the level that the object stands on, meters.
        noise: (B,), standard deviation of the inverse depth, 1/m.
        rays: (3, B, N), rays of the surface; depth times ray is a point from the camera.
        depth: (B, N), meters along the optical axis.
        is_reading: (B, N), whether there is such a ray.
        outline: (3, B, M), rays of the outline.
        inner_outline: (3, B, M), the same half a pixel further inside.
        outline_depth: (B, M), of the surface just inside, meters; NaN without a reading.
        is_outline: (B, M), whether there is such a ray.
        ends: (B, M), whether the object ends at that part of its outline.
        cut: (B, M), whether something nearer or the border of the image hides what goes on there.
        step: (B, M), how far behind the surface lies what is seen beside it, meters; NaN without a
            reading, -inf at the border of the image.
        pixels_per_reading: (B,), of the object, as not all of its readings are among the N.
    """

    yaw: NDArray[np.float64]
    camera_height: NDArray[np.float64]
    noise: NDArray[np.float64]
    rays: NDArray[np.float64]
    depth: NDArray[np.float64]
    is_reading: NDArray[np.bool_]
    outline: NDArray[np.float64]
    inner_outline: NDArray[np.float64]
    outline_depth: NDArray[np.float64]
    is_outline: NDArray[np.bool_]
    ends: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    step: NDArray[np.float64]
    pixels_per_reading: NDArray[np.intp]

    @classmethod
    def of(cls, surfaces: Sequence[Surface], planes: Sequence[GroundPlane]) -> TurnedViews:
        """The views with yaw 0.

        Args:
            surfaces: of the objects, of one image.
            planes: the floor, or the level that each stands on; all are parallel.
        """
        steps = [len(surface.depth) // WIDTH + 1 for surface in surfaces]
        depths = [surface.depth[::step] for surface, step in zip(surfaces, steps, strict=True)]
        rows = [surface.rows[::step] for surface, step in zip(surfaces, steps, strict=True)]
        columns = [surface.columns[::step] for surface, step in zip(surfaces, steps, strict=True)]
        outlines = [surface.outline for surface in surfaces]
        every = [slice(None, None, len(outline.depth) // WIDTH + 1) for outline in outlines]
        traced = list(zip(outlines, every, strict=True))
        is_reading = _filled([len(depth) for depth in depths])
        is_outline = _filled([len(outline.depth[some]) for outline, some in traced])
        rays = pixel_rays(np.concatenate(rows), np.concatenate(columns), surfaces[0].camera)
        axes = planes[0].axes
        edges = np.concatenate([outline.edges[some] for outline, some in traced])
        step = np.concatenate([outline.step[some] for outline, some in traced])
        return cls(
            yaw=np.zeros(len(surfaces)),
            camera_height=np.array([plane.camera_height for plane in planes]),
            noise=np.array([plane.noise for plane in planes]),
            rays=_in_rows(rays @ axes.T, is_reading),
            depth=_in_rows(np.concatenate(depths), is_reading),
            is_reading=is_reading,
            outline=_in_rows(_turned([o.rays[some] for o, some in traced], axes), is_outline),
            inner_outline=_in_rows(
                _turned([o.inner_rays[some] for o, some in traced], axes), is_outline
            ),
            outline_depth=_in_rows(
                np.concatenate([o.depth[some] for o, some in traced]), is_outline, np.nan
            ),
            is_outline=is_outline,
            ends=_in_rows(edges == Edge.OBJECT, is_outline),
            cut=_in_rows((edges == Edge.OCCLUDED) | (edges == Edge.IMAGE), is_outline),
            step=_in_rows(np.where(edges == Edge.IMAGE, -np.inf, step), is_outline, np.nan),
            pixels_per_reading=np.array(steps),
        )

    def __len__(self) -> int:
        return len(self.yaw)

    def of_objects(self, chosen: NDArray[np.intp]) -> TurnedViews:
        """The views of some of the objects (C,)."""
        return TurnedViews(
            self.yaw[chosen],
            self.camera_height[chosen],
            self.noise[chosen],
            self.rays[:, chosen],
            self.depth[chosen],
            self.is_reading[chosen],
            self.outline[:, chosen],
            self.inner_outline[:, chosen],
            self.outline_depth[chosen],
            self.is_outline[chosen],
            self.ends[chosen],
            self.cut[chosen],
            self.step[chosen],
            self.pixels_per_reading[chosen],
        )

    def turned(self, yaw: NDArray[np.float64]) -> TurnedViews:
        """The same views with axes that are turned by `yaw` (B,) in all."""
        angle = yaw - self.yaw
        return TurnedViews(
            yaw,
            self.camera_height,
            self.noise,
            turn_level(self.rays, angle),
            self.depth,
            self.is_reading,
            turn_level(self.outline, angle),
            turn_level(self.inner_outline, angle),
            self.outline_depth,
            self.is_outline,
            self.ends,
            self.cut,
            self.step,
            self.pixels_per_reading,
        )

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Points (3, B, N) of the surface, meters."""
        return self.at(self.rays, self.depth)

    @cached_property
    def blur(self) -> NDArray[np.float64]:
        """Standard deviation (B, N) of the depth by noise, meters."""
        return self.noise[:, None] * self.depth**2

    @cached_property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation (3, B, N) of the points along each axis by depth noise, meters."""
        return np.asarray(np.abs(self.rays) * self.blur)

    @cached_property
    def middle_depth(self) -> NDArray[np.float64]:
        """Median depth (B,), meters."""
        return medians_of(self.depth, self.is_reading)

    @property
    def depth_std(self) -> NDArray[np.float64]:
        """Typical standard deviation (B,) of a reading, meters."""
        return self.noise * self.middle_depth**2

    @property
    def pixel_height(self) -> NDArray[np.float64]:
        """Height (B,) of a pixel at the object, meters."""
        half = np.abs(self.outline[2] - self.inner_outline[2]).max(axis=1)
        return np.asarray(2 * half * self.middle_depth)

    @property
    def reading_counts(self) -> NDArray[np.intp]:
        """How many (B,) of the N rays of the surface there are."""
        return counts_of(self.is_reading)

    def at(self, rays: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (3, B, N) on rays (3, B, N) at depths (B, N)."""
        points = rays * depth
        points[2] += self.camera_height[:, None]
        return points


def _filled(counts: list[int]) -> NDArray[np.bool_]:
    """Which places (B, `WIDTH`) of rows are filled by so many values of each object."""
    return np.asarray(np.arange(WIDTH) < np.array(counts)[:, None])


def _in_rows(
    values: NDArray[Value], places: NDArray[np.bool_], rest: float = 0.0
) -> NDArray[Value]:
    """Values (V,), or vectors (V, 3), in rows (B, N) of objects, or (3, B, N).

    Args:
        values: of all objects, one after the other.
        places: (B, N), where they belong.
        rest: what stands elsewhere.
    """
    rows = np.full((*values.shape[1:], *places.shape), rest, dtype=values.dtype)
    rows[..., places] = values.T
    return rows


def _turned(rays: list[NDArray[np.float64]], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rays (V, 3) of several objects along other axes (3, 3)."""
    return np.concatenate(rays) @ axes.T


def turn_level(points: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (3, B, N) along axes turned about the vertical one by an angle (B,) each, radians."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    right, forward, up = points
    return np.stack([cosine * right + sine * forward, cosine * forward - sine * right, up])
