"""The corner of a cuboid that points at the camera: up to two upright faces and the deck on top.

Without its far sides a cuboid is the intersection of half-spaces, and a ray enters it where it
enters the last of them. That tells which face each pixel shows, so that all readings of a face
place it together (noise averages out), and where the rays of the outline touch the object, however
noisy the depth at its edges is.

Coordinates are those of a `TurnedView`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.turned_view import TurnedView

TOP = 2
"""Index of the deck among the faces; 0 and 1 are the upright faces by axis."""

ROUGHNESS_M = 0.03
"""How far surfaces of loads and pallets usually are from a plane, standard deviation."""

FAR_OFF_M = 0.5
"""A reading this far from the face that its ray enters does not show that face, without noise."""

OFF_FACE_M = 0.05
"""A point this far from a face is off it, without noise."""

MIN_FACE_POINTS, MIN_FACE_SHARE = 5, 0.02
"""A face of which fewer points are seen is placed by its outline."""


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

    @classmethod
    def first_guess(cls, view: TurnedView, top: float) -> NearCorner:
        """The corner around the visible points, with its deck at the height `top`, metres."""
        points = view.points
        low, high = np.quantile(points[:, :2], (0.05, 0.95), axis=0)
        sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))
        return cls(sign, np.where(sign > 0, low, high), top, view.camera_height)

    def enter(self, rays: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Scale (N,) at which rays (N, 3) enter, and the face (N,): 0, 1 by axis, or `TOP`."""
        scales = np.full((3, len(rays)), -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            for axis in (0, 1):
                facing = rays[:, axis] * self.sign[axis] > 1e-9
                scales[axis] = np.where(facing, self.position[axis] / rays[:, axis], -np.inf)
            scales[TOP] = np.where(self._reach_top(rays), self._below / rays[:, 2], -np.inf)
        face = np.argmax(scales, axis=0)
        return scales[face, np.arange(len(rays))], face

    def fit(self, view: TurnedView, iterations: int = 4) -> NearCorner:
        """The corner whose upright faces lie where the readings of their pixels are.

        Pixels are assigned to faces anew in each iteration. One that is far off its face shows
        something else, or grazes the face and tells nothing.
        """
        corner = self._without_unseen_faces(view)
        far_off = FAR_OFF_M + 3 * view.noise * view.depth**2
        for _ in range(iterations):
            scale, face = corner.enter(view.rays)
            close = np.abs(view.depth - scale) < far_off
            position = corner.position.copy()
            for axis in np.flatnonzero(corner.sign):
                own = close & (face == axis)
                if np.count_nonzero(own) >= MIN_FACE_POINTS:
                    behind = (view.depth[own] - scale[own]) * np.abs(view.rays[own, axis])
                    shift = outermost(behind, view.std[own, axis])
                    position[axis] += corner.sign[axis] * shift
            corner = replace(corner, position=position)
        return corner

    def _without_unseen_faces(self, view: TurnedView) -> NearCorner:
        """The corner without faces that are hidden, or seen too little to place them.

        A point shows a face if it is closer to it than to the others, and off the other upright
        one: where an occluder cuts a face off, the cut looks like the corner.
        """
        points, std = view.points, view.std
        planes = np.append(np.where(self.sign == 0, np.inf, self.position), self.top)
        gaps = np.abs(points - planes)
        seen = np.zeros(2, dtype=bool)
        for axis in (0, 1):
            other = 1 - axis
            own = gaps[:, axis] < np.minimum(gaps[:, other], gaps[:, TOP])
            own &= gaps[:, other] > OFF_FACE_M + 1.5 * std[:, other]
            needed = max(MIN_FACE_POINTS, MIN_FACE_SHARE * len(points))
            seen[axis] = np.count_nonzero(own) >= needed
        return replace(self, sign=np.where(seen, self.sign, 0))

    @property
    def _below(self) -> float:
        """Height of the deck as seen from the camera, metres; negative below it."""
        return self.top - self.camera_height

    def _reach_top(self, rays: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (rays[:, 2] < -1e-9) & (self._below < 0)


def find_top(view: TurnedView) -> float:
    """Height of the deck, metres: of the highest points, or of the outline above the camera.

    The outline is more exact there, because the points leave the edge of the mask out. Below the
    camera it ends at the far side of the deck, whose depth is not known yet.
    """
    top = float(np.quantile(view.points[:, 2], 0.98) - 2 * np.median(view.std[:, 2]))
    heights = view.at(view.outline, view.outline_depth)[:, 2]
    heights = heights[np.isfinite(heights)]
    if top < view.camera_height or len(heights) == 0:
        return top
    return max(top, float(np.quantile(heights, 0.95)))


def outermost(behind: NDArray[np.float64], std: NDArray[np.float64]) -> float:
    """Where the outermost part of a rough surface lies, metres, on the scale of `behind`.

    A load stays behind its foremost point by distances with some mean, which for the usual
    distributions is about their standard deviation; what scatters more than the depth noise does
    is such roughness.

    Args:
        behind: (N,), measured distance behind an assumed face, metres.
        std: (N,), standard deviation of each by noise, metres.
    """
    weights = 1 / (std**2 + 0.01**2)
    middle = _median(behind)
    spread = 1.4826 * _median(np.abs(behind - middle))
    kept = np.abs(behind - middle) <= 3 * max(spread, 0.01)
    weights, behind, std = weights[kept], behind[kept], std[kept]
    weights = weights / weights.sum()
    mean = weights @ behind
    roughness = weights @ ((behind - mean) ** 2 - std**2)
    return float(mean - np.sqrt(max(roughness, 0.0)))


def _median(values: NDArray[np.float64]) -> float:
    """Median of (N,), N > 0; NumPy's own takes several times as long for so few values."""
    half = len(values) // 2
    ordered = np.partition(values, (max(half - 1, 0), half))
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def likeliest_yaw(view: TurnedView, top: float, step_deg: float = 3.0) -> float:
    """Yaw in [0, pi/2) of the corner that explains the readings best.

    Uses every reading, so it stands much noise; objects that are not boxes mislead it.

    Args:
        view: with yaw 0.
        top: height of the object, metres.
        step_deg: of the first search.
    """
    yaws = np.arange(0, 90, step_deg)
    best = yaws[np.argmin(_misfits(view, top, np.deg2rad(yaws)))]
    for fine_deg in (step_deg / 3, step_deg / 10):
        yaws = best + fine_deg * np.arange(-3, 4)
        best = yaws[np.argmin(_misfits(view, top, np.deg2rad(yaws)))]
    return float(np.deg2rad(best % 90))


def _misfits(
    view: TurnedView, top: float, yaws: NDArray[np.float64], iterations: int = 3
) -> NDArray[np.float64]:
    """Mean squared deviation (K,), in standard deviations, of the readings from the best corner.

    All yaws at once; shapes are (K, 2, N) for rays by yaw and axis.
    """
    cosine, sine = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    x, y, z = view.rays.T
    rays = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=1)
    low, high = np.quantile(rays * view.depth, (0.1, 0.9), axis=2)
    sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))[..., None]
    position = np.where(sign > 0, low[..., None], high[..., None])
    facing = rays * sign > 1e-6
    per_metre = np.where(facing, 1 / np.where(facing, rays, 1.0), 0.0)
    below = top - view.camera_height
    deck = np.where((z < -1e-9) & (below < 0), below / np.minimum(z, -1e-9), -np.inf)
    std = np.hypot(view.noise * view.depth**2, ROUGHNESS_M)
    weights = 1 / (std * np.where(facing, np.abs(rays), np.inf)) ** 2
    for _ in range(iterations):
        scales = np.where(facing, position * per_metre, -np.inf)
        own = facing & (scales >= scales[:, ::-1]) & (scales >= deck)
        behind = np.where(own, np.clip((view.depth - scales) * np.abs(rays), -0.5, 0.5), 0.0)
        total = np.maximum(np.sum(weights * own, axis=2, keepdims=True), 1e-9)
        position = position + sign * np.sum(weights * behind, axis=2, keepdims=True) / total
    entered = np.maximum(np.where(facing, position * per_metre, -np.inf).max(axis=1), deck)
    deviation = np.where(np.isfinite(entered), (view.depth - entered) / std, 3.0)
    return np.minimum(deviation**2, 9.0).mean(axis=1)
