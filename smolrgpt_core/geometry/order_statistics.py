"""Median and quantiles of a few hundred numbers.

The same numbers as NumPy's, which takes several times as long for so few: geometry asks for a
hundred of them for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def median(values: NDArray[np.floating]) -> float:
    """Median of (N,), N > 0 and no NaN."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    ordered = np.partition(values, (half - 1, half))
    return float((ordered[half - 1] + ordered[half]) / 2)


def quantile(values: NDArray[np.float64], share: float) -> float:
    """Number that this share of (N,) is below, N > 0 and no NaN, between two of them linearly."""
    return float(quantiles(values, (share,))[0])


def quantiles(
    values: NDArray[np.float64], shares: Sequence[float], axis: int = 0
) -> NDArray[np.float64]:
    """Quantiles (len(shares), ...) along an axis of numbers without NaN, N > 0 of them.

    Args:
        values: (..., N, ...).
        shares: 0 to 1.
        axis: that of the N numbers.
    """
    last = values.shape[axis] - 1
    places = [last * share for share in shares]
    lower = [int(place) for place in places]
    upper = [min(place + 1, last) for place in lower]
    ordered = np.partition(values, sorted({*lower, *upper}), axis=axis)
    ordered = np.moveaxis(ordered, axis, 0)
    return np.array([
        _between(ordered[low], ordered[high], place - low)
        for low, high, place in zip(lower, upper, places, strict=True)
    ])  # fmt: skip


def _between(
    low: NDArray[np.float64], high: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Linearly from one to the other, rounded as NumPy does."""
    gap = high - low
    return np.asarray(low + gap * share if share < 0.5 else high - gap * (1 - share))
