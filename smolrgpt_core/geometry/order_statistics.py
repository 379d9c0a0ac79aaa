"""Mean, median and quantiles of a few hundred numbers.

The same numbers as NumPy's, which takes several times as long for so few: geometry asks for a
hundred of them for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", float, NDArray[np.floating])

SORTED_COUNT = 2000
"""Up to so many numbers are sorted faster than they are divided at one of them."""


def mean(values: NDArray[np.float64]) -> float:
    """Mean of (N,), N > 0."""
    return float(np.add.reduce(values)) / len(values)


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


def _between(low: Value, high: Value, fraction: float) -> Value:
    """Linearly from one to the other, rounded as NumPy does."""
    gap = high - low
    return low + gap * fraction if fraction < 0.5 else high - gap * (1 - fraction)
