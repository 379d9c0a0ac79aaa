"""What is measured of the newest frames, for further questions and for several answerers."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from threading import Lock, RLock

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, GeometryConfig
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
