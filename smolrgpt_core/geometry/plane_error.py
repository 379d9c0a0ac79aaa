"""By how much the plane of a floor may be wrong where depth errs in the same way all over.

Readings that are all too far, or too near, by the same length make the floor curved in inverse
depth, and a plane fitted to it lies too low or too high. A second fit that knows of such a length
shows by how much the first one may be wrong: where depth is good, the two agree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_DEPTH_FRACTION = 0.1
"""What is left of a depth without the offset is at least this fraction of it."""

ITERATIONS = 3
"""Steps of the fit; an offset of a tenth of the distance is known to a percent of itself then."""


def fit_with_offset(
    plane: NDArray[np.float64], rays: NDArray[np.float64], inverse_depth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The plane (3,) that fits best if all depth is off by one length, with plane . point = 1.

    Depth that is too far by c turns the inverse depth q of a plane into q / (1 + c q), which is
    about q - c q^2.

    Args:
        plane: (3,), fitted without an offset.
        rays: (N, 3), of its pixels.
        inverse_depth: (N,), of the same, 1/m.
    """
    offset = 0.0
    fitted = plane
    columns = np.vstack([rays.T, np.zeros(len(rays))])
    for _ in range(ITERATIONS):
        moved = inverse_depth / np.maximum(1 - offset * inverse_depth, MIN_DEPTH_FRACTION)
        columns[3] = -np.square(fitted @ columns[:3])
        solution = least_squares(columns, moved)
        fitted = solution[:3]
        offset += float(solution[3])
    return fitted


def least_squares(columns: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The x (K,) for which x @ columns is closest to the values.

    As NumPy's, which takes three times as long to decompose all equations, but for the last digits.

    Args:
        columns: (K, N), what each unknown adds to the values.
        values: (N,).
    """
    normal = columns @ columns.T
    found = np.linalg.lstsq(normal, columns @ values, rcond=None)[0]
    # The squares in `normal` lose half of the digits; what is left over brings them back.
    rest = columns @ (values - found @ columns)
    return np.asarray(found + np.linalg.lstsq(normal, rest, rcond=None)[0], dtype=np.float64)
