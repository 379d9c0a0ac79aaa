"""What a depth reading is: the one place that tells readings from marks of "no reading".

Cameras mark a pixel without a reading with 0, NaN or Inf, but also with the largest number that
their format holds, with a round number far away, or by clipping at the end of their range. None of
these may become a distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, bad_input

PLAUSIBLE_DEPTH_M = (0.1, 100.0)
"""Bounds of a plausible median depth of a warehouse frame; outside, the unit is wrong."""

NO_UNIT_M = 1e6
"""A value above is no depth in whatever unit: millimetres taken for metres end at 65,535."""

TOLD_SHARE = 0.1
"""Share of the pixels from which on an answer says that their values were no readings."""

_FULL_SCALE_UNITS = (65535, 65534, 32768, 32767, 32766)
"""Ends of signed and unsigned 16 bit numbers, which mark "no reading" wherever they occur."""

_SATURATED_UNITS = (4095, 8191, 9999, 16383)
"""Ends of narrower numbers: marks only where many pixels have them and nothing lies beyond."""

_PLATEAU_SHARE, _PLATEAU_PIXELS = 0.01, 50
"""Share and number of the pixels that must have the largest value for it to be suspected."""

_CLIPPED_SHARE, _CLIPPED_M = 0.05, 5.0
"""The same for a largest value without a gap below it, and the nearest one that is suspected."""

_GAP = 1.25
"""No scene that goes on lacks all depths between the largest value and this fraction of it."""

_GAP_FILLED = 0.02
"""Readings in a gap, as a share of the plateau beyond it, that are stray ones."""

_SPREAD_VALUES, _SPREAD_PEAK = 20, 0.25
"""A measured scene has so many values at least, none as frequent as this share of a plateau."""

_SAMPLE, _PEAK_SHARE = 1000, 0.02
"""Readings that are looked at for a frequent value, and the share that makes one suspect."""

_CLOSE = 0.005
"""Depths that differ by less, as a share, may be of one surface with noise."""

_PICTURE_VALUES = 8
"""Distinct values from which on a pattern in all of them is no accident."""


class DepthUnitError(SpatialError):
    """Depth that is not in metres, as its values tell."""


@dataclass(frozen=True)
class DepthLimits:
    """Range of a depth camera; what lies outside is no reading.

    Attributes:
        min_depth, max_depth: metres. The defaults suit a warehouse: they end before the 65.5 m at
            which 16 bit millimetres do.

    Raises:
        ValueError: when they are not in order, or beyond what any frame may hold.
    """

    min_depth: float = PLAUSIBLE_DEPTH_M[0]
    max_depth: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_depth < self.max_depth <= PLAUSIBLE_DEPTH_M[1]:
            raise ValueError(
                f"min_depth and max_depth must be 0 <= min_depth < max_depth <= "
                f"{PLAUSIBLE_DEPTH_M[1]:g} metres, got {self.min_depth:g} and {self.max_depth:g}"
            )


@dataclass(frozen=True)
class DepthLoss:
    """Pixels whose value was no reading, as shares of all pixels; 0, NaN and Inf do not count.

    Attributes:
        saturated: with a value that marks "no reading".
        saturated_m: the most frequent of these values in metres; NaN if there is none.
        too_near, too_far: outside of `limits`.
        limits: that held.
    """

    saturated: float = 0.0
    saturated_m: float = math.nan
    too_near: float = 0.0
    too_far: float = 0.0
    limits: DepthLimits = field(default_factory=DepthLimits)

    @property
    def share(self) -> float:
        """Of all pixels."""
        return self.saturated + self.too_near + self.too_far

    @property
    def is_told(self) -> bool:
        """Whether so much is lost that an answer must say so."""
        return self.share >= TOLD_SHARE

    def __str__(self) -> str:
        """What was lost and why, in words; empty if nothing was."""
        reasons = {
            f"{self.saturated:.1%} of one value, {self.saturated_m:.5g} m, that marks no reading": (
                self.saturated
            ),
            f"{self.too_near:.1%} nearer than min_depth = {self.limits.min_depth:g} m": (
                self.too_near
            ),
            f"{self.too_far:.1%} farther than max_depth = {self.limits.max_depth:g} m": (
                self.too_far
            ),
        }
        told = ", ".join(reason for reason, share in reasons.items() if share)
        return f"{self.share:.1%} of the depth pixels are no readings: {told}" if told else ""


@dataclass(frozen=True, eq=False)
class DepthReadings:
    """Depth of one image.

    Attributes:
        metres: float32 (H, W) along the optical axis, NaN where there is no reading.
        loss: what was taken for no reading.
    """

    metres: NDArray[np.float32]
    loss: DepthLoss


def depth_readings(
    values: NDArray,
    metres_per_unit: float = 1.0,
    limits: DepthLimits | None = None,
) -> DepthReadings:
    """The readings among the values of a depth image.

    No reading is: what is not a positive finite number; an end of a 16 bit number (65535, 32767);
    a largest value that many pixels share while the others do not look like it (scattered over the
    image, behind a gap, or clipped); what lies outside of `limits`.

    Args:
        values: (H, W) of any type of number, as the camera sends or the file holds them.
        metres_per_unit: of the values.
        limits: of the camera; None: the defaults.

    Raises:
        DepthUnitError: BAD_INPUT when most readings are too near or too far for any warehouse.
        SpatialError: BAD_INPUT for a picture of depth in 16 bits, which has no unit.
    """
    limits = limits or DepthLimits()
    _refuse_picture(values)
    with np.errstate(invalid="ignore", over="ignore"):
        metres = np.asarray(values, dtype=np.float32) * np.float32(metres_per_unit)
        positive = np.isfinite(metres) & (metres > 0)
    saturated = positive & (_is_full_scale(values, metres) | (metres > NO_UNIT_M))
    readings = positive & ~saturated
    for find in (_plateau, _peak):
        mark = find(metres, readings, values)
        saturated |= mark
        readings &= ~mark
    check_depth_unit(metres[readings])
    too_near = readings & (metres < limits.min_depth)
    too_far = readings & (metres > limits.max_depth)
    kept = readings & ~too_near & ~too_far
    pixels = max(metres.size, 1)
    loss = DepthLoss(
        np.count_nonzero(saturated) / pixels,
        _most_frequent(metres[saturated]),
        np.count_nonzero(too_near) / pixels,
        np.count_nonzero(too_far) / pixels,
        limits,
    )
    return DepthReadings(np.where(kept, metres, np.float32(np.nan)), loss)


def clean_depth(
    values: NDArray, metres_per_unit: float = 1.0, limits: DepthLimits | None = None
) -> NDArray[np.float32]:
    """`depth_readings` without what was lost: float32 (H, W) metres, NaN = no reading."""
    return depth_readings(values, metres_per_unit, limits).metres


def depth_to_units(
    depth: NDArray[np.float32], metres_per_unit: float = 0.001
) -> NDArray[np.uint16]:
    """Metres (H, W) as 16 bit whole numbers, rounded; the inverse of `clean_depth`.

    0 stands for "no reading", and for what 16 bits cannot hold (over 65.5 m in millimetres).
    """
    units = np.nan_to_num(np.round(depth / metres_per_unit), nan=0.0)
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


def check_depth_unit(depth: NDArray[np.float32]) -> None:
    """Refuse depth in the wrong unit: metres of any shape, NaN = no reading.

    Raises:
        DepthUnitError: BAD_INPUT when the median of the readings is not plausible. A frame without
            any reading passes: that is missing depth, not a wrong unit.
    """
    readings = depth[np.isfinite(depth)]
    if not _is_plausible(readings):
        low, high = PLAUSIBLE_DEPTH_M
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"median depth is {np.median(readings):.4g} m, expected {low} to {high} m: the depth "
            "unit is wrong; set the depth scale (metres per unit) of this camera",
        )


def _is_plausible(readings: NDArray[np.float32]) -> bool:
    low, high = PLAUSIBLE_DEPTH_M
    outside = max(np.count_nonzero(readings < low), np.count_nonzero(readings > high))
    return bool(2 * outside <= readings.size)


def _refuse_picture(values: NDArray) -> None:
    """Grey levels that were written as 16 bit: all of them are multiples of 256 or 257."""
    if values.dtype != np.uint16:
        return
    few = values.ravel()[:: max(values.size // 1000, 1)]
    for factor in (256, 257):
        if not few.any() or (few % factor).any():
            continue
        if not (values % factor).any() and np.unique(values).size >= _PICTURE_VALUES:
            raise bad_input(
                f"expected metric depth, found only multiples of {factor}: it is an 8 bit picture "
                "of depth, without a unit, that was written as 16 bit; give the depth itself",
            )


def _is_full_scale(values: NDArray, metres: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where values are the end of a 16 bit number, also one that was taken for millimetres."""
    is_whole = values.dtype.kind in "ui"
    numbers = values if is_whole else metres
    ends = np.array(_FULL_SCALE_UNITS) * (1 if is_whole else 0.001)
    found = np.zeros(values.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        large = numbers > ends.min() * 0.999
        if large.any():
            error = np.abs(numbers[large, None].astype(np.float64) - ends)
            found[large] = (error <= (0 if is_whole else 1e-5)).any(axis=1)
    return found


def _plateau(
    metres: NDArray[np.float32], readings: NDArray[np.bool_], values: NDArray
) -> NDArray[np.bool_]:
    """Where the largest value is, if it is no depth; else nowhere.

    A flat wall that is seen head-on in simulation has one value as well. It is connected, and
    other surfaces of such a scene have few values too.
    """
    nowhere = np.zeros(metres.shape, dtype=bool)
    known = metres[readings]
    if not known.size:
        return nowhere
    largest = known.max()
    plateau = readings & (metres == largest)
    count = int(np.count_nonzero(plateau))
    rest = known[known < largest]
    if not rest.size or count < max(_PLATEAU_SHARE * metres.size, _PLATEAU_PIXELS):
        return nowhere
    in_gap = np.count_nonzero(rest > largest / _GAP)
    is_isolated = in_gap <= _GAP_FILLED * count
    if largest > PLAUSIBLE_DEPTH_M[1]:
        is_mark = is_isolated and _is_plausible(rest)
    elif _is_end_of_number(values[plateau].flat[0], largest):
        is_mark = True
    elif _is_scattered(plateau, count / metres.size):
        is_mark = is_isolated or _is_spread(rest, count)
    else:
        is_clipped = count >= _CLIPPED_SHARE * metres.size and largest >= _CLIPPED_M
        is_mark = (is_isolated or is_clipped) and _is_spread(rest, count)
    return plateau if is_mark else nowhere


def _peak(
    metres: NDArray[np.float32], readings: NDArray[np.bool_], values: NDArray
) -> NDArray[np.bool_]:
    """Where one value amid the others is scattered over a measured scene; else nowhere.

    No surface has the very same depth at pixels that do not touch, and no depth close to it.
    """
    nowhere = np.zeros(metres.shape, dtype=bool)
    known = metres[readings]
    if known.size < _SAMPLE:
        return nowhere
    found, counts = np.unique(known[:: known.size // _SAMPLE], return_counts=True)
    value = found[counts.argmax()]
    if counts.max() < _PEAK_SHARE * counts.sum():
        return nowhere
    peak = readings & (metres == value)
    count = int(np.count_nonzero(peak))
    close = np.count_nonzero(np.abs(known - value) <= _CLOSE * value) - count
    is_mark = (
        close <= _SPREAD_PEAK * count
        and _is_scattered(peak, count / metres.size)
        and _is_spread(known[known != value], count)
    )
    return peak if is_mark else nowhere


def _is_end_of_number(value: np.generic, metre: np.float32) -> bool:
    if value.dtype.kind in "ui":
        return int(value) in _SATURATED_UNITS
    return any(abs(float(metre) - unit * 0.001) < 1e-5 for unit in _SATURATED_UNITS)


def _is_scattered(plateau: NDArray[np.bool_], share: float) -> bool:
    """Whether neighbours of plateau pixels are in it hardly more often than by chance."""
    beside = np.count_nonzero(plateau[:, 1:] & plateau[:, :-1])
    below = np.count_nonzero(plateau[1:] & plateau[:-1])
    pairs = np.count_nonzero(plateau[:, :-1]) + np.count_nonzero(plateau[:-1])
    return bool(pairs and (beside + below) / pairs < (1 + share) / 2)


def _is_spread(readings: NDArray[np.float32], plateau_count: int) -> bool:
    """Whether readings vary as measured ones do, none as frequent as the plateau."""
    counts = np.unique(readings, return_counts=True)[1]
    return counts.size >= _SPREAD_VALUES and bool(counts.max() <= _SPREAD_PEAK * plateau_count)


def _most_frequent(metres: NDArray[np.float32]) -> float:
    if not metres.size:
        return math.nan
    found, counts = np.unique(metres, return_counts=True)
    return float(found[counts.argmax()])
