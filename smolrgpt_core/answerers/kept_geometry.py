"""What is measured of the newest frames, for further questions and for several answerers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from threading import Lock, RLock

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, GeometryConfig
from smolrgpt_core.geometry.surface import valid_depth_share
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene

KEPT_FRAMES = 4


class MeasuredFrame:
    """One frame, its geometry, and the disturbed copies of its scene.

    Args:
        geometry: of the frame.

    Attributes:
        lock: to be held while `copies` are used, which measure what they are asked for.
    """

    def __init__(self, geometry: FrameGeometry) -> None:
        self.geometry = geometry
        self.lock = RLock()

    @cached_property
    def copies(self) -> SceneCopies:
        """What questions are evaluated on."""
        return SceneCopies(MeasuredScene(self.geometry))


class KeptGeometry:
    """Safe to use from several threads. A frame is known by its identity.

    Args:
        config: how frames are measured.
        frames: how many are kept; the first that came is the first to go.
    """

    def __init__(self, config: GeometryConfig | None = None, frames: int = KEPT_FRAMES) -> None:
        self._config = config or GeometryConfig()
        self._kept: deque[MeasuredFrame] = deque(maxlen=frames)
        self._lock = Lock()

    def of(self, frame: RGBDFrame) -> FrameGeometry:
        """The kept geometry of this very frame, or a new one in the place of the oldest."""
        return self.measured(frame).geometry

    def measured(self, frame: RGBDFrame) -> MeasuredFrame:
        """All that is kept of this very frame, or that of a new one in the place of the oldest."""
        with self._lock:
            for kept in self._kept:
                if kept.geometry.frame is frame:
                    return kept
            kept = MeasuredFrame(self._measure(frame))
            self._kept.append(kept)
            return kept

    def _measure(self, frame: RGBDFrame) -> FrameGeometry:
        return FrameGeometry(frame, self._config)


def region_places(
    geometry: FrameGeometry, ids: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centers (M, 3) in metres, NaN where depth does not tell them, and shares of valid depth (M,).

    Raises:
        SpatialError: UNKNOWN_REGION.
    """
    centers = np.array([_center(id, geometry) for id in ids]).reshape(-1, 3)
    regions = geometry.frame.regions
    shares = np.array([valid_depth_share(geometry.frame, regions[id]) for id in ids])
    return centers, shares


def region_notes(geometry: FrameGeometry, ids: Sequence[int]) -> str:
    """What was assumed of regions that were located, for the message of an answer; else empty.

    Such as "pallet 3: from a box, not a mask".
    """
    told = []
    for id in dict.fromkeys(ids):
        try:
            notes = geometry.locate(id).notes
        except SpatialError as error:
            if error.status not in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
                raise
            continue
        if notes:
            told.append(f"{geometry.frame.regions[id].name}: {', '.join(notes)}")
    return "; ".join(told)


def _center(id: int, geometry: FrameGeometry) -> NDArray[np.float64]:
    try:
        return geometry.locate(id).center
    except SpatialError as error:
        if error.status in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
            return np.full(3, np.nan)
        raise
