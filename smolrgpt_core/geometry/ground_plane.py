"""The floor as a plane, found in one depth image without knowing how the camera is mounted.

The inverse depth of a plane is linear in the ray coordinates (x/z, y/z), and the noise of a depth
camera is about constant in inverse depth, so hypotheses and refinement both work there.

A plane is checked against the objects: one that most of an object lies under is no floor, and one
that no object stands on must be seen well. So another surface, or a plane through noise, is
refused.

Limits: the camera is not mounted upside down and rolls by less than `MAX_ROLL_DEG`, unless the
frame states what is up. A wall in front of a camera and the floor below one that looks straight
down look the same; such a plane is believed only with a painted zone in it, or where up is known.
Where the frame states how high the camera is, a table top is no floor however large it is, a floor
that is hardly seen is found, and with up one that is not seen is known all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.order_statistics import median, quantiles
from smolrgpt_core.geometry.plane_error import fit_with_offset, least_squares
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Region

CLOSE, EXACT = 2.5, 1e-9
"""A pixel is close to a plane within so many standard deviations, and so much rounding, 1/m."""

UPSIDE_DOWN = 1e-6
"""Part of up along the image's columns from which on a camera hangs upside down."""

PLANES_AT_ONCE = 25
"""So many hypotheses are scored together: what is computed of them stays in the cache."""

GRID_STEP = 4
"""Every n-th pixel of every n-th row takes part: a floor that is seen at all has thousands."""

HYPOTHESES, SEED = 200, 0
"""Random triples of pixels of which a plane is made; always the same ones, so that a frame always
gives the same floor."""

SCORED_POINTS = 2000
"""Pixels on which a hypothesis is scored."""

ZONE_WEIGHT = 3.0
"""Weight of a pixel of a painted zone relative to one of no region, which is 1: zones are floor."""

NOISE_M, NEAR_NOISE_FRACTION = 0.01, 0.005
"""Depth noise that does not grow with distance, meters, and at most this fraction of the
distance."""

NOISE_PER_M2 = 0.003
"""Depth noise that grows with the square of the distance, meters per m^2."""

MAX_ROLL_DEG = 30.0
"""Largest roll of the camera about its optical axis, unless the frame states what is up."""

MAX_TILT_DEG, MAX_KNOWN_TILT_DEG = 10.0, 3.0
"""Largest tilt of the floor from the up of the frame, and where it states the height of the
camera too: a plane askew might pass there."""

MAX_OFF_M, MAX_OFF_FRACTION = 0.1, 0.05
"""How far the floor may be off the height of the camera that the frame states: the sum of an error
in meters and one as a fraction of that height."""

MOUNTING_TILT_STD_DEG, MOUNTING_HEIGHT_STD_M = 1.0, 0.03
"""Standard deviations of up and height as the frame states them, where the floor is not seen."""

STEEP_DEG, STEEP_WEIGHT = 75.0, 0.1
"""A camera that looks farther down than this looks straight down, and weight of a floor below it if
there is a zone; without one it is 0."""

MIN_FRACTION, MIN_POINTS = 0.05, 100
"""Fraction of the scored pixels, and number of grid pixels, that must lie in the plane."""

TRIES = 5
"""Planes that turn out not to be the floor, such as walls, before giving up."""

READINGS, MIN_READINGS = 200, 6
"""About so many readings of an object are compared with a plane; objects with fewer are skipped."""

CONTACT_M = 0.1
"""An object whose lowest part is this close to a plane stands on it."""

MAX_UNDER_FRACTION = 0.34
"""Fraction of the objects that may lie under the floor; masks may be wrong."""

WELL_SEEN_FRACTION = 0.15
"""Fraction of the scored pixels from which a plane is a floor though hardly any object stands on
it."""

FACING_SEEN_FRACTION, FACING_DEG = 0.5, 60.0
"""The same of one that the camera looks at by more than this angle: it may be a wall."""

NOISY_SCATTER = 0.38
"""Median distance of a plane's pixels from it, relative to the tolerance, from which noise spreads
readings over more than that, so that only those of them take part that agree with the guess."""

NOISY_HEIGHT_STD, NOISY_TILT_STD_DEG = 0.08, 2.5
"""Standard deviations of its height, relative to it, and of its tilt then. In simulation, with
noise of 10 % of the distance, heights are off by up to 17 % and tilts mostly by 1 to 3 degrees."""

FLAT_SCATTER, ROUGH_SCATTER = 0.2, 0.42
"""The same median up to which it is certainly a plane, and from which it is one laid through noise:
evenly scattered pixels have 0.5."""


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The floor, and metric coordinates on it: (right, forward) in meters from the camera's foot.

    Attributes:
        up: unit vector (3,) in the optical frame, from the floor towards the camera.
        camera_height: of the optical center above the floor, meters.
        inlier_fraction: of the scored pixels, those in the plane, 0 to 1; 0 where it is not seen.
        noise: standard deviation of the inverse depth of floor pixels, 1/m.
        tilt_std: standard deviation of its tilt, radians.
        height_std: the same of `camera_height`, meters.
        if_offset: the plane that fits if all depth is off by one length; None where not known.
    """

    up: NDArray[np.float64]
    camera_height: float
    inlier_fraction: float = 1.0
    noise: float = 0.0
    tilt_std: float = 0.0
    height_std: float = 0.0
    if_offset: GroundPlane | None = None

    def level_std(self, distance: float) -> float:
        """Standard deviation of heights above it at a distance from the camera, meters."""
        return float(np.hypot(self.height_std, self.tilt_std * distance))

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up as unit vectors in the optical frame."""
        right = np.array([1.0, 0.0, 0.0]) - self.up[0] * self.up
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(self.up, right), self.up])

    def to_floor(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Right, forward, height above the floor (..., 3) of points (..., 3) in meters."""
        floor = points @ self.axes.T
        floor[..., 2] += self.camera_height
        return floor

    def from_floor(self, floor_points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (..., 3) in the optical frame of right, forward, height (..., 3)."""
        return (floor_points - [0.0, 0.0, self.camera_height]) @ self.axes

    def intersect(self, rays: NDArray[np.floating]) -> NDArray[np.float64]:
        """Right, forward (..., 2) where rays (..., 3) meet the floor; else NaN."""
        directions = rays @ self.axes.T
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = -self.camera_height / directions[..., 2]
            scale = np.where(scale > 0, scale, np.nan)
        return directions[..., :2] * scale[..., None]


def find_ground_plane(frame: RGBDFrame) -> GroundPlane | None:
    """The floor, or None when too few pixels outside the objects share a plausible plane.

    Args:
        frame: with its regions; its `up` and `camera_height` decide what a floor is where they are
            known.
    """
    rays, inverse_depth, weights = _candidates(frame)
    total, objects = weights.sum(), object_readings(frame)
    for _ in range(TRIES):
        if len(rays) < MIN_POINTS:
            return None
        best = _best_hypothesis(rays, inverse_depth, weights, frame)
        if best is None:
            return None
        plane, inliers, noise = _refine(best, rays, inverse_depth, weights)
        fraction = float(weights[inliers].sum() / total)
        fills_zones = _fills_zones(inliers, weights)
        if _is_plausible(plane, inliers, fraction, fills_zones, frame):
            length = float(np.linalg.norm(plane))
            found = GroundPlane(-plane / length, 1 / length, fraction, noise)
            own = rays[inliers], inverse_depth[inliers]
            scatter = _scatter(plane, *own)
            as_mounted = frame.camera_height is not None and scatter < FLAT_SCATTER
            if as_mounted or _carries(found, objects, scatter, fills_zones):
                return _with_doubts(found, plane, *own, scatter)
        rays, inverse_depth, weights = rays[~inliers], inverse_depth[~inliers], weights[~inliers]
    return None


def _with_doubts(
    found: GroundPlane,
    plane: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    scatter: float,
) -> GroundPlane:
    """A floor with how far it may be off by noise beyond the tolerance, and by an offset of depth.

    Args:
        found: without that.
        plane: the same, (3,), with plane . point = 1.
        rays: (N, 3), of its pixels.
        inverse_depth: (N,), of the same, 1/m.
        scatter: of the same, see `_scatter`.
    """
    if scatter >= NOISY_SCATTER:
        found = replace(
            found,
            height_std=NOISY_HEIGHT_STD * found.camera_height,
            tilt_std=float(np.deg2rad(NOISY_TILT_STD_DEG)),
        )
    close = np.abs(inverse_depth - rays @ plane) <= CLOSE * found.noise + EXACT
    if np.count_nonzero(close) < MIN_POINTS:
        return found
    other = fit_with_offset(plane, rays[close], inverse_depth[close])
    length = float(np.linalg.norm(other))
    if_offset = replace(found, up=-other / length, camera_height=1 / length)
    return replace(found, if_offset=if_offset)


def find_floor(frame: RGBDFrame) -> GroundPlane | None:
    """The floor as depth shows it, or else by the mounting of the camera that the frame states.

    Args:
        frame: with its regions.

    Returns:
        A plane with an `inlier_fraction` of 0 where depth shows none; None where up or height is
        not known either.
    """
    if frame.camera_height is None:
        return find_ground_plane(frame)
    if frame.up is None:
        # Any level surface shows what is up.
        level = find_ground_plane(replace(frame, camera_height=None))
        if level is None:
            return None
        frame = replace(frame, up=level.up)
    return find_ground_plane(frame) or _mounted_plane(frame)


def _mounted_plane(frame: RGBDFrame) -> GroundPlane:
    """The floor by the mounting of the camera alone."""
    assert frame.up is not None
    assert frame.camera_height is not None
    return GroundPlane(
        frame.up,
        frame.camera_height,
        inlier_fraction=0.0,
        noise=NOISE_PER_M2,
        tilt_std=float(np.deg2rad(MOUNTING_TILT_STD_DEG)),
        height_std=MOUNTING_HEIGHT_STD_M,
    )


def _fills_zones(inliers: NDArray[np.bool_], weights: NDArray[np.float64]) -> bool:
    """Whether most of the painted zones' pixels lie in a plane."""
    in_zone = weights > 1
    enough = np.count_nonzero(in_zone) >= MIN_POINTS // 4
    return bool(enough and inliers[in_zone].mean() > 0.5)


def _is_plausible(
    plane: NDArray[np.float64],
    inliers: NDArray[np.bool_],
    fraction: float,
    fills_zones: bool,
    frame: RGBDFrame,
) -> bool:
    """Whether a camera can hang like that above a plane (3,), and the plane is seen well enough."""
    plausible = _mounting_prior(plane[None], fills_zones, frame)[0] > 0
    enough = np.count_nonzero(inliers) >= MIN_POINTS and fraction >= MIN_FRACTION
    return bool(plausible and (enough or fills_zones))


def _scatter(
    plane: NDArray[np.float64], rays: NDArray[np.float64], inverse_depth: NDArray[np.float64]
) -> float:
    """Median distance of a plane's pixels from it, relative to the tolerance; 0.5 is noise."""
    residual = np.abs(inverse_depth - rays @ plane)
    return median(residual / _tolerance(inverse_depth))


def _carries(
    plane: GroundPlane, objects: Sequence[NDArray[np.float64]], scatter: float, fills_zones: bool
) -> bool:
    """Whether the objects stand on a plane as on a floor.

    Args:
        plane: plausible otherwise.
        objects: readings (N, 3) of each in the optical frame, meters.
        scatter: of its pixels, see `_scatter`.
        fills_zones: whether most of the painted zones lie in it.
    """
    under = touching = flush = 0
    for points in objects:
        heights = points @ plane.up + plane.camera_height
        low, middle, high = quantiles(heights, (0.05, 0.5, 0.95))
        blur = 2 * plane.noise * plane.camera_height * median(points[:, 2])
        under += middle < -CONTACT_M / 3 - blur
        touching += abs(low) < CONTACT_M + blur
        flush += high < CONTACT_M / 3 + blur
    faces = -plane.up[2] > np.sin(np.deg2rad(FACING_DEG))
    # Objects rise from a floor that is seen from above, not from a wall or depth that stands still.
    if under > MAX_UNDER_FRACTION * len(objects) or (faces and flush > len(objects) / 2):
        return False
    if fills_zones:
        return True
    if scatter >= ROUGH_SCATTER:
        return False
    if (
        plane.inlier_fraction >= (FACING_SEEN_FRACTION if faces else WELL_SEEN_FRACTION)
        or not objects
    ):
        return True
    return touching >= len(objects) / 2 or (touching > 0 and scatter < FLAT_SCATTER)


def object_readings(frame: RGBDFrame) -> list[NDArray[np.float64]]:
    """Some readings (N, 3) in the optical frame, meters, of each region that is no painted zone."""
    pixels = [_some_pixels(region) for region in frame.regions if not is_zone(region)]
    if not pixels:
        return []
    rows, columns = np.concatenate(pixels, axis=1)
    depth = frame.depth[rows, columns].astype(np.float64)
    points = pixel_rays(rows, columns, frame.intrinsics) * depth[:, None]
    ends = np.cumsum([places.shape[1] for places in pixels])
    found = [own[np.isfinite(own[:, 2])] for own in np.split(points, ends[:-1])]
    return [own for own in found if len(own) >= MIN_READINGS]


def _some_pixels(region: Region) -> NDArray[np.intp]:
    """Rows and columns (2, N) in the image of about `READINGS` pixels of a region."""
    step = max(1, int(np.sqrt(region.mask.size / (2 * READINGS))))
    rows, columns = np.nonzero(region.mask[::step, ::step])
    return np.stack([rows * step + region.box.y, columns * step + region.box.x])


def _candidates(
    frame: RGBDFrame,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rays (N, 3), inverse depths (N,) in 1/m and weights (N,) of grid pixels off the objects."""
    step = GRID_STEP
    depth = frame.depth[::step, ::step]
    weights = np.ones(depth.shape, dtype=np.float32)
    for region in frame.regions:
        value = ZONE_WEIGHT if is_zone(region) else 0.0
        mask = region.mask[-region.box.y % step :: step, -region.box.x % step :: step]
        top, left = -(-region.box.y // step), -(-region.box.x // step)
        weights[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = value
    seen = np.isfinite(depth) & (weights > 0)
    rows, columns = np.nonzero(seen)
    # By columns: all that is computed of readings runs along them.
    rays = np.asfortranarray(pixel_rays(rows * step, columns * step, frame.intrinsics))
    return rays, 1.0 / depth[seen].astype(np.float64), weights[seen].astype(np.float64)


def _tolerance(inverse_depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three standard deviations of the inverse depth."""
    near = np.minimum(NOISE_M * inverse_depth, NEAR_NOISE_FRACTION)
    return 3 * (near * inverse_depth + NOISE_PER_M2)


def _best_hypothesis(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    frame: RGBDFrame,
) -> NDArray[np.float64] | None:
    """Plane (3,) with plane . point = 1 that most weighted pixels share; None if none is plausible.

    A pixel beyond the plane counts against it, because nothing is seen through a floor.
    """
    generator = np.random.default_rng(SEED)
    probability = weights / weights.sum()
    triples = generator.choice(len(rays), size=(HYPOTHESES, 3), p=probability)
    matrices = rays[triples]
    solvable = np.abs(np.linalg.det(matrices)) > 1e-6
    planes = np.linalg.solve(matrices[solvable], inverse_depth[triples[solvable]][..., None])[
        ..., 0
    ]
    if frame.up is not None:
        level = _level_planes(rays, inverse_depth, triples[:, 0], frame.up)
        planes = np.concatenate([planes, level])
    has_zone = bool(np.any(weights > 1))
    prior = _mounting_prior(planes, has_zone, frame)
    planes, prior = planes[prior > 0], prior[prior > 0]
    if len(planes) == 0:
        return None
    scored = generator.permutation(len(rays))[:SCORED_POINTS]
    votes = _votes(planes, rays[scored], inverse_depth[scored], weights[scored])
    best: NDArray[np.float64] = planes[np.argmax(prior * votes)]
    return best


def _votes(
    planes: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Weight (K,) of the pixels (N,) in each plane (K, 3), less twice that of those beyond it."""
    tolerance = _tolerance(inverse_depth)
    ends = np.stack([inverse_depth - tolerance, inverse_depth + tolerance])
    lowest, highest = ends.astype(np.float32)
    # In single precision, which is finer than the tolerance; sums of weights are exact in it.
    across, planes = np.ascontiguousarray(rays.T, dtype=np.float32), planes.astype(np.float32)
    total, weights = np.empty(len(planes), dtype=np.float32), weights.astype(np.float32)
    for first in range(0, len(planes), PLANES_AT_ONCE):
        some = slice(first, first + PLANES_AT_ONCE)
        expected = planes[some] @ across
        near = (expected > lowest).astype(np.float32)
        total[some] = near @ weights - 2 * ((expected > highest).astype(np.float32) @ weights)
    return total


def _level_planes(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    chosen: NDArray[np.int64],
    up: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Planes (M, 3) through the chosen readings (N,) below the camera, square to `up`."""
    height = -(rays[chosen] @ up) / inverse_depth[chosen]
    return -up / height[height > 0][:, None]


def _mounting_prior(
    planes: NDArray[np.float64], has_zone: bool, frame: RGBDFrame
) -> NDArray[np.float64]:
    """Weight (N,) of each plane as a floor: 0 for impossible mountings, less for steep views."""
    length = np.linalg.norm(planes, axis=1)
    up = -planes / length[:, None]
    as_high: NDArray[np.float64] = np.ones(len(planes))
    max_tilt_deg = MAX_TILT_DEG
    if frame.camera_height is not None:
        max_tilt_deg = MAX_KNOWN_TILT_DEG
        off = MAX_OFF_M + MAX_OFF_FRACTION * frame.camera_height
        as_high = (np.abs(1 / length - frame.camera_height) < off).astype(np.float64)
    if frame.up is not None:
        is_level: NDArray[np.bool_] = up @ frame.up > np.cos(np.deg2rad(max_tilt_deg))
        return as_high * is_level
    level = np.abs(up[:, 0]) <= np.sin(np.deg2rad(MAX_ROLL_DEG))
    # Straight down, up is across the image: no rounding may decide whether that is upside down.
    upright = up[:, 1] <= UPSIDE_DOWN
    looks_down_deg = np.rad2deg(np.arcsin(np.clip(-up[:, 2], -1, 1)))
    not_from_below = looks_down_deg > -45
    steep = STEEP_WEIGHT if has_zone else 0.0
    weight = np.where(looks_down_deg > STEEP_DEG, steep, 1.0)
    return as_high * np.where(level & upright & not_from_below, weight, 0.0)


def _refine(
    plane: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """Weighted least squares on the inliers; also the inliers (N,) of the result and their scatter.

    The tolerance follows the residuals once the plane is close, so that low things on the floor
    of a noise-free image do not pull at it.
    """
    tolerance, scale = _tolerance(inverse_depth), 0.0
    for step in range(4):
        residual = np.abs(inverse_depth - rays @ plane)
        inliers = residual < tolerance
        if np.count_nonzero(inliers) < 3:
            break
        scale = 1.4826 * median(residual[inliers])
        close = inliers & (residual <= CLOSE * scale + EXACT)
        solve = _solved_fast if step < 2 else _solved
        plane = solve(rays, inverse_depth, weights, close)
    return plane, np.abs(inverse_depth - rays @ plane) < tolerance, scale


def _solved(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The plane (3,) closest to the chosen ones of N readings, by weighted least squares."""
    root = np.sqrt(weights) * chosen
    return least_squares(rays.T * root, inverse_depth * root)


def _solved_fast(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """As `_solved`, but for the last digits: good enough to choose readings by."""
    weighted = rays.T * (weights * chosen)
    normal = weighted @ rays, weighted @ inverse_depth
    return np.asarray(np.linalg.lstsq(*normal, rcond=None)[0])
