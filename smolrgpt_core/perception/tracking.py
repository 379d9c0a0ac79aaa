"""Stable ids for the objects of a camera: the same object keeps its id from image to image.

Masks of one class are matched by their overlap (intersection over union) after the previous ones
have been moved by the shift of the whole image, so that a turning robot keeps its ids; all pairs at
once, by the Hungarian method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.extras import require
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.regions import Region, RegionSet

SHIFT_PIXELS = 160
"""Width of the reduced image in which the shift is estimated."""

MIN_SHIFT_RESPONSE = 0.05
"""Peak of the phase correlation, 0 to 1; below it the two images do not match anywhere."""


@dataclass(frozen=True)
class TrackingSettings:
    """When a region is the object of an earlier image.

    Attributes:
        min_overlap: lowest intersection over union, 0 to 1.
        memory_s: an object that is not found for this long, by the stamps of the images, gets a new
            id when it is found again.
    """

    min_overlap: float = 0.1
    memory_s: float = 2.0


@dataclass
class _Track:
    region: Region
    """As found last, with the id of the track."""
    offset: NDArray[np.float64]
    """(x, y) in pixels by which the image has moved since."""
    seen_ns: int


class RegionTracker:
    """Numbers the regions of the images of one camera, from 1 in the order of their appearance.

    Args:
        settings: when two regions are one object.

    Raises:
        ImportError: SciPy is not installed; the message says how to install it.
    """

    def __init__(self, settings: TrackingSettings | None = None) -> None:
        self._settings = settings or TrackingSettings()
        self._optimize = require("scipy.optimize", "perception", "ids that stay need SciPy")
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._image: NDArray[np.float64] | None = None
        self._stamp_ns = 0

    def update(self, rgb: NDArray[np.uint8], regions: RegionSet, stamp_ns: int) -> RegionSet:
        """The regions of the next image with the ids of their objects.

        Stamps that go back, or an image of another size, begin a new scene.

        Args:
            rgb: uint8 (H, W, 3), the image.
            regions: found in it; their ids do not matter.
            stamp_ns: of the image, nanoseconds.
        """
        image = _reduced(rgb)
        if stamp_ns < self._stamp_ns or self._image is None or image.shape != self._image.shape:
            self._tracks = []
        else:
            self._move(_shift(self._image, image) * (rgb.shape[1] / image.shape[1]))
        self._image, self._stamp_ns = image, stamp_ns
        matches = self._matches(list(regions))
        numbered = tuple(
            self._continued(region, matches.get(index), stamp_ns)
            for index, region in enumerate(regions)
        )
        oldest_ns = stamp_ns - int(self._settings.memory_s * NANOSECONDS)
        self._tracks = [track for track in self._tracks if track.seen_ns >= oldest_ns]
        return RegionSet(regions.image_size, numbered)

    def _move(self, shift: NDArray[np.float64]) -> None:
        for track in self._tracks:
            track.offset = track.offset + shift

    def _matches(self, regions: list[Region]) -> dict[int, _Track]:
        """The track of each region that has one, by its index."""
        overlaps = np.array(
            [[_overlap(track, region) for track in self._tracks] for region in regions]
        ).reshape(len(regions), len(self._tracks))
        rows, columns = self._optimize.linear_sum_assignment(overlaps, maximize=True)
        return {
            int(row): self._tracks[column]
            for row, column in zip(rows, columns, strict=True)
            if overlaps[row, column] >= self._settings.min_overlap
        }

    def _continued(self, region: Region, track: _Track | None, stamp_ns: int) -> Region:
        """The region with the id of its track, or of a new one."""
        if track is None:
            track = _Track(region, np.zeros(2), stamp_ns)
            self._tracks.append(track)
            identity, self._next_id = self._next_id, self._next_id + 1
        else:
            identity = track.region.id
        track.region = replace(region, id=identity)
        track.offset, track.seen_ns = np.zeros(2), stamp_ns
        return track.region


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gray values of the reduced image, float64 (h, w)."""
    scale = min(1.0, SHIFT_PIXELS / rgb.shape[1])
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small.astype(np.float64)


def _shift(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the image has moved, (x, y) in its pixels; 0 if the images do not match."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_64F)
    shift, response = cv2.phaseCorrelate(before, after, window)
    return np.array(shift) if response >= MIN_SHIFT_RESPONSE else np.zeros(2)


def _overlap(track: _Track, region: Region) -> float:
    """Intersection over union of a region and a track where it should be now; 0: other class."""
    before = track.region
    if before.label != region.label:
        return 0.0
    dx, dy = np.rint(track.offset).astype(int)
    left = max(before.box.x + dx, region.box.x)
    top = max(before.box.y + dy, region.box.y)
    right = min(before.box.x + dx + before.box.width, region.box.x + region.box.width)
    bottom = min(before.box.y + dy + before.box.height, region.box.y + region.box.height)
    if right <= left or bottom <= top:
        return 0.0
    old = before.mask[
        top - before.box.y - dy : bottom - before.box.y - dy,
        left - before.box.x - dx : right - before.box.x - dx,
    ]
    new = region.mask[
        top - region.box.y : bottom - region.box.y, left - region.box.x : right - region.box.x
    ]
    common = int(np.count_nonzero(old & new))
    return common / (before.area + region.area - common)
