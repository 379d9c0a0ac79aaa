"""The geometry of the newest frames, kept for further questions and shared between answerers."""

from __future__ import annotations

from collections import deque
from threading import Lock

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, GeometryConfig

KEPT_FRAMES = 4


class KeptGeometry:
    """Safe to use from several threads. A frame is known by its identity.

    Args:
        config: how frames are measured.
        frames: how many are kept; the first that came is the first to go.
    """

    def __init__(self, config: GeometryConfig | None = None, frames: int = KEPT_FRAMES) -> None:
        self._config = config or GeometryConfig()
        self._kept: deque[FrameGeometry] = deque(maxlen=frames)
        self._lock = Lock()

    def of(self, frame: RGBDFrame) -> FrameGeometry:
        """The kept geometry of this very frame, or a new one in the place of the oldest."""
        with self._lock:
            for geometry in self._kept:
                if geometry.frame is frame:
                    return geometry
            geometry = self._measure(frame)
            self._kept.append(geometry)
            return geometry

    def _measure(self, frame: RGBDFrame) -> FrameGeometry:
        return FrameGeometry(frame, self._config)
