"""How far masks lie beside their objects, from where depth steps at their edges.

A shift of all masks moves the steps out of the mask on one side and into it on the other, masks
that are too large or too small move all of them the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRAY_PX = 1.5
"""A step that is so far from where the others put it counts half: another edge is near."""

ITERATIONS, TOLERANCE_PX = 20, 1e-3
"""Steps of the search at most; one that moves the shift by less ends it: no edge is as exact."""


def edge_shift(offsets: NDArray[np.int_], outward: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows and columns by which depth is shifted against masks, and how far outside all steps lie.

    Args:
        offsets: (N,), how far outside of the edge depth steps, pixels.
        outward: (N, 2), unit vectors out of the mask there, rows and columns.

    Returns:
        (3,), pixels, robust against steps that belong to other edges.
    """
    directions = np.vstack([outward.T, np.ones(len(offsets))])
    steps = offsets.astype(np.float64)
    shift: NDArray[np.float64] = np.zeros(3)
    for _ in range(ITERATIONS):
        weights = 1 / (1 + np.square((steps - shift @ directions) / STRAY_PX))
        weighted = directions * weights
        # A little towards no shift, where all edges face the same way.
        normal = weighted @ directions.T + np.eye(3)
        before = shift
        shift = np.asarray(np.linalg.solve(normal, weighted @ steps), dtype=np.float64)
        if np.abs(shift - before).max() < TOLERANCE_PX:
            break
    return shift
