"""Separates depth readings from invalid values; the only module that decides this.

Cameras mark a pixel without a reading with 0, NaN or Inf, but also with the largest number of
their format, with a large round number, or by clipping at the end of their range. None of these may
become a distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, bad_input

PLAUSIBLE_DEPTH_M = (0.1, 100.0)
"""Bounds of a plausible median depth of a warehouse frame in meters; outside, the unit is wrong."""

NO_UNIT_M = 1e6
"""A larger value is not a depth in any unit: millimeters mistaken for meters end at 65,535."""

REPORTED_LOSS = 0.1
"""An answer reports rejected depth if at least this fraction of the pixels was rejected."""

_FULL_SCALE_UNITS = (65535, 65534, 32768, 32767, 32766)
"""Limits of signed and unsigned 16 bit numbers, which always mean "no reading"."""

_SATURATED_UNITS = (4095, 8191, 9999, 16383)
"""Limits of narrower formats: "no reading" only if many pixels have them and none exceeds them."""

_PLATEAU_FRACTION, _PLATEAU_PIXELS = 0.01, 50
"""Fraction and number of pixels that must have the maximum for it to be suspicious."""

_CLIPPED_FRACTION, _CLIPPED_M = 0.05, 5.0
"""The fraction for a maximum without a gap below it, and the smallest such maximum in meters where
nothing shows that the camera has noise."""

_NOISE_REACH_PX, _NOISE_UNITS, _NOISE_M = 4, 3.0, 0.003
"""Depth three pixels in a row, so far apart, is off a straight line by more than this in a scene
with noise: units of whole numbers, or meters. Rounding alone makes less, and a surface that
scatters so much never has a single value."""

_GAP = 1.25
"""A real scene has some depths between its maximum and the maximum divided by this."""

_GAP_FILLED = 0.02
"""Up to this many readings in the gap, as a fraction of the plateau, are outliers."""

_SPREAD_VALUES, _SPREAD_PEAK = 20, 0.25
"""A measured scene has at least this many values, each rarer than this fraction of the plateau."""

_SPECKS = 0.03
"""Another value in up to this fraction of the pixels of a wall of one value is no ambiguity."""

_SAMPLE, _PEAK_FRACTION = 1000, 0.02
"""Sampled readings to find a frequent value with few close to it, and the fraction that makes it
suspicious."""

_CLOSE = 0.005
"""Depths with a smaller relative difference may be one surface with noise."""

_MIN_GRAY_LEVELS = 8
"""With at least this many distinct values, a pattern in all of them is no coincidence."""

_GRAY_LEVELS = 256
"""Number of gray levels of 8 bits."""

_MILLIMETERS = 0.001
"""Meters per unit of 16 bit depth by default."""

_USUAL_STEPS = (2, 3, 4, 10)
"""Steps in which a depth camera may count millimeters. Of 24 real frames, all count by 1."""

_KNOWN_STEPS = {
    5: "in 1/5000 m, as some data sets have it, the depth scale is 0.0002",
    8: "shifted by 3 bits, as SUN RGB-D has it, the depth scale is 0.000125",
}
"""Steps of well-known data sets whose unit is no millimeter."""

_NORMALIZED_TOP, _NORMALIZED_END, _NORMALIZED_HOLES = 0.01, 0.005, 0.05
"""Depth that fills the whole range of its numbers has at least the first fraction of the pixels in
the top twelfth, at most the second at its very end, and the third at 0: pixels without a reading of
cameras are more, and fewer reach 60 m."""


class DepthUnitError(SpatialError):
    """The values of a depth image show that its unit is wrong."""


@dataclass(frozen=True)
class DepthLimits:
    """Range of a depth camera; values outside count as no reading.

    Attributes:
        min_depth, max_depth: meters. The defaults suit a warehouse and end below 65.5 m, the limit
            of 16 bit millimeters.

    Raises:
        ValueError: they are not in ascending order, or beyond the plausible range.
    """

    min_depth: float = PLAUSIBLE_DEPTH_M[0]
    max_depth: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_depth < self.max_depth <= PLAUSIBLE_DEPTH_M[1]:
            raise ValueError(
                f"min_depth and max_depth must be 0 <= min_depth < max_depth <= "
                f"{PLAUSIBLE_DEPTH_M[1]:g} meters, got {self.min_depth:g} and {self.max_depth:g}"
            )


@dataclass(frozen=True)
class DepthLoss:
    """Rejected pixels as fractions of all pixels, without those that are 0, NaN or Inf.

    Attributes:
        saturated: fraction with a value that means "no reading".
        saturated_m: the most frequent of these values in meters; NaN if there is none.
        too_near, too_far: fractions outside `limits`.
        limits: range of the camera.
    """

    saturated: float = 0.0
    saturated_m: float = math.nan
    too_near: float = 0.0
    too_far: float = 0.0
    limits: DepthLimits = field(default_factory=DepthLimits)

    @property
    def fraction(self) -> float:
        """Fraction of all pixels that was rejected."""
        return self.saturated + self.too_near + self.too_far

    @property
    def is_reported(self) -> bool:
        """Whether so much was rejected that an answer must mention it."""
        return self.fraction >= REPORTED_LOSS

    def __str__(self) -> str:
        """How much was rejected and why; empty if nothing was."""
        reasons = {
            f"{self.saturated:.1%} with the value {self.saturated_m:.5g} m (no reading)": (
                self.saturated
            ),
            f"{self.too_near:.1%} nearer than min_depth = {self.limits.min_depth:g} m": (
                self.too_near
            ),
            f"{self.too_far:.1%} farther than max_depth = {self.limits.max_depth:g} m": (
                self.too_far
            ),
        }
        listed = ", ".join(reason for reason, fraction in reasons.items() if fraction)
        return f"{self.fraction:.1%} of the depth pixels are invalid: {listed}" if listed else ""


@dataclass(frozen=True, eq=False)
class DepthReadings:
    """Depth of one image.

    Attributes:
        meters: float32 (H, W) along the optical axis, meters, NaN where there is no reading.
        loss: how much was rejected as no reading.
    """

    meters: NDArray[np.float32]
    loss: DepthLoss


def depth_readings(
    values: NDArray,
    meters_per_unit: float = 1.0,
    limits: DepthLimits | None = None,
) -> DepthReadings:
    """The valid readings of a depth image.

    These values count as no reading: any that is not positive and finite; a limit of a 16 bit
    number (65535, 32767); a maximum that many pixels have and that does not fit the others
    (scattered over the image, behind a gap, or clipped); any outside `limits`.

    Args:
        values: (H, W) of any numeric type, as from the camera or the file.
        meters_per_unit: scale of the values.
        limits: range of the camera; None: the defaults.

    Raises:
        DepthUnitError: BAD_INPUT when most readings are too near or too far for any warehouse, or
            the numbers themselves are no millimeters or meters, as those of relative depth.
        SpatialError: BAD_INPUT for an 8 bit depth visualization stored as 16 bit, without a unit.
    """
    limits = limits or DepthLimits()
    _refuse_unlikely_unit(values, meters_per_unit)
    with np.errstate(invalid="ignore", over="ignore"):
        meters = np.asarray(values, dtype=np.float32) * np.float32(meters_per_unit)
        positive = np.isfinite(meters) & (meters > 0)
    saturated = positive & (_is_full_scale(values, meters) | (meters > NO_UNIT_M))
    readings = positive & ~saturated
    for find in (_plateau, _peak):
        mark = find(meters, readings, values)
        saturated |= mark
        readings &= ~mark
    check_depth_unit(meters[readings])
    too_near = readings & (meters < limits.min_depth)
    too_far = readings & (meters > limits.max_depth)
    valid = readings & ~too_near & ~too_far
    pixels = max(meters.size, 1)
    loss = DepthLoss(
        np.count_nonzero(saturated) / pixels,
        _most_frequent(meters[saturated]),
        np.count_nonzero(too_near) / pixels,
        np.count_nonzero(too_far) / pixels,
        limits,
    )
    return DepthReadings(np.where(valid, meters, np.float32(np.nan)), loss)


def clean_depth(values: NDArray, meters_per_unit: float = 1.0) -> NDArray[np.float32]:
    """Only the readings of `depth_readings`: float32 (H, W), meters, NaN = no reading.

    Args:
        values: (H, W) of any numeric type.
        meters_per_unit: scale of the values.

    Raises:
        SpatialError: as `depth_readings`.
    """
    return depth_readings(values, meters_per_unit).meters


def depth_to_units(
    depth: NDArray[np.float32], meters_per_unit: float = 0.001
) -> NDArray[np.uint16]:
    """Depth (H, W) in meters as rounded 16 bit integers; the inverse of `clean_depth`.

    0 means "no reading", also for values beyond 16 bits (over 65.5 m in millimeters).
    """
    units = np.nan_to_num(np.round(depth / meters_per_unit), nan=0.0)
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


def check_depth_unit(depth: NDArray[np.float32]) -> None:
    """Check the unit of depth in meters, of any shape, NaN = no reading.

    Raises:
        DepthUnitError: BAD_INPUT when the median of the readings is implausible. A frame without
            any reading passes: that is missing depth, not a wrong unit.
    """
    readings = depth[np.isfinite(depth)]
    if not _is_plausible(readings):
        low, high = PLAUSIBLE_DEPTH_M
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"median depth is {np.median(readings):.4g} m, expected {low} to {high} m: the depth "
            "unit is wrong; set the depth scale (meters per unit) of this camera",
        )


def _is_plausible(readings: NDArray[np.float32]) -> bool:
    low, high = PLAUSIBLE_DEPTH_M
    outside = max(np.count_nonzero(readings < low), np.count_nonzero(readings > high))
    return bool(2 * outside <= readings.size)


def _refuse_unlikely_unit(values: NDArray, meters_per_unit: float) -> None:
    """Refuse depth without a unit, or in another one, where the values themselves show it."""
    if values.dtype == np.uint16:
        step = _step(values)
        levels = np.unique(values).size if step > 1 or values.max(initial=0) < _GRAY_LEVELS else 0
        _refuse_gray_levels(step, levels)
        if meters_per_unit == _MILLIMETERS:
            _refuse_other_units(values, step, levels)
            _refuse_normalized(values, np.iinfo(np.uint16).max)
    elif values.dtype.kind == "f" and meters_per_unit == 1:
        _refuse_normalized(values, 1)


def _refuse_gray_levels(step: int, levels: int) -> None:
    """Refuse gray levels stored as 16 bit: all values are multiples of 256 or 257."""
    for factor in (256, 257):
        if step and step % factor == 0 and levels >= _MIN_GRAY_LEVELS:
            raise bad_input(
                f"expected metric depth, found only multiples of {factor}: this is an 8 bit depth "
                "visualization without a unit, stored as 16 bit; provide metric depth",
            )


def _refuse_other_units(values: NDArray[np.uint16], step: int, levels: int) -> None:
    """Refuse as millimeters what ends at 8 bits, or counts in steps that no depth camera has."""
    if values.max(initial=0) < _GRAY_LEVELS and levels >= _MIN_GRAY_LEVELS:
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"expected 16 bit depth in millimeters, found only numbers up to {values.max()}: these "
            "look like gray levels of 8 bits without a unit; provide metric depth, or the depth "
            "scale (meters per unit)",
        )
    if step > 1 and step not in _USUAL_STEPS and levels >= _SPREAD_VALUES:
        known = _KNOWN_STEPS.get(step, "provide metric depth, or the depth scale (meters per unit)")
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"expected 16 bit depth in millimeters, found only multiples of {step}: its unit is "
            f"another one; {known}",
        )


def _step(values: NDArray[np.uint16]) -> int:
    """The largest number of which all values, but those that mean "no reading", are multiples."""
    sample = values.ravel()[:: max(values.size // _SAMPLE, 1)]
    for few in (sample, values.ravel()):
        step = int(np.gcd.reduce(few[few < min(_FULL_SCALE_UNITS)].astype(np.int32), initial=0))
        if step == 1:
            break
    return step


def _refuse_normalized(values: NDArray, top: float) -> None:
    """Refuse depth that fills its range from 0 to the very end, as relative depth is stored."""
    if not values.size or values.max() != top or values.min() != 0:
        return
    at_top, at_zero, near_top = (
        np.count_nonzero(found) / values.size
        for found in (values == top, values == 0, (values > top * 11 / 12) & (values < top))
    )
    if at_top <= _NORMALIZED_END and at_zero <= _NORMALIZED_HOLES and near_top >= _NORMALIZED_TOP:
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"expected metric depth, found values that fill the whole range of 0 to {top:g}: "
            "this is relative depth without a unit; provide metric depth, or the depth scale "
            "(meters per unit)",
        )


def _is_full_scale(values: NDArray, meters: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask of values that are a limit of a 16 bit number, also as millimeters in meters."""
    is_whole = values.dtype.kind in "ui"
    numbers = values if is_whole else meters
    ends = np.array(_FULL_SCALE_UNITS) * (1 if is_whole else 0.001)
    found = np.zeros(values.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        large = numbers > ends.min() * 0.999
        if large.any():
            error = np.abs(numbers[large, None].astype(np.float64) - ends)
            found[large] = (error <= (0 if is_whole else 1e-5)).any(axis=1)
    return found


def _plateau(
    meters: NDArray[np.float32], readings: NDArray[np.bool_], values: NDArray
) -> NDArray[np.bool_]:
    """Mask of the maximum if it is no depth; otherwise empty.

    A flat wall seen head-on in simulation also has a single value. It is connected, and the other
    surfaces of such a scene have few values too.
    """
    nowhere = np.zeros(meters.shape, dtype=bool)
    known = meters[readings]
    if not known.size:
        return nowhere
    largest = known.max()
    count = int(np.count_nonzero(known == largest))
    if count == known.size or count < max(_PLATEAU_FRACTION * meters.size, _PLATEAU_PIXELS):
        return nowhere
    plateau = readings & (meters == largest)
    rest = known[known < largest]
    in_gap = np.count_nonzero(rest > largest / _GAP)
    is_isolated = in_gap <= _GAP_FILLED * count
    if largest > PLAUSIBLE_DEPTH_M[1]:
        is_mark = is_isolated and _is_plausible(rest)
    elif _is_end_of_number(values[plateau].flat[0], largest):
        is_mark = True
    elif _is_scattered(plateau, readings):
        is_mark = (is_isolated or _is_spread(rest, count)) and not _is_surface(plateau, rest)
    else:
        is_clipped = count >= _CLIPPED_FRACTION * meters.size and largest >= _CLIPPED_M
        is_clipped = is_clipped or _is_noisy(meters, readings & ~plateau, values)
        is_mark = (is_isolated or is_clipped) and _is_spread(rest, count)
    return plateau if is_mark else nowhere


def _peak(
    meters: NDArray[np.float32], readings: NDArray[np.bool_], values: NDArray
) -> NDArray[np.bool_]:
    """Mask of a value between the others that no surface of a measured scene has; otherwise empty.

    No surface has exactly the same depth at scattered pixels, or with noise at any pixels, and no
    similar depth around them.
    """
    nowhere = np.zeros(meters.shape, dtype=bool)
    known = meters[readings]
    if known.size < _SAMPLE:
        return nowhere
    found, counts = np.unique(known[:: known.size // _SAMPLE], return_counts=True)
    frequent = counts >= _PEAK_FRACTION * counts.sum()
    if not frequent.any():
        return nowhere
    value = found[np.argmax(frequent * counts * _alike(found, counts))]
    peak = readings & (meters == value)
    count = int(np.count_nonzero(peak))
    close = np.count_nonzero(np.abs(known - value) <= _CLOSE * value) - count
    is_mark = (
        close <= _SPREAD_PEAK * count
        and _is_fine(known[known != value])
        and (_is_scattered(peak, readings) or _is_noisy(meters, readings & ~peak, values))
    )
    return peak if is_mark else nowhere


def _is_end_of_number(value: np.generic, meter: np.float32) -> bool:
    if value.dtype.kind in "ui":
        return int(value) in _SATURATED_UNITS
    return any(abs(float(meter) - unit * 0.001) < 1e-5 for unit in _SATURATED_UNITS)


def _is_scattered(plateau: NDArray[np.bool_], readings: NDArray[np.bool_]) -> bool:
    """Whether readings beside the plateau belong to it hardly more often than by chance."""
    beside = np.count_nonzero(plateau[:, 1:] & plateau[:, :-1])
    below = np.count_nonzero(plateau[1:] & plateau[:-1])
    pairs = np.count_nonzero(plateau[:, :-1] & readings[:, 1:])
    pairs += np.count_nonzero(plateau[:-1] & readings[1:])
    fraction = np.count_nonzero(plateau) / np.count_nonzero(readings)
    return bool(pairs and (beside + below) / pairs < (1 + fraction) / 2)


def _is_surface(plateau: NDArray[np.bool_], rest: NDArray[np.float32]) -> bool:
    """Whether a plateau among which another single value is scattered is a bare wall with specks.

    Args:
        plateau: (H, W), where the largest value is.
        rest: (N,), the other readings, meters.

    Raises:
        SpatialError: BAD_INPUT when either of the two values may be the wall.
    """
    count = np.count_nonzero(plateau)
    if not rest.size or rest.size > count or rest.min() < rest.max():
        return False
    if rest.size <= _SPECKS * count:
        return True
    raise bad_input(
        f"depth has only two values, interspersed with each other; {rest[0]:.5g} m in "
        f"{rest.size / (rest.size + count):.0%} of the readings: one of them means no reading; "
        "set those pixels to 0"
    )


def _is_noisy(meters: NDArray[np.float32], readings: NDArray[np.bool_], values: NDArray) -> bool:
    """Whether most readings scatter by so much that no surface can have a single value.

    The inverse depth of a plane is straight along a row, however the plane is turned.
    """
    inverse = np.where(readings, 1 / np.where(readings, meters, 1), np.nan)
    left, right = inverse[:, : -2 * _NOISE_REACH_PX], inverse[:, 2 * _NOISE_REACH_PX :]
    middle = meters[:, _NOISE_REACH_PX:-_NOISE_REACH_PX]
    bend = np.abs(left + right - 2 / np.where(middle > 0, middle, np.nan)) * np.square(middle)
    bend = bend[np.isfinite(bend) & readings[:, _NOISE_REACH_PX:-_NOISE_REACH_PX]]
    if not bend.size:
        return False
    unit = float(meters[readings][0] / values[readings][0])
    least = _NOISE_UNITS * unit if values.dtype.kind in "ui" else _NOISE_M
    return bool(np.median(bend) > least)


def _is_spread(readings: NDArray[np.float32], plateau_count: int) -> bool:
    """Whether readings vary like measurements, none nearly as frequent as the plateau."""
    counts = np.unique(readings, return_counts=True)[1]
    return counts.size >= _SPREAD_VALUES and bool(counts.max() <= _SPREAD_PEAK * plateau_count)


def _is_fine(readings: NDArray[np.float32]) -> bool:
    """Whether readings hardly ever have the same value as those about as far away."""
    found, counts = np.unique(readings, return_counts=True)
    if found.size < _SPREAD_VALUES:
        return False
    return bool(np.sum(counts[_alike(found, counts) <= _SPREAD_PEAK]) > readings.size / 2)


def _alike(found: NDArray[np.float32], counts: NDArray[np.int_]) -> NDArray[np.float64]:
    """How many (N,) of the readings about as far away have the same value, as a fraction.

    Args:
        found: (N,), values in ascending order, meters.
        counts: (N,), readings of each.
    """
    total = np.append(0, np.cumsum(counts))
    first = np.searchsorted(found, found * np.float32(1 - _CLOSE))
    last = np.searchsorted(found, found * np.float32(1 + _CLOSE), side="right")
    return np.asarray(counts / (total[last] - total[first]))


def _most_frequent(meters: NDArray[np.float32]) -> float:
    if not meters.size:
        return math.nan
    found, counts = np.unique(meters, return_counts=True)
    return float(found[counts.argmax()])
