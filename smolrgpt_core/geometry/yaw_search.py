"""How objects are turned: the yaw of the corner that explains the readings of each best.

Coordinates, and the B objects that are processed together, are those of `TurnedViews`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.near_corner import ALIKE_PX, ROUGHNESS_M
from smolrgpt_core.geometry.order_statistics import quantiles
from smolrgpt_core.geometry.turned_view import TurnedViews

YAW_READINGS, YAW_STEP_DEG, YAW_STEPS = 40, 2.25, 5
"""As many readings of an object as show independently how it is turned at most; the steps of the
search, and how many smaller ones follow around the best to either side."""

ITERATIONS = 3
"""By which faces are placed."""

AT_ONCE = 4
"""So many objects are processed together here: what is computed of them stays in the cache."""


def likeliest_yaws(
    views: TurnedViews, top: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Yaws (B,) in [0, pi/2) of the corners that explain the readings best, and standard deviation.

    Uses every reading, so it stands much noise; objects that are not boxes mislead it. The standard
    deviation (B,), radians, is that of all yaws by how well they explain the readings; at most that
    of one that is not known. A small object has few readings that err independently, and what no
    yaw explains, as what is no box, determines less of it.

    Args:
        views: with yaw 0.
        top: (B,), height of the objects, meters.
    """
    step = np.deg2rad(YAW_STEP_DEG)
    coarse = np.arange(0.0, np.pi / 2, step)
    found = _misfits(views, top, np.broadcast_to(coarse, (len(views), len(coarse))))
    best = np.argmin(found, axis=1)
    middle = coarse[best][:, None]
    # Between the neighbors of the best, which are known.
    fine = step / YAW_STEPS * np.arange(1 - YAW_STEPS, YAW_STEPS)
    others = np.arange(len(coarse)) != best[:, None]
    apart = _quarter(coarse - middle)[others].reshape(len(views), -1)
    apart = np.concatenate([apart, np.broadcast_to(fine, (len(views), len(fine)))], axis=1)
    misfits = np.concatenate(
        [found[others].reshape(len(views), -1), _misfits(views, top, middle + fine)], axis=1
    )
    order = np.argsort(apart, axis=1)
    apart, misfits = (np.take_along_axis(known, order, axis=1) for known in (apart, misfits))
    lowest = 1 + np.argmin(misfits[:, 1:-1], axis=1)[:, None]
    around = np.take_along_axis(misfits, lowest + np.arange(-1, 2), axis=1)
    nearest = np.take_along_axis(apart, lowest, axis=1)[:, 0] + step / YAW_STEPS * _vertex(around)
    evidence = _readings(views, around[:, 1]) / 2
    weights = np.exp(-evidence[:, None] * (misfits - around[:, 1:2])) * np.gradient(apart, axis=1)
    off = _quarter(apart - nearest[:, None]) ** 2
    spread = np.sqrt((weights * off).sum(axis=1) / weights.sum(axis=1))
    return (middle[:, 0] + nearest) % (np.pi / 2), spread


def _readings(views: TurnedViews, misfit: NDArray[np.float64]) -> NDArray[np.float64]:
    """As how many readings (B,) that err independently those of views count, by how well they fit.

    Args:
        views: the readings.
        misfit: (B,), of the best yaw.
    """
    independent = np.maximum(views.reading_counts * views.pixels_per_reading / ALIKE_PX, 1.0)
    return np.asarray(np.minimum(independent, YAW_READINGS) / np.maximum(misfit, 1.0))


def _quarter(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles, radians, less the quarter turns in them: -pi/4 to pi/4."""
    return np.asarray((angles + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def _vertex(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where parabolas through three values (B, 3) are lowest, in steps from the middle one.

    From -0.5 to 0.5 (B,); the middle one is not above the others.
    """
    before, lowest, after = values.T
    bend = before - 2 * lowest + after
    curved = bend > 0
    return np.where(curved, (before - after) / (2 * np.where(curved, bend, 1.0)), 0.0)


def _misfits(
    views: TurnedViews, top: NDArray[np.float64], yaws: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean squared deviation (B, K), in standard deviations, of the readings from the best corner.

    In single precision, which is far finer than the noise, and takes two thirds of the time.

    Args:
        views: with yaw 0.
        top: (B,), height of the objects, meters.
        yaws: (B, K), of the corners, radians.
    """
    deck = _reach_decks(views, top).astype(np.float32)
    depth = views.depth.astype(np.float32)
    noise = views.noise.astype(np.float32)[:, None]
    sureness = 1 / np.hypot(noise * depth**2, np.float32(ROUGHNESS_M))
    sureness *= views.is_reading
    counts, found = views.reading_counts, np.empty(yaws.shape)
    for first in range(0, len(views), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        rays = _turned_rays(views.rays[:, some].astype(np.float32), yaws[some].astype(np.float32))
        found[some] = _corner_misfits(rays, depth[some], sureness[some], deck[some], counts[some])
    return found


def _corner_misfits(
    rays: NDArray[np.float32],
    depth: NDArray[np.float32],
    sureness: NDArray[np.float32],
    deck: NDArray[np.float32],
    counts: NDArray[np.intp],
) -> NDArray[np.float64]:
    """As `_misfits`, of some objects.

    Args:
        rays: (2, B, K, N), by axis, object, and yaw; they are overwritten.
        depth: (B, N), meters.
        sureness: (B, N), reciprocal of the standard deviation of the readings, 1/m.
        deck: (B, N), scale at which rays reach the deck.
        counts: (B,), how many of the N there are.
    """
    depth, sureness, deck = depth[:, None], sureness[:, None], deck[:, None]
    away = rays * depth
    low, high = _ends(away, counts)
    rays *= (low > 0).astype(np.float32) - (high < 0)
    np.abs(away, out=away)
    # How far in front of the camera the faces are. A ray that does not face one enters it at 0:
    # nowhere.
    position = np.where(low > 0, low, -high)
    facing = rays > 1e-6
    per_meter = np.divide(facing, np.maximum(rays, 1e-6, out=rays), out=rays)
    weights = np.square(per_meter * sureness)
    scales, behind = np.empty((2, *rays.shape), dtype=np.float32)
    for _ in range(ITERATIONS):
        np.multiply(position, per_meter, out=scales)
        own = scales >= _last_entered(scales, deck)
        np.clip(np.subtract(away, position, out=behind), -0.5, 0.5, out=behind)
        position = position + _shifts(np.multiply(weights, own, out=scales), behind, counts)
    entered = _last_entered(np.multiply(position, per_meter, out=scales), deck)
    deviation = np.where(entered > 0, (depth - entered) * sureness, np.float32(np.inf))
    square = np.minimum(np.square(deviation), 9.0)
    return np.stack(
        [
            own[:, :count].mean(axis=1, dtype=np.float64)
            for own, count in zip(square, counts, strict=True)
        ]
    )


def _shifts(
    weights: NDArray[np.float32], behind: NDArray[np.float32], counts: NDArray[np.intp]
) -> NDArray[np.float32]:
    """How far (2, B, K, 1) faces move: weighted means of what readings (2, B, K, N) are behind.

    Each object by itself, without what only fills its row up: so single precision rounds the same
    whatever is processed together.
    """
    shifts = np.empty((*weights.shape[:3], 1), dtype=np.float32)
    for number, count in enumerate(counts):
        own = weights[:, number, :, :count]
        total = np.maximum(np.add.reduce(own, axis=2), 1e-9)
        shift = np.einsum("akn,akn->ak", own, behind[:, number, :, :count])
        shifts[:, number, :, 0] = shift / total
    return shifts


def _ends(away: NDArray[np.float32], counts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Where the readings (2, B, K, N) begin and end: (2, 2, B, K, 1), `counts` (B,) of the N."""
    ends = np.empty((2, *away.shape[:3], 1), dtype=np.float32)
    for number, count in enumerate(counts):
        ends[:, :, number, :, 0] = quantiles(away[:, number, :, :count], (0.1, 0.9), axis=2)
    return ends


def _last_entered(scales: NDArray[np.float32], deck: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales (B, K, N) at which rays enter the last of two faces (2, B, K, N) and a deck."""
    entered = np.maximum(scales[0], scales[1])
    return np.asarray(np.maximum(entered, deck, out=entered))


def _turned_rays(rays: NDArray[np.float32], yaws: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of rays (3, B, N) is along the axes that yaws (B, K) turn: (2, B, K, N)."""
    cosine, sine = np.cos(yaws)[..., None], np.sin(yaws)[..., None]
    x, y = rays[0, :, None], rays[1, :, None]
    turned = np.empty((2, *yaws.shape, rays.shape[2]), dtype=np.float32)
    np.add(cosine * x, sine * y, out=turned[0])
    np.subtract(cosine * y, sine * x, out=turned[1])
    return turned


def _reach_decks(views: TurnedViews, top: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale (B, N) at which the rays of views reach the heights `top` (B,); 0 where they do not."""
    below, down = (top - views.camera_height)[:, None], views.rays[2]
    reaching = (down < -1e-9) & (below < 0)
    return np.where(reaching, below / np.minimum(down, -1e-9), 0.0)
