"""Where an object is by its visible surface alone, without a box and without a floor.

The surface is not the object: half of what it hides lies between it and the object's middle. How
deep an object is cannot be seen, but hardly anything is much deeper than it is wide and high. So
the middle is put behind the surface by a fraction of the smaller side, and the doubt is of that
size. Of a class of standard sizes, the visible side determines the other one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.order_statistics import median, quantiles
from smolrgpt_core.geometry.size_priors import SizePrior
from smolrgpt_core.geometry.surface import Surface

USUAL_DEPTH = 0.7
"""Usual depth of an object relative to the smaller side of its visible surface."""

DEPTH_STD = 0.5
"""Standard deviation of that."""

SIDE_STD = 0.05
"""Standard deviation of where the visible surface ends, relative to its size."""

FLUSH_FRACTION, FLUSH_DEPTH = 0.7, 0.5
"""An object flush with what is around it, by this fraction of its edge, is likely flat: a label, or
one of a packed group. So it is taken for as much less deep."""

MAX_MISFIT = 3.0
"""Standard deviations by which a face may be off a standard side."""

CUT_STD = 0.5
"""Standard deviation of the middle, relative to the size and the fraction of the edge that is
cut."""

MIN_STD_M = 0.01

MAX_POINTS = 500
"""Number of points that take part."""


@dataclass(frozen=True, eq=False)
class VisibleExtent:
    """An object as its visible surface shows it.

    Attributes:
        center: (3,), meters, optical frame.
        axes: (3, 3), rows: right, away from the camera, up as unit vectors in the optical frame.
        size: (3,) along the axes, meters; the second one is a guess.
        center_std: (3,), standard deviation of the center along the axes, meters.
        size_std: (3,), of the size, meters.
    """

    center: NDArray[np.float64]
    axes: NDArray[np.float64]
    size: NDArray[np.float64]
    center_std: NDArray[np.float64]
    size_std: NDArray[np.float64]

    @property
    def std(self) -> float:
        """Standard deviation of the center, meters."""
        return float(np.linalg.norm(self.center_std))


def visible_extent(
    surface: Surface,
    noise: float = 0.0,
    up: NDArray[np.float64] | None = None,
    prior: SizePrior | None = None,
) -> VisibleExtent:
    """The place of the visible surface.

    Args:
        surface: of the object.
        noise: standard deviation of the inverse depth, 1/m.
        up: unit vector (3,) in the optical frame; None: up in the image.
        prior: standard sizes of its class.
    """
    points = surface.some_points(MAX_POINTS)
    axes = _viewing_axes(points, np.array([0.0, -1.0, 0.0]) if up is None else up)
    along = points @ axes.T
    low, high = quantiles(along, (0.03, 0.97))
    front, back = quantiles(along[:, 1], (0.1, 0.9))
    across = (high - low)[[0, 2]]
    seen = float(back - front)
    deep, deep_std = _usual_depth(along[:, [0, 2]])
    standard = _standard_depth(float(across[0]), prior)
    if standard is not None:
        deep = standard
    elif surface.outline.flush_fraction > FLUSH_FRACTION:
        # Flat or as deep as usual, hardly between them.
        deep_std = float(np.hypot(deep_std, (1 - FLUSH_DEPTH) * deep))
        deep *= FLUSH_DEPTH
    hidden = max(deep - seen, 0.0)
    center = (low + high) / 2
    center[1] = (front + back) / 2 + hidden / 2
    blur = noise * median(surface.depth) ** 2 / np.sqrt(min(len(points), 16))
    # Readings that are not the object's pull at all that is measured.
    strays = surface.stray_fraction * float(across.max())
    depth_std = np.hypot(deep_std / 2 + SIDE_STD * seen, blur) + strays
    sides_std = (SIDE_STD + CUT_STD * surface.outline.cut_fraction) * across + strays
    sides_std = np.hypot(sides_std, _unread_std(surface, axes[[0, 2]], low[[0, 2]], high[[0, 2]]))
    center_std = np.maximum([sides_std[0], depth_std, sides_std[1]], MIN_STD_M)
    size = np.array([across[0], seen + hidden, across[1]])
    return VisibleExtent(center @ axes, axes, size, center_std, 2 * center_std)


def _unread_std(
    surface: Surface,
    axes: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What the middle (2,) may be off as parts of the mask have no reading, meters.

    The object ends anywhere between its outermost readings and the outline of its mask.

    Args:
        surface: of the object.
        axes: (2, 3), unit vectors across the view.
        low: (2,), where readings begin along them, meters.
        high: (2,), where they end.
    """
    if not len(surface.outline.rays):
        return np.zeros(2)
    along = surface.outline.rays * median(surface.depth) @ axes.T
    ends = quantiles(along, (0.03, 0.97))
    unread = np.maximum([low - ends[0], ends[1] - high], 0.0)
    # Half of what each side is off; its place is uniform, measured from one end of its range.
    return np.asarray(np.linalg.norm(unread, axis=0) / np.sqrt(3) / 2)


def _viewing_axes(points: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (3, 3): right, away from the camera, up, as the camera looks at points (N, 3)."""
    away = np.array([median(along) for along in points.T])
    away /= np.linalg.norm(away)
    right = np.cross(away, up)
    if np.linalg.norm(right) < 0.2:  # it looks along the vertical
        right = np.array([1.0, 0.0, 0.0]) - away[0] * away
    right /= np.linalg.norm(right)
    return np.stack([right, away, np.cross(right, away)])


def _usual_depth(across: NDArray[np.float64]) -> tuple[float, float]:
    """How deep an object with a face (N, 2) usually is, and the standard deviation, meters."""
    small, large = np.sqrt(12 * np.maximum(np.linalg.eigvalsh(np.cov(across.T)), 0.0))
    return USUAL_DEPTH * float(small), DEPTH_STD * float(np.sqrt(small * large))


def _standard_depth(width: float, prior: SizePrior | None) -> float | None:
    """How deep an object of a class is whose face is so wide, meters; None where no size fits.

    It does not make the usual depth surer: whether the object stands square to the view is unknown.
    """
    if prior is None:
        return None
    sides = np.array([pair for a, b in prior.footprints for pair in ((a, b), (b, a))])
    cost = ((sides[:, 0] - width) / (prior.tolerance + SIDE_STD * width)) ** 2 / 2
    if cost.min() > MAX_MISFIT**2 / 2:
        return None
    weights = np.exp(cost.min() - cost)
    return float(weights @ sides[:, 1] / weights.sum())
