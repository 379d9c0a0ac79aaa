"""Median and quantiles of a few hundred numbers.

The same numbers as NumPy's, which takes several times as long for so few: geometry asks for a
hundred of them for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", float, NDArray[np.float64])

SORTED_COUNT = 2000
"""Up to so many numbers are sorted faster than they are divided at one of them."""


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


def quantile(values: NDArray[np.float64], share: float) -> float:
    """Number that this share of (N,) is below, N > 0 and no NaN, between two of them linearly."""
    last = len(values) - 1
    place = last * share
    lower = int(place)
    ordered = values.copy()
    if last < SORTED_COUNT:
        ordered.sort()
    else:
        ordered.partition((lower, min(lower + 1, last)))
    return _between(float(ordered[lower]), float(ordered[min(lower + 1, last)]), place - lower)


def quantiles(
    values: NDArray[np.float64], shares: Sequence[float], axis: int = 0
) -> NDArray[np.float64]:
    """Quantiles (len(shares), ...) along an axis of numbers without NaN, N > 0 of them.

    Args:
        values: (..., N, ...).
        shares: 0 to 1.
        axis: that of the N numbers.
    """
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)
    last = len(ordered) - 1
    found = np.empty((len(shares), *ordered.shape[1:]))
    for number, place in enumerate(last * share for share in shares):
        lower = int(place)
        found[number] = _between(ordered[lower], ordered[min(lower + 1, last)], place - lower)
    return found


def _between(low: Value, high: Value, share: float) -> Value:
    """Linearly from one to the other, rounded as NumPy does."""
    gap = high - low
    return low + gap * share if share < 0.5 else high - gap * (1 - share)
