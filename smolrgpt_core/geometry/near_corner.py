"""The corner of a cuboid that points at the camera: up to two upright faces and the deck on top.

Without its far sides a cuboid is the intersection of half-spaces, and a ray enters it where it
enters the last of them. That determines which face each pixel shows, so that all readings of a face
place it together (noise averages out), and where the rays of the outline touch the object, however
noisy the depth at its edges is.

Coordinates, and the B objects that are processed together, are those of `TurnedViews`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.order_statistics import counts_of, medians_of, quantiles_of
from smolrgpt_core.geometry.turned_view import TurnedViews

TOP, NO_FACE = 2, 3
"""Index of the deck among the faces, and of none; 0 and 1 are the upright faces by axis."""

ROUGHNESS_M = 0.03
"""How far surfaces of loads and pallets usually are from a plane, standard deviation."""

ROUGHNESS_SPREAD_M = 0.07
"""Root of the standard deviation of the square of that: what noise hides is about as usual."""

INDEPENDENT_READINGS, ALIKE_PX = 16, 25
"""As many readings of a face as err independently at most, and of a deck one in so many pixels:
neighbors of a stereo camera err alike."""

ROUGH_FRACTION = 0.5
"""How far the outermost part of a rough surface is from where its scatter puts it, relative to
that; a rack is seen through, and its face is rather a few beams than a rough surface."""

NOISE_ERROR = 0.2
"""The variance of readings of an object is off by this fraction from that of the floor."""

FAR_OFF_M = 0.5
"""A reading this far from the face that its ray enters does not show that face, without noise."""

OFF_FACE_M = 0.05
"""A point this far from a face is off it, without noise."""

MIN_FACE_POINTS, MIN_FACE_FRACTION = 5, 0.02
"""A face of which fewer points are seen is placed by its outline."""

UPRIGHT = np.arange(2)[:, None, None]
"""Indices (2, 1, 1) of the upright faces."""


@dataclass(frozen=True, eq=False)
class NearCorners:
    """Half-spaces of cuboids that face the camera.

    Attributes:
        sign: (2, B), for each horizontal axis +1 if the low side faces the camera, -1 if the high
            side does, 0 if the camera looks along that axis and sees neither.
        position: (2, B), where the facing side lies, meters.
        top: (B,), height of the deck above the floor, meters.
        camera_height: (B,), above the floor, meters.
        std: (2, B), standard deviation of the position by noise, meters.
    """

    sign: NDArray[np.int_]
    position: NDArray[np.float64]
    top: NDArray[np.float64]
    camera_height: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def first_guess(cls, views: TurnedViews, top: NDArray[np.float64]) -> NearCorners:
        """The corners around the visible points, with their decks at heights `top` (B,), meters."""
        low, high = quantiles_of(views.points[:2], views.is_reading, (0.05, 0.95))
        sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))
        position = np.where(sign > 0, low, high)
        return cls(sign, position, top, views.camera_height, np.zeros(sign.shape))

    def enter(self, rays: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Scale (B, N) at which rays (3, B, N) enter, and the face: 0, 1 by axis, or `TOP`."""
        along = rays[:2] * self.sign[:, :, None]
        facing = along > 1e-9
        position = (self.position * self.sign)[:, :, None]
        first, second = np.where(facing, position / np.where(facing, along, 1.0), -np.inf)
        face = (second > first).astype(np.intp)
        scale = np.maximum(first, second)
        below = (self.top - self.camera_height)[:, None]
        reaching = (rays[2] < -1e-9) & (below < 0)
        deck = np.where(reaching, below / np.where(reaching, rays[2], 1.0), -np.inf)
        face[deck > scale] = TOP
        return np.maximum(scale, deck), face

    def fit(self, views: TurnedViews, iterations: int = 4) -> NearCorners:
        """The corners whose upright faces lie where the readings of their pixels are.

        Pixels are assigned to faces anew in each iteration, until that moves no face any more. One
        that is far off its face shows something else, or grazes the face and adds nothing.
        """
        corners = self._without_unseen_faces(views)
        far_off = FAR_OFF_M + 3 * views.blur
        moving, shown_before = np.ones(len(views), dtype=bool), None
        for _ in range(iterations):
            scale, face = corners.enter(views.rays)
            shown = np.where(np.abs(views.depth - scale) < far_off, face, NO_FACE)
            shown[~views.is_reading] = NO_FACE
            if shown_before is not None:
                moving &= (shown != shown_before).any(axis=1)
            if not moving.any():
                break
            corners, shown_before = corners._moved(views, scale, shown, moving), shown
        return corners

    def _moved(
        self,
        views: TurnedViews,
        scale: NDArray[np.float64],
        shown: NDArray[np.intp],
        moving: NDArray[np.bool_],
    ) -> NearCorners:
        """The corners with their upright faces moved to the readings of their pixels.

        Args:
            views: the readings.
            scale: (B, N), at which their rays enter.
            shown: (B, N), the face that each shows.
            moving: (B,), the objects whose faces move.
        """
        own = shown == UPRIGHT
        placed = (counts_of(own) >= MIN_FACE_POINTS) & moving & (self.sign != 0)
        axis, number = np.nonzero(placed)
        own = own[axis, number]
        gap = views.depth[number] - np.where(own, scale[number], 0.0)
        behind = gap * np.abs(views.rays[axis, number])
        shift, shift_std = outermost(behind, views.std[axis, number], own)
        position, std = self.position.copy(), self.std.copy()
        position[placed] += self.sign[placed] * shift
        std[placed] = shift_std
        return replace(self, position=position, std=std)

    def with_decks(
        self, views: TurnedViews, top_std: NDArray[np.float64], has_deck: NDArray[np.bool_]
    ) -> tuple[NearCorners, NDArray[np.float64]]:
        """The corners with decks where the readings of their pixels are, as far as these are more
        exact.

        Args:
            views: the readings.
            top_std: (B,), standard deviation of `top`, meters.
            has_deck: (B,), whether a deck ends the object above.

        Returns:
            The corners, and the standard deviation (B,) of their `top`, meters.
        """
        scale, face = self.enter(views.rays)
        own = views.is_reading & (face == TOP)
        own &= np.abs(views.depth - scale) < FAR_OFF_M + 3 * views.std[2]
        placed = has_deck & (counts_of(own) >= MIN_FACE_POINTS)
        below = self.top[:, None] - views.points[2]
        shift, shift_std = outermost(below, views.std[2], own, views.pixels_per_reading)
        weight = top_std**2 / (top_std**2 + shift_std**2)
        top = np.where(placed, np.maximum(self.top - weight * shift, 0.0), self.top)
        return replace(self, top=top), np.where(placed, np.sqrt(weight) * shift_std, top_std)

    def _without_unseen_faces(self, views: TurnedViews) -> NearCorners:
        """The corners without faces that are hidden, or seen too little to place them.

        A point shows a face if it is closer to it than to the others, and off the other upright
        one: where an occluder cuts a face off, the cut looks like the corner.
        """
        planes = np.stack([*np.where(self.sign == 0, np.inf, self.position), self.top])
        gaps = np.abs(views.points - planes[:, :, None])
        upright, others = gaps[:2], gaps[1::-1]
        own = upright < np.minimum(others, gaps[TOP])
        own &= others > OFF_FACE_M + 1.5 * views.std[1::-1]
        own &= views.is_reading
        needed = np.maximum(MIN_FACE_POINTS, MIN_FACE_FRACTION * views.reading_counts)
        seen = counts_of(own) >= needed
        return replace(self, sign=np.where(seen, self.sign, 0))


def outermost(
    behind: NDArray[np.float64],
    std: NDArray[np.float64],
    counted: NDArray[np.bool_],
    pixels: NDArray[np.intp] | int = ALIKE_PX,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the outermost part (B,) of rough surfaces lies, meters, on the scale of `behind`.

    A load stays behind its foremost point by distances with some mean, which for the usual
    distributions is about their standard deviation; what scatters more than the depth noise does
    is such roughness. Also how sure that is, as a standard deviation (B,), meters.

    Args:
        behind: (B, N), measured distance behind an assumed face, meters.
        std: (B, N), standard deviation of each by noise, meters.
        counted: (B, N), which of them are of the surface.
        pixels: of the surface for each of them, of all surfaces or (B,); by default, all err
            independently.
    """
    middle = medians_of(behind, counted)
    off = np.where(counted, np.abs(behind - middle[:, None]), 0.0)
    variance = std**2
    # What is far off weighs nothing.
    reach = 3 * np.maximum(1.4826 * medians_of(off, counted), 0.01)
    near = counted & (off <= reach[:, None])
    weights = near / (variance + 0.01**2)
    count = np.maximum(counts_of(near), 1)
    weights /= np.maximum(np.add.reduce(weights, axis=1, keepdims=True), np.finfo(float).tiny)
    behind = np.where(near, behind, 0.0)
    mean = np.add.reduce(weights * behind, axis=1)
    scatter = np.add.reduce(weights * (behind - mean[:, None]) ** 2, axis=1)
    noise = np.add.reduce(weights * variance, axis=1)
    independent = np.clip(count * pixels / ALIKE_PX, 1.0, INDEPENDENT_READINGS)
    roughness, roughness_std = _roughness(scatter, noise, independent)
    mean_std = np.sqrt((noise + roughness**2) / independent)
    return mean - roughness, np.hypot(mean_std, roughness_std)


def _roughness(
    scatter: NDArray[np.float64], noise: NDArray[np.float64], independent: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Roughness (B,) of surfaces and its standard deviation (B,), meters.

    Args:
        scatter: (B,), variance of the readings, m2.
        noise: (B,), the part of it that is noise, m2.
        independent: (B,), number of the readings that err independently.
    """
    usual = ROUGHNESS_SPREAD_M**2
    off = noise * np.sqrt(2 / independent + NOISE_ERROR**2)
    weight = usual**2 / (usual**2 + off**2)
    square = np.maximum(weight * (scatter - noise) + (1 - weight) * ROUGHNESS_M**2, 0.0)
    off *= np.sqrt(weight)
    roughness = np.sqrt(square)
    off = np.sqrt(square + off) - roughness
    return roughness, np.hypot(off, ROUGH_FRACTION * roughness)
