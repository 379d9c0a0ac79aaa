"""The corner of a cuboid that points at the camera: up to two upright faces and the deck on top.

Without its far sides a cuboid is the intersection of half-spaces, and a ray enters it where it
enters the last of them. That tells which face each pixel shows, so that all readings of a face
place it together (noise averages out), and where the rays of the outline touch the object, however
noisy the depth at its edges is.

Coordinates are those of the floor, turned by the yaw of the object; the camera stands at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

TOP = 2


@dataclass(frozen=True, eq=False)
class NearCorner:
    """Half-spaces of a cuboid that face the camera.

    Attributes:
        sign: (2,), for each horizontal axis +1 if the low side faces the camera, -1 if the high
            side does, 0 if the camera looks along that axis and sees neither.
        position: (2,), where the facing side lies, metres.
        top: height of the deck above the floor, metres.
        camera_height: above the floor, metres.
    """

    sign: NDArray[np.int_]
    position: NDArray[np.float64]
    top: float
    camera_height: float

    def enter(self, rays: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Scale (N,) at which rays (N, 3) enter, and the face (N,): 0, 1 by axis, or `TOP`."""
        scales = np.full((3, len(rays)), -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for axis in (0, 1):
                facing = rays[:, axis] * self.sign[axis] > 1e-9
                scales[axis] = np.where(facing, self.position[axis] / rays[:, axis], -np.inf)
            down = (rays[:, 2] < -1e-9) & (self.camera_height > self.top)
            scales[TOP] = np.where(down, (self.top - self.camera_height) / rays[:, 2], -np.inf)
        face = np.argmax(scales, axis=0)
        return scales[face, np.arange(len(rays))], face

    def fit(
        self,
        rays: NDArray[np.float64],
        depth: NDArray[np.float64],
        noise: float,
        iterations: int = 4,
    ) -> NearCorner:
        """The corner whose upright faces lie where the readings of their pixels are.

        Args:
            rays: (N, 3), turned like the corner.
            depth: (N,), scale of the rays at which the surface was measured, metres.
            noise: standard deviation of the inverse depth, 1/m.
            iterations: pixels are assigned to faces anew in each.
        """
        corner = self
        for _ in range(iterations):
            scale, face = corner.enter(rays)
            position = corner.position.copy()
            for axis in np.flatnonzero(corner.sign):
                own = face == axis
                if own.sum() < 5:
                    continue
                steep = np.abs(rays[own, axis])
                behind = (depth[own] - scale[own]) * steep
                position[axis] += corner.sign[axis] * outer_face(
                    behind, noise * depth[own] ** 2 * steep
                )
            corner = replace(corner, position=position)
        return corner


def outer_face(behind: NDArray[np.float64], std: NDArray[np.float64]) -> float:
    """Where the outermost face of a rough surface lies, metres, on the scale of `behind`.

    A load stays behind its foremost point by distances with some mean, which for the usual
    distributions is about their standard deviation; what scatters more than the depth noise does
    is such roughness.

    Args:
        behind: (N,), measured distance behind an assumed face, metres.
        std: (N,), standard deviation of each by depth noise, metres.
    """
    weights = 1 / (std**2 + 0.01**2)
    middle = np.median(behind)
    spread = 1.4826 * np.median(np.abs(behind - middle))
    kept = np.abs(behind - middle) <= 3 * max(spread, 0.01)
    weights, behind, std = weights[kept], behind[kept], std[kept]
    mean = np.average(behind, weights=weights)
    variance = np.average((behind - mean) ** 2, weights=weights)
    noise = np.average(std**2, weights=weights)
    return float(mean - np.sqrt(max(variance - noise, 0.0)))
