"""The four upright sides of an object's box: where they were seen, and where they may be hidden.

A side that faces the camera lies where the readings of its face are. Any other side lies where the
outline of the object ends it: the rays of the outline touch the near corner there. What hides a
side, or cuts it off, leaves only a bound, and an amount of space behind it that the camera does not
look through.

Arrays (2, 2) are by axis, then low and high side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.hidden_space import is_seen_through
from smolrgpt_core.geometry.near_corner import NearCorner, outermost
from smolrgpt_core.geometry.order_statistics import fraction_of, mean, median, quantile, quantiles
from smolrgpt_core.geometry.turned_view import TurnedView, turn_level

OUTWARD = np.array([-1.0, 1.0])
"""Direction out of the object at its low and its high side."""

CONTRADICTION_M, MAX_BEHIND_M = 0.1, 3.0
"""The outline may be this much nearer, or farther away, than the surface beside it."""

CARGO_STD_M = 0.1
"""Standard deviation of the end of a carrier from the end of its cargo."""

LOWEST_M = 0.1
"""Height of the lowest part of an outline, by which it is judged whether more is hidden below."""

STACKED_STD_M = 0.1
"""Standard deviation of that height where another object begins below: no background shows it."""

CUT_BELOW_SHARE, IN_FRONT_M = 0.03, 0.5
"""Share of the lowest parts at the border of the image, and how much nearer than these lies what is
seen beside them, from which an object may go on below."""

INSIDE_M = 0.1
"""Standard deviation of the height of the outline from that of the readings just inside of it:
there may be the openings of a pallet between them."""

ALONG = 0.3
"""The outline runs along a side where its points move out there by more than this share of all
that they move."""

NEAR_FLOOR_M = np.array([0.06, 0.12])
"""Heights between the floor and the lowest parts of things that stand on it."""

SEEN_THROUGH, BETWEEN_FORKS = 0.3, 0.6
"""Share of a line along a side that the camera must look through to say that an object ends before
it, and the same near the floor: forks are narrow, and the floor is seen between them."""

ROUGH_M = 0.02
"""Standard deviation of what sticks out from a flat side, meters."""

REACH_M = 0.15
"""Rays of the outline that end within this of a side, without noise, belong to it."""

MIN_END_RAYS, MIN_END_SHARE = 4, 0.25
"""Rays of the outline that must end the object at a side that was seen, and share of the rays at
the side that must do so."""

PROTRUSION_M, PROTRUSION_SHARE = 0.1, 0.015
"""Parts of the object that reach this far beyond its side, such as the forks of a truck, move the
side, if more than this share of the points shows them."""

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
    """Where the rays of the outline touch the object.

    Attributes:
        points: (M, 3), meters.
        std: (M, 3), standard deviation of the points, meters.
        height, height_std: (M,), of the points, or as depth shows it where a ray grazes its face,
            meters.
        face: (M,), the face of the near corner that each ray enters.
        way: (M, 3), direction in which the points move where the outline is one pixel farther out.
        ends: (M,), whether the object ends there.
        cut: (M,), whether it is hidden what goes on there.
        step: (M,), as that of the view.
        below: (M,), whether the outline is the lower one there: what is farther out is lower.
    """

    points: NDArray[np.float64]
    std: NDArray[np.float64]
    height: NDArray[np.float64]
    height_std: NDArray[np.float64]
    face: NDArray[np.int_]
    way: NDArray[np.float64]
    ends: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    step: NDArray[np.float64]
    below: NDArray[np.bool_]


def find_sides(view: TurnedView, corner: NearCorner, plane: GroundPlane, frame: RGBDFrame) -> Sides:
    """The sides of an object whose near corner is known.

    Args:
        view: of the object.
        corner: the near one.
        plane: the floor.
        frame: for what is seen through.
    """
    touch = _touch(view, corner)
    sides = _seen_sides(view, corner, touch)
    sides = replace(sides, seen=_without_cuts(sides, corner, touch))
    sides = _with_protrusions(sides, view)
    hidden = np.zeros((2, 2))
    for axis, end in _which(~sides.seen):
        levels = _levels(axis, sides.bounds[axis, end], touch, corner.top)
        hidden[axis, end] = _hidden(axis, end, sides, levels, view, plane, frame)
    return replace(sides, hidden=hidden)


def doubt_sides(sides: Sides, view: TurnedView, plane: GroundPlane, frame: RGBDFrame) -> Sides:
    """The sides, if the object may go on near the floor behind what ends it higher up.

    So do the forks of a truck behind its body, or under a pallet.

    Args:
        sides: as found.
        view: of the object.
        plane: the floor.
        frame: for what is seen through.
    """
    hidden = np.array(
        [
            [
                _hidden(axis, end, sides, NEAR_FLOOR_M, view, plane, frame, BETWEEN_FORKS)
                for end in (0, 1)
            ]
            for axis in (0, 1)
        ]
    )
    return replace(sides, hidden=np.maximum(hidden, sides.hidden), seen=hidden == 0)


def _touch(view: TurnedView, corner: NearCorner) -> _Touch:
    """Where the outline touches the object.

    Where the corner contradicts the depth beside the outline, the ray is taken to that depth, and
    does not tell where the object ends.
    """
    scale, face = corner.enter(view.outline)
    inner_scale, _ = corner.enter(view.inner_outline)
    near = view.outline_depth
    before = near - CONTRADICTION_M - view.noise * near**2
    plausible = (scale > before) & (scale < near + MAX_BEHIND_M) & (inner_scale > before)
    scale = np.where(plausible, scale, near)
    inner_scale = np.where(plausible, inner_scale, near)
    points = view.at(view.outline, scale)
    moved = points - view.at(view.inner_outline, inner_scale)
    # A ray that grazes a face moves far along it for one pixel, or if the face lies elsewhere.
    slant = np.abs(view.outline)
    across = np.maximum(slant[np.arange(len(face)), face], 1e-6)
    face_std = np.hypot(ROUGH_M, np.append(corner.std, 0.0))
    grazing = (face_std[face] / across)[:, None] * slant
    std = np.hypot(2 * np.abs(moved), grazing)
    known = np.isfinite(scale) & np.isfinite(inner_scale)
    ends = (view.ends & plausible)[known]
    height, height_std = _heights(view, points, std)
    length = np.sqrt(np.einsum("ij,ij->i", moved, moved))
    way = moved / np.maximum(length, 1e-9)[:, None]
    outward = view.outline - view.inner_outline
    below = outward[:, 2] < -ALONG * np.sqrt(np.einsum("ij,ij->i", outward, outward))
    return _Touch(
        points[known], std[known], height[known], height_std[known], face[known], way[known],
        ends, view.cut[known], view.step[known], below[known],
    )  # fmt: skip


def _heights(
    view: TurnedView, points: NDArray[np.float64], std: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights (M,) of points (M, 3) on the outline and their standard deviation, meters.

    Of a ray that grazes its face, the depth beside it tells more than the face.
    """
    near = view.outline_depth
    up = view.outline[:, 2]
    seen = up * near + view.camera_height
    by_pixel = 2 * np.abs(up - view.inner_outline[:, 2]) * near
    blur = np.abs(up) * view.noise * near**2
    seen_std = np.sqrt(by_pixel**2 + blur**2 + INSIDE_M**2)
    surer = seen_std < std[:, 2]
    return np.where(surer, seen, points[:, 2]), np.where(surer, seen_std, std[:, 2])


def _seen_sides(view: TurnedView, corner: NearCorner, touch: _Touch) -> Sides:
    """Sides that face the camera, and sides at which the outline ends the object."""
    bounds = quantiles(view.points[:, :2].T, (0.02, 0.98), axis=1).T
    facing = corner.sign[:, None] == -OUTWARD
    bounds = np.where(facing, corner.position[:, None], bounds)
    unseen_std = np.hypot(REACH_M, [median(view.std[:, axis]) for axis in (0, 1)])
    std = np.where(facing, np.hypot(ROUGH_M, corner.std)[:, None], unseen_std[:, None])
    sides = Sides(bounds, std, facing.copy(), np.zeros((2, 2)), *_bottom(touch))
    open_sides, side_of = _which(~facing), None
    reach = REACH_M + 2 * np.minimum(touch.std[:, :2].T, 1.0)
    for _ in range(3):
        before, side_of = side_of, _assign(touch, bounds, open_sides, reach)
        if before is not None and (side_of == before).all():
            break
        for number, (axis, end) in enumerate(open_sides):
            at_side = side_of == number
            if before is None or (at_side != (before == number)).any():
                _end_at(sides, axis, end, at_side, touch)
    return sides


def _which(sides: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Axis and end of those of the sides (2, 2) that are true."""
    (first, second), (third, fourth) = sides.tolist()
    is_one = {(0, 0): first, (0, 1): second, (1, 0): third, (1, 1): fourth}
    return [side for side, one in is_one.items() if one]


def _end_at(sides: Sides, axis: int, end: int, at_side: NDArray[np.bool_], touch: _Touch) -> None:
    """Set one of the sides, in place, to where the outline ends the object there.

    Args:
        sides: to be changed.
        axis: of the side.
        end: of the side.
        at_side: (M,), the rays of the outline that are at it.
        touch: of all rays.
    """
    own = np.flatnonzero(at_side & touch.ends)
    is_placed = len(own) >= max(MIN_END_RAYS, MIN_END_SHARE * np.count_nonzero(at_side))
    sides.seen[axis, end] = False
    if is_placed:
        along = at_side & _runs_along(touch, axis, end)
        sides.seen[axis, end] = _is_end(along, touch)
        inward = -OUTWARD[end] * touch.points[own, axis]
        std = touch.std[own, axis]
        behind, behind_std = outermost(inward, std)
        sides.bounds[axis, end] = -OUTWARD[end] * behind
        # Neighboring rays graze a face alike, so their number does not make it surer.
        ray_std = 1 / math.sqrt(mean(1 / (std**2 + 1e-4)))
        sides.std[axis, end] = math.hypot(ROUGH_M, behind_std, ray_std)


def _runs_along(touch: _Touch, axis: int, end: int) -> NDArray[np.bool_]:
    """Rays (M,) at which the outline runs along a side.

    Where something nearer cuts an object off, its foot and its upper edge go on until there, and
    end it below and above, not at that side.
    """
    return OUTWARD[end] * touch.way[:, axis] > ALONG


def _is_end(along: NDArray[np.bool_], touch: _Touch) -> bool:
    """Whether rays (M,) of the outline along a side end the object there, or something nearer."""
    ends, cut = _ends_and_cuts(along, touch)
    return ends >= max(MIN_END_RAYS, MIN_END_SHARE * np.count_nonzero(along), cut)


def _ends_and_cuts(along: NDArray[np.bool_], touch: _Touch) -> tuple[int, int]:
    """At how many of the rays (M,) the object ends, and at how many something cuts it off."""
    return int(np.count_nonzero(along & touch.ends)), int(np.count_nonzero(along & touch.cut))


def _without_cuts(sides: Sides, corner: NearCorner, touch: _Touch) -> NDArray[np.bool_]:
    """`seen` (2, 2) of the sides, without the faces that are the cut of something nearer.

    The outline does not run along a face that the camera looks at, but for where it is cut.
    """
    seen = sides.seen.copy()
    for axis in (0, 1):
        if corner.sign[axis] == 0:
            continue
        end = 0 if corner.sign[axis] > 0 else 1
        near = np.abs(touch.points[:, axis] - sides.bounds[axis, end]) < REACH_M
        along = near & _runs_along(touch, axis, end)
        ends, cut = _ends_and_cuts(along, touch)
        seen[axis, end] &= cut < max(MIN_END_RAYS, ends)
    return seen


def _bottom(touch: _Touch) -> tuple[float, float, bool]:
    """`bottom`, `bottom_std` and `bottom_cut` of the sides.

    Where no ray of the outline tells an end, as of a deck that is seen edge on, what is seen ends
    at the lowest of them, and the object may go on below.
    """
    if not touch.ends.any():
        return float(touch.height.min(initial=np.inf)), STACKED_STD_M, True
    ends = touch.height[touch.ends]
    bottom = quantile(ends, 0.03)
    std = median(touch.height_std[touch.ends][ends <= bottom + LOWEST_M])
    lowest = touch.height < min(bottom, quantile(touch.height, 0.03)) + LOWEST_M
    if fraction_of(touch.ends[lowest]) < 0.5:
        std = float(np.hypot(std, STACKED_STD_M))
    # Of a strip of an object, what ends it above is hardly higher.
    under = lowest & touch.below
    under = under if under.any() else lowest
    return bottom, std, _is_cut_below(touch.cut[under], touch.step[under])


def _is_cut_below(cut: NDArray[np.bool_], step: NDArray[np.float64]) -> bool:
    """Whether an object may go on below its lowest parts (N,), by their `cut` and `step`.

    With noise no single reading tells an object in front of it from what it stands on, which is as
    far away; all together do.
    """
    seen = step[~np.isnan(step)]
    is_cut = fraction_of(cut) > 0.5
    if is_cut or not len(seen):
        return is_cut
    return bool(fraction_of(seen == -np.inf) > CUT_BELOW_SHARE or median(seen) < -IN_FRONT_M)


def _assign(
    touch: _Touch,
    bounds: NDArray[np.float64],
    sides: Sequence[tuple[int, int]],
    reach: NDArray[np.float64],
) -> NDArray[np.int_]:
    """Which of some sides (M,) each ray of the outline is at; -1 for none.

    A ray that enters a face tells nothing about the side opposite of that face.

    Args:
        touch: of all rays.
        bounds: (2, 2), of the object, meters.
        sides: axis and end of each.
        reach: (2, M), how far inside of a side of each axis a ray may be at it, meters.
    """
    # By how much of its reach a ray is beyond each side.
    beyond = np.empty((len(sides) + 1, len(touch.face)))
    beyond[-1] = -1.0
    for row, (axis, end) in zip(beyond, sides, strict=False):
        np.divide(OUTWARD[end] * (touch.points[:, axis] - bounds[axis, end]), reach[axis], out=row)
        row[touch.face == axis] = -np.inf
    side_of = np.argmax(beyond, axis=0)
    side_of[side_of == len(sides)] = -1
    return side_of


def _with_protrusions(sides: Sides, view: TurnedView) -> Sides:
    """Sides moved out to parts that reach beyond them, such as the forks of a truck."""
    bounds, std, seen = sides.bounds.copy(), sides.std.copy(), sides.seen.copy()
    for axis in (0, 1):
        for end in (0, 1):
            reached = OUTWARD[end] * view.points[:, axis] - 2.5 * view.std[:, axis]
            farthest = quantile(reached, 1 - PROTRUSION_SHARE)
            if farthest > OUTWARD[end] * bounds[axis, end] + PROTRUSION_M:
                bounds[axis, end] = OUTWARD[end] * farthest
                std[axis, end] = PROTRUSION_M / 2
                seen[axis, end] = True
    return replace(sides, bounds=bounds, std=std, seen=seen)


def _levels(axis: int, bound: float, touch: _Touch, top: float) -> NDArray[np.float64]:
    """Heights (3,) at which the object reaches one of its sides, meters.

    Not the lowest ones: the camera looks through the openings of a pallet.
    """
    at_side = np.abs(touch.points[:, axis] - bound) < 0.1
    heights = touch.points[at_side, 2] if at_side.any() else np.array([0.0, top])
    return np.clip(quantiles(heights, (0.3, 0.6, 0.9)), 0.03, max(top, 0.03))


def _hidden(
    axis: int,
    end: int,
    sides: Sides,
    levels: NDArray[np.float64],
    view: TurnedView,
    plane: GroundPlane,
    frame: RGBDFrame,
    share: float = SEEN_THROUGH,
) -> float:
    """How far beyond its bound a side may lie before the camera looks through the object, meters.

    It does so where it looks through a share of a line along the side at one of the levels,
    or through the end of the line that is nearer to the camera.
    """
    steps = np.arange(STEP_M, MAX_HIDDEN_M, STEP_M)
    low, high = sides.bounds[1 - axis]
    along = np.arange(1, 8) * ((high - low) / 8) + low
    along = along[::-1] if high < 0 else along
    grid = np.empty((len(steps), len(levels), len(along), 3))
    grid[..., axis] = (sides.bounds[axis, end] + OUTWARD[end] * steps)[:, None, None]
    grid[..., 1 - axis] = along
    grid[..., 2] = levels[:, None]
    points = plane.from_floor(turn_level(grid.reshape(-1, 3), -view.yaw))
    through = is_seen_through(points, frame, THROUGH_M + 2 * view.depth_std)
    through = through.reshape(grid.shape[:3])
    looks = through.mean(axis=2) >= share
    if low > 0 or high < 0:
        looks |= through[:, :, :2].all(axis=2)
    stops = np.flatnonzero(looks.any(axis=1))
    return float(steps[stops[0]] - STEP_M if len(stops) else steps[-1])
