"""The four upright sides of an object's box: where they were seen, and where they may be hidden.

A side that faces the camera lies where the readings of its face are. Any other side lies where the
outline of the object ends it: the rays of the outline touch the near corner there. What hides a
side, or cuts it off, leaves only a bound, and an amount of space behind it that the camera does not
look through.

Arrays (2, 2) are by axis, then low and high side, and so are the four of (4, ...). Coordinates, and
the B objects that are processed together, are those of `TurnedViews`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.hidden_space import is_seen_through
from smolrgpt_core.geometry.near_corner import TOP, NearCorners, outermost
from smolrgpt_core.geometry.order_statistics import counts_of, medians_of, quantiles_of
from smolrgpt_core.geometry.turned_view import TurnedViews

OUTWARD = np.array([-1.0, 1.0])
"""Direction out of the object at its low and its high side."""

AXIS, END = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
"""Axis and end of each of the four sides."""

OUT = OUTWARD[END][:, None, None]
"""Direction (4, 1, 1) out of the object at each of them."""

CONTRADICTION_M, MAX_BEHIND_M = 0.1, 3.0
"""The outline may be this much nearer, or farther away, than the surface beside it."""

CARGO_STD_M = 0.1
"""Standard deviation of the end of a carrier from the end of its cargo."""

LOWEST_M = 0.1
"""Height of the lowest part of an outline, by which it is judged whether more is hidden below."""

STACKED_STD_M = 0.1
"""Standard deviation of that height where another object begins below: no background shows it."""

CUT_BELOW_FRACTION, IN_FRONT_M = 0.03, 0.5
"""Fraction of the lowest parts at the border of the image, and how much nearer than these lies what
is seen beside them, from which an object may go on below."""

INSIDE_M = 0.1
"""Standard deviation of the height of the outline from that of the readings just inside of it:
there may be the openings of a pallet between them."""

ALONG = 0.3
"""The outline runs along a side where its points move out there by more than this fraction of all
that they move."""

NEAR_FLOOR_M = np.array([0.06, 0.12])
"""Heights between the floor and the lowest parts of things that stand on it."""

SEEN_THROUGH, BETWEEN_FORKS = 0.3, 0.6
"""Fraction of a line along a side that the camera must look through to decide that an object ends
before it, and the same near the floor: forks are narrow, and the floor is seen between them."""

ROUGH_M = 0.02
"""Standard deviation of what sticks out from a flat side, meters."""

REACH_M = 0.15
"""Rays of the outline that end within this of a side, without noise, belong to it."""

MIN_END_RAYS, MIN_END_FRACTION = 4, 0.25
"""Rays of the outline that must end the object at a side that was seen, and the fraction of rays at
the side that must do so."""

PROTRUSION_M, PROTRUSION_FRACTION = 0.1, 0.015
"""Parts of the object that reach this far beyond its side, such as the forks of a truck, move the
side, if more than this fraction of the points shows them."""

MAX_HIDDEN_M, STEP_M = 3.0, 0.05
"""How far a side may lie behind what is visible, and the step of the search for space that the
camera looks through."""

THROUGH_M = 0.05
"""How far behind a point the next reading must be to have looked through it."""


@dataclass(frozen=True, eq=False)
class Sides:
    """The sides of an object.

    Attributes:
        bounds: (2, 2), where the object ends if that was seen, else where what is visible ends.
        std: (2, 2), standard deviation of the bounds, meters.
        seen: (2, 2), whether the object was seen to end there.
        hidden: (2, 2), how far a side that was not seen may lie farther out, meters.
        bottom: height of the lowest visible point, meters.
        bottom_std: standard deviation of that, meters.
        bottom_cut: whether the object may go on below that, behind something or outside of the
            image.
    """

    bounds: NDArray[np.float64]
    std: NDArray[np.float64]
    seen: NDArray[np.bool_]
    hidden: NDArray[np.float64]
    bottom: float
    bottom_std: float = 0.0
    bottom_cut: bool = False

    def less_sure(self, turn_std: float, side_std: float) -> Sides:
        """The sides, if they may be off by more.

        Args:
            turn_std: relative to the extent along a side, as the object may be turned.
            side_std: of each side, meters.
        """
        along = np.maximum(self.bounds[::-1, 1] - self.bounds[::-1, 0], 0.0)[:, None]
        return replace(self, std=np.sqrt(self.std**2 + (turn_std * along) ** 2 + side_std**2))

    def open_behind(self, facing: NDArray[np.int_], length: float) -> Sides:
        """The sides, if the object may be this long away from the camera, meters.

        Args:
            facing: (2,), see `NearCorner.sign`.
            length: of the object.
        """
        measured = self.bounds[:, 1] - self.bounds[:, 0]
        seen, hidden = self.seen.copy(), self.hidden.copy()
        for axis in np.flatnonzero(facing):
            far = 1 if facing[axis] > 0 else 0
            hidden[axis, far] = max(hidden[axis, far], length - measured[axis])
            seen[axis, far] = False
        return replace(self, seen=seen, hidden=hidden)

    def reaching_under(self, cargo: FloorRectangle, yaw: float) -> Sides:
        """The sides of a carrier that is as long as its cargo, if that stands out on one side.

        Cargo in the middle of a deck leaves room behind it, at the end of forks it does not.
        """
        middle = turn(cargo.center, yaw)
        out = OUTWARD * (middle[:, None] - self.bounds)
        axis, end = np.unravel_index(np.argmax(out), out.shape)
        if out[axis, end] < 0:
            return self
        half = np.max(np.abs(turn(cargo.corners - cargo.center, yaw)[:, axis]))
        bounds, std, hidden = self.bounds.copy(), self.std.copy(), self.hidden.copy()
        bounds[axis, end] = middle[axis] + OUTWARD[end] * half
        before = OUTWARD[end] * (middle[axis] - bounds[axis, 1 - end])
        std[axis, end], hidden[axis, end] = CARGO_STD_M, max(before - half, 0.0)
        return replace(self, bounds=bounds, std=std, hidden=hidden)


@dataclass(frozen=True, eq=False)
class _Touch:
    """Where the rays of the outlines touch the objects.

    Attributes:
        is_known: (B, M), whether there is such a ray, and it is known where it touches.
        points: (3, B, M), meters.
        std: (3, B, M), standard deviation of the points, meters.
        height, height_std: (B, M), of the points, or as depth shows it where a ray grazes its face,
            meters.
        face: (B, M), the face of the near corner that each ray enters.
        way: (3, B, M), direction in which the points move where the outline is one pixel farther
            out.
        ends: (B, M), whether the object ends there.
        cut: (B, M), whether it is hidden what goes on there.
        step: (B, M), as that of the views.
        below: (B, M), whether the outline is the lower one there: what is farther out is lower.
    """

    is_known: NDArray[np.bool_]
    points: NDArray[np.float64]
    std: NDArray[np.float64]
    height: NDArray[np.float64]
    height_std: NDArray[np.float64]
    face: NDArray[np.intp]
    way: NDArray[np.float64]
    ends: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    step: NDArray[np.float64]
    below: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Where objects end, as long as that is sought; see `Sides`.

    Attributes:
        bounds, std: (4, B), meters.
        seen: (4, B).
    """

    bounds: NDArray[np.float64]
    std: NDArray[np.float64]
    seen: NDArray[np.bool_]


def find_sides(
    views: TurnedViews, corners: NearCorners, plane: GroundPlane, frame: RGBDFrame
) -> list[Sides]:
    """The sides of objects whose near corners are known.

    Args:
        views: of the objects.
        corners: the near ones.
        plane: the floor.
        frame: for what is seen through.
    """
    touch = _touch(views, corners)
    found = _seen_sides(views, corners, touch)
    found = _without_cuts(found, corners, touch)
    found = _with_protrusions(found, views)
    side, number = np.nonzero(~found.seen)
    levels = _levels(side, number, found, touch, corners.top)
    hidden = np.zeros(found.bounds.shape)
    hidden[side, number] = _hidden(side, number, found.bounds, levels, views, plane, frame)
    by_side = [array.T.reshape(-1, 2, 2) for array in (found.bounds, found.std, found.seen, hidden)]
    lowest = [array.tolist() for array in _bottoms(touch)]
    return [Sides(*own) for own in zip(*by_side, *lowest, strict=True)]


def doubt_sides(sides: Sides, view: TurnedViews, plane: GroundPlane, frame: RGBDFrame) -> Sides:
    """The sides, if the object may go on near the floor behind what ends it higher up.

    So do the forks of a truck behind its body, or under a pallet.

    Args:
        sides: as found.
        view: of this object alone.
        plane: the floor.
        frame: for what is seen through.
    """
    side, number = np.arange(4), np.zeros(4, dtype=np.intp)
    levels = np.broadcast_to(NEAR_FLOOR_M, (4, len(NEAR_FLOOR_M)))
    bounds = sides.bounds.reshape(4, 1)
    hidden = _hidden(side, number, bounds, levels, view, plane, frame, BETWEEN_FORKS)
    hidden = hidden.reshape(2, 2)
    return replace(sides, hidden=np.maximum(hidden, sides.hidden), seen=hidden == 0)


def _touch(views: TurnedViews, corners: NearCorners) -> _Touch:
    """Where the outlines touch the objects.

    Where the corner contradicts the depth beside the outline, the ray is taken to that depth, and
    does not show where the object ends.
    """
    scale, face = corners.enter(views.outline)
    inner_scale, _ = corners.enter(views.inner_outline)
    near = views.outline_depth
    before = near - CONTRADICTION_M - views.noise[:, None] * near**2
    plausible = (scale > before) & (scale < near + MAX_BEHIND_M) & (inner_scale > before)
    scale = np.where(plausible, scale, near)
    inner_scale = np.where(plausible, inner_scale, near)
    points = views.at(views.outline, scale)
    moved = points - views.at(views.inner_outline, inner_scale)
    # A ray that grazes a face moves far along it for one pixel, or if the face lies elsewhere.
    slant = np.abs(views.outline)
    across = np.maximum(np.take_along_axis(slant, face[None], axis=0), 1e-6)
    upright_std = np.hypot(ROUGH_M, corners.std)[:, :, None]
    face_std = np.where(face == TOP, ROUGH_M, np.where(face == 1, *upright_std[::-1]))
    std = np.hypot(2 * np.abs(moved), face_std / across * slant)
    is_known = np.isfinite(scale) & np.isfinite(inner_scale)
    height, height_std = _heights(views, points, std)
    length = np.sqrt((moved**2).sum(axis=0))
    outward = views.outline - views.inner_outline
    return _Touch(
        is_known,
        points,
        std,
        height,
        height_std,
        face,
        moved / np.maximum(length, 1e-9),
        views.ends & plausible & is_known,
        views.cut & is_known,
        views.step,
        outward[2] < -ALONG * np.sqrt((outward**2).sum(axis=0)),
    )


def _heights(
    views: TurnedViews, points: NDArray[np.float64], std: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights (B, M) of points (3, B, M) on outlines and their standard deviation, meters.

    Of a ray that grazes its face, the depth beside it is more exact than the face.
    """
    near = views.outline_depth
    up = views.outline[2]
    seen = up * near + views.camera_height[:, None]
    by_pixel = 2 * np.abs(up - views.inner_outline[2]) * near
    blur = np.abs(up) * views.noise[:, None] * near**2
    seen_std = np.sqrt(by_pixel**2 + blur**2 + INSIDE_M**2)
    surer = seen_std < std[2]
    return np.where(surer, seen, points[2]), np.where(surer, seen_std, std[2])


def _seen_sides(views: TurnedViews, corners: NearCorners, touch: _Touch) -> _Bounds:
    """Sides that face the camera, and sides at which the outline ends the object."""
    facing = corners.sign[AXIS] == -OUTWARD[END][:, None]
    # By end, then axis.
    ends = quantiles_of(views.points[:2], views.is_reading, (0.02, 0.98))
    bounds = np.where(facing, corners.position[AXIS], ends[END, AXIS])
    unseen_std = np.hypot(REACH_M, medians_of(views.std[:2], views.is_reading))
    std = np.where(facing, np.hypot(ROUGH_M, corners.std)[AXIS], unseen_std[AXIS])
    found = _Bounds(bounds, std, facing.copy())
    reach = REACH_M + 2 * np.minimum(touch.std[:2], 1.0)
    before = np.zeros((4, *touch.face.shape), dtype=bool)
    for _ in range(3):
        at_side = _at_sides(touch, found.bounds, ~facing, reach)
        changed = (at_side != before).any(axis=2)
        if not changed.any():
            break
        _end_at(found, changed, at_side, touch)
        before = at_side
    return found


def _end_at(
    found: _Bounds, changed: NDArray[np.bool_], at_side: NDArray[np.bool_], touch: _Touch
) -> None:
    """Set some of the sides, in place, to where the outline ends the object there.

    Args:
        found: the sides, to be changed.
        changed: (4, B), which of them.
        at_side: (4, B, M), the rays of the outline that are at each.
        touch: of all rays.
    """
    own = at_side & touch.ends
    needed = np.maximum(MIN_END_RAYS, MIN_END_FRACTION * counts_of(at_side))
    placed = changed & (counts_of(own) >= needed)
    side, number = np.nonzero(placed)
    own, at_side = own[placed], at_side[placed]
    axis, out = AXIS[side], OUTWARD[END[side]]
    along = at_side & (out[:, None] * touch.way[axis, number] > ALONG)
    found.seen[changed] = False
    found.seen[placed] = _are_ends(along, touch.ends[number], touch.cut[number])
    inward = -out[:, None] * np.where(own, touch.points[axis, number], 0.0)
    std = np.where(own, touch.std[axis, number], 0.0)
    behind, behind_std = outermost(inward, std, own)
    found.bounds[placed] = -out * behind
    # Neighboring rays graze a face alike, so their number does not make it surer.
    sureness = np.where(own, 1 / (std**2 + 1e-4), 0.0)
    ray_std = 1 / np.sqrt(sureness.sum(axis=1) / counts_of(own))
    found.std[placed] = np.sqrt(ROUGH_M**2 + behind_std**2 + ray_std**2)


def _are_ends(
    along: NDArray[np.bool_], ends: NDArray[np.bool_], cut: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether (S,) outlines along sides end the objects there, or something nearer does.

    Args:
        along: (S, M), rays of the outline along each side.
        ends: (S, M), where the object ends.
        cut: (S, M), where it is hidden what goes on.
    """
    count, end_count, cut_count = (counts_of(rays) for rays in (along, along & ends, along & cut))
    least = np.maximum(MIN_END_RAYS, MIN_END_FRACTION * count)
    return np.asarray(end_count >= np.maximum(least, cut_count))


def _without_cuts(found: _Bounds, corners: NearCorners, touch: _Touch) -> _Bounds:
    """The sides without faces that are the cut of something nearer.

    The outline does not run along a face that the camera looks at, but for where it is cut. Where
    something nearer cuts an object off, its foot and its upper edge go on until there, and end it
    below and above, not at that side.
    """
    facing = corners.sign[AXIS] == -OUTWARD[END][:, None]
    near = np.abs(touch.points[AXIS] - found.bounds[:, :, None]) < REACH_M
    along = near & touch.is_known & (OUT * touch.way[AXIS] > ALONG)
    ends, cut = (counts_of(along & rays) for rays in (touch.ends, touch.cut))
    is_cut = facing & (cut >= np.maximum(MIN_END_RAYS, ends))
    return replace(found, seen=found.seen & ~is_cut)


def _bottoms(
    touch: _Touch,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """`bottom`, `bottom_std` and `bottom_cut` (B,) of the sides.

    Where no ray of the outline shows an end, as of a deck that is seen edge on, what is seen ends
    at the lowest of them, and the object may go on below.
    """
    heights = np.where(touch.is_known, touch.height, np.inf)
    (bottom,) = quantiles_of(heights, touch.ends, (0.03,))
    (low,) = quantiles_of(heights, touch.is_known, (0.03,))
    ends_low = touch.ends & (heights <= (bottom + LOWEST_M)[:, None])
    std = medians_of(touch.height_std, ends_low)
    lowest = heights < (np.minimum(bottom, low) + LOWEST_M)[:, None]
    ending = counts_of(lowest & touch.ends)
    is_stacked = ending < 0.5 * np.maximum(counts_of(lowest), 1)
    std = np.where(is_stacked, np.hypot(std, STACKED_STD_M), std)
    # Of a strip of an object, what ends it above is hardly higher.
    under = lowest & touch.below
    under = np.where(under.any(axis=1, keepdims=True), under, lowest)
    has_end = touch.ends.any(axis=1)
    return (
        np.where(has_end, bottom, heights.min(axis=1)),
        np.where(has_end, std, STACKED_STD_M),
        ~has_end | _are_cut_below(touch, under),
    )


def _are_cut_below(touch: _Touch, under: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether (B,) objects may go on below their lowest parts (B, M).

    With noise no single reading distinguishes an object in front of it from what it stands on,
    which is as far away; all together do.
    """
    seen = under & ~np.isnan(touch.step)
    count, cut, seen_count, at_border = (
        counts_of(rays) for rays in (under, under & touch.cut, seen, seen & (touch.step == -np.inf))
    )
    is_hidden = at_border / np.maximum(seen_count, 1) > CUT_BELOW_FRACTION
    is_hidden |= medians_of(touch.step, seen) < -IN_FRONT_M
    return np.asarray((cut > 0.5 * count) | ((seen_count > 0) & is_hidden))


def _at_sides(
    touch: _Touch,
    bounds: NDArray[np.float64],
    sought: NDArray[np.bool_],
    reach: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which rays of the outlines are at each side (4, B, M); each is at one of them at most.

    A ray that enters a face shows nothing about the side opposite of that face.

    Args:
        touch: of all rays.
        bounds: (4, B), of the objects, meters.
        sought: (4, B), the sides that rays may be at.
        reach: (2, B, M), how far inside of a side of each axis a ray may be at it, meters.
    """
    # By how much of its reach a ray is beyond each side.
    beyond = OUT * (touch.points[AXIS] - bounds[:, :, None]) / reach[AXIS]
    possible = sought[:, :, None] & touch.is_known & (touch.face != AXIS[:, None, None])
    beyond = np.where(possible, beyond, -np.inf)
    farthest = np.argmax(beyond, axis=0)
    return np.asarray((farthest == np.arange(4)[:, None, None]) & (beyond >= -1.0))


def _with_protrusions(found: _Bounds, views: TurnedViews) -> _Bounds:
    """Sides moved out to parts that reach beyond them, such as the forks of a truck."""
    reached = OUT * views.points[AXIS] - 2.5 * views.std[AXIS]
    (farthest,) = quantiles_of(reached, views.is_reading, (1 - PROTRUSION_FRACTION,))
    out = OUTWARD[END][:, None]
    protruding = farthest > out * found.bounds + PROTRUSION_M
    return _Bounds(
        np.where(protruding, out * farthest, found.bounds),
        np.where(protruding, PROTRUSION_M / 2, found.std),
        found.seen | protruding,
    )


def _levels(
    side: NDArray[np.intp],
    number: NDArray[np.intp],
    found: _Bounds,
    touch: _Touch,
    top: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Heights (S, 3) at which objects reach some of their sides, meters.

    Not the lowest ones: the camera looks through the openings of a pallet.

    Args:
        side: (S,), which of the four.
        number: (S,), of the object.
        found: all sides.
        touch: where the outline is.
        top: (B,), height of the objects, meters.
    """
    gaps = touch.points[AXIS[side], number] - found.bounds[side, number][:, None]
    at_side = touch.is_known[number] & (np.abs(gaps) < 0.1)
    heights, top = touch.points[2, number], top[number][:, None]
    nowhere = ~at_side.any(axis=1)
    at_side[nowhere, :2] = True
    heights[nowhere, 0], heights[nowhere, 1] = 0.0, top[nowhere, 0]
    levels = quantiles_of(heights, at_side, (0.3, 0.6, 0.9)).T
    return np.clip(levels, 0.03, np.maximum(top, 0.03))


def _hidden(
    side: NDArray[np.intp],
    number: NDArray[np.intp],
    bounds: NDArray[np.float64],
    levels: NDArray[np.float64],
    views: TurnedViews,
    plane: GroundPlane,
    frame: RGBDFrame,
    min_fraction: float = SEEN_THROUGH,
) -> NDArray[np.float64]:
    """How far (S,) sides may lie beyond their bounds before the camera looks through the objects.

    It does so where it looks through `min_fraction` of a line along the side at one of the levels,
    or through the end of the line that is nearer to the camera. In meters.

    Args:
        side: (S,), which of the four.
        number: (S,), of the object.
        bounds: (4, B), of all objects, meters.
        levels: (S, L), heights above the floor, meters.
        views: of all objects.
        plane: the floor.
        frame: for what is seen through.
        min_fraction: of a line, that the camera must look through.
    """
    steps = np.arange(STEP_M, MAX_HIDDEN_M, STEP_M)
    low, high = bounds.reshape(2, 2, -1)[1 - AXIS[side], :, number].T
    along_line = np.where(high[:, None] < 0, np.arange(7, 0, -1), np.arange(1, 8))
    along = along_line * ((high - low) / 8)[:, None] + low[:, None]
    beyond = bounds[side, number][:, None] + OUTWARD[END[side]][:, None] * steps
    is_first = (AXIS[side] == 0)[:, None, None]
    # By object and side, step, and place on the line.
    first = np.where(is_first, beyond[:, :, None], along[:, None])
    second = np.where(is_first, along[:, None], beyond[:, :, None])
    yaw = views.yaw[number][:, None, None]
    cosine, sine = np.cos(yaw), np.sin(yaw)
    level_axes, up = plane.axes[:2], plane.axes[2]
    on_level = (cosine * first - sine * second)[..., None] * level_axes[0]
    on_level += (sine * first + cosine * second)[..., None] * level_axes[1]
    raised = (levels - views.camera_height[number][:, None])[..., None] * up
    points = on_level[:, :, None] + raised[:, None, :, None]
    tolerance = (THROUGH_M + 2 * views.depth_std[number])[:, None, None, None]
    through = is_seen_through(points, frame, tolerance)
    looks = through.mean(axis=3) >= min_fraction
    is_aside = ((low > 0) | (high < 0))[:, None, None]
    looks |= is_aside & through[..., :2].all(axis=3)
    stops = looks.any(axis=2)
    first_stop = steps[np.argmax(stops, axis=1)] - STEP_M
    beyond_bounds: NDArray[np.float64] = np.where(stops.any(axis=1), first_stop, steps[-1])
    return beyond_bounds
