"""Boxes of objects: an upright cuboid on the floor from the part of it that the camera sees.

The visible surface is not the object: its mean lies towards the camera by up to half the object's
depth. So the sides that are seen are measured, each with its uncertainty, and the others follow
from the standard sizes of the label.

Limits: objects are upright cuboids. A side that is neither seen nor implied by a standard size is
taken to lie where the visible surface ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import project
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.near_corner import NearCorner
from smolrgpt_core.geometry.size_priors import SizePrior
from smolrgpt_core.geometry.surface import Edge, Surface


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """An upright cuboid in floor coordinates.

    Attributes:
        footprint: its rectangle on the floor.
        bottom: height of its lower face above the floor, metres.
        top: height of its upper face above the floor, metres.
        size_std: (2,), standard deviation of the footprint's size, metres.
    """

    footprint: FloorRectangle
    bottom: float
    top: float
    size_std: NDArray[np.float64]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Right, forward, height (3,) in metres."""
        return np.append(self.footprint.centre, (self.bottom + self.top) / 2)


@dataclass(frozen=True)
class BoxFitConfig:
    """How boxes are fitted.

    Attributes:
        max_points: number of surface points, and of outline points, that take part.
        side_window_m: points of one side lie within this of each other, without depth noise.
        outline_error_px: standard deviation of a mask's edge, in pixels.
        rough_m: standard deviation of what a load sticks out from a flat side, metres.
        free_size_std: how many standard deviations a measured size may be away from a standard
            one before the object counts as none of the standard ones.
        ground_contact_m: an object whose lowest point is lower than this stands on the floor.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    max_points: int = 400
    side_window_m: float = 0.03
    outline_error_px: float = 1.0
    rough_m: float = 0.02
    free_size_std: float = 3.0
    ground_contact_m: float = 0.15
    max_slack_m: float = 3.0
    yaw_cap_m: float = 0.1
    slack_step_m: float = 0.05

    def __post_init__(self) -> None:
        if self.max_points < 8:
            raise ValueError(f"max_points must be at least 8, got {self.max_points}")
        for name in ("side_window_m", "outline_error_px", "rough_m", "free_size_std"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class SeenBounds:
    """Bounds of the visible surface along the turned axes, and how far the object may go beyond.

    Attributes:
        bounds: (2, 2), low and high by axis, metres.
        slack: (2, 2), how far each side may lie farther out without being seen, metres.
        std: (2,), standard deviation of the measured extents, metres.
    """

    bounds: NDArray[np.float64]
    slack: NDArray[np.float64]
    std: NDArray[np.float64]


def fit_box(
    surface: Surface,
    plane: GroundPlane,
    frame: RGBDFrame,
    prior: SizePrior | None = None,
    config: BoxFitConfig | None = None,
) -> OrientedBox:
    """The upright cuboid around an object.

    Args:
        surface: what is visible of it.
        plane: the floor.
        frame: tells by its depth which space is empty.
        prior: standard sizes of its label.
        config: how to fit.
    """
    config = config or BoxFitConfig()
    step = max(len(surface.depth) // config.max_points, 1)
    rays = surface.rays[::step] @ plane.axes.T
    depth = surface.depth[::step]
    points = rays * depth[:, None] + [0.0, 0.0, plane.camera_height]
    depth_std = plane.noise * depth**2
    yaw = best_yaw(points[:, :2], 1 / (depth_std + 0.02), points[:, :2], config.yaw_cap_m + 2 * float(np.median(depth_std)))
    corner = _near_corner(points, rays, depth, depth_std, yaw, plane)
    outline = _outline_points(surface, corner, yaw, plane, config)
    seen = _see_bounds(corner, outline, points, yaw, plane, frame, config)
    size, size_std = _complete_sizes(seen, prior, config)
    bounds = _place(seen, size)
    footprint = FloorRectangle.from_bounds(yaw, bounds[:, 0], bounds[:, 1])
    bottom = _find_bottom(outline, surface.outline.edges, corner.top, prior, config)
    return OrientedBox(footprint, bottom, corner.top, size_std)


def _turn_rays(rays, yaw):
    return np.concatenate([turn(rays[:, :2], yaw), rays[:, 2:]], axis=1)


def _near_corner(points, rays, depth, depth_std, yaw, plane) -> NearCorner:
    turned = turn(points[:, :2], yaw)
    low, high = np.quantile(turned, (0.05, 0.95), axis=0)
    sign = np.where(low > 0, 1, np.where(high < 0, -1, 0))
    position = np.where(sign > 0, low, high)
    height_std = float(np.median(depth_std * np.abs(rays[:, 2])))
    top = float(np.quantile(points[:, 2], 0.98)) - 2 * height_std
    corner = NearCorner(sign, position, top, plane.camera_height)
    return corner.fit(_turn_rays(rays, yaw), depth, plane.noise)


def _outline_points(surface, corner, yaw, plane, config):
    """Turned floor points (M, 3) where the outline touches the object."""
    rays = _turn_rays(surface.outline.rays @ plane.axes.T, yaw)
    scale, _ = corner.enter(rays)
    near = surface.outline.depth
    reach = 0.1 + plane.noise * near**2
    scale = np.clip(scale, near - reach, near + reach)
    return rays * scale[:, None] + [0.0, 0.0, plane.camera_height]


def _find_bottom(outline, edges, top, prior, config) -> float:
    if prior is not None and prior.on_floor:
        return 0.0
    heights = outline[(edges == Edge.OBJECT) & np.isfinite(outline).all(axis=1), 2]
    if len(heights) == 0:
        return 0.0
    low = float(np.quantile(heights, 0.03))
    return 0.0 if low < config.ground_contact_m else min(low, top)


def _see_bounds(corner, outline, points, yaw, plane, frame, config) -> SeenBounds:
    range_m = float(np.median(np.linalg.norm(points[:, :2], axis=1)))
    depth_std = plane.noise * range_m**2
    pixel = config.outline_error_px * range_m / frame.intrinsics.fx
    window = config.side_window_m
    outline = outline[np.isfinite(outline).all(axis=1)]
    bounds = np.empty((2, 2))
    levels = np.empty((2, 2, 3))
    for axis in (0, 1):
        for side, sign in ((0, 1.0), (1, -1.0)):
            values = sign * outline[:, axis]
            bound = _side_position(values, window)
            if corner.sign[axis] == sign:
                bound = sign * corner.position[axis]
            at_side = np.abs(values - bound) < 2 * window
            levels[axis, side] = np.quantile(outline[at_side, 2], (0.1, 0.5, 0.9)) if at_side.any() else corner.top / 2
            bounds[axis, side] = sign * bound
    bounds.sort(axis=1)
    tolerance = 0.05 + 2 * depth_std
    slack = np.array(
        [
            [_slack(axis, side, bounds, levels[axis, side], yaw, plane, frame, tolerance, config) for side in (0, 1)]
            for axis in (0, 1)
        ]
    )
    std = np.full(2, np.sqrt(config.rough_m**2 + depth_std**2 / 16 + pixel**2))
    return SeenBounds(bounds, slack, std)


def _side_position(values, window) -> float:
    position = float(np.quantile(values, 0.03, method="nearest"))
    for _ in range(3):
        position = float(np.median(values[np.abs(values - position) <= window]))
    return position


def _slack(axis, side, bounds, levels, yaw, plane, frame, tolerance, config) -> float:
    """How far beyond its bound a side may lie before the camera looks through the object."""
    steps = np.arange(1, int(config.max_slack_m / config.slack_step_m) + 1) * config.slack_step_m
    low, high = bounds[1 - axis]
    across = np.linspace(low, high, 9)[1:-1]
    if high < 0:
        across = across[::-1]
    outward = bounds[axis, side] + (steps if side else -steps)
    grid = np.empty((len(steps), len(levels), len(across), 3))
    grid[..., axis] = outward[:, None, None]
    grid[..., 1 - axis] = across
    grid[..., 2] = np.maximum(levels, 0.03)[None, :, None]
    through = sees_through(grid, yaw, plane, frame, tolerance)
    stop = through.mean(axis=2) >= 0.3
    if low > 0 or high < 0:
        stop |= through[:, :, :2].all(axis=2)
    stopped = np.flatnonzero(stop.any(axis=1))
    return float(steps[stopped[0]] - config.slack_step_m) if len(stopped) else float(steps[-1])


def sees_through(turned, yaw, plane, frame, tolerance):
    """Which of the turned floor points (..., 3) lie in space that the camera looks through."""
    floor = turned.copy()
    floor[..., :2] = turn(turned[..., :2], -yaw)
    points = plane.from_floor(floor)
    pixels = np.rint(np.nan_to_num(project(points, frame.intrinsics), nan=-1)).astype(int)
    inside = np.all((pixels >= 0) & (pixels < frame.depth.shape), axis=-1)
    rows, columns = (
        np.where(inside[..., None], pixels, 0)[..., 0],
        np.where(inside[..., None], pixels, 0)[..., 1],
    )
    return inside & (frame.depth[rows, columns] > points[..., 2] + tolerance)


def _complete_sizes(seen, prior, config):
    measured = np.maximum(seen.bounds[:, 1] - seen.bounds[:, 0], 0.0)
    slack = seen.slack.sum(axis=1)
    if prior is None:
        return measured + np.minimum(slack, 0.5) / 2, seen.std + slack / 4
    hypotheses = np.array([pair for a, b in prior.footprints for pair in ((a, b), (b, a))])
    std = np.sqrt(seen.std**2 + prior.tolerance**2)
    nearest = np.clip(hypotheses, measured, measured + slack)
    cost = (((hypotheses - nearest) / std) ** 2).sum(axis=1) / 2
    weight = np.exp(-(cost - cost.min()))
    weight /= weight.sum()
    mean = weight @ hypotheses
    spread = np.sqrt(weight @ (hypotheses - mean) ** 2 + prior.tolerance**2)
    if cost.min() > config.free_size_std**2:
        mean = measured + np.minimum(slack, 0.5) / 2
        return mean, seen.std + slack / 4
    allowed = np.clip(mean, measured, measured + slack)
    gain = spread**2 / (spread**2 + seen.std**2)
    return mean + gain * (allowed - mean), np.sqrt(gain) * seen.std + spread * (slack > 0)


def _place(seen, size):
    """Bounds (2, 2) of the completed footprint: the extra length goes where there is room for it."""
    measured = seen.bounds[:, 1] - seen.bounds[:, 0]
    room = seen.slack + 0.01
    extra = (size - measured)[:, None] * room / room.sum(axis=1, keepdims=True)
    return seen.bounds + extra * [-1.0, 1.0]
