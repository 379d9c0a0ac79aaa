"""What an accelerometer tells of up, and when it tells nothing; no ROS involved."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_ros.inputs.gravity import Gravity

STILL = np.zeros(3)
TILTED = np.array([0.0, 9.81 * np.sin(0.3), 9.81 * np.cos(0.3)])


def read(gravity: Gravity, acceleration: np.ndarray, turning: np.ndarray, start_s: float) -> None:
    """A second of readings at 100 Hz with the noise of a cheap sensor."""
    rng = np.random.default_rng(0)
    for index in range(100):
        noise = rng.normal(0.0, 0.03, 3)
        gravity.add(start_s + index / 100, acceleration + noise, turning)


def test_up_is_the_mean_at_rest_and_stays_while_the_robot_moves() -> None:
    gravity = Gravity()
    read(gravity, TILTED, STILL, 10.0)
    assert gravity.doubt == ""
    assert gravity.up is not None
    np.testing.assert_allclose(gravity.up, TILTED / 9.81, atol=5e-3)
    at_rest = gravity.up
    for index in range(50):
        gravity.add(11.0 + index / 100, TILTED + 3.0 * (index % 2), STILL)
    assert "not been at rest" in gravity.doubt
    # The window may still be at rest at the first reading of the drive.
    np.testing.assert_allclose(gravity.up, at_rest, atol=5e-3)


@pytest.mark.parametrize(
    ("acceleration", "turning", "reason"),
    [
        (TILTED, np.array([0.0, 0.0, 0.4]), "not been at rest"),
        (np.zeros(3), STILL, "0.0"),
        (TILTED / 9.81, STILL, "should be 9.81 m/s2 with gravity, but is 0.99"),
        (TILTED * [1.0, 1.0, 1.2], STILL, "should be 9.81 m/s2 with gravity, but is 11.60"),
    ],
)
def test_readings_without_information(
    acceleration: np.ndarray, turning: np.ndarray, reason: str
) -> None:
    gravity = Gravity()
    read(gravity, acceleration, turning, 10.0)
    assert gravity.up is None
    assert reason in gravity.doubt


def test_slow_imu_and_a_clock_that_goes_back() -> None:
    gravity = Gravity()
    for index in range(5):
        gravity.add(index / 4, TILTED, STILL)
    assert "3 readings in 0.5 s" in gravity.doubt
    read(gravity, TILTED, STILL, 100.0)
    gravity.add(5.0, -TILTED, STILL)
    assert "1 readings" in gravity.doubt
