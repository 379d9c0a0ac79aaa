"""Painted zones: the rectangle on the floor that a buffer's mask shows parts of.

Once the floor is known, the rays of the mask's outline meet it exactly; depth adds only noise.
Objects that stand in a zone, or in front of it, hide parts of its border: those parts of the
outline say how far the zone reaches at least, the others say where its sides are. A side that is
hidden along its whole length lies somewhere between the last paint and the first free floor; it is
put into the middle.

Limits: zones are rectangles. Paint of the floor's own colour under a thing that has no region of
its own looks like free floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays, project
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.hidden_space import look_up
from smolrgpt_core.geometry.masks import border_pixels, cut_out, grown_window
from smolrgpt_core.regions import Region

OUTWARD = np.array([-1.0, 1.0])
"""Direction out of the zone at its low and its high side."""


@dataclass(frozen=True)
class ZoneFitConfig:
    """How painted zones are fitted.

    Attributes:
        max_points: number of outline points that take part.
        side_window_m: points of a visible side lie within this of it.
        max_hidden_m: how far a side may lie behind the last visible paint.
        step_m: of the search for free floor.
        min_std_m: standard deviation of a side that is visible.

    Raises:
        ValueError: when a value is not positive, naming the field.
    """

    max_points: int = 500
    side_window_m: float = 0.06
    max_hidden_m: float = 3.0
    step_m: float = 0.1
    min_std_m: float = 0.02

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def free_floor(
    frame: RGBDFrame, plane: GroundPlane, objects: NDArray[np.bool_], tolerance_m: float = 0.03
) -> NDArray[np.bool_]:
    """Pixels (H, W) that show the floor: their reading lies in it, and no object has them.

    Args:
        frame: gives the depth.
        plane: the floor.
        objects: bool (H, W), pixels of regions that are not painted on the floor.
        tolerance_m: height up to which a surface counts as floor, without noise.
    """
    camera = frame.intrinsics
    x = (np.arange(camera.width, dtype=np.float32) - camera.cx) / camera.fx
    y = (np.arange(camera.height, dtype=np.float32) - camera.cy) / camera.fy
    rise = plane.up[0] * x + (plane.up[1] * y + plane.up[2])[:, None]
    height = rise.astype(np.float32) * frame.depth + np.float32(plane.camera_height)
    noise = 3 * plane.noise * plane.camera_height
    return (np.abs(height) < tolerance_m + noise * frame.depth) & ~objects


def fit_zone(
    frame: RGBDFrame,
    region: Region,
    plane: GroundPlane,
    free: NDArray[np.bool_],
    config: ZoneFitConfig | None = None,
) -> tuple[FloorRectangle, float]:
    """The rectangle of a painted zone, and the standard deviation of its sides in metres.

    Args:
        frame: where the zone is.
        region: the zone.
        plane: the floor.
        free: bool (H, W), from `free_floor`.
        config: how to fit.

    Raises:
        SpatialError: CANNOT_TELL when the mask does not meet the floor.
    """
    config = config or ZoneFitConfig()
    points, at_free_floor = _outline_on_floor(frame, region, plane, free, config)
    if len(points) < 4 or np.ptp(points, axis=0).min() < 1e-6:
        raise SpatialError(
            Status.CANNOT_TELL,
            f"the mask of {region.name} does not meet the floor that depth shows; is it a painted "
            "zone, and is its mask aligned to depth?",
        )
    sides = points[at_free_floor] if np.count_nonzero(at_free_floor) >= 4 else points
    # One pixel covers more floor the farther away it is, so far pixels place a side less exactly.
    yaw = best_yaw(sides, 1 / np.sum(sides**2, axis=1), points)
    bounds = _side_bounds(turn(points, yaw), turn(sides, yaw), config)
    bare = free.copy()
    bare[region.box.slices] &= ~region.mask
    hidden = _hidden_lengths(bounds, yaw, plane, frame, bare, config)
    bounds = bounds + OUTWARD * hidden / 2
    std = float(np.hypot(config.min_std_m, hidden.max() / np.sqrt(12)))
    return FloorRectangle.from_bounds(yaw, bounds[:, 0], bounds[:, 1]), std


def _outline_on_floor(
    frame: RGBDFrame,
    region: Region,
    plane: GroundPlane,
    free: NDArray[np.bool_],
    config: ZoneFitConfig,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where the outline meets the floor (M, 2), and whether free floor is beside it (M,)."""
    window = grown_window(region.box, frame.regions.image_size)
    mask = cut_out(region, window)
    inside, step = border_pixels(mask)
    beside = inside + 2 * step
    in_window = np.all((beside >= 0) & (beside < mask.shape), axis=1)
    outside_free = np.where(mask, False, free[window.slices]).astype(np.float32)
    share = cv2.blur(outside_free, (3, 3))
    at_free_floor = np.zeros(len(inside), dtype=bool)
    at_free_floor[in_window] = share[tuple(beside[in_window].T)] > 0.3
    border = inside + step / 2 + [window.y, window.x]
    points = plane.intersect(pixel_rays(border[:, 0], border[:, 1], frame.intrinsics))
    kept = np.flatnonzero(np.isfinite(points).all(axis=1))
    kept = kept[:: len(kept) // config.max_points + 1]
    return points[kept], at_free_floor[kept]


def _side_bounds(
    points: NDArray[np.float64], sides: NDArray[np.float64], config: ZoneFitConfig
) -> NDArray[np.float64]:
    """Bounds (2, 2), low and high by axis: the middle of a visible side, else the last paint."""
    bounds = np.stack([points.min(axis=0), points.max(axis=0)], axis=1)
    for axis in (0, 1):
        for end in (0, 1):
            near = np.abs(sides[:, axis] - bounds[axis, end]) < config.side_window_m
            if near.sum() >= 3:
                bounds[axis, end] = np.median(sides[near, axis])
    return bounds


def _hidden_lengths(
    bounds: NDArray[np.float64],
    yaw: float,
    plane: GroundPlane,
    frame: RGBDFrame,
    bare: NDArray[np.bool_],
    config: ZoneFitConfig,
) -> NDArray[np.float64]:
    """How far (2, 2) beyond each side no bare floor is seen, metres, at most `max_hidden_m`."""
    steps = np.arange(config.step_m, config.max_hidden_m + config.step_m, config.step_m)
    hidden = np.zeros((2, 2))
    for axis in (0, 1):
        low, high = bounds[1 - axis]
        along = np.linspace(low, high, 22)[1:-1]
        for end in (0, 1):
            strips = np.empty((len(steps), len(along), 2))
            strips[..., axis] = bounds[axis, end] + OUTWARD[end] * steps[:, None]
            strips[..., 1 - axis] = along
            floor = np.concatenate([turn(strips, -yaw), np.zeros((*strips.shape[:2], 1))], axis=-1)
            seen_bare = look_up(bare, project(plane.from_floor(floor), frame.intrinsics))
            stops = np.flatnonzero(seen_bare.sum(axis=1) >= 2)
            hidden[axis, end] = steps[stops[0]] - config.step_m if len(stops) else steps[-1]
    return hidden
