"""Geometry measured from the latest frames, cached across questions and answerers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock, RLock

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.geometry.size_priors import SIZE_PRIORS, SizePrior
from smolrgpt_core.geometry.surface import valid_depth_fraction
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene

CACHE_SIZE = 4


class MeasuredFrame:
    """One frame, its geometry, and the disturbed copies of its scene.

    Args:
        geometry: of the frame.
        looks: whether the scene has colors, from the color image.

    Attributes:
        lock: to be held while `copies` are used, which measure what they are asked for.
    """

    def __init__(self, geometry: FrameGeometry, looks: bool) -> None:
        self.geometry = geometry
        self._looks = looks
        self.lock = RLock()

    @cached_property
    def copies(self) -> SceneCopies:
        """What questions are evaluated on."""
        return SceneCopies(MeasuredScene(self.geometry, self._looks))


class GeometryCache:
    """The geometry of the latest frames; thread-safe. Frames are compared by identity.

    Args:
        size_priors: standard sizes by class of object.
        size: number of frames that are cached; the oldest is dropped first.
        looks: whether scenes have colors, from the color images.
    """

    def __init__(
        self,
        size_priors: Mapping[str, SizePrior] = SIZE_PRIORS,
        size: int = CACHE_SIZE,
        looks: bool = False,
    ) -> None:
        self._size_priors = size_priors
        self._looks = looks
        self._frames: deque[MeasuredFrame] = deque(maxlen=size)
        self._lock = Lock()

    def get(self, frame: RGBDFrame) -> FrameGeometry:
        """The cached geometry of a frame; measured now if it is not cached."""
        return self.measured(frame).geometry

    def measured(self, frame: RGBDFrame) -> MeasuredFrame:
        """All that is cached of a frame; a new one takes the place of the oldest."""
        with self._lock:
            for cached in self._frames:
                if cached.geometry.frame is frame:
                    return cached
            cached = MeasuredFrame(self._measure(frame), self._looks)
            self._frames.append(cached)
            return cached

    def _measure(self, frame: RGBDFrame) -> FrameGeometry:
        return FrameGeometry(frame, self._size_priors)


def region_places(
    geometry: FrameGeometry, ids: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where regions are, and how much of their depth is valid.

    Args:
        geometry: of the frame.
        ids: of M regions of the frame.

    Returns:
        Centers float64 (M, 3), meters in the optical frame, NaN where depth does not determine
        them; fraction of each mask with valid depth, float64 (M,).

    Raises:
        SpatialError: UNKNOWN_REGION.
    """
    centers = np.array([_center(id, geometry) for id in ids]).reshape(-1, 3)
    regions = geometry.frame.regions
    fractions = np.array([valid_depth_fraction(geometry.frame, regions[id]) for id in ids])
    return centers, fractions


def region_notes(geometry: FrameGeometry, ids: Sequence[int]) -> str:
    """Assumptions behind the positions of regions, for the message of an answer; empty if none.

    For example "pallet 3: from a box, not a mask".
    """
    described = []
    for id in dict.fromkeys(ids):
        try:
            notes = geometry.locate(id).notes
        except SpatialError as error:
            if error.status not in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
                raise
            continue
        if notes:
            described.append(f"{geometry.frame.regions[id].name}: {', '.join(notes)}")
    return "; ".join(described)


def _center(id: int, geometry: FrameGeometry) -> NDArray[np.float64]:
    try:
        return geometry.locate(id).center
    except SpatialError as error:
        if error.status in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
            return np.full(3, np.nan)
        raise
