"""Medians and quantiles of a few hundred numbers, and of many such sets at once.

The same numbers as NumPy's, which takes several times as long for so few: geometry asks for a
hundred of them for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", float, NDArray[np.floating])

LAST = 1e100
"""Stands for numbers that do not count: sorted behind all others."""

SORTED_COUNT = 2000
"""Up to so many numbers are sorted faster than they are divided at one of them."""


def fraction_of(found: NDArray[np.bool_]) -> float:
    """Fraction of (N,) that is true; 0 of nothing."""
    return int(np.count_nonzero(found)) / max(len(found), 1)


def median(values: NDArray[np.floating]) -> float:
    """Median of (N,), N > 0 and no NaN."""
    count = len(values)
    half = count // 2
    ordered = values.copy()
    if count <= SORTED_COUNT:
        ordered.sort()
        below = ordered[half - 1]
    else:
        ordered.partition(half)
        below = ordered[:half].max()
    return float(ordered[half] if count % 2 else (below + ordered[half]) / 2)


def quantile(values: NDArray[np.float64], fraction: float) -> float:
    """Number that this fraction of (N,) is below, N > 0 and no NaN, linear between two of them."""
    last = len(values) - 1
    place = last * fraction
    lower = int(place)
    ordered = values.copy()
    if last < SORTED_COUNT:
        ordered.sort()
    else:
        ordered.partition((lower, min(lower + 1, last)))
    return _between(float(ordered[lower]), float(ordered[min(lower + 1, last)]), place - lower)


def quantiles(
    values: NDArray[np.floating], fractions: Sequence[float], axis: int = 0
) -> NDArray[np.float64]:
    """Quantiles (len(fractions), ...) along an axis of numbers without NaN, N > 0 of them.

    Args:
        values: (..., N, ...).
        fractions: 0 to 1.
        axis: that of the N numbers.
    """
    # Numbers that lie side by side are sorted several times as fast.
    is_last = axis == values.ndim - 1
    ordered = (values if is_last else np.moveaxis(values, axis, -1)).copy()
    ordered.sort(axis=-1)
    last = ordered.shape[-1] - 1
    found = np.empty((len(fractions), *ordered.shape[:-1]))
    for number, place in enumerate(last * fraction for fraction in fractions):
        lower = int(place)
        ends = ordered[..., lower], ordered[..., min(lower + 1, last)]
        found[number] = _between(*ends, place - lower)
    return found


def counts_of(found: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many (...) of each row of (..., N) are true, in a tenth of NumPy's time for it."""
    return np.asarray(np.add.reduce(found, axis=-1, dtype=np.intp))


def medians_of(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Medians (...) of those of the numbers (..., N) that are counted; `LAST` of none.

    Args:
        values: without NaN among those that are counted.
        counted: (..., N), or so that it broadcasts to that.
    """
    ordered, starts = _in_order(values, counted)
    counts = counts_of(counted)
    upper = ordered[starts + counts // 2]
    lower = ordered[starts + np.maximum(counts - 1, 0) // 2]
    return np.asarray((lower + upper) / 2)


def quantiles_of(
    values: NDArray[np.float64], counted: NDArray[np.bool_], fractions: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles (len(fractions), ...) of those of the numbers (..., N) that are counted.

    `LAST` of none; else as `quantiles`.

    Args:
        values: without NaN among those that are counted.
        counted: (..., N), or so that it broadcasts to that.
        fractions: 0 to 1.
    """
    ordered, starts = _in_order(values, counted)
    last = np.maximum(counts_of(counted) - 1, 0)
    found = np.empty((len(fractions), *starts.shape))
    for number, fraction in enumerate(fractions):
        place = last * fraction
        below = place.astype(np.intp)
        low = ordered[starts + below]
        high = ordered[starts + np.minimum(below + 1, last)]
        gap, rest = high - low, place - below
        found[number] = np.where(rest < 0.5, low + gap * rest, high - gap * (1 - rest))
    return found


def _in_order(
    values: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Rows of numbers (..., N), flattened, of each those that are counted first and in order.

    And where each row begins (...).
    """
    ordered = np.where(counted, values, LAST)
    ordered.sort(axis=-1)
    starts = np.arange(0, ordered.size, ordered.shape[-1]).reshape(ordered.shape[:-1])
    return ordered.ravel(), starts


def _between(low: Value, high: Value, fraction: float) -> Value:
    """Linearly from one to the other, rounded as NumPy does."""
    gap = high - low
    return low + gap * fraction if fraction < 0.5 else high - gap * (1 - fraction)
