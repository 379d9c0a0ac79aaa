"""Which end of a truck with a mast and forks is its front: the one away from its load.

The drive unit and the mast stand high at the front, the forks reach back from them near the floor.
What lies on the forks, or the forks themselves, show the direction from the back to the front. The
limits below were chosen on 60 simulated halls; docs/accuracy.md has what came out on others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.box_fitting import OrientedBox

MAST_M = 1.2
"""What ends lower above the floor is a flat carrier, which has its load in the middle."""

ONLY_FORKS_M = 0.25
"""What ends lower may be the forks of a truck alone, whose body is hidden."""

BODY_M = 0.35
"""What is higher belongs to the drive unit and the mast."""

FORKS_M = (0.05, 0.22)
"""Heights above the floor between which forks are."""

FORK_REACH_M = (0.6, 1.9)
"""How far from the middle of the visible body readings of forks are."""

MIN_BODY_FRACTION, MIN_FORK_FRACTION = 0.2, 0.02
"""Fractions of the readings of a truck from which its body and its forks are seen."""

MIN_READINGS = 12
"""The same as numbers."""

CARGO_AWAY_M, FORKS_AWAY_M = (0.65, 1.12), (0.9, 1.35)
"""How far the middle of the visible body is from that of the load, and of the visible forks."""

MAX_OFF_RAD = np.deg2rad(20)
"""A load stands straight on the forks: so far off its sides may its direction to the body be."""

MAX_CARGO_STD_M = 0.2
"""A load whose place is less sure than this may be turned otherwise than it seems."""

MAX_APART_RAD = np.deg2rad(45)
"""Load and forks that show directions farther apart contradict each other."""

CARGO_STD_RAD, FORKS_STD_RAD = float(np.deg2rad(4)), float(np.deg2rad(9))
"""Standard deviations of the direction that a load shows, and of the one that forks do."""

CERTAINTY = 0.99
"""How likely it is the right end."""


@dataclass(frozen=True)
class Front:
    """Where the front of one region points.

    Attributes:
        angle: along the floor, from right towards forward, radians.
        std: standard deviation of it, radians.
        certainty: how likely it is this end or side and not another one.
    """

    angle: float
    std: float = 0.0
    certainty: float = 1.0


def find_front(points: NDArray[np.float64], cargo: OrientedBox | None) -> Front | None:
    """The front of a truck with a mast; None where it is unknown.

    Args:
        points: (N, 3) readings of the truck without its load: right, forward and height, meters.
        cargo: what may be its load; None for none.
    """
    body = points[points[:, 2] > BODY_M]
    if len(body) < max(MIN_READINGS, MIN_BODY_FRACTION * len(points)):
        return None
    middle = np.median(body[:, :2], axis=0)
    forks = _forks(points, middle)
    offset = middle - np.median(forks, axis=0) if forks is not None else None
    by_forks = float(np.arctan2(offset[1], offset[0])) if offset is not None else None
    by_cargo = _angle_by_cargo(cargo, middle) if cargo is not None else None
    if by_cargo is not None:
        apart = abs(_wrapped(by_forks - by_cargo)) if by_forks is not None else 0.0
        return Front(by_cargo, CARGO_STD_RAD, CERTAINTY) if apart < MAX_APART_RAD else None
    if offset is None or by_forks is None:
        return None
    is_at_forks = FORKS_AWAY_M[0] < np.linalg.norm(offset) < FORKS_AWAY_M[1]
    return Front(by_forks, FORKS_STD_RAD, CERTAINTY) if is_at_forks else None


def _forks(points: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Where (N, 2) forks are seen, away from the middle (2,) of the body; None for too few."""
    low = points[(points[:, 2] > FORKS_M[0]) & (points[:, 2] < FORKS_M[1]), :2]
    away = np.linalg.norm(low - middle, axis=1)
    forks = low[(away > FORK_REACH_M[0]) & (away < FORK_REACH_M[1])]
    return forks if len(forks) >= max(MIN_READINGS, MIN_FORK_FRACTION * len(points)) else None


def _angle_by_cargo(cargo: OrientedBox, middle: NDArray[np.float64]) -> float | None:
    """Direction along a side of a load to the middle (2,) of the body, radians."""
    footprint = cargo.footprint
    offset = middle - footprint.center
    is_at_forks = CARGO_AWAY_M[0] < np.linalg.norm(offset) < CARGO_AWAY_M[1]
    if cargo.std > MAX_CARGO_STD_M or not is_at_forks:
        return None
    angle = float(np.arctan2(offset[1], offset[0]))
    turns = round((angle - footprint.yaw) / (np.pi / 2))
    straight = footprint.yaw + turns * np.pi / 2
    return float(straight) if abs(_wrapped(angle - straight)) < MAX_OFF_RAD else None


def _wrapped(angle: float) -> float:
    """The same angle from -pi to pi."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
