"""Points on the boxes of regions in many copies of a scene, and distances between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.scene.copies import Mask, SceneCopies, Values

STEPS = 4
"""Points along each edge of a box."""


def surface_points(copies: SceneCopies, index: NDArray[np.intp]) -> Values:
    """(K, P, 3) points on the faces of one box (K,), floor frame, meters."""
    steps = np.linspace(-0.5, 0.5, STEPS)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[np.abs(grid).max(axis=1) == 0.5]
    rows, index = np.arange(copies.count), np.maximum(index, 0)
    along, across, up = np.moveaxis(grid * copies.size[rows, index][:, None], 2, 0)
    yaw = copies.yaw[index][:, None]
    turned = [
        along * np.cos(yaw) - across * np.sin(yaw),
        along * np.sin(yaw) + across * np.cos(yaw),
        up,
    ]
    return np.asarray(copies.center[rows, index][:, None] + np.stack(turned, axis=-1))


def mean_nearest_distances(copies: SceneCopies, subjects: Mask, other: NDArray[np.intp]) -> Values:
    """(K, N) mean of the distances to the nearest point of another box (K,), both ways, meters.

    Args:
        copies: of the scene.
        subjects: bool (K, N), the boxes to measure.
        other: (K,), index of the other box in each copy.
    """
    found = np.full((copies.count, copies.number), np.nan)
    theirs = surface_points(copies, other)
    for index in np.flatnonzero(subjects.any(axis=0)):
        own = surface_points(copies, np.full(copies.count, index))
        for copy in range(copies.count):
            apart = np.linalg.norm(own[copy][:, None] - theirs[copy][None], axis=2)
            found[copy, index] = (apart.min(axis=1).mean() + apart.min(axis=0).mean()) / 2
    return found
