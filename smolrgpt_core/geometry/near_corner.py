"""The corner of a cuboid that points at the camera: up to two upright faces and the deck on top.

Without its far sides a cuboid is the intersection of half-spaces, and a ray enters it where it
enters the last of them. That tells which face each pixel shows, so that all readings of a face
place it together (noise averages out), and where the rays of the outline touch the object, however
noisy the depth at its edges is.

Coordinates are those of a `TurnedView`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.order_statistics import median, quantile, quantiles
from smolrgpt_core.geometry.size_priors import DECK_M
from smolrgpt_core.geometry.turned_view import TurnedView

TOP, NO_FACE = 2, 3
"""Index of the deck among the faces, and of none; 0 and 1 are the upright faces by axis."""

ROUGHNESS_M = 0.03
"""How far surfaces of loads and pallets usually are from a plane, standard deviation."""

ROUGHNESS_SPREAD_M = 0.07
"""Root of the standard deviation of the square of that: what noise hides is about as usual."""

INDEPENDENT_READINGS, ALIKE_PX = 16, 25
"""As many readings of a face as err independently at most, and of a deck one in so many pixels:
neighbors of a stereo camera err alike."""

YAW_READINGS, YAW_STEP_DEG, YAW_STEPS = 40, 2.25, 5
"""As many readings of an object as tell independently how it is turned at most; the steps of the
search, and how many smaller ones follow around the best to either side."""

ABOVE_TOP = 0.02
"""Share of an object's readings that may lie above its top."""

BLUR_ERROR = 0.7
"""Standard deviation of the height that the highest points tell, relative to what noise blurs it
by: readings that noise puts far off are left out, so that they scatter less than it."""

CUT_TOP_SHARE, TOUCHED_TOP_SHARE = 0.25, 0.1
"""Standard deviation of the height of what is cut off above, and of what something else begins
beside its upper end, relative to what is seen of it."""

BEYOND_BORDER_SHARE = 0.5
"""The same of what the border of the image cuts: the root mean square of 174 racks of 24 simulated
halls (seeds 510000 to 510023) is 0.51."""

FACES_UP = 0.5
"""The outline is the upper one where its direction outwards points up by more than this."""

UNSEEN_TOP = 0.2
"""From this share of the upper end of the outline on."""

LEVEL_SLOPE = 0.1
"""A ray that falls by less than this, in meters per meter, is about level."""

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
        position: (2,), where the facing side lies, meters.
        top: height of the deck above the floor, meters.
        camera_height: above the floor, meters.
        std: (2,), standard deviation of the position by noise, meters.
    """

    sign: NDArray[np.int_]
    position: NDArray[np.float64]
    top: float
    camera_height: float
    std: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def first_guess(cls, view: TurnedView, top: float) -> NearCorner:
        """The corner around the visible points, with its deck at the height `top`, meters."""
        points = view.points
        low, high = quantiles(points[:, :2].T, (0.05, 0.95), axis=1)
        sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))
        return cls(sign, np.where(sign > 0, low, high), top, view.camera_height)

    def enter(self, rays: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Scale (N,) at which rays (N, 3) enter, and the face (N,): 0, 1 by axis, or `TOP`."""
        along, across, down = rays.T
        scale = self._enter_side(0, along)
        second = self._enter_side(1, across)
        face = (second > scale).astype(np.intp)
        scale = np.maximum(scale, second)
        if self._below < 0:
            reaching = down < -1e-9
            deck = np.where(reaching, self._below / np.where(reaching, down, 1.0), -np.inf)
            face[deck > scale] = TOP
            scale = np.maximum(scale, deck)
        return scale, face

    def _enter_side(self, axis: int, along: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale (N,) at which rays enter the side of an axis that faces the camera.

        Args:
            axis: of the side.
            along: (N,), what of the rays is along the axis.
        """
        if self.sign[axis] == 0:
            return np.full(len(along), -np.inf)
        facing = along * self.sign[axis] > 1e-9
        return np.where(facing, self.position[axis] / np.where(facing, along, 1.0), -np.inf)

    def fit(self, view: TurnedView, iterations: int = 4) -> NearCorner:
        """The corner whose upright faces lie where the readings of their pixels are.

        Pixels are assigned to faces anew in each iteration, until that moves no face any more. One
        that is far off its face shows something else, or grazes the face and tells nothing.
        """
        corner = self._without_unseen_faces(view)
        far_off = FAR_OFF_M + 3 * view.noise * view.depth**2
        shown_before = None
        for _ in range(iterations):
            scale, face = corner.enter(view.rays)
            shown = np.where(np.abs(view.depth - scale) < far_off, face, NO_FACE)
            if shown_before is not None and (shown == shown_before).all():
                break
            corner, shown_before = corner._moved(view, scale, shown), shown
        return corner

    def _moved(
        self, view: TurnedView, scale: NDArray[np.float64], shown: NDArray[np.intp]
    ) -> NearCorner:
        """The corner with its upright faces moved to the readings of their pixels.

        Args:
            view: the readings.
            scale: (N,), at which their rays enter.
            shown: (N,), the face that each shows.
        """
        position, std = self.position.copy(), self.std.copy()
        for axis in (0, 1):
            own = np.flatnonzero(shown == axis) if self.sign[axis] else ()
            if len(own) >= MIN_FACE_POINTS:
                behind = (view.depth[own] - scale[own]) * np.abs(view.rays[:, axis][own])
                shift, std[axis] = outermost(behind, view.std[:, axis][own])
                position[axis] += self.sign[axis] * shift
        return NearCorner(self.sign, position, self.top, self.camera_height, std)

    def with_deck(self, view: TurnedView, top_std: float) -> tuple[NearCorner, float]:
        """The corner with its deck where the readings of its pixels are, as far as these tell more.

        Args:
            view: the readings.
            top_std: standard deviation of `top`, meters.

        Returns:
            The corner, and the standard deviation of its `top`, meters.
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
        sign, needed = self.sign.copy(), max(MIN_FACE_POINTS, MIN_FACE_SHARE * len(points))
        for axis in np.flatnonzero(sign):
            other = 1 - axis
            own = gaps[:, axis] < np.minimum(gaps[:, other], gaps[:, TOP])
            own &= gaps[:, other] > OFF_FACE_M + 1.5 * std[:, other]
            if np.count_nonzero(own) < needed:
                sign[axis] = 0
        return NearCorner(sign, self.position, self.top, self.camera_height, self.std)

    @property
    def _below(self) -> float:
        """Height of the deck as seen from the camera, meters; negative below it."""
        return self.top - self.camera_height


def find_top(view: TurnedView, deck_m: float = DECK_M) -> tuple[float, float]:
    """Height of the deck, meters, and its standard deviation: of points, or of the outline.

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
    up = view.outline[:, 2][known]
    heights = up * depth[known] + view.camera_height
    edge = quantile(heights, 0.98)
    slope = median(np.abs(up[heights >= edge]))
    edge_std = math.hypot(slope * math.hypot(deck_m, view.depth_std / 2), view.pixel_height)
    if above:
        top = max(top, edge)
    elif edge_std < std:
        top, std = edge, edge_std
    top, std = _with_thin_parts(view, depth, top, std)
    return top, math.hypot(std, _unseen_above(view) * top)


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
        bounds: (2, 2), of the footprint, by axis, then low and high side, meters.
        bounds_std: (2, 2), standard deviation of these, meters.
        top: height by other means, meters.
        std: standard deviation of that, meters.

    Returns:
        The height and its standard deviation, meters.
    """
    level = np.where(view.outline[:, :2] == 0, 1e-9, view.outline[:, :2]).T
    scales = bounds[:, :, None] / level[:, None]
    leaves = np.maximum(scales[:, 0], scales[:, 1])
    enters = np.minimum(scales[:, 0], scales[:, 1])
    left = np.minimum(leaves[0], leaves[1])
    over = np.flatnonzero(view.ends & (left > np.maximum(enters[0], enters[1])))
    heights = view.camera_height + view.outline[:, 2][over] * left[over]
    edge = quantile(heights, 0.98) if len(over) else 0.0
    if not top < edge < view.camera_height:
        return top, std
    upper = over[heights >= quantile(heights, 0.9)]
    axis = leaves[:, upper].argmin(axis=0)
    slope = np.abs(view.outline[:, 2][upper] / level[axis, upper])
    far_std = bounds_std[axis, scales[axis, :, upper].argmax(axis=1)]
    edge_std = math.hypot(median(slope * far_std), view.pixel_height)
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
    """The height and its standard deviation, meters, with what ends higher and has no readings.

    Thin parts, as the uprights of a rack, are as far away as the rest is, within its extent. That
    tells the height of what is above the camera, or about level with it.

    Args:
        view: the outline.
        depth: (M,), where the outline ends, meters; NaN without a reading.
        top: of what has readings, meters.
        std: standard deviation of that, meters.
    """
    known = np.isfinite(depth)
    middle, spread = median(depth[known]), float(np.std(depth[known]))
    edge = quantile(view.outline[:, 2] * np.where(known, depth, middle) + view.camera_height, 0.98)
    slope = (edge - view.camera_height) / middle
    off = math.hypot(std, slope * spread)
    if slope < -LEVEL_SLOPE or edge <= top:
        return top, std
    if edge < top + 2 * off:
        return (edge if slope > 0 else top), std
    return edge, off


def _unseen_above(view: TurnedView) -> float:
    """Standard deviation of the height as the upper end is not seen, relative to the height."""
    known = np.flatnonzero(np.isfinite(view.outline_depth))
    heights = view.outline[:, 2][known] * view.outline_depth[known]
    upper = known[heights >= quantile(heights, 0.9)]
    if np.count_nonzero(view.cut[upper]) > UNSEEN_TOP * len(upper):
        return CUT_TOP_SHARE
    ending = np.count_nonzero(view.ends[upper])
    return TOUCHED_TOP_SHARE if len(upper) - ending > UNSEEN_TOP * len(upper) else 0.0


def beyond_border(view: TurnedView) -> float:
    """Standard deviation of the height as the border of the image cuts it off, relative to it.

    What is cut may be little of the outline and without readings, as the posts of a rack are. No
    reading makes such a height surer: what looks like the deck is below the end.
    """
    outward = (view.outline - view.inner_outline)[view.step == -np.inf]
    is_above = outward[:, 2] > FACES_UP * np.linalg.norm(outward, axis=1)
    return BEYOND_BORDER_SHARE if is_above.any() else 0.0


def _highest_points(view: TurnedView) -> tuple[float, float]:
    """Height of the highest points, less what noise adds to it, and its standard deviation, meters.

    The more points lie on top, the farther the largest error of so many lifts the highest of them.
    """
    heights, std = view.points[:, 2], view.std[:, 2]
    noisy_top = quantile(heights, 1 - ABOVE_TOP)
    top, blur = noisy_top, 0.0
    for _ in range(3):
        on_top = np.abs(heights - top) < 2 * std + ROUGHNESS_M
        blur = median(std[on_top]) if on_top.any() else blur
        share = max(np.count_nonzero(on_top) / len(heights), 2 * ABOVE_TOP)
        top = noisy_top + blur * NORMAL.inv_cdf(ABOVE_TOP / share)
    return top, math.hypot(BLUR_ERROR * blur, view.pixel_height, ROUGHNESS_M / 2)


def outermost(
    behind: NDArray[np.float64], std: NDArray[np.float64], pixels: int = ALIKE_PX
) -> tuple[float, float]:
    """Where the outermost part of a rough surface lies, meters, on the scale of `behind`.

    A load stays behind its foremost point by distances with some mean, which for the usual
    distributions is about their standard deviation; what scatters more than the depth noise does
    is such roughness. Also how sure that is, as a standard deviation, meters.

    Args:
        behind: (N,), measured distance behind an assumed face, meters.
        std: (N,), standard deviation of each by noise, meters.
        pixels: of the surface for each of them; by default, all err independently.
    """
    middle = median(behind)
    off = np.abs(behind - middle)
    variance = std**2
    # What is far off weighs nothing.
    near = off <= 3 * max(1.4826 * median(off), 0.01)
    weights = near / (variance + 0.01**2)
    weights /= np.add.reduce(weights)
    mean = float(weights @ behind)
    count = int(np.count_nonzero(near))
    independent = min(max(count * pixels / ALIKE_PX, 1.0), INDEPENDENT_READINGS)
    noise = float(weights @ variance)
    roughness, roughness_std = _roughness(float(weights @ (behind - mean) ** 2), noise, independent)
    return mean - roughness, math.hypot(
        math.sqrt((noise + roughness**2) / independent), roughness_std
    )


def _roughness(scatter: float, noise: float, independent: float) -> tuple[float, float]:
    """Roughness of a surface and its standard deviation, meters.

    Args:
        scatter: variance of the readings, m2.
        noise: the part of it that is noise, m2.
        independent: number of the readings that err independently.
    """
    usual = ROUGHNESS_SPREAD_M**2
    off = noise * math.sqrt(2 / independent + NOISE_ERROR**2)
    told = usual**2 / (usual**2 + off**2)
    square = max(told * (scatter - noise) + (1 - told) * ROUGHNESS_M**2, 0.0)
    off *= math.sqrt(told)
    off = math.sqrt(square + off) - math.sqrt(square)
    return math.sqrt(square), math.hypot(off, ROUGH_SHARE * math.sqrt(square))


def likeliest_yaw(view: TurnedView, top: float) -> tuple[float, float]:
    """Yaw in [0, pi/2) of the corner that explains the readings best, and its standard deviation.

    Uses every reading, so it stands much noise; objects that are not boxes mislead it. The standard
    deviation, radians, is that of all yaws by how well they explain the readings; at most that of
    one that is not known. A small object has few readings that err independently, and what no yaw
    explains, as what is no box, tells less of it.

    Args:
        view: with yaw 0.
        top: height of the object, meters.
    """
    step = np.deg2rad(YAW_STEP_DEG)
    coarse = np.arange(0.0, np.pi / 2, step)
    found = _misfits(view, top, coarse)
    middle = coarse[np.argmin(found)]
    # Between the neighbors of the best, which are known.
    fine = step / YAW_STEPS * np.arange(1 - YAW_STEPS, YAW_STEPS)
    others = np.delete(np.stack([_quarter(coarse - middle), found]), np.argmin(found), axis=1)
    known = np.concatenate([others, [fine, _misfits(view, top, middle + fine)]], axis=1)
    apart, misfits = known[:, np.argsort(known[0])]
    lowest = 1 + int(np.argmin(misfits[1:-1]))
    best = apart[lowest] + step / YAW_STEPS * _vertex(*misfits[lowest - 1 : lowest + 2])
    weights = np.gradient(apart) * np.exp(
        -_readings(view, misfits[lowest]) / 2 * (misfits - misfits[lowest])
    )
    spread = np.sqrt(weights @ _quarter(apart - best) ** 2 / weights.sum())
    return float((middle + best) % (np.pi / 2)), float(spread)


def _readings(view: TurnedView, misfit: float) -> float:
    """As how many readings that err independently those of a view count, by how well they fit."""
    independent = max(len(view.depth) * view.pixels_per_reading / ALIKE_PX, 1.0)
    return min(independent, YAW_READINGS) / max(misfit, 1.0)


def _quarter(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles, radians, less the quarter turns in them: -pi/4 to pi/4."""
    return np.asarray((angles + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def _vertex(before: float, lowest: float, after: float) -> float:
    """Where a parabola through three values is lowest, in steps from the middle one, -0.5 to 0.5.

    The middle one is not above the others.
    """
    bend = before - 2 * lowest + after
    return (before - after) / (2 * bend) if bend > 0 else 0.0


def _misfits(
    view: TurnedView, top: float, yaws: NDArray[np.float64], iterations: int = 3
) -> NDArray[np.float64]:
    """Mean squared deviation (K,), in standard deviations, of the readings from the best corner.

    All yaws at once; shapes are (2, K, N) for rays by axis and yaw. In single precision, which is
    far finer than the noise, and takes two thirds of the time.
    """
    deck = _reach_deck(view, top).astype(np.float32)
    depth = view.depth.astype(np.float32)
    sureness = 1 / np.hypot(np.float32(view.noise) * depth**2, np.float32(ROUGHNESS_M))
    rays = _turned_rays(view.rays.astype(np.float32), yaws.astype(np.float32))
    away = rays * depth
    low, high = quantiles(away, (0.1, 0.9), axis=2).astype(np.float32)[..., None]
    rays *= (low > 0).astype(np.float32) - (high < 0)
    np.abs(away, out=away)
    # How far in front of the camera the faces are. A ray that does not face one enters it at 0:
    # nowhere.
    position = np.where(low > 0, low, -high)
    facing = rays > 1e-6
    per_metre = np.divide(facing, np.maximum(rays, 1e-6, out=rays), out=rays)
    weights = np.square(per_metre * sureness)
    scales, behind = np.empty((2, *rays.shape), dtype=np.float32)
    for _ in range(iterations):
        np.multiply(position, per_metre, out=scales)
        own = scales >= _last_entered(scales, deck)
        np.clip(np.subtract(away, position, out=behind), -0.5, 0.5, out=behind)
        weighted = np.multiply(weights, own, out=scales)
        total = np.maximum(np.add.reduce(weighted, axis=2, keepdims=True), 1e-9)
        position = position + np.einsum("akn,akn->ak", weighted, behind)[..., None] / total
    entered = _last_entered(np.multiply(position, per_metre, out=scales), deck)
    deviation = np.where(entered > 0, (depth - entered) * sureness, np.float32(np.inf))
    return np.minimum(np.square(deviation), 9.0).mean(axis=1, dtype=np.float64)


def _last_entered(scales: NDArray[np.float32], deck: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales (K, N) at which rays enter the last of two faces (2, K, N) and the deck (N,)."""
    entered = np.maximum(scales[0], scales[1])
    return np.asarray(np.maximum(entered, deck, out=entered))


def _turned_rays(rays: NDArray[np.float32], yaws: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of rays (N, 3) is along the axes that each yaw (K,) turns: (2, K, N)."""
    cosine, sine = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    x, y = np.ascontiguousarray(rays[:, :2].T)
    turned = np.empty((2, len(yaws), len(rays)), dtype=np.float32)
    np.add(cosine * x, sine * y, out=turned[0])
    np.subtract(cosine * y, sine * x, out=turned[1])
    return turned


def _reach_deck(view: TurnedView, top: float) -> NDArray[np.float64]:
    """Scale (N,) at which the rays of a view reach the height `top`; 0 where they do not."""
    below, down = top - view.camera_height, view.rays[:, 2]
    reaching = (down < -1e-9) & (below < 0)
    return np.where(reaching, below / np.minimum(down, -1e-9), 0.0)
