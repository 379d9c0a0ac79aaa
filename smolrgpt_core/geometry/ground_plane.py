"""The floor as a plane, found in one depth image without knowing how the camera is mounted.

The inverse depth of a plane is linear in the ray coordinates (x/z, y/z), and the noise of a depth
camera is about constant in inverse depth, so hypotheses and refinement both work there.

Limits: the camera is not mounted upside down and rolls by less than `max_roll_deg`. A wall in front
of a camera and the floor below one that looks straight down are the same picture; such a plane is
believed only with a painted zone in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.object_classes import is_zone


@dataclass(frozen=True)
class GroundPlaneConfig:
    """How the floor is searched.

    Attributes:
        grid_step: every n-th pixel of every n-th row takes part.
        hypotheses: number of random triples of pixels.
        scored_points: pixels on which a hypothesis is scored.
        zone_weight: weight of a pixel of a painted zone relative to one of no region, above 1.
        noise_m: depth noise that does not grow with distance, metres.
        noise_per_m2: depth noise that grows with the square of the distance, metres per m^2.
        max_roll_deg: largest roll of the camera about its optical axis.
        steep_deg: a camera that looks farther down than this looks straight down.
        steep_weight: weight of a floor below a camera that looks straight down, if there is a
            zone; without one it is 0.
        min_share: share of the scored pixels that must lie in the plane.
        min_points: number of grid pixels that must lie in the plane.
        tries: planes that turn out not to be the floor, such as walls, before giving up.
        seed: of the random triples; the same frame always gives the same floor.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    grid_step: int = 4
    hypotheses: int = 200
    scored_points: int = 2000
    zone_weight: float = 3.0
    noise_m: float = 0.01
    noise_per_m2: float = 0.003
    max_roll_deg: float = 30.0
    steep_deg: float = 75.0
    steep_weight: float = 0.1
    min_share: float = 0.05
    min_points: int = 100
    tries: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("grid_step", "hypotheses", "scored_points", "min_points", "tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.zone_weight <= 1:
            raise ValueError(f"zone_weight must be above 1, got {self.zone_weight}")
        for name in ("noise_m", "noise_per_m2", "max_roll_deg", "steep_deg"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("min_share", "steep_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The floor, and metric coordinates on it: (right, forward) in metres from the camera's foot.

    Attributes:
        up: unit vector (3,) in the optical frame, from the floor towards the camera.
        camera_height: of the optical centre above the floor, metres.
        share: part of the scored pixels that lie in the plane, 0 to 1.
        noise: standard deviation of the inverse depth of floor pixels, 1/m.
    """

    up: NDArray[np.float64]
    camera_height: float
    share: float = 1.0
    noise: float = 0.0

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up as unit vectors in the optical frame."""
        right = np.array([1.0, 0.0, 0.0]) - self.up[0] * self.up
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(self.up, right), self.up])

    def to_floor(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Right, forward, height above the floor (..., 3) of points (..., 3) in metres."""
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
    """The floor, or None when too few pixels outside the objects share a plausible plane."""
    config = config or GroundPlaneConfig()
    rays, inverse_depth, weights = _candidates(frame, config)
    total = weights.sum()
    for _ in range(config.tries):
        if len(rays) < config.min_points:
            return None
        best = _best_hypothesis(rays, inverse_depth, weights, config)
        if best is None:
            return None
        plane, inliers, noise = _refine(best, rays, inverse_depth, weights, config)
        share = float(weights[inliers].sum() / total)
        if _is_floor(plane, inliers, weights, share, config):
            length = float(np.linalg.norm(plane))
            return GroundPlane(-plane / length, 1 / length, share, noise)
        rays, inverse_depth, weights = rays[~inliers], inverse_depth[~inliers], weights[~inliers]
    return None


def _is_floor(
    plane: NDArray[np.float64],
    inliers: NDArray[np.bool_],
    weights: NDArray[np.float64],
    share: float,
    config: GroundPlaneConfig,
) -> bool:
    """Whether a plane (3,) is plausible and seen well enough, in all or in the painted zones."""
    in_zone = weights > 1
    fills_zones = np.count_nonzero(in_zone) >= config.min_points // 4 and (
        inliers[in_zone].mean() > 0.5
    )
    plausible = _mounting_prior(plane[None], bool(fills_zones), config)[0] > 0
    enough = np.count_nonzero(inliers) >= config.min_points and share >= config.min_share
    return bool(plausible and (enough or fills_zones))


def _candidates(
    frame: RGBDFrame, config: GroundPlaneConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rays (N, 3), inverse depths (N,) in 1/m and weights (N,) of grid pixels off the objects."""
    weights = np.ones(frame.depth.shape, dtype=np.float32)
    for region in frame.regions:
        value = config.zone_weight if is_zone(region) else 0.0
        weights[region.box.slices][region.mask] = value
    step = slice(None, None, config.grid_step)
    weights, depth = weights[step, step], frame.depth[step, step]
    rows, columns = np.nonzero(np.isfinite(depth) & (weights > 0))
    rays = pixel_rays(rows * config.grid_step, columns * config.grid_step, frame.intrinsics)
    return rays, 1.0 / depth[rows, columns].astype(np.float64), weights[rows, columns].astype(float)


def _tolerance(inverse_depth: NDArray[np.float64], config: GroundPlaneConfig) -> NDArray:
    """Three standard deviations of the inverse depth."""
    return 3 * (config.noise_m * inverse_depth**2 + config.noise_per_m2)


def _best_hypothesis(
    rays: NDArray[np.float64],
    inverse_depth: NDArray[np.float64],
    weights: NDArray[np.float64],
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
    has_zone = bool(np.any(weights > 1))
    prior = _mounting_prior(planes, has_zone, config)
    planes, prior = planes[prior > 0], prior[prior > 0]
    if len(planes) == 0:
        return None
    scored = generator.permutation(len(rays))[: config.scored_points]
    residual = inverse_depth[scored] - planes @ rays[scored].T
    tolerance = _tolerance(inverse_depth[scored], config)
    votes = (np.abs(residual) < tolerance).astype(np.float64) - (residual < -tolerance)
    return planes[np.argmax(prior * (votes @ weights[scored]))]


def _mounting_prior(
    planes: NDArray[np.float64], has_zone: bool, config: GroundPlaneConfig
) -> NDArray[np.float64]:
    """Weight (N,) of each plane as a floor: 0 for impossible mountings, less for steep views."""
    up = -planes / np.linalg.norm(planes, axis=1, keepdims=True)
    level = np.abs(up[:, 0]) <= np.sin(np.deg2rad(config.max_roll_deg))
    upright = up[:, 1] <= 0
    looks_down_deg = np.rad2deg(np.arcsin(np.clip(-up[:, 2], -1, 1)))
    not_from_below = looks_down_deg > -45
    steep = config.steep_weight if has_zone else 0.0
    weight = np.where(looks_down_deg > config.steep_deg, steep, 1.0)
    return np.where(level & upright & not_from_below, weight, 0.0)


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
    for _ in range(4):
        residual = np.abs(inverse_depth - rays @ plane)
        inliers = residual < tolerance
        if inliers.sum() < 3:
            break
        scale = 1.4826 * float(np.median(residual[inliers]))
        close = inliers & (residual <= 2.5 * scale + 1e-9)
        root = np.sqrt(weights[close])
        solution = np.linalg.lstsq(
            rays[close] * root[:, None], inverse_depth[close] * root, rcond=None
        )
        plane = np.asarray(solution[0], dtype=np.float64)
    return plane, np.abs(inverse_depth - rays @ plane) < tolerance, scale
