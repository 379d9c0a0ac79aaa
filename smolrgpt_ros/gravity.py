"""Which way is up by the accelerometer of an IMU, while it stands still.

Pure Python: it sees numbers, never a ROS type. At rest an accelerometer measures what holds it
against gravity: +9.8 m/s2 along up (REP 145).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

GRAVITY_MPS2 = 9.81
GRAVITY_TOLERANCE_MPS2 = 0.5
"""How far the mean may be from it: the bias of a cheap sensor, not a robot that speeds up."""

STILL_SPREAD_MPS2 = 0.3
"""How far a reading may be from the mean of a robot that stands, with its engines running."""

STILL_TURN_RPS = 0.05
WINDOW_S = 0.5
MIN_READINGS = 10


class Gravity:
    """Takes the readings of one IMU. Not thread-safe.

    Attributes:
        up: unit vector (3,) in the frame of the IMU, from the last time it stood still; None
            before.
        doubt: why the newest readings tell nothing; empty if they do.
    """

    def __init__(self) -> None:
        self.up: NDArray[np.float64] | None = None
        self.doubt = "it has sent too few readings yet"
        self._readings: deque[tuple[float, NDArray[np.float64], float]] = deque()

    def add(
        self, time_s: float, acceleration: NDArray[np.float64], turning: NDArray[np.float64]
    ) -> None:
        """Take the next reading.

        Args:
            time_s: of its stamp; one that goes back begins anew.
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
            self.doubt = f"it has sent {len(accelerations)} readings in {WINDOW_S:g} s"
        elif not (spread <= STILL_SPREAD_MPS2 and turn <= STILL_TURN_RPS):
            self.doubt = "it has not stood still"
        elif abs(length - GRAVITY_MPS2) > GRAVITY_TOLERANCE_MPS2:
            self.doubt = (
                f"at rest its linear_acceleration is {length:.2f} m/s2 long, expected "
                f"{GRAVITY_MPS2:g} with gravity and in m/s2; look after its driver"
            )
        else:
            self.doubt, self.up = "", mean / length
