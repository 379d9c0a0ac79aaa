"""Marks of "no reading" never become a depth, and no true surface is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smolrgpt_core.depth import (
    DepthLimits,
    DepthUnitError,
    check_depth_unit,
    clean_depth,
    depth_readings,
)
from smolrgpt_core.errors import SpatialError, Status

HEIGHT, WIDTH = 120, 160
WALL_M = 3.0
CHANCE = np.random.default_rng(0)
SCATTERED = CHANCE.random((HEIGHT, WIDTH)) < 0.35
BLOCK = np.zeros((HEIGHT, WIDTH), bool)
BLOCK[50:70, 30:50] = True
PART = np.zeros((HEIGHT, WIDTH), bool)
PART[:24] = True
"""20 % of the pixels."""


def wall() -> NDArray[np.float32]:
    """A wall that is seen head-on, without any noise."""
    return np.full((HEIGHT, WIDTH), WALL_M, np.float32)


def measured() -> NDArray[np.float32]:
    """A floor to 12 m with noise, in millimeters."""
    rows = np.linspace(1.0, 12.0, HEIGHT)[::-1, None]
    noise = np.random.default_rng(1).normal(0, 0.002, (HEIGHT, WIDTH))
    return np.round(rows * (1 + noise), 3).astype(np.float32)


def test_clean_depth_turns_every_kind_of_no_reading_into_nan() -> None:
    raw = np.array([[0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 0.5, 30.0]])
    cleaned = clean_depth(raw)
    assert cleaned.dtype == np.float32
    assert np.array_equal(np.isfinite(cleaned[0]), [False] * 7 + [True] * 2)
    assert cleaned[0, -2:] == pytest.approx([0.5, 30.0])


@pytest.mark.parametrize("meters_per_unit", [1000.0, 0.001])
def test_depth_in_the_wrong_unit_is_refused(meters_per_unit: float) -> None:
    depth = np.linspace(1.0, 9.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    check_depth_unit(depth)
    with pytest.raises(SpatialError, match="the depth unit is wrong; set the depth scale"):
        check_depth_unit(depth * np.float32(meters_per_unit))


def test_a_few_odd_readings_are_no_wrong_unit() -> None:
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[:5] = 0.01
    depth[5:6] = np.nan
    check_depth_unit(depth)


@pytest.mark.parametrize("where", [SCATTERED, BLOCK, PART], ids=["scattered", "block", "part"])
@pytest.mark.parametrize("scene", [wall, measured])
@pytest.mark.parametrize("mark", [65535, 65534, 32767])
def test_ends_of_16_bit_numbers_are_no_readings(scene, where, mark: int) -> None:
    values = np.round(scene() * 1000).astype(np.uint16)
    values[where] = mark
    for stored, scale in [
        (values, 0.001),
        (values * np.float32(0.001), 1.0),
        (values.astype(np.float32), 0.001),
        (values.astype(np.int32), 0.001),
    ]:
        found = depth_readings(stored, scale)
        assert np.array_equal(np.isnan(found.meters), where)
        assert found.loss.saturated == pytest.approx(where.mean())
        assert found.loss.saturated_m == pytest.approx(mark / 1000)


@pytest.mark.parametrize("where", [SCATTERED, BLOCK, PART], ids=["scattered", "block", "part"])
@pytest.mark.parametrize("scene", [wall, measured])
@pytest.mark.parametrize("mark", [1e9, 10000.0, 65535.0, np.finfo(np.float32).max, 1e300, 101.0])
def test_what_lies_beyond_any_hall_is_no_reading(scene, where, mark: float) -> None:
    depth = scene().astype(np.float64)
    depth[where] = mark
    found = depth_readings(depth)
    assert np.array_equal(np.isnan(found.meters), where)
    assert np.nanmax(found.meters) < 13


@pytest.mark.parametrize("mark", [16.383, 13.0, 20.0, 40.0, 55.0])
@pytest.mark.parametrize("where", [SCATTERED, PART], ids=["scattered", "part"])
def test_a_plateau_of_one_largest_value_is_no_reading(where, mark: float) -> None:
    depth = measured()
    depth[where] = mark
    found = depth_readings(depth)
    assert np.array_equal(np.isnan(found.meters), where)
    assert found.loss.is_reported
    assert f"{mark:g} m (no reading)" in str(found.loss)


@pytest.mark.parametrize("where", [SCATTERED, PART], ids=["scattered", "part"])
@pytest.mark.parametrize("mark", [4.0, 9.9995])
def test_one_value_between_the_others_is_no_reading(where, mark: float) -> None:
    """A surface of a scene with noise has many values, so one that is connected is no surface."""
    depth = measured()
    depth[where] = mark
    found = depth_readings(depth)
    assert np.isnan(found.meters[where]).all()
    assert np.isfinite(found.meters[~where]).mean() > 0.99


@pytest.mark.parametrize("mark", [4000, 9999])
def test_one_value_between_whole_numbers_is_no_reading(mark: int) -> None:
    values = np.round(1000 * measured()).astype(np.uint16)
    values[PART] = mark
    assert np.isnan(clean_depth(values, 0.001)[PART]).all()


@pytest.mark.parametrize("mark", [100, 1000, 5000, 8000, 10000, 32000])
@pytest.mark.parametrize("noise_m", [0.003, 0.03])
def test_one_value_under_an_object_before_a_noisy_wall_is_no_reading(
    mark: int, noise_m: float
) -> None:
    noise = np.random.default_rng(3).normal(0, noise_m, (HEIGHT, WIDTH))
    values = np.round(1000 * (wall() + noise)).astype(np.uint16)
    values[80:110, 40:70] = mark
    assert np.isnan(clean_depth(values, 0.001)[80:110, 40:70]).all()


@pytest.mark.parametrize("near", [0.15, 1.0, 4.0])
def test_a_bare_wall_between_nearer_specks_is_a_reading(near: float) -> None:
    depth = wall()
    depth[SCATTERED & (np.arange(WIDTH) % 20 == 0)] = near
    assert (clean_depth(depth)[depth == WALL_M] == WALL_M).all()


def test_which_of_two_scattered_values_is_the_wall_is_not_guessed() -> None:
    depth = wall()
    depth[SCATTERED] = 1.0
    with pytest.raises(SpatialError, match="only two values, interspersed") as caught:
        clean_depth(depth)
    assert caught.value.status is Status.BAD_INPUT


def test_scattered_pixels_without_a_reading_do_not_make_a_wall_a_mark() -> None:
    depth = wall()
    depth[BLOCK] = WALL_M - 1.5
    depth[np.random.default_rng(4).random(depth.shape) < 0.4] = 0.0
    assert np.array_equal(np.isfinite(clean_depth(depth)), depth > 0)


def test_a_wall_with_noise_of_a_millimeter_is_a_reading() -> None:
    depth = measured()
    noise = np.random.default_rng(2).normal(0, 0.0004, (60, WIDTH))
    depth[:60] = np.round(4.0 + noise, 3)
    assert np.count_nonzero(depth == np.float32(4.0)) > 0.3 * depth.size
    assert np.array_equal(clean_depth(depth), depth)


@pytest.mark.parametrize("end", [3.0, 5.0, 10.0])
def test_depth_that_is_clipped_at_the_end_of_its_range_is_no_reading(end: float) -> None:
    depth = np.minimum(measured(), np.float32(end))
    assert np.array_equal(np.isnan(clean_depth(depth)), depth == np.float32(end))


def test_without_noise_a_wall_at_the_end_of_a_floor_is_a_reading() -> None:
    """As a camera without tilt sees it in a simulation: the floor ends at the wall's distance."""
    rows = np.maximum(np.arange(HEIGHT, dtype=np.float32)[:, None] - HEIGHT / 2, 1e-3)
    depth = np.tile(np.minimum(1.2 * HEIGHT / 2 / rows, np.float32(4.5)), (1, WIDTH))
    assert np.array_equal(clean_depth(depth.astype(np.float32)), depth.astype(np.float32))
    values = np.round(1000 * depth).astype(np.uint16)
    assert np.isfinite(clean_depth(values, 0.001)).all()


def test_scattered_marks_before_a_bare_wall() -> None:
    depth = wall()
    depth[SCATTERED] = 20.0
    assert np.array_equal(np.isnan(clean_depth(depth)), SCATTERED)


def test_most_pixels_may_be_marks() -> None:
    for mark in (1e9, 5000.0, 65.535):
        depth = wall()
        depth[:100] = mark
        assert np.isnan(clean_depth(depth)[:100]).all()
        assert (clean_depth(depth)[100:] == WALL_M).all()


@pytest.mark.parametrize("shift", [1e-3, 0.5, 5.0])
def test_flat_walls_of_simulated_scenes_are_readings(shift: float) -> None:
    """An object before a wall, both seen head-on: each has one value."""
    depth = wall() + np.float32(shift)
    depth[BLOCK] = WALL_M
    depth[80:100, 100:140] = 2.0
    assert np.array_equal(clean_depth(depth), depth)


def test_measured_scenes_are_readings() -> None:
    far = measured()
    far[0, :5] = 45.0
    for depth in (measured(), far, wall(), np.full((HEIGHT, WIDTH), 32.5, np.float32)):
        found = depth_readings(depth)
        assert np.array_equal(found.meters, depth)
        assert found.loss.fraction == 0
        assert str(found.loss) == ""


def test_cleaning_twice_takes_no_more_away() -> None:
    depth = measured()
    depth[PART] = 20.0
    once = clean_depth(depth)
    assert np.array_equal(clean_depth(once), once, equal_nan=True)


def test_range_of_the_camera() -> None:
    depth = np.linspace(0.05, 20.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    found = depth_readings(depth, limits=DepthLimits(0.5, 10.0))
    assert np.array_equal(np.isfinite(found.meters), (depth >= 0.5) & (depth <= 10.0))
    assert found.loss.too_near == pytest.approx(np.mean(depth < 0.5))
    assert found.loss.too_far == pytest.approx(np.mean(depth > 10.0))
    assert "farther than max_depth = 10 m" in str(found.loss)


@pytest.mark.parametrize("limits", [(1.0, 1.0), (-0.1, 2.0), (0.1, 100.5), (0.1, np.nan)])
def test_range_that_no_camera_has(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="min_depth and max_depth"):
        DepthLimits(*limits)


def test_marks_do_not_hide_a_wrong_unit() -> None:
    values = np.round(measured() * 1000)
    values[SCATTERED] = 65535
    with pytest.raises(DepthUnitError, match="the depth unit is wrong"):
        clean_depth(values)


@pytest.mark.parametrize("factor", [256, 257])
def test_a_rendering_of_depth_in_16_bits_is_refused(factor: int) -> None:
    gray = (np.arange(HEIGHT * WIDTH) % 200).astype(np.uint16).reshape(HEIGHT, WIDTH)
    with pytest.raises(SpatialError, match="visualization without a unit") as caught:
        clean_depth(gray * np.uint16(factor), 0.001)
    assert caught.value.status is Status.BAD_INPUT
    assert np.isfinite(clean_depth(np.full((HEIGHT, WIDTH), 10 * factor, np.uint16), 0.001)).all()


def in_units(meters_per_unit: float) -> NDArray[np.uint16]:
    return np.round(np.round(measured(), 3) / meters_per_unit).astype(np.uint16)


def stretched() -> NDArray[np.float64]:
    """Relative depth of the floor: 0 for the nearest reading, and 1 for the farthest."""
    inverse = 1 / measured()
    return (inverse.max() - inverse) / (inverse.max() - inverse.min())


@pytest.mark.parametrize(
    ("values", "found", "stated"),
    [
        (in_units(0.0002), "multiples of 5: .*0.0002", 0.0002),
        (in_units(0.002) * 8, "multiples of 8: .*0.000125", 0.000125),
        (in_units(0.05) * 50, "multiples of 50: its unit is another one", 0.00101),
        (in_units(0.05), "numbers up to 2[0-9]{2}: .*gray levels", 0.05),
        ((stretched() * 65535).round().astype(np.uint16), "whole range of 0 to 65535", 0.0002),
        (stretched().astype(np.float32), "whole range of 0 to 1: .*without a unit", 12.0),
    ],
)
def test_depth_in_a_unit_that_is_no_millimeter_or_meter_is_refused(
    values: NDArray, found: str, stated: float
) -> None:
    usual = 0.001 if values.dtype == np.uint16 else 1.0
    with pytest.raises(SpatialError, match=found) as caught:
        clean_depth(values, usual)
    assert caught.value.status is Status.BAD_INPUT
    assert np.isfinite(clean_depth(values, stated)).mean() > 0.9  # whoever states it has decided


@pytest.mark.parametrize("step", [2, 3, 4, 10])
def test_coarse_millimeters_are_read(step: int) -> None:
    coarse = np.round(measured() * 1000 / step).astype(np.uint16) * np.uint16(step)
    coarse[PART] = 0
    np.testing.assert_allclose(clean_depth(coarse, 0.001)[~PART], coarse[~PART] * 0.001, rtol=1e-6)


def test_marks_of_no_reading_among_steps_and_at_the_end_of_the_range_are_no_unit() -> None:
    values = in_units(0.0002)
    values[SCATTERED] = 65535
    with pytest.raises(SpatialError, match="multiples of 5"):
        clean_depth(values, 0.001)
    far = in_units(0.001) * np.uint16(5) + np.uint16(1)
    far[SCATTERED] = 65535
    far[0, :3] = 0
    assert np.nanmax(clean_depth(far, 0.001)) > 50
