"""Holes are filled by a model that is wrong in scale, shift and locally; readings stay."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.completion import (
    MAX_HOLE_PX,
    FittedDepthCompleter,
    fill_holes,
)
from smolrgpt_core.perception.depth import load_depth_estimator
from smolrgpt_core.perception.stages import DepthEstimate

HEIGHT, WIDTH = 240, 320


class Estimator:
    """Gives the same depth for any image."""

    def __init__(self, depth: np.ndarray) -> None:
        self.depth = depth

    def estimate(self, rgb, intrinsics=None) -> DepthEstimate:
        return DepthEstimate(self.depth, intrinsics)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Depth of a floor, a wall at 8 m and a box at 2.5 m; and what a poor model makes of it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    below = np.maximum((rows - 100) / 250, 1e-6)
    depth = np.minimum(np.where(rows > 100, 1.5 / below, 8.0), 8.0)
    depth[90:210, 125:200] = 2.5
    local = np.exp(0.08 * np.sin(columns / 45) * np.cos(rows / 35))
    return depth.astype(np.float32), (local / (0.7 / depth + 0.05)).astype(np.float32)


@pytest.fixture(scope="module")
def sensor(scene) -> np.ndarray:
    """Readings with noise, and two holes: on the floor, and over the edge of the box."""
    noise = np.random.default_rng(0).normal(size=scene[0].shape)
    readings = (scene[0] * (1 + 0.003 * noise)).astype(np.float32)
    readings[150:170, 50:90] = np.nan
    readings[100:130, 190:215] = np.nan
    return readings


def test_holes_are_filled_and_readings_stay_bit_identical(scene, sensor) -> None:
    depth, estimate = scene
    before = sensor.copy()
    filled = fill_holes(sensor, estimate, DepthLimits())
    np.testing.assert_array_equal(sensor, before)
    known = ~np.isnan(sensor)
    np.testing.assert_array_equal(filled[known].view(np.uint32), sensor[known].view(np.uint32))
    assert filled.dtype == np.float32
    error = np.abs(filled / depth - 1)[~known]
    assert np.mean(np.isfinite(error)) > 0.95
    assert np.nanmax(error) < 0.05
    assert np.max(np.abs(estimate / depth - 1)[~known]) > 0.25, "what the model alone is off by"


def test_what_is_filled_keeps_to_its_side_of_an_edge(scene, sensor) -> None:
    filled = fill_holes(sensor, scene[1], DepthLimits())
    box, wall = filled[100:130, 190:200], filled[100:110, 200:215]
    assert np.nanmax(np.abs(box - 2.5)) < 0.15
    assert np.nanmin(wall) > 7.5


def test_far_from_readings_nothing_is_filled_in(scene) -> None:
    depth, estimate = scene
    for edge in (146, 150, 154):
        sensor = depth.copy()
        sensor[:, edge:] = np.nan
        filled = fill_holes(sensor, estimate, DepthLimits())
        assert np.isnan(filled[:, edge + int(MAX_HOLE_PX) :]).all()
        assert np.isfinite(filled[:, edge : edge + 10]).mean() > 0.8


def test_a_surface_without_readings_of_its_own_is_not_filled_in(scene) -> None:
    """A black box that returns nothing: all around it are the floor and the wall."""
    depth, estimate = scene
    sensor = depth.copy()
    sensor[90:210, 125:200] = np.nan
    filled = fill_holes(sensor, estimate, DepthLimits())
    assert np.isnan(filled[90:190, 125:200]).all()
    # Further down, the floor beside the box is about as far away as the box.
    np.testing.assert_allclose(
        filled[190:210, 125:200][filled[190:210, 125:200] > 0], 2.5, rtol=0.05
    )


def test_a_model_that_disagrees_with_the_image_fills_nothing(scene, sensor, caplog) -> None:
    noise = np.random.default_rng(1).uniform(1, 9, sensor.shape).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        filled = fill_holes(sensor, noise, DepthLimits())
    np.testing.assert_array_equal(filled, sensor)
    assert "disagrees with the readings" in caplog.text


def test_a_model_that_runs_the_other_way_round_fills_nothing(scene, sensor) -> None:
    """As relative inverse depth taken for depth would."""
    filled = fill_holes(sensor, (10 / scene[1]).astype(np.float32), DepthLimits())
    np.testing.assert_array_equal(filled, sensor)


def test_what_is_beyond_the_sensors_range_is_not_filled_in(scene, sensor) -> None:
    filled = fill_holes(sensor, scene[1], DepthLimits(0.1, 7.5))
    assert np.isnan(filled[100:110, 202:215]).all()
    assert np.isfinite(filled[155:165, 60:80]).all()
    near = DepthLimits(0.1, 0.5)
    np.testing.assert_array_equal(fill_holes(sensor, scene[1], near), sensor)


def test_the_completer_asks_the_estimator_and_refuses_another_size(scene, sensor) -> None:
    rgb = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    completer = FittedDepthCompleter(Estimator(scene[1]))
    np.testing.assert_array_equal(
        completer.complete(rgb, sensor), fill_holes(sensor, scene[1], DepthLimits())
    )
    nothing = np.full_like(sensor, np.nan)
    np.testing.assert_array_equal(completer.complete(rgb, nothing), nothing)
    with pytest.raises(SpatialError, match=r"depth must be float32 \(240, 320\)"):
        completer.complete(rgb, sensor[:-1])
    with pytest.raises(SpatialError, match="got float64"):
        completer.complete(rgb, sensor.astype(np.float64))


def test_holes_are_filled_by_a_checkpoint(checkpoint, picture) -> None:
    completer = FittedDepthCompleter(load_depth_estimator(checkpoint("glpn")))
    # Its estimate is all but flat, and so is this wall.
    sensor = np.full(picture.shape[:2], 3.0, dtype=np.float32)
    sensor[10:20, 10:30] = np.nan
    filled = completer.complete(picture, sensor)
    np.testing.assert_allclose(filled, 3.0, rtol=0.02)
