"""The corner of a cuboid that points at the camera: up to two upright faces and the deck on top.

Without its far sides a cuboid is the intersection of half-spaces, and a ray enters it where it
enters the last of them. That tells which face each pixel shows, so that all readings of a face
place it together (noise averages out), and where the rays of the outline touch the object, however
noisy the depth at its edges is.

Coordinates are those of a `TurnedView`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.order_statistics import median, quantile, quantiles
from smolrgpt_core.geometry.size_priors import DECK_M
from smolrgpt_core.geometry.turned_view import TurnedView

TOP = 2
"""Index of the deck among the faces; 0 and 1 are the upright faces by axis."""

ROUGHNESS_M = 0.03
"""How far surfaces of loads and pallets usually are from a plane, standard deviation."""

ROUGHNESS_SPREAD_M = 0.07
"""Root of the standard deviation of the square of that: what noise hides is about as usual."""

INDEPENDENT_READINGS, ALIKE_PX = 16, 25
"""As many readings of a face as err independently at most, and of a deck one in so many pixels:
neighbors of a stereo camera err alike."""

YAW_READINGS, YAW_STEP_DEG = 40, 1.5
"""As many readings of an object as tell independently how it is turned; the steps of the search."""

ABOVE_TOP = 0.02
"""Share of an object's readings that may lie above its top."""

BLUR_ERROR = 0.7
"""Standard deviation of the height that the highest points tell, relative to what noise blurs it
by: readings that noise puts far off are left out, so that they scatter less than it."""

CUT_TOP_SHARE, TOUCHED_TOP_SHARE = 0.25, 0.1
"""Standard deviation of the height of what is cut off above, and of what something else begins
beside its upper end, relative to what is seen of it."""

UNSEEN_TOP = 0.2
"""From this share of the upper end of the outline on."""

LEVEL_SLOPE = 0.1
"""A ray that falls by less than this, in metres per metre, is about level."""

NORMAL = NormalDist()

ROUGH_SHARE = 0.5
"""How far the outermost part of a rough surface is from where its scatter puts it, relative to
that; a rack is seen through, and its face is rather a few beams than a rough surface."""

NOISE_ERROR = 0.2
"""The variance of readings of an object is off by this share from that of the floor."""

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
        std: (2,), standard deviation of the position by noise, metres.
    """

    sign: NDArray[np.int_]
    position: NDArray[np.float64]
    top: float
    camera_height: float
    std: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def first_guess(cls, view: TurnedView, top: float) -> NearCorner:
        """The corner around the visible points, with its deck at the height `top`, metres."""
        points = view.points
        low, high = quantiles(points[:, :2], (0.05, 0.95))
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
            position, std = corner.position.copy(), corner.std.copy()
            for axis in np.flatnonzero(corner.sign):
                own = close & (face == axis)
                if np.count_nonzero(own) >= MIN_FACE_POINTS:
                    behind = (view.depth[own] - scale[own]) * np.abs(view.rays[own, axis])
                    shift, std[axis] = outermost(behind, view.std[own, axis])
                    position[axis] += corner.sign[axis] * shift
            corner = replace(corner, position=position, std=std)
        return corner

    def with_deck(self, view: TurnedView, top_std: float) -> tuple[NearCorner, float]:
        """The corner with its deck where the readings of its pixels are, as far as these tell more.

        Args:
            view: the readings.
            top_std: standard deviation of `top`, metres.

        Returns:
            The corner, and the standard deviation of its `top`, metres.
        """
        scale, face = self.enter(view.rays)
        own = (face == TOP) & (np.abs(view.depth - scale) < FAR_OFF_M + 3 * view.std[:, 2])
        if np.count_nonzero(own) < MIN_FACE_POINTS:
            return self, top_std
        below = self.top - view.points[own, 2]
        shift, shift_std = outermost(below, view.std[own, 2], view.pixels_per_reading)
        told = top_std**2 / (top_std**2 + shift_std**2)
        std = float(np.sqrt(told) * shift_std)
        return replace(self, top=max(self.top - told * shift, 0.0)), std

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


def find_top(view: TurnedView, deck_m: float = DECK_M) -> tuple[float, float]:
    """Height of the deck, metres, and its standard deviation: of points, or of the outline.

    The highest points are below the edge of the mask, which their surface leaves out. The outline
    is more exact, as long as it tells a height: above the camera, and far away. Below the camera it
    ends at the far side of the deck, which is about `deck_m` behind the readings at the edge.
    """
    top, std = _highest_points(view)
    known = np.isfinite(view.outline_depth)
    if not known.any():
        return top, std
    above = top >= view.camera_height
    depth = view.outline_depth if above else view.outline_depth + deck_m
    rays = view.outline[known]
    heights = view.at(rays, depth[known])[:, 2]
    edge = quantile(heights, 0.98)
    slope = median(np.abs(rays[heights >= edge, 2]))
    edge_std = float(np.hypot(slope * np.hypot(deck_m, view.depth_std / 2), _pixel_height(view)))
    if above:
        top = max(top, edge)
    elif edge_std < std:
        top, std = edge, edge_std
    top, std = _with_thin_parts(view, depth, top, std)
    return top, float(np.hypot(std, _unseen_above(view) * top))


def raised_by_outline(
    view: TurnedView,
    bounds: NDArray[np.float64],
    bounds_std: NDArray[np.float64],
    top: float,
    std: float,
) -> tuple[float, float]:
    """The height of an object seen from above, with what its outline tells as its sides are known.

    What a ray of the outline touches is inside the footprint, and so no lower than where the ray
    leaves it. A load of which a part is higher than the rest reaches higher than most of its deck.

    Args:
        view: the outline.
        bounds: (2, 2), of the footprint, by axis, then low and high side, metres.
        bounds_std: (2, 2), standard deviation of these, metres.
        top: height by other means, metres.
        std: standard deviation of that, metres.

    Returns:
        The height and its standard deviation, metres.
    """
    level = np.where(view.outline[:, :2] == 0, 1e-9, view.outline[:, :2])
    scales = bounds / level[:, :, None]
    leaves = scales.max(axis=2)
    over = view.ends & (leaves.min(axis=1) > scales.min(axis=2).max(axis=1))
    heights = view.camera_height + view.outline[:, 2] * leaves.min(axis=1)
    edge = quantile(heights[over], 0.98) if over.any() else 0.0
    if not top < edge < view.camera_height:
        return top, std
    upper = np.flatnonzero(over & (heights >= quantile(heights[over], 0.9)))
    axis = leaves[upper].argmin(axis=1)
    slope = np.abs(view.outline[upper, 2] / level[upper, axis])
    far_std = bounds_std[axis, scales[upper, axis].argmax(axis=1)]
    edge_std = float(np.hypot(median(slope * far_std), _pixel_height(view)))
    # Where noise hides how rough a deck is, a part of it may be higher.
    deck_std = np.hypot(std, min(std, ROUGHNESS_M))
    told = deck_std**2 / (deck_std**2 + edge_std**2)
    moved = told * (edge - top)
    # Two measurements that disagree are less sure than each of them says.
    disagreement = min(told, 1 - told) * (edge - top)
    return top + moved, float(np.hypot(min(np.sqrt(told) * edge_std, std), disagreement))


def _with_thin_parts(
    view: TurnedView, depth: NDArray[np.float64], top: float, std: float
) -> tuple[float, float]:
    """The height and its standard deviation, metres, with what ends higher and has no readings.

    Thin parts, as the uprights of a rack, are as far away as the rest is, within its extent. That
    tells the height of what is above the camera, or about level with it.

    Args:
        view: the outline.
        depth: (M,), where the outline ends, metres; NaN without a reading.
        top: of what has readings, metres.
        std: standard deviation of that, metres.
    """
    known = np.isfinite(depth)
    middle, spread = median(depth[known]), float(np.std(depth[known]))
    heights = view.at(view.outline, np.where(known, depth, middle))[:, 2]
    edge = quantile(heights, 0.98)
    slope = (edge - view.camera_height) / middle
    off = float(np.hypot(std, slope * spread))
    if slope < -LEVEL_SLOPE or edge <= top:
        return top, std
    if edge < top + 2 * off:
        return (edge if slope > 0 else top), std
    return edge, off


def _unseen_above(view: TurnedView) -> float:
    """Standard deviation of the height as the upper end is not seen, relative to the height."""
    known = np.isfinite(view.outline_depth)
    heights = view.at(view.outline[known], view.outline_depth[known])[:, 2]
    upper = np.flatnonzero(known)[heights >= quantile(heights, 0.9)]
    if np.mean(view.cut[upper]) > UNSEEN_TOP:
        return CUT_TOP_SHARE
    return TOUCHED_TOP_SHARE if np.mean(~view.ends[upper]) > UNSEEN_TOP else 0.0


def _pixel_height(view: TurnedView) -> float:
    """Height of a pixel at the object, metres."""
    half = np.abs(view.outline - view.inner_outline)[:, 2].max()
    return float(2 * half * median(view.depth))


def _highest_points(view: TurnedView) -> tuple[float, float]:
    """Height of the highest points, less what noise adds to it, and its standard deviation, metres.

    The more points lie on top, the farther the largest error of so many lifts the highest of them.
    """
    heights, std = view.points[:, 2], view.std[:, 2]
    noisy_top = quantile(heights, 1 - ABOVE_TOP)
    top, blur = noisy_top, 0.0
    for _ in range(3):
        on_top = np.abs(heights - top) < 2 * std + ROUGHNESS_M
        blur = median(std[on_top]) if on_top.any() else blur
        share = float(np.clip(np.mean(on_top), 2 * ABOVE_TOP, 1.0))
        top = noisy_top + blur * NORMAL.inv_cdf(ABOVE_TOP / share)
    return top, float(np.linalg.norm([BLUR_ERROR * blur, _pixel_height(view), ROUGHNESS_M / 2]))


def outermost(
    behind: NDArray[np.float64], std: NDArray[np.float64], pixels: int = ALIKE_PX
) -> tuple[float, float]:
    """Where the outermost part of a rough surface lies, metres, on the scale of `behind`.

    A load stays behind its foremost point by distances with some mean, which for the usual
    distributions is about their standard deviation; what scatters more than the depth noise does
    is such roughness. Also how sure that is, as a standard deviation, metres.

    Args:
        behind: (N,), measured distance behind an assumed face, metres.
        std: (N,), standard deviation of each by noise, metres.
        pixels: of the surface for each of them; by default, all err independently.
    """
    weights = 1 / (std**2 + 0.01**2)
    middle = median(behind)
    spread = 1.4826 * median(np.abs(behind - middle))
    kept = np.abs(behind - middle) <= 3 * max(spread, 0.01)
    weights, behind, std = weights[kept], behind[kept], std[kept]
    weights = weights / weights.sum()
    mean = weights @ behind
    independent = float(np.clip(len(std) * pixels / ALIKE_PX, 1.0, INDEPENDENT_READINGS))
    noise = float(weights @ std**2)
    roughness, off = _roughness(float(weights @ (behind - mean) ** 2), noise, independent)
    mean_std = np.sqrt((noise + roughness**2) / independent)
    return float(mean - roughness), float(np.hypot(mean_std, off))


def _roughness(scatter: float, noise: float, independent: float) -> tuple[float, float]:
    """Roughness of a surface and its standard deviation, metres.

    Args:
        scatter: variance of the readings, m2.
        noise: the part of it that is noise, m2.
        independent: number of the readings that err independently.
    """
    usual = ROUGHNESS_SPREAD_M**2
    off = noise * np.sqrt(2 / independent + NOISE_ERROR**2)
    told = usual**2 / (usual**2 + off**2)
    square = max(told * (scatter - noise) + (1 - told) * ROUGHNESS_M**2, 0.0)
    off *= np.sqrt(told)
    off = np.sqrt(square + off) - np.sqrt(square)
    return float(np.sqrt(square)), float(np.hypot(off, ROUGH_SHARE * np.sqrt(square)))


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


def yaw_spread(view: TurnedView, top: float) -> float:
    """Standard deviation of the yaw by which a view is turned, radians.

    Of all yaws by how well they explain the readings; at most that of one that is not known.
    """
    apart = np.deg2rad(np.arange(-45.0, 45.0, YAW_STEP_DEG))
    misfits = _misfits(view, top, apart)
    weights = np.exp(-YAW_READINGS / 2 * (misfits - misfits.min()))
    return float(np.sqrt(weights @ apart**2 / weights.sum()))


def _misfits(
    view: TurnedView, top: float, yaws: NDArray[np.float64], iterations: int = 3
) -> NDArray[np.float64]:
    """Mean squared deviation (K,), in standard deviations, of the readings from the best corner.

    All yaws at once; shapes are (K, 2, N) for rays by yaw and axis.
    """
    cosine, sine = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    x, y, z = view.rays.T
    rays = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=1)
    low, high = quantiles(rays * view.depth, (0.1, 0.9), axis=2)
    sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))[..., None]
    position = np.where(sign > 0, low[..., None], high[..., None])
    facing = rays * sign > 1e-6
    per_metre = np.where(facing, 1 / np.where(facing, rays, 1.0), 0.0)
    below = top - view.camera_height
    deck = np.where((z < -1e-9) & (below < 0), below / np.minimum(z, -1e-9), -np.inf)
    std = np.hypot(view.noise * view.depth**2, ROUGHNESS_M)
    slant = np.abs(rays)
    weights = 1 / (std * np.where(facing, slant, np.inf)) ** 2
    beyond = np.where(facing, 0.0, -np.inf)
    for _ in range(iterations):
        scales = position * per_metre + beyond
        own = facing & (scales >= scales[:, ::-1]) & (scales >= deck)
        weighted = np.where(own, weights, 0.0)
        behind = np.minimum(np.maximum((view.depth - scales) * slant, -0.5), 0.5)
        total = np.maximum(np.sum(weighted, axis=2, keepdims=True), 1e-9)
        position = position + sign * np.sum(weighted * behind, axis=2, keepdims=True) / total
    entered = np.maximum((position * per_metre + beyond).max(axis=1), deck)
    deviation = np.where(np.isfinite(entered), (view.depth - entered) / std, 3.0)
    return np.minimum(deviation**2, 9.0).mean(axis=1)
