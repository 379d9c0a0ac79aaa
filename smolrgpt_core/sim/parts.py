"""Building blocks of every object: boxes and round bodies with a material.

Pure description. The same parts give the rendered mesh, the true bounding box and the silhouette
that an object would have if nothing stood in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

CYLINDER_SIDES = 16
"""A cylinder is rendered, and measured, as a prism with this many sides."""

Vector3 = tuple[float, float, float]


class Shape(Enum):
    """Form of a part inside its box `ConvexPart.size`. All are convex."""

    BOX = "box"
    CYLINDER = "cylinder"
    """Axis along z."""
    PILLOW = "pillow"
    """A filled sack: flat in the middle, thin at the rim."""
    ELLIPSOID = "ellipsoid"
    CONE = "cone"
    """Axis along z, blunt: its top is a quarter as wide as its foot."""


@dataclass(frozen=True)
class ConvexPart:
    """One convex body of an object.

    Attributes:
        material: name in `textures.MATERIALS`.
        center: of the part, meters in object axes.
        size: along the part's own axes, meters.
        shape: form.
        tilt_rad: rotation about the object's x axis, applied first.
        yaw_rad: rotation about the object's z axis, applied second.
    """

    material: str
    center: Vector3
    size: Vector3
    shape: Shape = Shape.BOX
    tilt_rad: float = 0.0
    yaw_rad: float = 0.0

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3), part axes to object axes."""
        cosine, sine = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        tilt = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
        return yaw_rotation(self.yaw_rad) @ tilt

    def moved(self, offset: Sequence[float], yaw_rad: float = 0.0) -> ConvexPart:
        """The part after turning about the z axis of the object and then moving by offset."""
        center = yaw_rotation(yaw_rad) @ np.asarray(self.center) + np.asarray(offset)
        return ConvexPart(
            self.material,
            (float(center[0]), float(center[1]), float(center[2])),
            self.size,
            self.shape,
            self.tilt_rad,
            self.yaw_rad + yaw_rad,
        )


def yaw_rotation(yaw_rad: float) -> NDArray[np.float64]:
    """(3, 3) rotation about the z axis."""
    cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def part_vertices(part: ConvexPart) -> NDArray[np.float64]:
    """(K, 3) points in object axes whose convex hull is the part."""
    return (_UNIT_VERTICES[part.shape] * part.size) @ part.rotation.T + part.center


def bounding_box(parts: Sequence[ConvexPart]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Center (3,) and size (3,) of the box around the parts, in object axes."""
    vertices = np.concatenate([part_vertices(part) for part in parts])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (low + high) / 2, high - low


def _unit_box() -> NDArray[np.float64]:
    signs = np.array([-0.5, 0.5])
    return np.stack(np.meshgrid(signs, signs, signs, indexing="ij"), axis=-1).reshape(-1, 3)


def _unit_cylinder() -> NDArray[np.float64]:
    angle = np.arange(CYLINDER_SIDES) * (2 * np.pi / CYLINDER_SIDES)
    circle = np.stack([np.cos(angle) / 2, np.sin(angle) / 2], axis=1)
    bottom = np.column_stack([circle, np.full(CYLINDER_SIDES, -0.5)])
    return np.concatenate([bottom, bottom + np.array([0, 0, 1])])


def pillow_grid() -> NDArray[np.float64]:
    """(3, 8, 3) rings of a unit pillow: bottom, rim and top, eight points each."""
    corner = np.array([[1, 0.8], [0.8, 1], [-0.8, 1], [-1, 0.8]])
    outline = np.concatenate([corner, -corner]) / 2
    rings = [(0.86, -0.5), (1.0, 0.0), (0.86, 0.5)]
    return np.stack(
        [np.column_stack([outline * scale, np.full(8, height)]) for scale, height in rings]
    )


def round_body(profile: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """(R, CYLINDER_SIDES, 3) rings about the z axis.

    Args:
        profile: (radius, height) of each of the R rings, lowest first.
    """
    angle = np.arange(CYLINDER_SIDES) * (2 * np.pi / CYLINDER_SIDES)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.stack(
        [
            np.column_stack([circle * radius, np.full(CYLINDER_SIDES, height)])
            for radius, height in profile
        ]
    )


def _ellipsoid_profile() -> list[tuple[float, float]]:
    """Seven rings from pole to pole; the poles are small caps."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 7)
    angles[[0, -1]] *= 0.95
    heights = np.sin(angles) / np.sin(angles[-1]) / 2
    return [(float(np.cos(angle)) / 2, float(z)) for angle, z in zip(angles, heights, strict=True)]


ELLIPSOID_PROFILE = _ellipsoid_profile()
CONE_PROFILE = [(0.5, -0.5), (0.125, 0.5)]
"""(radius, height) of the rings of a unit ellipsoid and a unit cone."""

_UNIT_VERTICES = {
    Shape.BOX: _unit_box(),
    Shape.CYLINDER: _unit_cylinder(),
    Shape.PILLOW: pillow_grid().reshape(-1, 3),
    Shape.ELLIPSOID: round_body(ELLIPSOID_PROFILE).reshape(-1, 3),
    Shape.CONE: round_body(CONE_PROFILE).reshape(-1, 3),
}
