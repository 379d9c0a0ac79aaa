"""Boxes of objects: an upright cuboid on the floor from the part of it that the camera sees.

The visible surface is not the object: its mean lies towards the camera by up to half the object's
depth. So the sides that are seen are measured, each with its uncertainty, and the others follow
from the standard sizes of the label.

Limits: objects are upright cuboids. A side that is neither seen nor implied by a standard size is
taken to lie where the visible surface ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import project
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.near_corner import NearCorner, outer_face
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
    side_reach_m: float = 0.15
    min_side_points: int = 4
    slack_step_m: float = 0.05

    def __post_init__(self) -> None:
        if self.max_points < 8:
            raise ValueError(f"max_points must be at least 8, got {self.max_points}")
        for name in ("side_window_m", "outline_error_px", "rough_m", "free_size_std"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class SeenBounds:
    """Bounds of an object along its turned axes: low and high side, by axis.

    Attributes:
        bounds: (2, 2), of the object where it was seen to end, else of what is visible, metres.
        std: (2, 2), standard deviation of each bound, metres.
        seen: (2, 2), whether the object was seen to end there.
        slack: (2, 2), how far a side that was not seen may lie farther out, metres.
    """

    bounds: NDArray[np.float64]
    std: NDArray[np.float64]
    seen: NDArray[np.bool_]
    slack: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Touch:
    """Where the rays of the outline touch the object, in turned floor coordinates.

    Attributes:
        points: (M, 3), metres.
        std: (M, 3), standard deviation of the points, metres.
        face: (M,), the face of the near corner that each ray enters.
        ends: (M,), whether the object ends there.
    """

    points: NDArray[np.float64]
    std: NDArray[np.float64]
    face: NDArray[np.int_]
    ends: NDArray[np.bool_]


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
    yaw = best_yaw(
        points[:, :2],
        1 / (depth_std + 0.02),
        points[:, :2],
        config.yaw_cap_m + 2 * float(np.median(depth_std)),
    )
    corner = _near_corner(points, rays, depth, depth_std, yaw, plane)
    touch = _touch(surface.outline, corner, yaw, plane, config.rough_m)
    turned = np.concatenate([turn(points[:, :2], yaw), points[:, 2:]], axis=1)
    seen = _see_bounds(corner, touch, turned, float(np.median(depth_std)), config)
    seen = _find_slack(seen, touch, corner, yaw, plane, frame, float(np.median(depth_std)), config)
    size, size_std = _complete_sizes(seen, prior, config)
    bounds = _place(seen, size)
    footprint = FloorRectangle.from_bounds(yaw, bounds[:, 0], bounds[:, 1])
    bottom = _find_bottom(touch, corner.top, prior, config)
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


def _touch(outline, corner, yaw, plane, face_std) -> Touch:
    border, inner = (
        _enter(rays, outline.depth, corner, yaw, plane)
        for rays in (outline.rays, outline.inner_rays)
    )
    known = np.isfinite(border[0]).all(axis=1) & np.isfinite(inner[0]).all(axis=1)
    rays, face = _turn_rays(outline.rays @ plane.axes.T, yaw), border[1]
    steep = np.maximum(np.abs(rays[np.arange(len(rays)), face]), 1e-6)
    slope = np.abs(rays) / steep[:, None]
    std = np.hypot(2 * np.abs(border[0] - inner[0]), face_std * slope)
    return Touch(
        border[0][known],
        std[known],
        face[known],
        (outline.edges == Edge.OBJECT)[known],
    )


def _enter(rays, near, corner, yaw, plane):
    """Turned floor points (M, 3) where rays enter the near corner, and the face."""
    rays = _turn_rays(rays @ plane.axes.T, yaw)
    scale, face = corner.enter(rays)
    reach = 0.1 + plane.noise * near**2
    scale = np.where((scale > near - reach) & (scale < near + 3.0), scale, near)
    return rays * scale[:, None] + [0.0, 0.0, plane.camera_height], face


def _find_bottom(touch, top, prior, config) -> float:
    heights = touch.points[touch.ends, 2]
    if (prior is not None and prior.on_floor) or len(heights) == 0:
        return 0.0
    low = float(np.quantile(heights, 0.03))
    return 0.0 if low < config.ground_contact_m else min(low, top)


def _see_bounds(corner, touch, points, depth_std, config) -> SeenBounds:
    bounds = np.quantile(points[:, :2], (0.02, 0.98), axis=0).T
    std = np.full((2, 2), config.rough_m)
    seen = np.zeros((2, 2), dtype=bool)
    facing = np.array([[corner.sign[axis] == 1, corner.sign[axis] == -1] for axis in (0, 1)])
    for axis, side in np.argwhere(facing):
        bounds[axis, side] = corner.position[axis]
        seen[axis, side] = True
    outward = np.array([-1.0, 1.0])
    for _ in range(3):
        excess = outward * (touch.points[:, :2, None] - bounds)
        reach = config.side_reach_m + 2 * np.minimum(touch.std, 1.0)[:, :2, None]
        usable = (excess > -reach) & ~facing & touch.ends[:, None, None]
        usable &= (touch.face[:, None] != np.arange(2))[:, :, None]
        score = np.where(usable, excess / reach, -np.inf).reshape(-1, 4)
        best = np.where(np.isfinite(score.max(axis=1)), score.argmax(axis=1), -1)
        for axis, side in np.argwhere(~facing):
            own = best == 2 * axis + side
            seen[axis, side] = own.sum() >= config.min_side_points
            if not seen[axis, side]:
                continue
            pixel = touch.std[own, axis]
            inward = -outward[side] * touch.points[own, axis]
            bounds[axis, side] = -outward[side] * outer_face(inward, pixel)
            std[axis, side] = np.hypot(config.rough_m, 1 / np.sqrt(np.mean(1 / (pixel**2 + 1e-4))))
    return SeenBounds(bounds, std, seen, np.zeros((2, 2)))


def _find_slack(seen, touch, corner, yaw, plane, frame, depth_std, config) -> SeenBounds:
    tolerance = 0.05 + 2 * depth_std
    slack = np.zeros((2, 2))
    for axis, side in np.argwhere(~seen.seen):
        bound = seen.bounds[axis, side]
        at_side = np.abs(touch.points[:, axis] - bound) < 0.1
        heights = touch.points[at_side, 2] if at_side.any() else touch.points[:, 2]
        levels = np.quantile(np.minimum(heights, corner.top), (0.1, 0.5, 0.9))
        slack[axis, side] = _slack(
            axis, side, seen.bounds, levels, yaw, plane, frame, tolerance, config
        )
    return replace(seen, slack=slack)


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
    std_measured = np.sqrt((seen.std**2).sum(axis=1))
    slack = seen.slack.sum(axis=1)
    if prior is None:
        return measured + np.minimum(slack, 0.5) / 2, std_measured + slack / 4
    hypotheses = np.array([pair for a, b in prior.footprints for pair in ((a, b), (b, a))])
    std = np.sqrt(std_measured**2 + prior.tolerance**2)
    nearest = np.clip(hypotheses, measured, measured + slack)
    cost = (((hypotheses - nearest) / std) ** 2).sum(axis=1) / 2
    if cost.min() > config.free_size_std**2:
        return measured + np.minimum(slack, 0.5) / 2, std_measured + slack / 4
    weight = np.exp(-(cost - cost.min()))
    weight /= weight.sum()
    mean = weight @ hypotheses
    spread = np.sqrt(weight @ (hypotheses - mean) ** 2 + prior.tolerance**2)
    gain = spread**2 / (spread**2 + std_measured**2)
    allowed = np.clip(mean, measured, measured + slack)
    return mean + gain * (allowed - mean), np.where(slack > 0, spread, np.sqrt(gain) * std_measured)


def _place(seen, size):
    """Bounds (2, 2) of the completed footprint: the extra length goes where there is room for it."""
    measured = seen.bounds[:, 1] - seen.bounds[:, 0]
    room = seen.slack + seen.std**2
    extra = (size - measured)[:, None] * room / room.sum(axis=1, keepdims=True)
    return seen.bounds + extra * [-1.0, 1.0]
