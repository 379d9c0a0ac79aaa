"""Fills the holes of a sensor's depth with a model's depth that is fitted to the readings.

Two fits, both against the readings of this image alone. One for the whole image: a scale and a
shift of the inverse depth, in which a model's errors are about linear. Then, near each hole, what
is left is interpolated between readings of a similar depth, so that a filled surface meets its
edges and does not take the error of the surface beside it.

A pixel stays NaN where there is no reading nearby, where those nearby disagree with the model, and
everywhere if the model disagrees with the image as a whole.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.perception.stages import DepthEstimator

logger = logging.getLogger(__name__)

MAX_HOLE_PX = 32.0
"""A pixel is filled only if a reading is at most this far away."""

_MIN_READINGS = 12
"""A cell and its neighbors need as many readings, or its pixels are skipped."""

_MAX_ERROR = 0.1
"""Of the readings from the fit, as a difference of natural logarithms of depth. From a larger
standard deviation in a cell, the model is not believed there; from a larger error of many readings,
it is not believed at all."""

_ROUNDS = 20
"""Repetitions of the robust fit, which settles within ten."""

_CELL_DEPTH = 0.1
"""Depth of the cells in which the readings near a hole are averaged, as a difference of natural
logarithms: small enough that readings of another surface fall into other cells."""

_FITTED_READINGS = 20_000
"""About this many readings take part in the fit of the whole image: it has two unknowns, and more
readings would only cost time."""

_CELLS_PER_HOLE = 2
"""Cells within `MAX_HOLE_PX`: as far as smoothing and interpolation carry a reading."""

_MARGIN = 1
"""Cells around those with readings, which smoothing reaches."""

_INLIER_FRACTION = 0.8
"""Of the readings, must fit a model that is believed; the others may be noise at edges."""

_MAD_TO_STD = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""


@dataclass(frozen=True, eq=False)
class FittedDepthCompleter:
    """Fills holes with an estimator's depth.

    Attributes:
        estimator: of metric depth.
        intrinsics: of the images, if known; it helps the estimator.
        limits: depth beyond these is not filled in.
    """

    estimator: DepthEstimator
    intrinsics: CameraIntrinsics | None = None
    limits: DepthLimits = field(default_factory=DepthLimits)

    def complete(self, rgb: NDArray[np.uint8], depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth with its holes filled; readings stay as they are.

        Args:
            rgb: uint8 (H, W, 3).
            depth: float32 (H, W), meters; NaN where there is no reading.

        Raises:
            SpatialError: BAD_INPUT when the depth is not float32 (H, W) like the image.
        """
        if depth.dtype != np.float32 or depth.shape != rgb.shape[:2]:
            raise bad_input(
                f"depth must be float32 {rgb.shape[:2]} like the image, got {depth.dtype} "
                f"{depth.shape}"
            )
        is_hole = np.isnan(depth)
        if not is_hole.any() or is_hole.all():
            return depth.copy()
        estimate = self.estimator.estimate(rgb, self.intrinsics).depth
        return fill_holes(depth, estimate, self.limits)


def fill_holes(
    depth: NDArray[np.float32], estimate: NDArray[np.float32], limits: DepthLimits
) -> NDArray[np.float32]:
    """Depth with its holes filled from an estimate; readings stay bit-identical.

    Args:
        depth: (H, W), meters; NaN where there is no reading.
        estimate: (H, W), meters; NaN where there is none.
        limits: depth beyond these is not filled in.

    Returns:
        (H, W); NaN where nothing supports a value.
    """
    filled = depth.copy()
    known = np.isfinite(depth) & (depth > 0) & np.isfinite(estimate)
    if np.count_nonzero(known) < _MIN_READINGS:
        return filled
    fit = _fit_inverse_depth(depth[known], estimate[known])
    if fit is None:
        logger.warning("no hole is filled: the depth model disagrees with the readings")
        return filled
    fitted = _fitted_log_depth(estimate, fit, limits)
    known &= np.isfinite(fitted)
    if not known.any():
        return filled
    reachable = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    holes = np.isnan(depth) & np.isfinite(fitted) & (reachable <= MAX_HOLE_PX)
    values = np.exp(fitted[holes] + _local_error(depth, fitted, known, holes))
    inside = (values >= limits.min_depth) & (values <= limits.max_depth)
    filled[holes] = np.where(inside, values, np.nan).astype(np.float32)
    return filled


def _fitted_log_depth(
    estimate: NDArray[np.float32], fit: tuple[float, float], limits: DepthLimits
) -> NDArray[np.float64]:
    """Natural logarithm (H, W) of the fitted depth, NaN where it is far beyond the limits."""
    scale, shift = fit
    with np.errstate(divide="ignore", invalid="ignore"):
        meters = 1 / (scale / estimate.astype(np.float64) + shift)
        inside = (meters > limits.min_depth / 2) & (meters < limits.max_depth * 2)
        return np.where(inside, np.log(meters), np.nan)


def _fit_inverse_depth(
    depth: NDArray[np.float32], estimate: NDArray[np.float32]
) -> tuple[float, float] | None:
    """Scale and shift with 1 / depth = scale / estimate + shift; None if there are none.

    Each equation is divided by its 1 / depth, so that errors count relative to the depth: near and
    far readings weigh the same. A single flat surface does not tell the two apart; there the scale
    alone is fitted.
    """
    step = max(1, len(depth) // _FITTED_READINGS)
    meters = depth[::step].astype(np.float64)
    equations = np.stack([meters / estimate[::step], meters], axis=1)
    scale, shift = _robust_solution(equations)
    if scale <= 0:
        scale, shift = _robust_solution(equations[:, :1])[0], 0.0
    error = np.abs(equations @ [scale, shift] - 1)
    if float(np.quantile(error, _INLIER_FRACTION)) > _MAX_ERROR:
        return None
    return float(scale), float(shift)


def _robust_solution(equations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unknowns (K,) with equations (N, K) @ unknowns = 1 for most of the equations."""
    solution: NDArray[np.float64] = np.zeros(equations.shape[1])
    solution[0] = 1 / np.median(equations[:, 0])
    for _ in range(_ROUNDS):
        error = equations @ solution - 1
        weights = np.clip(1 - (error / (4 * max(_spread(error), 1e-6))) ** 2, 0, None)
        found = np.linalg.lstsq(equations * weights[:, None], weights, rcond=None)[0]
        solution = np.asarray(found, dtype=np.float64)
    return solution


def _spread(error: NDArray[np.float64]) -> float:
    """Standard deviation, robust against outliers."""
    return _MAD_TO_STD * float(np.median(np.abs(error)))


def _local_error(
    depth: NDArray[np.float32],
    fitted: NDArray[np.float64],
    known: NDArray[np.bool_],
    holes: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Corrections (N,) to the log depth of the hole pixels, NaN where no reading is near.

    The readings are averaged in cells of (row, column, log depth of the fit), smoothed over the
    neighboring cells, and interpolated between the centers of cells.
    """
    lowest = float(fitted[known].min())
    at_readings = _cell_coordinates(fitted, known, lowest)
    at_holes = _cell_coordinates(fitted, holes, lowest)
    cells = np.floor(at_readings + 0.5).astype(int) + _MARGIN
    shape = cells.max(axis=0) + 1 + _MARGIN
    error = np.log(depth[known].astype(np.float64)) - fitted[known]
    index = np.ravel_multi_index(tuple(cells.T), tuple(shape))
    size = int(np.prod(shape))
    sums = [
        _smoothed(np.bincount(index, weights=values, minlength=size).reshape(shape))
        for values in (np.ones_like(error), error, error**2)
    ]
    count, total, squares = (_between_cells(grid, at_holes) for grid in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
    believed = (count >= _MIN_READINGS) & (spread <= _MAX_ERROR)
    return np.where(believed, mean, np.nan)


def _cell_coordinates(
    fitted: NDArray[np.float64], chosen: NDArray[np.bool_], lowest: float
) -> NDArray[np.float64]:
    """(N, 3) of the chosen pixels: row, column and log depth, in cells from the first center."""
    rows, columns = np.nonzero(chosen)
    levels = (fitted[chosen] - lowest) / _CELL_DEPTH
    side = MAX_HOLE_PX / _CELLS_PER_HOLE
    return np.stack([rows / side, columns / side, levels], axis=1)


def _smoothed(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over each cell and its neighbors, which count by 1/2 for each axis between them."""
    for axis in range(grid.ndim):
        padded = np.pad(grid, [(int(other == axis),) * 2 for other in range(grid.ndim)])
        ends = grid.shape[axis]
        before, after = (
            np.take(padded, np.arange(start, start + ends), axis=axis) for start in (0, 2)
        )
        grid = grid + (before + after) / 2
    return grid


def _between_cells(
    grid: NDArray[np.float64], coordinates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Trilinear values (N,) at coordinates (N, 3) in cells; 0 beyond the grid and its margin."""
    padded = np.pad(grid, 1)
    limits = np.array(padded.shape) - 1.001
    place = np.clip(coordinates + _MARGIN + 1, 0, limits)
    first = np.floor(place).astype(int)
    fraction = place - first
    values = np.zeros(len(place))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        values += weight * padded[tuple((first + corner).T)]
    return values
