"""Clusters pixels into objects by their predicted class, center and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PEAK_RADIUS = 0.4
"""Votes this near to a peak, in units of the object's size, are for its object."""

ASSIGN_RADIUS = 0.6
"""A pixel that votes farther than this from every center belongs to no object."""

MIN_VOTES = 2
"""A peak with fewer cells is no object."""

MIN_FILL = 0.1
"""Nor is one whose cells fill a smaller fraction of the box that they predict: stray votes."""


@dataclass(frozen=True, eq=False)
class Votes:
    """Predictions of each cell of a grid over the image; lengths in cells.

    Attributes:
        probabilities: float32 (1 + classes, h, w), probability of the background and of each class.
        offsets: float32 (2, h, w), (x, y) from the cell to the center of its object.
        sizes: float32 (2, h, w), (width, height) of its object.
    """

    probabilities: NDArray[np.float32]
    offsets: NDArray[np.float32]
    sizes: NDArray[np.float32]

    @property
    def centers(self) -> NDArray[np.float32]:
        """Float32 (2, h, w): (x, y) of the center that each cell votes for."""
        rows, columns = np.mgrid[: self.offsets.shape[1], : self.offsets.shape[2]]
        return self.offsets + np.stack([columns, rows]).astype(np.float32) + 0.5


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object.

    Attributes:
        kind: index of its class, 0 is the first one after the background.
        mask: bool (H, W).
        score: mean probability of its class, 0 to 1.
    """

    kind: int
    mask: NDArray[np.bool_]
    score: float


@dataclass(frozen=True, eq=False)
class _Centers:
    """Centers of the objects of one class: float32 (N, 2) places and sizes, as (x, y)."""

    places: NDArray[np.float32]
    sizes: NDArray[np.float32]


def cluster(votes: Votes, image_size: tuple[int, int]) -> list[FoundObject]:
    """The objects in the votes; every pixel belongs to at most one object.

    Args:
        votes: of the network.
        image_size: (height, width) of the masks.
    """
    cell_kinds = votes.probabilities.argmax(axis=0)
    probabilities = _enlarged(votes.probabilities, image_size)
    centers = _enlarged(votes.centers, image_size)
    pixel_kinds = probabilities.argmax(axis=2)
    found: list[FoundObject] = []
    for kind in range(1, len(votes.probabilities)):
        cells = cell_kinds == kind
        peaks = find_centers(votes.centers[:, cells], votes.sizes[:, cells])
        if len(peaks.places):
            is_kind = pixel_kinds == kind
            found += _masks(peaks, centers, is_kind, probabilities[..., kind], kind - 1)
    return found


def find_centers(centers: NDArray[np.float32], sizes: NDArray[np.float32]) -> _Centers:
    """Centers of the objects of one class, strongest first.

    The strongest peak of the votes takes all votes near to it; the next one is that of the rest.

    Args:
        centers: (2, N), what the cells of this class vote for, in cells from the image's corner.
        sizes: (2, N), in cells.
    """
    places: list[NDArray[np.float32]] = []
    extents: list[NDArray[np.float32]] = []
    while centers.shape[1] >= MIN_VOTES:
        near = _at_peak(centers)
        size = np.median(sizes[:, near], axis=1)
        near |= _distances(centers, np.median(centers[:, near], axis=1), size) <= PEAK_RADIUS
        count = np.count_nonzero(near)
        if count < MIN_VOTES:
            break
        if count >= MIN_FILL * size.prod():
            places.append(np.median(centers[:, near], axis=1))
            extents.append(np.median(sizes[:, near], axis=1))
        centers, sizes = centers[:, ~near], sizes[:, ~near]
    return _Centers(np.array(places, np.float32), np.array(extents, np.float32))


def _at_peak(centers: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which votes lie in the fullest square of three by three cells, bool (N,)."""
    cells = np.floor(centers).astype(np.int64)
    cells -= cells.min(axis=1, keepdims=True)
    width, height = cells.max(axis=1) + 1
    histogram = np.bincount(cells[1] * width + cells[0], minlength=width * height)
    counts = cv2.boxFilter(
        histogram.reshape(height, width).astype(np.float32),
        -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT,
    )  # fmt: skip
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    return (np.abs(cells - np.array([[column], [row]])) <= 1).all(axis=0)


def _distances(
    centers: NDArray[np.float32], place: NDArray[np.float32], size: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distance (N,) of votes (2, N) from a center, in units of its object's size (2,)."""
    return np.hypot(*((centers - place[:, None]) / size[:, None]))


def _masks(
    peaks: _Centers,
    centers: NDArray[np.float32],
    is_kind: NDArray[np.bool_],
    probabilities: NDArray[np.float32],
    kind: int,
) -> Iterator[FoundObject]:
    """The pixels that vote for each center of a class.

    Args:
        peaks: the centers.
        centers: (H, W, 2), what the pixels vote for, in the units of `peaks`.
        is_kind: (H, W), which pixels are of this class.
        probabilities: (H, W), its probability.
        kind: of the objects.
    """
    votes = centers[is_kind].T
    pairs = zip(peaks.places, peaks.sizes, strict=True)
    distances = np.stack([_distances(votes, place, size) for place, size in pairs])
    owners = np.where(distances.min(axis=0) <= ASSIGN_RADIUS, distances.argmin(axis=0), -1)
    owner_of = np.full(is_kind.shape, -1)
    owner_of[is_kind] = owners
    for number in range(len(peaks.places)):
        mask = owner_of == number
        if mask.any():
            yield FoundObject(kind, mask, float(probabilities[mask].mean()))


def _enlarged(planes: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.float32]:
    """Planes (C, h, w) at the size of the image, (H, W, C)."""
    return cv2.resize(
        np.ascontiguousarray(planes.transpose(1, 2, 0)),
        image_size[::-1],
        interpolation=cv2.INTER_LINEAR,
    )
