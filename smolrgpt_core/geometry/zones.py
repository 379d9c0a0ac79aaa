"""Painted zones: the rectangle on the floor that a buffer's mask shows parts of.

Once the floor is known, the rays of the mask's outline meet it exactly; depth adds only noise.
Objects that stand in a zone, or in front of it, hide parts of its border: those parts of the
outline bound how far the zone reaches at least, the others say where its sides are. A side that is
hidden along its whole length lies somewhere between the last paint and the first free floor, rather
near the former: the farther a zone would go on, the more of it would be seen between things. It is
put at a third of the way. Where depth has holes beside the last paint, nothing is seen to hide more
of it, and the side is put there; it stays as unsure.

Limits: zones are rectangles. Paint of the floor's own color under a thing that has no region of
its own looks like free floor.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays, project
from smolrgpt_core.geometry.box_fitting import OrientedBox, SizeChoices
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.hidden_space import look_up
from smolrgpt_core.geometry.masks import border_pixels, cut_out, grown_window, overlap, paint
from smolrgpt_core.geometry.order_statistics import median, quantile
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Box, Region

OUTWARD = np.array([-1.0, 1.0])
"""Direction out of the zone at its low and its high side."""

EDGE_STD_PX = 0.5
"""Standard deviation of the edge of a mask, pixels; far away one covers much floor."""

FITTING_FRACTION = 0.8
"""Fraction of a visible outline that must fit a rectangle; the rest may be its mask's faults."""

HIDDEN_FRACTION, HIDDEN_STD = 1 / 3, 0.5
"""Where a hidden side lies between the last paint and the first free floor, and the standard
deviation of that, relative to the way. Half of those in simulated scenes lie between 0.08 and 0.66
of the way, one in ten not behind the last paint; so do about the disturbances, with their tails."""

HIDDEN_QUANTILES = (0.1, 0.25, 0.75, 1.0), (0.0, 0.08, 0.66, 1.0)
"""How many hidden sides lie at most so much of the way: as above, and none before paint
that is seen, or behind floor that is seen without it."""

HIDDEN_CHOICES, HIDDEN_STRIDES = 32, (1, 5, 11, 23)
"""Places that stand for them, and steps through these by which the sides of a zone differ."""

FLOOR_READINGS = 100
"""As many readings of the floor as err independently."""

OUTLINE_POINTS = 500
"""Points of the outline that take part: more place no side better."""

FLOOR_M = 0.03
"""Height up to which a surface counts as floor, without noise."""

SIDE_WINDOW_M = 0.06
"""Points of a visible side lie within this of it."""

MIN_SIDE_POINTS, MIN_SIDE_FRACTION = 3, 0.1
"""Points of the outline that show a side, off its neighbors, and the fraction of its length along
which they lie at least."""

MIN_SEEN_FRACTION = 0.2
"""Fraction of the outline that must be seen; else it is not known how the zone is turned, and each
side is as little known as the worst."""

MAX_HIDDEN_M, STEP_M = 3.0, 0.1
"""How far a side may lie behind the last visible paint, and the step of the search for free
floor."""

MIN_STD_M = 0.02
"""Standard deviation of a side that is visible: paint is no more exact."""


def free_floor(
    frame: RGBDFrame, plane: GroundPlane, objects: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Pixels (H, W) that show the floor: their reading lies in it, and no object has them.

    Args:
        frame: gives the depth.
        plane: the floor.
        objects: bool (H, W), pixels of regions that are not painted on the floor.
    """
    camera = frame.intrinsics
    x = (np.arange(camera.width, dtype=np.float32) - camera.cx) / camera.fx
    y = (np.arange(camera.height, dtype=np.float32) - camera.cy) / camera.fy
    rise = plane.up[0] * x + (plane.up[1] * y + plane.up[2])[:, None]
    height = rise.astype(np.float32) * frame.depth + np.float32(plane.camera_height)
    noise = 3 * plane.noise * plane.camera_height
    is_floor: NDArray[np.bool_] = (np.abs(height) < FLOOR_M + noise * frame.depth) & ~objects
    return is_floor


def fit_zone(
    frame: RGBDFrame,
    region: Region,
    plane: GroundPlane,
    free: NDArray[np.bool_],
    mask_off_px: float = 0.0,
) -> OrientedBox:
    """A painted zone, as a box without height.

    A side that is hidden, or beyond the border of the image, is not known though the others are.

    Args:
        frame: where the zone is.
        region: the zone.
        plane: the floor.
        free: bool (H, W), from `free_floor`.
        mask_off_px: how far masks of the frame are off their objects, pixels.

    Raises:
        SpatialError: CANNOT_TELL when the mask does not meet the floor.
    """
    points, inner, at_free_floor, at_hole = _outline_on_floor(frame, region, plane, free)
    if len(points) < 4 or np.ptp(points, axis=0).min() < 1e-6:
        raise _off_the_floor(region)
    sides = points[at_free_floor] if np.count_nonzero(at_free_floor) >= 4 else points
    # One pixel covers more floor the farther away it is, so far pixels place a side less exactly.
    yaw = best_yaw(sides, 1 / np.sum(sides**2, axis=1), points)
    seen, bounds = _side_bounds(turn(points, yaw), turn(sides, yaw))
    edge_std_px = float(np.hypot(EDGE_STD_PX, mask_off_px))
    blur = _blur(turn(points, yaw), turn(inner, yaw), plane, edge_std_px)
    blur = np.hypot(blur, np.abs(turn(_moved_if_offset(points, plane), yaw)))
    bare = free.copy()
    bare[region.box.slices] &= ~region.mask
    hidden = _hidden_lengths(~seen, bounds, yaw, plane, frame, bare)
    off = np.hypot(MIN_STD_M, _misfit(turn(sides, yaw), bounds))
    seen_std = np.hypot(off, _at_sides(blur, turn(points, yaw), bounds))
    may_end = _may_end(turn(points[at_hole], yaw), bounds)
    bounds = bounds + OUTWARD * np.where(may_end, 0.0, HIDDEN_FRACTION * hidden)
    std = np.hypot(seen_std, HIDDEN_STD * hidden)
    choices = _hidden_sides(hidden, may_end, seen_std)
    if np.mean(at_free_floor) < MIN_SEEN_FRACTION:
        std, choices = np.full((2, 2), std.max()), None
    rectangle = FloorRectangle.from_bounds(yaw, bounds[:, 0], bounds[:, 1])
    return OrientedBox(rectangle, 0.0, 0.0, np.zeros(2), std, choices=choices)


def _off_the_floor(region: Region) -> SpatialError:
    return SpatialError(
        Status.CANNOT_TELL,
        f"the mask of {region.name} does not lie on the floor of the depth image; is it a "
        "painted zone, and is its mask aligned to depth?",
    )


def _hidden_sides(
    hidden: NDArray[np.float64], may_end: NDArray[np.bool_], seen_std: NDArray[np.float64]
) -> SizeChoices | None:
    """Where hidden sides may lie: behind the last paint, and before the first free floor.

    Args:
        hidden: (2, 2), the way between these, meters.
        may_end: (2, 2), whether a side is put at the last paint.
        seen_std: (2, 2), standard deviations of the last paint, meters.
    """
    if not hidden.any():
        return None
    fractions = np.interp((np.arange(HIDDEN_CHOICES) + 0.5) / HIDDEN_CHOICES, *HIDDEN_QUANTILES)
    # Every fraction once for each side, and together with others of the other sides.
    order = np.outer(np.arange(HIDDEN_CHOICES), HIDDEN_STRIDES) % HIDDEN_CHOICES
    at = fractions[order].reshape(-1, 2, 2) - np.where(may_end, 0.0, HIDDEN_FRACTION)
    outward = np.zeros((HIDDEN_CHOICES, 3, 2))
    outward[:, :2] = hidden * at
    weights = np.full(HIDDEN_CHOICES, 1 / HIDDEN_CHOICES)
    return SizeChoices(weights, outward, np.zeros(2), seen_std, 0.0)


def _outline_on_floor(
    frame: RGBDFrame, region: Region, plane: GroundPlane, free: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the outline meets the floor (M, 2), and where rays half a pixel inside of it do (M, 2).

    Then whether free floor is beside it (M,), and whether nothing is, as depth has no reading and
    no region is there (M,).
    """
    window = grown_window(region.box, frame.regions.image_size)
    mask = cut_out(region, window)
    inside, step = border_pixels(mask)
    beside = inside + 2 * step
    in_window = np.all((beside >= 0) & (beside < mask.shape), axis=1)
    outside_free = np.where(mask, False, free[window.slices]).astype(np.float32)
    free_fraction = cv2.blur(outside_free, (3, 3))
    at_free_floor, at_hole = np.zeros((2, len(inside)), dtype=bool)
    at_free_floor[in_window] = free_fraction[tuple(beside[in_window].T)] > 0.3
    at_hole[in_window] = _holes(frame, region, window)[tuple(beside[in_window].T)]
    at_hole &= ~at_free_floor
    border = inside + step / 2 + [window.y, window.x]
    points = plane.intersect(pixel_rays(border[:, 0], border[:, 1], frame.intrinsics))
    inner = plane.intersect(
        pixel_rays(inside[:, 0] + window.y, inside[:, 1] + window.x, frame.intrinsics)
    )
    usable = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(inner).all(axis=1))
    usable = usable[:: len(usable) // OUTLINE_POINTS + 1]
    return points[usable], inner[usable], at_free_floor[usable], at_hole[usable]


def _holes(frame: RGBDFrame, zone: Region, window: Box) -> NDArray[np.bool_]:
    """Pixels (window.height, window.width) without a reading, of no object and not of the zone."""
    taken = cut_out(zone, window)
    for region in frame.regions:
        if not is_zone(region) and overlap(region.box, window):
            paint(taken, region, window)
    return np.asarray(np.isnan(frame.depth[window.slices]) & ~taken)


def _moved_if_offset(points: NDArray[np.float64], plane: GroundPlane) -> NDArray[np.float64]:
    """How far points (M, 2) on the floor lie elsewhere (M, 2) if all depth is off by one length."""
    other = plane.if_offset
    if other is None:
        return np.zeros_like(points)
    rays = plane.from_floor(np.pad(points, ((0, 0), (0, 1))))
    moved = other.intersect(rays)
    return np.where(np.isfinite(moved), moved - points, points)


def _blur(
    points: NDArray[np.float64],
    inner: NDArray[np.float64],
    plane: GroundPlane,
    edge_std_px: float,
) -> NDArray[np.float64]:
    """Standard deviation (M, 2) of outline points on the floor by their pixel and the floor's fit.

    Args:
        points: (M, 2), meters.
        inner: (M, 2), the same half a pixel further inside.
        plane: the floor.
        edge_std_px: standard deviation of the edge of the mask, pixels.
    """
    by_pixel = 2 * edge_std_px * np.abs(points - inner)
    away = np.linalg.norm(points, axis=1, keepdims=True)
    by_noise = plane.noise / np.sqrt(FLOOR_READINGS) * away
    by_level = np.hypot(plane.height_std, plane.tilt_std * away) / plane.camera_height
    std: NDArray[np.float64] = np.hypot(by_pixel, np.hypot(by_noise, by_level) * np.abs(points))
    return std


def _misfit(sides: NDArray[np.float64], bounds: NDArray[np.float64]) -> float:
    """How far the visible outline (M, 2) is off the sides of the rectangle, meters.

    What fits badly is no rectangle, or is turned otherwise, and then no side is where it seems.
    """
    gaps = np.abs(sides[:, :, None] - bounds).reshape(-1, 4).min(axis=1)
    return quantile(gaps, FITTING_FRACTION)


def _at_sides(
    blur: NDArray[np.float64], points: NDArray[np.float64], bounds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Typical blur (2, 2) of the points (M, 2) that are nearest to each side."""
    gaps = np.abs(points[:, :, None] - bounds)
    side = gaps.reshape(-1, 4).argmin(axis=1)
    typical = np.zeros((2, 2))
    for axis in (0, 1):
        for end in (0, 1):
            own = side == 2 * axis + end
            typical[axis, end] = median(blur[own if own.any() else slice(None), axis])
    return typical


def _side_bounds(
    points: NDArray[np.float64], sides: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which sides (2, 2), low and high by axis, are seen, and the bounds (2, 2).

    A bound is the middle of a visible side, else the last paint. The end of a side that leaves the
    image is no part of the next side.
    """
    outermost = np.stack([points.min(axis=0), points.max(axis=0)], axis=1)
    bounds, seen = outermost.copy(), np.zeros((2, 2), dtype=bool)
    for axis in (0, 1):
        length = MIN_SIDE_FRACTION * float(np.ptp(outermost[1 - axis]))
        for end in (0, 1):
            near = np.abs(sides[:, axis] - bounds[axis, end]) < SIDE_WINDOW_M
            if near.sum() >= 3:
                bounds[axis, end] = median(sides[near, axis])
            along = sides[near, 1 - axis]
            to_neighbors = np.abs(along[:, None] - outermost[1 - axis])
            along = along[to_neighbors.min(axis=1, initial=np.inf) > 2 * SIDE_WINDOW_M]
            seen[axis, end] = len(along) >= MIN_SIDE_POINTS and np.ptp(along) >= length
    return seen, bounds


def _may_end(holes: NDArray[np.float64], bounds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """At which sides (2, 2) paint ends beside holes (M, 2) in depth, be it at a corner only."""
    gaps = np.abs(holes[:, :, None] - bounds)
    may_end: NDArray[np.bool_] = np.count_nonzero(gaps < SIDE_WINDOW_M, axis=0) >= MIN_SIDE_POINTS
    return may_end


def _hidden_lengths(
    sides: NDArray[np.bool_],
    bounds: NDArray[np.float64],
    yaw: float,
    plane: GroundPlane,
    frame: RGBDFrame,
    bare: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """How far (2, 2) beyond sides no bare floor is seen, meters, at most `MAX_HIDDEN_M`.

    Args:
        sides: (2, 2), which are asked for; of the others it is 0.
        bounds: (2, 2), of the zone along its axes, meters.
        yaw: of the zone.
        plane: the floor.
        frame: where the zone is.
        bare: (H, W), pixels of the floor that show neither an object nor the zone.
    """
    steps = np.arange(STEP_M, MAX_HIDDEN_M + STEP_M, STEP_M)
    hidden = np.zeros((2, 2))
    for axis, end in np.argwhere(sides):
        low, high = bounds[1 - axis]
        along = np.linspace(low, high, 22)[1:-1]
        strips = np.empty((len(steps), len(along), 2))
        strips[..., axis] = bounds[axis, end] + OUTWARD[end] * steps[:, None]
        strips[..., 1 - axis] = along
        floor = np.concatenate([turn(strips, -yaw), np.zeros((*strips.shape[:2], 1))], axis=-1)
        seen_bare = look_up(bare, project(plane.from_floor(floor), frame.intrinsics))
        stops = np.flatnonzero(seen_bare.sum(axis=1) >= 2)
        hidden[axis, end] = steps[stops[0]] - STEP_M if len(stops) else steps[-1]
    return hidden
