"""Pose of a camera, and transformation of world points to its optical frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics

DEFAULT_INTRINSICS = CameraIntrinsics.from_vertical_fov(640, 480, 60.0)
"""640 x 480, 75 degrees wide: like the wide color cameras of mobile robots."""


@dataclass(frozen=True, eq=False)
class CameraPose:
    """Position and viewing direction of a camera without roll.

    Attributes:
        position: (3,) world meters.
        yaw_rad: viewing direction on the floor plane, 0 = world x, anticlockwise from above.
        pitch_rad: angle of the viewing direction above the horizon; negative looks down.

    Raises:
        SpatialError: BAD_INPUT when a number is not finite or the camera looks straight up or down.
    """

    position: NDArray[np.float64]
    yaw_rad: float
    pitch_rad: float

    def __post_init__(self) -> None:
        position = np.asarray(self.position, dtype=np.float64)
        object.__setattr__(self, "position", position)
        numbers = [*position.ravel(), self.yaw_rad, self.pitch_rad]
        if position.shape != (3,) or not np.all(np.isfinite(numbers)):
            raise bad_input(
                f"a camera pose needs a finite position (3,), yaw and pitch, got {self}",
            )
        if abs(self.pitch_rad) >= np.pi / 2:
            raise bad_input(
                f"pitch_rad must lie within -pi/2 to pi/2, got {self.pitch_rad}",
            )

    @property
    def forward(self) -> NDArray[np.float64]:
        """(3,) unit viewing direction in the world."""
        flat = np.cos(self.pitch_rad)
        return np.array(
            [flat * np.cos(self.yaw_rad), flat * np.sin(self.yaw_rad), np.sin(self.pitch_rad)]
        )

    @property
    def world_from_optical(self) -> NDArray[np.float64]:
        """(3, 3) rotation: columns are right, down and forward in the world."""
        right = np.array([np.sin(self.yaw_rad), -np.cos(self.yaw_rad), 0.0])
        return np.column_stack([right, np.cross(self.forward, right), self.forward])

    def to_optical(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """World points (..., 3) in the optical frame: x right, y down, z forward, meters."""
        return (np.asarray(points) - self.position) @ self.world_from_optical
