"""Up direction from the accelerometer of an IMU at rest.

Pure Python: handles numbers, no ROS types. At rest an accelerometer measures the reaction to
gravity: +9.8 m/s2 along up (REP 145).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

GRAVITY_MPS2 = 9.81
GRAVITY_TOLERANCE_MPS2 = 0.5
"""Tolerance of the mean: allows the bias of a cheap sensor, but not an accelerating robot."""

STILL_SPREAD_MPS2 = 0.3
"""Tolerance of single readings: allows the vibration of a standing robot with running motors."""

STILL_TURN_RPS = 0.05
WINDOW_S = 0.5
MIN_READINGS = 10


class Gravity:
    """Processes the readings of one IMU. Not thread-safe.

    Attributes:
        up: unit vector (3,) in the frame of the IMU, from the last time at rest; None before.
        doubt: why the latest readings cannot be used; empty if they can.
    """

    def __init__(self) -> None:
        self.up: NDArray[np.float64] | None = None
        self.doubt = "it has not sent enough readings yet"
        self._readings: deque[tuple[float, NDArray[np.float64], float]] = deque()

    def add(
        self, time_s: float, acceleration: NDArray[np.float64], turning: NDArray[np.float64]
    ) -> None:
        """Add the next reading.

        Args:
            time_s: of its stamp; if it goes back, earlier readings are discarded.
            acceleration: (3,) m/s2, with gravity.
            turning: (3,) rad/s.
        """
        if self._readings and time_s < self._readings[-1][0]:
            self._readings.clear()
        self._readings.append((time_s, acceleration, float(np.linalg.norm(turning))))
        while self._readings[0][0] < time_s - WINDOW_S:
            self._readings.popleft()
        self._judge()

    def _judge(self) -> None:
        accelerations = np.array([acceleration for _, acceleration, _ in self._readings])
        mean = accelerations.mean(axis=0)
        length = float(np.linalg.norm(mean))
        spread = float(np.linalg.norm(accelerations - mean, axis=1).max())
        turn = max(turning for _, _, turning in self._readings)
        if len(accelerations) < MIN_READINGS:
            self.doubt = f"it has sent only {len(accelerations)} readings in {WINDOW_S:g} s"
        elif not (spread <= STILL_SPREAD_MPS2 and turn <= STILL_TURN_RPS):
            self.doubt = "it has not been at rest"
        elif abs(length - GRAVITY_MPS2) > GRAVITY_TOLERANCE_MPS2:
            self.doubt = (
                f"at rest, its linear_acceleration should be {GRAVITY_MPS2:g} m/s2 with gravity, "
                f"but is {length:.2f}; check its driver"
            )
        else:
            self.doubt, self.up = "", mean / length
