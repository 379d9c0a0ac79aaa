"""Median and quantiles are NumPy's, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.geometry.order_statistics import (
    LAST,
    counts_of,
    median,
    medians_of,
    quantile,
    quantiles,
    quantiles_of,
)

SHARES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.75, 0.9, 0.98, 1.0)


def numbers(shape: int | tuple[int, ...]) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(3.0, 2.0, shape)
    # Equal and infinite ones, too.
    drawn.flat[:: max(drawn.size // 7, 2)] = drawn.flat[0]
    return drawn


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100, 301, 5000, 5001])
def test_of_a_row(count: int) -> None:
    values = numbers(count)
    before = values.copy()
    assert median(values) == np.median(values)
    assert quantiles(values, SHARES).tolist() == np.quantile(values, SHARES).tolist()
    assert [quantile(values, share) for share in SHARES] == np.quantile(values, SHARES).tolist()
    assert median(values.astype(np.float32)) == np.median(values.astype(np.float32))
    assert np.array_equal(values, before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_an_axis(axis: int) -> None:
    values = numbers((5, 2, 31))
    expected = np.quantile(values, SHARES, axis=axis)
    assert np.array_equal(quantiles(values, SHARES, axis), expected)


def test_of_numbers_among_which_are_infinite_ones() -> None:
    values = np.append(numbers(20), [np.inf, -np.inf])
    assert median(values) == np.median(values)
    assert quantile(values, 0.4) == np.quantile(values, 0.4)


@pytest.mark.parametrize("share", [0.02, 0.4, 1.0])
def test_of_some_of_the_numbers_of_each_row(share: float) -> None:
    values = numbers((2, 5, 31))
    counted = np.random.default_rng(1).random((5, 31)) < share
    counted[:, 7] = True
    values[:, ~counted] = np.nan
    rows = [[values[axis, row, counted[row]] for row in range(5)] for axis in range(2)]
    expected = [[np.median(row) for row in axis] for axis in rows]
    assert medians_of(values, counted).tolist() == expected
    expected = [[[np.quantile(row, part) for row in axis] for axis in rows] for part in SHARES]
    assert quantiles_of(values, counted, SHARES).tolist() == expected
    assert counts_of(counted).tolist() == np.count_nonzero(counted, axis=1).tolist()


def test_of_none_of_the_numbers_of_a_row() -> None:
    nothing = np.zeros((1, 6), dtype=bool)
    assert medians_of(numbers((1, 6)), nothing).tolist() == [LAST]
    assert quantiles_of(numbers((1, 6)), nothing, (0.3,)).tolist() == [[LAST]]
