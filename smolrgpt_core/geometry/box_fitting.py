"""Boxes of objects: an upright cuboid on the floor from the part of it that the camera sees.

The visible surface is not the object: its mean lies towards the camera by up to half the object's
depth. So the sides that are seen are measured, each with its uncertainty, and the others follow
from the standard sizes of the class.

Limits: objects are upright cuboids. A side that is neither seen nor implied by a standard size is
put into the middle of the space in which it may be hidden, at most `MAX_GUESS_M` away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.box_sides import OUTWARD, Sides, doubt_sides, find_sides
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, best_yaw
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.near_corner import NearCorners
from smolrgpt_core.geometry.object_top import beyond_borders, find_tops, raised_by_outline
from smolrgpt_core.geometry.size_priors import DECK_M, SizePrior, is_cuboid
from smolrgpt_core.geometry.surface import Surface
from smolrgpt_core.geometry.turned_view import TurnedViews
from smolrgpt_core.geometry.visible_surface import USUAL_DEPTH
from smolrgpt_core.geometry.yaw_search import likeliest_yaws

MISFIT_FRACTION = 0.5
"""Standard deviation that is added to a size that is farther from the standard one that fits best
than its sides allow, relative to that: what was taken for its sides are not all of them."""

TAIL = 3
"""Degrees of freedom of the t distribution of what sides are off by: most by little, a few by much,
as where a side is taken for another. So a standard size that fits badly what is seen of an object
in part is not ruled out."""

MIN_SEEN_HEIGHT_M = 0.05
"""Height below which an object of a standard size is not seen down to its foot: nothing that has
one is as flat, an empty pallet is 0.14 m high."""

EXACT_M = 0.005
"""Standard deviation of readings that are all but exact, as no camera has at a meter and more: the
points themselves determine which side they are on."""

YAW_ARM = 0.5
"""How far sides and the center of a box are from what its yaw turns them about, relative to its
size."""

MUCH_NOISE_M = 0.08
"""Standard deviation of a reading from which the yaw is taken from all readings together instead of
from the sides of the visible points."""

SIDE_CAP_M = 0.1
"""Distance from which a point is not on a side, for the yaw."""

FREE_SIZE_STDS = 3.0
"""How many standard deviations a measured size may be away from a standard one before the object
counts as none of the standard ones."""

MAX_GUESS_M, MAX_GUESS_FRACTION = 0.25, 0.5
"""How far a hidden side of no standard size is guessed beyond what is visible: at most so many
meters, and this fraction of the object's largest side."""

GROUND_CONTACT_M = 0.15
"""An object whose lowest point is lower than this stands on the floor."""

FLUSH_M = 0.03
"""An object that rises less above the floor is seen as a whole."""


@dataclass(frozen=True, eq=False)
class SizeChoices:
    """The boxes that an object may have, where it has one of a few and none between them.

    Those are the standard footprints, and where its foot is hidden, on the floor or on what hides
    it; of a painted zone, where its hidden sides may lie.

    Attributes:
        weights: (S,), how likely each is; the sum is 1.
        outward: (S, 3, 2), how far each face lies farther out than that of the box then, by axis,
            then low and high side, meters.
        shift_std, side_std, bottom_std: as those of `OrientedBox`, of an object of one of these
            boxes.
    """

    weights: NDArray[np.float64]
    outward: NDArray[np.float64]
    shift_std: NDArray[np.float64]
    side_std: NDArray[np.float64]
    bottom_std: float


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """An upright cuboid in floor coordinates.

    Attributes:
        footprint: its rectangle on the floor.
        bottom: height of its lower face above the floor, meters.
        top: height of its upper face above the floor, meters.
        shift_std: (2,), standard deviation of the place of all of it along its sides, meters.
        side_std: (2, 2), standard deviation of each side for itself on top of that, by axis, then
            low and high side, meters.
        in_part: whether what was seen is shorter than any standard size.
        bottom_std: standard deviation of `bottom`, 0 on the floor, meters.
        top_std: standard deviation of `top`, meters.
        choices: what the standard deviations of the footprint are made up of where the object has
            one of several standard sizes; None: nothing is known of it but these.
    """

    footprint: FloorRectangle
    bottom: float
    top: float
    shift_std: NDArray[np.float64]
    side_std: NDArray[np.float64]
    in_part: bool = False
    bottom_std: float = 0.0
    top_std: float = 0.0
    choices: SizeChoices | None = None

    @property
    def center(self) -> NDArray[np.float64]:
        """Right, forward, height (3,) in meters."""
        return np.append(self.footprint.center, (self.bottom + self.top) / 2)

    @property
    def std(self) -> float:
        """Standard deviation of the center, meters."""
        return float(np.linalg.norm([*self.center_std, self.bottom_std / 2]))

    @property
    def size_std(self) -> NDArray[np.float64]:
        """Standard deviation (2,) of the footprint's size, meters."""
        return _lengths(self.side_std)

    @property
    def center_std(self) -> NDArray[np.float64]:
        """Standard deviation (2,) of the footprint's center along its sides, meters."""
        return np.hypot(self.shift_std, self.size_std / 2)


@dataclass(frozen=True, eq=False)
class MeasuredSize:
    """The size of an object's footprint.

    Attributes:
        size, std: (2,), meters.
    """

    size: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is seen of one object, whatever its standard sizes are.

    Attributes:
        view: of this object alone, along its sides.
        yaw_std: standard deviation of its yaw, radians.
        facing: (2,), see `NearCorners.sign`.
        top, top_std: its height above the floor and the standard deviation, meters.
        sides: of it.
    """

    view: TurnedViews
    yaw_std: float
    facing: NDArray[np.int_]
    top: float
    top_std: float
    sides: Sides


class BoxFitter:
    """Fits upright cuboids around one object.

    What is seen of it is the same for whatever is taken for its standard sizes, and found once.

    Args:
        surface: what is visible of it.
        plane: the floor.
        frame: shows by its depth which space is empty.
        is_cuboid: whether objects of its class are known to be boxes.
    """

    def __init__(
        self, surface: Surface, plane: GroundPlane, frame: RGBDFrame, is_cuboid: bool = False
    ) -> None:
        self.surface, self.plane, self.frame = surface, plane, frame
        self.is_cuboid = is_cuboid
        self._top: float | None = None
        self._seen: dict[tuple[float, bool], _Seen] = {}

    def fit(
        self, prior: SizePrior | None = None, cargo: FloorRectangle | None = None
    ) -> OrientedBox:
        """The upright cuboid around the object.

        Args:
            prior: standard sizes of its class; None: what is seen decides alone.
            cargo: footprint of what the object carries; it reaches at least under all of it.
        """
        seen, prior = self._see(prior)
        side_std = prior.side_std if prior is not None else 0.0
        sides = seen.sides.less_sure(YAW_ARM * seen.yaw_std, side_std)
        if cargo is not None:
            sides = sides.reaching_under(cargo, float(seen.view.yaw[0]))
        if prior is not None and _is_doubtful(sides, seen.top, prior):
            sides = doubt_sides(sides, seen.view, self.plane, self.frame)
            sides = _through_openings(sides, seen, prior)
        return _box(seen, sides, prior)

    def measure_size(self) -> MeasuredSize:
        """The size of the box that `fit` finds without a prior, by itself in less time."""
        seen, _ = self._see(None)
        sides = seen.sides.less_sure(YAW_ARM * seen.yaw_std, 0.0)
        done = _complete(sides, max(seen.top - sides.bottom, 0.0), None)
        bounds = _place(sides, done.size)
        _, side_std = _shared(sides, done.std)
        return MeasuredSize(bounds[:, 1] - bounds[:, 0], _lengths(side_std))

    def _see(self, prior: SizePrior | None) -> tuple[_Seen, SizePrior | None]:
        """What is seen of the object, and the prior for its height."""
        seen = self.seen_with(prior)
        if seen is None:
            look_at([self], [prior])
            seen = self.seen_with(prior)
            assert seen is not None
        assert self._top is not None
        return seen, prior.of_height(self._top) if prior is not None else None

    def seen_with(self, prior: SizePrior | None) -> _Seen | None:
        """What is seen of the object if it is of a class; None where it was not looked at so."""
        return self._seen.get(_case(prior, self._top)) if self._top is not None else None

    def keep(self, prior: SizePrior | None, top: float, seen: _Seen) -> None:
        """Keep what `look_at` found.

        Args:
            prior: standard sizes of its class.
            top: height of the object with a deck of the usual depth, meters.
            seen: of the object.
        """
        self._top = top
        self._seen[_case(prior, top)] = seen


def _case(prior: SizePrior | None, top: float) -> tuple[float, bool]:
    """What decides how an object of this height looks: half the depth of what ends it above.

    And whether that is a deck, which gives its height: the body of a truck ends below its mast.
    """
    if prior is None:
        return DECK_M, True
    prior = prior.of_height(top)
    return prior.deck_m, top <= prior.flat_m


def look_at(fitters: Sequence[BoxFitter], priors: Sequence[SizePrior | None]) -> None:
    """Find in one pass what is seen of several objects of a frame, for all that they fit later.

    Args:
        fitters: of the objects.
        priors: standard sizes of the class of each.
    """
    views = TurnedViews.of(
        [fitter.surface for fitter in fitters], [fitter.plane for fitter in fitters]
    )
    usual, usual_std = find_tops(views, np.full(len(views), DECK_M))
    cases = [_case(prior, top) for prior, top in zip(priors, usual.tolist(), strict=True)]
    deck_m = np.array([deck_m for deck_m, _ in cases])
    top, top_std = usual, usual_std
    if (deck_m != DECK_M).any():
        top, top_std = find_tops(views, deck_m)
    views, yaw_std = _along_sides(views, top, np.array([fitter.is_cuboid for fitter in fitters]))
    corners = NearCorners.first_guess(views, top).fit(views)
    has_deck = np.array([has_deck for _, has_deck in cases])
    corners, top_std = corners.with_decks(views, top_std, has_deck)
    sides = find_sides(views, corners, fitters[0].plane, fitters[0].frame)
    for number, (fitter, prior) in enumerate(zip(fitters, priors, strict=True)):
        seen = _Seen(
            views.of_objects(np.array([number])),
            float(yaw_std[number]),
            corners.sign[:, number],
            float(corners.top[number]),
            float(top_std[number]),
            sides[number],
        )
        fitter.keep(prior, float(usual[number]), seen)


def fit_box(
    surface: Surface, plane: GroundPlane, frame: RGBDFrame, prior: SizePrior | None = None
) -> OrientedBox:
    """The upright cuboid around an object; see `BoxFitter`."""
    return BoxFitter(surface, plane, frame, is_cuboid(prior)).fit(prior)


def _box(seen: _Seen, sides: Sides, prior: SizePrior | None) -> OrientedBox:
    """The cuboid between sides, with what may be hidden of it.

    Args:
        seen: of the object.
        sides: of it, with what is doubted.
        prior: standard sizes of its class.
    """
    view = seen.view
    done = _complete(sides, max(seen.top - sides.bottom, 0.0), prior)
    bounds = _place(sides, done.size)
    # Turned about its face that is seen, a box swings out to both sides by half of its size.
    swing = YAW_ARM * seen.yaw_std * done.size[::-1]
    shift_std, side_std = _shared(sides, done.std)
    bounds_std = np.hypot(shift_std[:, None], side_std)
    outline_top = raised_by_outline(
        view, bounds[None], bounds_std[None], np.array([seen.top]), np.array([seen.top_std])
    )
    top, top_std = (float(value[0]) for value in outline_top)
    top_std = math.hypot(top_std, float(beyond_borders(view)[0]) * top)
    bottom = _find_bottom(sides, seen.facing, top, float(done.size.min()), prior)
    return OrientedBox(
        FloorRectangle.from_bounds(float(view.yaw[0]), bounds[:, 0], bounds[:, 1]),
        bottom.height,
        top,
        np.hypot(shift_std, swing),
        side_std,
        prior is not None and _is_in_part(sides, prior),
        bottom.std,
        top_std,
        _choices(sides, done, swing, bottom),
    )


def _choices(
    sides: Sides, done: _Completed, swing: NDArray[np.float64], bottom: _Bottom
) -> SizeChoices | None:
    if not len(done.weights):
        return None
    outward = np.zeros((len(done.weights), 3, 2))
    outward[:, :2] = _room(sides) * (done.standard - done.size)[:, :, None]
    weights, bottom_std = done.weights, bottom.std
    if bottom.raised > bottom.height:
        raised = outward.copy()
        raised[:, 2, 0] = bottom.height - bottom.raised
        outward, weights = np.concatenate([outward, raised]), np.tile(weights / 2, 2)
        bottom_std = sides.bottom_std
    shift_std, side_std = _shared(sides, done.own_std)
    return SizeChoices(weights, outward, np.hypot(shift_std, swing), side_std, bottom_std)


def _is_doubtful(sides: Sides, top: float, prior: SizePrior) -> bool:
    return _is_too_small(sides, prior) or _may_go_on_below(sides, top, prior)


def _through_openings(sides: Sides, seen: _Seen, prior: SizePrior) -> Sides:
    """The sides, open behind where the camera looks through the openings of the object.

    What lies flush with the floor has none.
    """
    if seen.top <= FLUSH_M or not _is_too_small(sides, prior):
        return sides
    return sides.open_behind(seen.facing, max(max(pair) for pair in prior.footprints))


@dataclass(frozen=True)
class _Bottom:
    """The lower face of an object.

    Attributes:
        height, std: above the floor, meters; the standard deviation is 0 on the floor.
        raised: height at which it lies if the object stands on what hides its foot, meters.
    """

    height: float
    std: float
    raised: float = 0.0


def _find_bottom(
    sides: Sides, facing: NDArray[np.int_], top: float, small: float, prior: SizePrior | None
) -> _Bottom:
    """The lower face of an object, `small` meters along its smaller side.

    Of what is seen from straight above, no face shows how far down it reaches. What has standard
    sizes is taken to reach the floor there, and where its lower part is hidden, as it is where only
    the rim of its top is seen; anything else to be about as high as it is wide.
    """
    if sides.bottom < GROUND_CONTACT_M or (prior is not None and prior.on_floor):
        return _Bottom(0.0, 0.0)
    seen_height = top - sides.bottom
    if prior is not None and (sides.bottom_cut or seen_height < MIN_SEEN_HEIGHT_M):
        seen = min(sides.bottom, top)
        return _Bottom(0.0, seen / np.sqrt(3), seen)
    if facing.any() or top < GROUND_CONTACT_M:
        return _Bottom(min(sides.bottom, top), sides.bottom_std)
    bottom = 0.0 if prior is not None else max(top - USUAL_DEPTH * small, 0.0)
    return _Bottom(bottom, (top - bottom) / np.sqrt(3))


def _along_sides(
    views: TurnedViews, top: NDArray[np.float64], is_cuboid: NDArray[np.bool_]
) -> tuple[TurnedViews, NDArray[np.float64]]:
    """The views turned along visible sides, or where noise blurs them by the likeliest yaw.

    Also the standard deviation (B,) of the yaw, radians.
    """
    is_blurred = views.depth_std > np.where(is_cuboid, EXACT_M, MUCH_NOISE_M)
    yaw, yaw_std = np.zeros((2, len(views)))
    blurred = np.flatnonzero(is_blurred)
    if blurred.size:
        yaw[blurred], yaw_std[blurred] = likeliest_yaws(views.of_objects(blurred), top[blurred])
    for number in np.flatnonzero(~is_blurred):
        own, depth_std = views.is_reading[number], float(views.depth_std[number])
        level = views.points[:2, number, own].T
        yaw[number] = best_yaw(
            level, 1 / (views.blur[number, own] + 0.02), level, SIDE_CAP_M + 2 * depth_std
        )
        extent = max(float(np.ptp(level, axis=0).max()), 2 * depth_std)
        yaw_std[number] = depth_std / extent
    return views.turned(yaw), yaw_std


def _is_in_part(sides: Sides, prior: SizePrior) -> bool:
    """Whether what was seen is shorter than any standard length."""
    seen = np.max(sides.bounds[:, 1] - sides.bounds[:, 0])
    shortest = min(max(pair) for pair in prior.footprints)
    return bool(seen < shortest - 2 * prior.tolerance)


def _is_too_small(sides: Sides, prior: SizePrior) -> bool:
    """Whether even with all that may be hidden the object is smaller than any standard one."""
    largest = np.sort(sides.bounds[:, 1] - sides.bounds[:, 0] + sides.hidden.sum(axis=1))
    smallest = np.min(np.sort(prior.footprints, axis=1), axis=0)
    std = np.hypot(_lengths(sides.std), prior.tolerance)
    return bool(np.any(largest + FREE_SIZE_STDS * std < smallest))


def _may_go_on_below(sides: Sides, top: float, prior: SizePrior) -> bool:
    """Whether low parts may reach farther than what is seen of an object that is not flat.

    They may where it is shorter than any real object of its longest standard size. How well its
    sides are known does not matter: one that is hardly known, as of a mast seen at a slant, does
    not mean that the forks end there.
    """
    extent = float(np.max(sides.bounds[:, 1] - sides.bounds[:, 0]))
    longest = max(max(pair) for pair in prior.footprints)
    return top > prior.flat_m and extent + FREE_SIZE_STDS * prior.tolerance < longest


@dataclass(frozen=True, eq=False)
class _Completed:
    """The footprint of an object, with what of it is hidden.

    Attributes:
        size, std: (2,), meters.
        weights: (S,), how likely the object has each of the standard footprints; of none: S = 0.
        standard: (S, 2), its size then, meters.
        own_std: (2,), standard deviation of that, meters.
    """

    size: NDArray[np.float64]
    std: NDArray[np.float64]
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    standard: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    own_std: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))


def _complete(sides: Sides, height: float, prior: SizePrior | None) -> _Completed:
    """The size of the footprint: as measured, plus what may be hidden.

    The standard size that fits best weighs in, and the others make it unsure: no object has the
    mean of two standard sizes.
    """
    measured = np.maximum(sides.bounds[:, 1] - sides.bounds[:, 0], 0.0)
    measured_std = _lengths(sides.std)
    largest = measured + sides.hidden.sum(axis=1)
    extent = max(float(measured.max()), height)
    limit = min(MAX_GUESS_M, MAX_GUESS_FRACTION * extent)
    guess = np.minimum((measured + largest) / 2, measured + limit)
    # What is hidden is seldom deeper than the object is large, and may be nothing.
    guess_std = np.hypot(measured_std, np.minimum(largest - measured, extent) / np.sqrt(12))
    if prior is None:
        return _Completed(guess, guess_std)
    standard = np.array([pair for a, b in prior.footprints for pair in ((a, b), (b, a))])
    misfit = standard - np.clip(standard, measured, largest)
    allowed = measured_std**2 + prior.tolerance**2
    cost = np.sum(misfit**2 / allowed, axis=1) / 2
    doubt = MISFIT_FRACTION * np.sqrt(np.maximum(misfit[np.argmin(cost)] ** 2 - allowed, 0.0))
    if cost.min() > FREE_SIZE_STDS**2:
        return _Completed(guess, np.hypot(guess_std, doubt))
    weights = np.exp(cost.min() - cost)
    weights /= weights.sum()
    # One seen in part may go on along either side; else the errors are those of the copies.
    in_part = _is_in_part(sides, prior)
    scale = TAIL if in_part else TAIL - 2
    tails = np.prod((1 + misfit**2 / (scale * allowed)) ** (-(TAIL + 1) / 2), axis=1)
    tails /= tails.sum()
    likeliest = standard[np.argmax(weights)]
    spread = np.sqrt(weights @ (standard - likeliest) ** 2 + prior.tolerance**2)
    size, size_std = _between(likeliest, spread, measured, largest, measured_std)
    if in_part:
        size_std = np.maximum(size_std, np.sqrt(tails @ (standard - size) ** 2))
    own, own_std = _between(standard, prior.tolerance, measured, largest, measured_std)
    return _Completed(size, np.hypot(size_std, doubt), tails, own, np.hypot(own_std, doubt))


def _between(
    standard: NDArray[np.float64],
    spread: NDArray[np.float64] | float,
    measured: NDArray[np.float64],
    largest: NDArray[np.float64],
    measured_std: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Size (..., 2) of what is about a standard size (..., 2), and its standard deviation (2,)."""
    gain = spread**2 / (spread**2 + measured_std**2)
    size = standard + gain * (np.clip(standard, measured, largest) - standard)
    return size, np.where(largest > measured, spread, np.sqrt(gain) * measured_std)


def _shared(
    sides: Sides, size_std: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`shift_std` and `side_std` of a box whose size is known better than from its sides.

    A size that is known ties its two sides together: what one is off by, the other one is too.
    """
    own = np.hypot(sides.std, sides.hidden / np.sqrt(12))
    measured = _lengths(own)
    left = np.minimum(size_std / measured, 1.0)
    return own.prod(axis=1) / measured * np.sqrt(1 - left**2), own * (size_std / measured)[:, None]


def _place(sides: Sides, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds (2, 2) of a footprint of this size: what is added goes where there is room for it."""
    measured = sides.bounds[:, 1] - sides.bounds[:, 0]
    return sides.bounds + OUTWARD * _room(sides) * (size - measured)[:, None]


def _room(sides: Sides) -> NDArray[np.float64]:
    """Share (2, 2) of each side in where what is added to a size may be."""
    room = sides.hidden + sides.std**2
    return np.asarray(room / room.sum(axis=1, keepdims=True))


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths (N,) of vectors (N, 2), as `np.linalg.norm` has them but for the time it takes."""
    return np.asarray(np.sqrt(np.add.reduce(vectors * vectors, axis=1)))
