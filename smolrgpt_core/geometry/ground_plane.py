"""The floor as a plane, found in one depth image without knowing how the camera is mounted.

The inverse depth of a plane is linear in the ray coordinates (x/z, y/z), and the noise of a depth
camera is about constant in inverse depth, so hypotheses and refinement both work there.

A plane is held against the objects: one that most of an object lies under is no floor, and one that
no object stands on must be seen well. So another surface, or a plane through noise, is refused.

Limits: the camera is not mounted upside down and rolls by less than `max_roll_deg`, unless the
frame says what is up. A wall in front of a camera and the floor below one that looks straight down
are the same picture; such a plane is believed only with a painted zone in it, or where up is known.
Where the frame says how high the camera is, a table top is no floor however large it is, a floor
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
from smolrgpt_core.geometry.object_classes import is_zone
from smolrgpt_core.geometry.order_statistics import median, quantiles
from smolrgpt_core.geometry.plane_error import fit_with_offset
from smolrgpt_core.regions import Region

CLOSE, EXACT = 2.5, 1e-9
"""A pixel is close to a plane within so many standard deviations, and so much rounding, 1/m."""

UPSIDE_DOWN = 1e-6
"""Part of up along the image's columns from which on a camera hangs upside down."""

PLANES_AT_ONCE = 25
"""So many hypotheses are scored together: what is computed of them stays in the cache."""


@dataclass(frozen=True)
class GroundPlaneConfig:
    """How the floor is searched.

    Attributes:
        grid_step: every n-th pixel of every n-th row takes part.
        hypotheses: number of random triples of pixels.
        scored_points: pixels on which a hypothesis is scored.
        zone_weight: weight of a pixel of a painted zone relative to one of no region, above 1.
        noise_m: depth noise that does not grow with distance, metres; it is at most
            `near_noise_share` of the distance.
        noise_per_m2: depth noise that grows with the square of the distance, metres per m^2.
        max_roll_deg: largest roll of the camera about its optical axis.
        max_tilt_deg: of the floor from what the frame says is up; `max_known_tilt_deg` where it
            says the height of the camera too, or a plane askew might pass there.
        max_off_m, max_off_share: how far the floor may be off the height of the camera that the
            frame says: the sum of an error in metres and one as a share of that height.
        mounting_tilt_std_deg, mounting_height_std_m: standard deviations of up and height as the
            frame says them, where the floor is not seen.
        steep_deg: a camera that looks farther down than this looks straight down.
        steep_weight: weight of a floor below a camera that looks straight down, if there is a
            zone; without one it is 0.
        min_share: share of the scored pixels that must lie in the plane.
        min_points: number of grid pixels that must lie in the plane.
        tries: planes that turn out not to be the floor, such as walls, before giving up.
        contact_m: an object whose lowest part is this close to a plane stands on it.
        max_under: share of the objects that may lie under the floor; masks may be wrong.
        well_seen: share of the scored pixels from which a plane is a floor though hardly any
            object stands on it; `facing_seen` of one that the camera looks at by more than
            `facing_deg`, which may be a wall.
        noisy: median distance of a plane's pixels from it, relative to the tolerance, from which
            noise spreads readings over more than that, so that only those of them take part that
            agree with the guess.
        noisy_height_std, noisy_tilt_std_deg: standard deviations of its height, relative to it,
            and of its tilt then. In simulation, with noise of 10 % of the distance, heights are off
            by up to 17 % and tilts mostly by 1 to 3 degrees.
        flat, rough: median distance of a plane's pixels from it, relative to the tolerance, up to
            which it is certainly a plane, and from which it is one laid through noise (evenly
            scattered pixels have 0.5).
        seed: of the random triples; the same frame always gives the same floor.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    grid_step: int = 4
    hypotheses: int = 200
    scored_points: int = 2000
    zone_weight: float = 3.0
    noise_m: float = 0.01
    near_noise_share: float = 0.005
    noise_per_m2: float = 0.003
    max_roll_deg: float = 30.0
    max_tilt_deg: float = 10.0
    max_known_tilt_deg: float = 3.0
    max_off_m: float = 0.1
    max_off_share: float = 0.05
    mounting_tilt_std_deg: float = 1.0
    mounting_height_std_m: float = 0.03
    steep_deg: float = 75.0
    steep_weight: float = 0.1
    min_share: float = 0.05
    min_points: int = 100
    tries: int = 5
    contact_m: float = 0.1
    max_under: float = 0.34
    well_seen: float = 0.15
    facing_seen: float = 0.5
    facing_deg: float = 60.0
    noisy: float = 0.38
    noisy_height_std: float = 0.08
    noisy_tilt_std_deg: float = 2.5
    flat: float = 0.2
    rough: float = 0.42
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("grid_step", "hypotheses", "scored_points", "min_points", "tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.zone_weight <= 1:
            raise ValueError(f"zone_weight must be above 1, got {self.zone_weight}")
        noise = ("noise_m", "near_noise_share", "noise_per_m2", "noisy_height_std")
        scales = (*noise, "noisy", "noisy_tilt_std_deg", "contact_m", "flat", "rough")
        mounting = ("max_off_m", "mounting_tilt_std_deg", "mounting_height_std_m")
        tilts = ("max_roll_deg", "max_tilt_deg", "max_known_tilt_deg")
        for name in (*scales, *mounting, *tilts, "steep_deg", "facing_deg"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        shares = ("min_share", "steep_weight", "max_under", "well_seen", "facing_seen")
        for name in (*shares, "max_off_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The floor, and metric coordinates on it: (right, forward) in meters from the camera's foot.

    Attributes:
        up: unit vector (3,) in the optical frame, from the floor towards the camera.
        camera_height: of the optical center above the floor, meters.
        share: part of the scored pixels that lie in the plane, 0 to 1; 0 where it is not seen.
        noise: standard deviation of the inverse depth of floor pixels, 1/m.
        tilt_std: standard deviation of its tilt, radians.
        height_std: the same of `camera_height`, meters.
        if_offset: the plane that fits if all depth is off by one length; None where not known.
    """

    up: NDArray[np.float64]
    camera_height: float
    share: float = 1.0
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

    def intersect(self, rays: NDArray[np.floating], height: float = 0.0) -> NDArray[np.float64]:
        """Right, forward (..., 2) where rays (..., 3) meet the level at `height`; else NaN."""
        directions = rays @ self.axes.T
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (height - self.camera_height) / directions[..., 2]
            scale = np.where(scale > 0, scale, np.nan)
        return directions[..., :2] * scale[..., None]


def find_ground_plane(
    frame: RGBDFrame, config: GroundPlaneConfig | None = None
) -> GroundPlane | None:
    """The floor, or None when too few pixels outside the objects share a plausible plane.

    Args:
        frame: with its regions; its `up` and `camera_height` decide what a floor is where they are
            known.
        config: how to search.
    """
    config = config or GroundPlaneConfig()
    rays, inverse_depth, weights = _candidates(frame, config)
    total, objects = weights.sum(), object_readings(frame)
    for _ in range(config.tries):
        if len(rays) < config.min_points:
            return None
        best = _best_hypothesis(rays, inverse_depth, weights, frame, config)
        if best is None:
            return None
        plane, inliers, noise = _refine(best, rays, inverse_depth, weights, config)
        share = float(weights[inliers].sum() / total)
        fills_zones = _fills_zones(inliers, weights, config)
        if _is_plausible(plane, inliers, share, fills_zones, frame, config):
            length = float(np.linalg.norm(plane))
            found = GroundPlane(-plane / length, 1 / length, share, noise)
            scatter = _scatter(plane, rays[inliers], inverse_depth[inliers], config)
            as_said = frame.camera_height is not None and scatter < config.flat
            if as_said or _carries(found, objects, scatter, fills_zones, config):
                return _with_doubts(found, plane, rays[inliers], inverse_depth[inliers], config)
        rays, inverse_depth, weights = rays[~inliers], inverse_depth[~inliers], weights[~inliers]
    return None


def _with_doubts(
    found: GroundPlane,
    plane: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    config: GroundPlaneConfig,
) -> GroundPlane:
    """A floor with how far it may be off by noise beyond the tolerance, and by an offset of depth.

    Args:
        found: without that.
        plane: the same, (3,), with plane . point = 1.
        rays: (N, 3), of its pixels.
        inverse_depth: (N,), of the same, 1/m.
        config: when it is noisy.
    """
    if _scatter(plane, rays, inverse_depth, config) >= config.noisy:
        found = replace(
            found,
            height_std=config.noisy_height_std * found.camera_height,
            tilt_std=float(np.deg2rad(config.noisy_tilt_std_deg)),
        )
    close = np.abs(inverse_depth - rays @ plane) <= CLOSE * found.noise + EXACT
    if np.count_nonzero(close) < config.min_points:
        return found
    other = fit_with_offset(plane, rays[close], inverse_depth[close])
    length = float(np.linalg.norm(other))
    if_offset = replace(found, up=-other / length, camera_height=1 / length)
    return replace(found, if_offset=if_offset)


def find_floor(frame: RGBDFrame, config: GroundPlaneConfig | None = None) -> GroundPlane | None:
    """The floor as depth shows it, or else as the frame says that its camera is mounted.

    Args:
        frame: with its regions.
        config: how to search.

    Returns:
        A plane with a share of 0 where depth shows none; None where up or height is not known
        either.
    """
    config = config or GroundPlaneConfig()
    if frame.camera_height is None:
        return find_ground_plane(frame, config)
    if frame.up is None:
        # Any level surface tells what is up.
        level = find_ground_plane(replace(frame, camera_height=None), config)
        if level is None:
            return None
        frame = replace(frame, up=level.up)
    return find_ground_plane(frame, config) or _mounted_plane(frame, config)


def _mounted_plane(frame: RGBDFrame, config: GroundPlaneConfig) -> GroundPlane:
    """The floor by what the frame says of its camera alone."""
    assert frame.up is not None
    assert frame.camera_height is not None
    return GroundPlane(
        frame.up,
        frame.camera_height,
        share=0.0,
        noise=config.noise_per_m2,
        tilt_std=float(np.deg2rad(config.mounting_tilt_std_deg)),
        height_std=config.mounting_height_std_m,
    )


def _fills_zones(
    inliers: NDArray[np.bool_], weights: NDArray[np.float64], config: GroundPlaneConfig
) -> bool:
    """Whether most of the painted zones' pixels lie in a plane."""
    in_zone = weights > 1
    enough = np.count_nonzero(in_zone) >= config.min_points // 4
    return bool(enough and inliers[in_zone].mean() > 0.5)


def _is_plausible(
    plane: NDArray[np.float64],
    inliers: NDArray[np.bool_],
    share: float,
    fills_zones: bool,
    frame: RGBDFrame,
    config: GroundPlaneConfig,
) -> bool:
    """Whether a camera can hang like that above a plane (3,), and the plane is seen well enough."""
    plausible = _mounting_prior(plane[None], fills_zones, frame, config)[0] > 0
    enough = np.count_nonzero(inliers) >= config.min_points and share >= config.min_share
    return bool(plausible and (enough or fills_zones))


def _scatter(
    plane: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    config: GroundPlaneConfig,
) -> float:
    """Median distance of a plane's pixels from it, relative to the tolerance; 0.5 is noise."""
    residual = np.abs(inverse_depth - rays @ plane)
    return median(residual / _tolerance(inverse_depth, config))


def _carries(
    plane: GroundPlane,
    objects: Sequence[NDArray[np.float64]],
    scatter: float,
    fills_zones: bool,
    config: GroundPlaneConfig,
) -> bool:
    """Whether the objects stand on a plane as on a floor.

    Args:
        plane: plausible otherwise.
        objects: readings (N, 3) of each in the optical frame, meters.
        scatter: of its pixels, see `_scatter`.
        fills_zones: whether most of the painted zones lie in it.
        config: what counts as standing.
    """
    under = touching = flush = 0
    for points in objects:
        heights = points @ plane.up + plane.camera_height
        low, middle, high = quantiles(heights, (0.05, 0.5, 0.95))
        blur = 2 * plane.noise * plane.camera_height * median(points[:, 2])
        under += middle < -config.contact_m / 3 - blur
        touching += abs(low) < config.contact_m + blur
        flush += high < config.contact_m / 3 + blur
    faces = -plane.up[2] > np.sin(np.deg2rad(config.facing_deg))
    # Objects rise from a floor that is seen from above, not from a wall or depth that stands still.
    if under > config.max_under * len(objects) or (faces and flush > len(objects) / 2):
        return False
    if fills_zones:
        return True
    if scatter >= config.rough:
        return False
    if plane.share >= (config.facing_seen if faces else config.well_seen) or not objects:
        return True
    return touching >= len(objects) / 2 or (touching > 0 and scatter < config.flat)


def object_readings(
    frame: RGBDFrame, readings: int = 200, min_readings: int = 6
) -> list[NDArray[np.float64]]:
    """Readings (N, 3) in the optical frame, meters, of each region that is no painted zone.

    Args:
        frame: with regions.
        readings: about so many of each.
        min_readings: regions with fewer are left out.
    """
    pixels = [_some_pixels(region, readings) for region in frame.regions if not is_zone(region)]
    if not pixels:
        return []
    rows, columns = np.concatenate(pixels, axis=1)
    depth = frame.depth[rows, columns].astype(np.float64)
    points = pixel_rays(rows, columns, frame.intrinsics) * depth[:, None]
    ends = np.cumsum([places.shape[1] for places in pixels])
    found = [own[np.isfinite(own[:, 2])] for own in np.split(points, ends[:-1])]
    return [own for own in found if len(own) >= min_readings]


def _some_pixels(region: Region, count: int) -> NDArray[np.intp]:
    """Rows and columns (2, N) in the image of about so many pixels of a region."""
    step = max(1, int(np.sqrt(region.mask.size / (2 * count))))
    rows, columns = np.nonzero(region.mask[::step, ::step])
    return np.stack([rows * step + region.box.y, columns * step + region.box.x])


def _candidates(
    frame: RGBDFrame, config: GroundPlaneConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rays (N, 3), inverse depths (N,) in 1/m and weights (N,) of grid pixels off the objects."""
    step = config.grid_step
    depth = frame.depth[::step, ::step]
    weights = np.ones(depth.shape, dtype=np.float32)
    for region in frame.regions:
        value = config.zone_weight if is_zone(region) else 0.0
        mask = region.mask[-region.box.y % step :: step, -region.box.x % step :: step]
        top, left = -(-region.box.y // step), -(-region.box.x // step)
        weights[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = value
    seen = np.isfinite(depth) & (weights > 0)
    rows, columns = np.nonzero(seen)
    rays = pixel_rays(rows * step, columns * step, frame.intrinsics)
    return rays, 1.0 / depth[seen].astype(np.float64), weights[seen].astype(np.float64)


def _tolerance(inverse_depth: NDArray[np.float64], config: GroundPlaneConfig) -> NDArray:
    """Three standard deviations of the inverse depth."""
    near = np.minimum(config.noise_m * inverse_depth, config.near_noise_share)
    return 3 * (near * inverse_depth + config.noise_per_m2)


def _best_hypothesis(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    frame: RGBDFrame,
    config: GroundPlaneConfig,
) -> NDArray[np.float64] | None:
    """Plane (3,) with plane . point = 1 that most weighted pixels share; None if none is plausible.

    A pixel beyond the plane is held against it, because nothing is seen through a floor.
    """
    generator = np.random.default_rng(config.seed)
    probability = weights / weights.sum()
    triples = generator.choice(len(rays), size=(config.hypotheses, 3), p=probability)
    matrices = rays[triples]
    solvable = np.abs(np.linalg.det(matrices)) > 1e-6
    planes = np.linalg.solve(matrices[solvable], inverse_depth[triples[solvable]][..., None])[
        ..., 0
    ]
    if frame.up is not None:
        level = _level_planes(rays, inverse_depth, triples[:, 0], frame.up)
        planes = np.concatenate([planes, level])
    has_zone = bool(np.any(weights > 1))
    prior = _mounting_prior(planes, has_zone, frame, config)
    planes, prior = planes[prior > 0], prior[prior > 0]
    if len(planes) == 0:
        return None
    scored = generator.permutation(len(rays))[: config.scored_points]
    votes = _votes(planes, rays[scored], inverse_depth[scored], weights[scored], config)
    return planes[np.argmax(prior * votes)]


def _votes(
    planes: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    config: GroundPlaneConfig,
) -> NDArray[np.float32]:
    """Weight (K,) of the pixels (N,) in each plane (K, 3), less twice that of those beyond it."""
    tolerance = _tolerance(inverse_depth, config)
    lowest, highest = inverse_depth - tolerance, inverse_depth + tolerance
    across, total = np.ascontiguousarray(rays.T), np.empty(len(planes), dtype=np.float32)
    # Weights are small: their sums are exact.
    weights = weights.astype(np.float32)
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
    planes: NDArray[np.float64],
    has_zone: bool,
    frame: RGBDFrame,
    config: GroundPlaneConfig,
) -> NDArray[np.float64]:
    """Weight (N,) of each plane as a floor: 0 for impossible mountings, less for steep views."""
    length = np.linalg.norm(planes, axis=1)
    up = -planes / length[:, None]
    as_high, max_tilt_deg = np.ones(len(planes)), config.max_tilt_deg
    if frame.camera_height is not None:
        max_tilt_deg = config.max_known_tilt_deg
        off = config.max_off_m + config.max_off_share * frame.camera_height
        as_high = (np.abs(1 / length - frame.camera_height) < off).astype(np.float64)
    if frame.up is not None:
        return as_high * (up @ frame.up > np.cos(np.deg2rad(max_tilt_deg)))
    level = np.abs(up[:, 0]) <= np.sin(np.deg2rad(config.max_roll_deg))
    # Straight down, up is across the image: no rounding may decide whether that is upside down.
    upright = up[:, 1] <= UPSIDE_DOWN
    looks_down_deg = np.rad2deg(np.arcsin(np.clip(-up[:, 2], -1, 1)))
    not_from_below = looks_down_deg > -45
    steep = config.steep_weight if has_zone else 0.0
    weight = np.where(looks_down_deg > config.steep_deg, steep, 1.0)
    return as_high * np.where(level & upright & not_from_below, weight, 0.0)


def _refine(
    plane: NDArray[np.float64],
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
    config: GroundPlaneConfig,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """Weighted least squares on the inliers; also the inliers (N,) of the result and their scatter.

    The tolerance follows the residuals once the plane is close, so that low things on the floor
    of a noise-free image do not pull at it.
    """
    tolerance, scale = _tolerance(inverse_depth, config), 0.0
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
    root = np.sqrt(weights[chosen])
    return np.asarray(
        np.linalg.lstsq(rays[chosen] * root[:, None], inverse_depth[chosen] * root, rcond=None)[0]
    )


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
