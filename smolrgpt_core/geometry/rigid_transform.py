"""A rotation and a translation: where points of one frame are in another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def rotation_matrix(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) of a quaternion of any length but 0.

    Args:
        x: first component of the imaginary part.
        y: second component.
        z: third component.
        w: real part.

    Raises:
        ValueError: for a quaternion that is 0 or not finite.
    """
    quaternion = np.array([x, y, z, w], dtype=np.float64)
    length = np.linalg.norm(quaternion)
    if not 0 < length < np.inf:
        raise ValueError(f"a rotation must be a quaternion of length 1, got {quaternion.tolist()}")
    *axis, real = quaternion / length
    i, j, k = axis
    cross = np.array([[0, -k, j], [k, 0, -i], [-j, i, 0]])
    rotation: NDArray[np.float64] = np.eye(3) + 2 * (real * cross + cross @ cross)
    return rotation


@dataclass(frozen=True)
class RigidTransform:
    """Takes points from a source frame to a target frame.

    Attributes:
        rotation: quaternion (x, y, z, w) that turns source axes to target axes.
        translation: meters, origin of the source frame in the target frame.

    Raises:
        ValueError: for a rotation that is 0, or numbers that are not finite.
    """

    rotation: tuple[float, float, float, float]
    translation: tuple[float, float, float]

    def __post_init__(self) -> None:
        rotation_matrix(*self.rotation)
        if not np.all(np.isfinite(self.translation)):
            raise ValueError(f"a translation must be finite meters, got {self.translation}")

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3), or one (3,), in the target frame, meters; NaN stays NaN."""
        return self.rotate(points) + np.array(self.translation, dtype=np.float64)

    def rotate(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions (N, 3), or one (3,), in the target frame; NaN stays NaN."""
        return np.asarray(vectors @ rotation_matrix(*self.rotation).T, dtype=np.float64)

    def rotate_back(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions (N, 3), or one (3,), of the target frame in the source frame."""
        return np.asarray(vectors @ rotation_matrix(*self.rotation), dtype=np.float64)
