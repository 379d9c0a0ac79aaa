"""Rectangles packed into free cells, against every way to place them."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest

from smolrgpt_core.geometry.packing import pack
from smolrgpt_core.scene.free_space import _whole_cells

SIDES = (3, 2)
GRIDS = 50


def every_way(free: np.ndarray, sides: tuple[int, int], gap: int) -> int:
    """The most rectangles, by trying all places of each in turn; cells are bits of a number."""
    rows, columns = free.shape
    across = columns + gap

    def bits(row: int, column: int, height: int, width: int) -> int:
        line = ((1 << width) - 1) << column
        return sum(line << (across * (row + r)) for r in range(height))

    blocked = sum(bits(int(r), int(c), 1, 1) for r, c in np.argwhere(~free))

    @cache
    def most(cell: int, covered: int) -> int:
        if cell == rows * across:
            return 0
        row, column = divmod(cell, across)
        best = most(cell + 1, covered >> (cell + 1) << (cell + 1))
        for height, width in (sides, sides[::-1]):
            own = bits(row, column, height, width)
            reach = bits(row, column, height + gap, width + gap)
            inside = row + height <= rows and column + width <= columns
            if inside and not own & blocked and not reach & covered:
                best = max(best, 1 + most(cell + 1, covered | reach))
        return best

    return most(0, 0)


def random_grid(rng: np.random.Generator) -> np.ndarray:
    free = np.ones(rng.integers(4, 10, 2), dtype=bool)
    for _ in range(rng.integers(0, 4)):
        row, column = rng.integers(0, free.shape)
        free[row : row + rng.integers(1, 4), column : column + rng.integers(1, 4)] = False
    return free


def assert_real(free: np.ndarray, places: np.ndarray, sides: tuple[int, int], gap: int) -> None:
    taken = np.zeros((free.shape[0] + gap, free.shape[1] + gap), dtype=int)
    for row, column, height, width in places:
        assert {height, width} == set(sides)
        assert free[row : row + height, column : column + width].sum() == height * width
        taken[row : row + height + gap, column : column + width + gap] += 1
    assert taken.max(initial=0) <= 1


def test_never_more_than_fit_and_seldom_fewer() -> None:
    short = []
    for seed in range(GRIDS):
        rng = np.random.default_rng(seed)
        free, gap = random_grid(rng), seed % 2
        places = pack(free, SIDES, gap)
        assert_real(free, places, SIDES, gap)
        short.append(every_way(free, SIDES, gap) - len(places))
    assert min(short) >= 0
    assert max(short) <= 1
    assert np.mean(np.array(short) == 0) > 0.8


def test_any_place_is_found_and_none_where_there_is_none() -> None:
    for seed in range(GRIDS):
        free = random_grid(np.random.default_rng(seed))
        is_place = any(
            free[row : row + height, column : column + width].sum() == height * width
            for height, width in (SIDES, SIDES[::-1])
            for row, column in np.ndindex(*free.shape)
        )
        assert bool(len(pack(free, SIDES, 1))) == is_place


def test_the_gap_applies_between_two_and_not_to_the_border() -> None:
    assert len(pack(np.ones((3, 5), dtype=bool), SIDES, 1)) == 2
    assert len(pack(np.ones((3, 4), dtype=bool), SIDES, 1)) == 1
    assert len(pack(np.ones((3, 4), dtype=bool), SIDES, 0)) == 2


@pytest.mark.parametrize("shape", [(0, 5), (1, 9), (2, 2)])
def test_nothing_fits_into_what_is_too_small(shape: tuple[int, int]) -> None:
    assert pack(np.ones(shape, dtype=bool), SIDES, 1).shape == (0, 4)


def test_a_pattern_that_is_no_rows_is_not_found() -> None:
    """Four around a hole in the middle: the number is a lower bound, as the module says."""
    free = np.ones((5, 5), dtype=bool)
    assert every_way(free, SIDES, 0) == 4
    assert len(pack(free, SIDES, 0)) == 3


def test_a_zone_without_width_has_no_cells():
    flat = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not _whole_cells(flat, 4, 90).any()
