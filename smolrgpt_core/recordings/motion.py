"""Selects frames that differ enough from the last selected one.

A camera at rest would give the same questions again and again. The criterion is the fraction of the
image whose color or depth has changed, not the motion of the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import RGBDFrame

GRID = (48, 36)
"""Cells of the image (columns, rows): fine enough for a pallet, coarse enough for noise."""


@dataclass(frozen=True)
class MotionConfig:
    """When a frame is different enough.

    Attributes:
        min_change: smallest fraction of cells that differ, 0 to 1; 0 selects every frame.
        depth_ratio: a cell differs if its mean depth changed by this fraction.
        color_levels: or if its mean color changed by this much, of 255, in any channel.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    min_change: float = 0.1
    depth_ratio: float = 0.05
    color_levels: float = 20.0

    def __post_init__(self) -> None:
        limits = {"min_change": 1.0, "depth_ratio": 1.0, "color_levels": 255.0}
        for name, highest in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= highest:
                raise bad_input(f"{name} must be 0 to {highest:g}, got {value!r}")


class MotionFilter:
    """Remembers the last selected frame.

    Args:
        config: when a frame is different enough.
    """

    def __init__(self, config: MotionConfig) -> None:
        self._config = config
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def choose(self, frame: RGBDFrame) -> bool:
        """Whether to select a frame, which then becomes the reference."""
        seen = _cells(frame)
        chosen = self._last is None or self._change(self._last, seen) >= self._config.min_change
        if chosen:
            self._last = seen
        return chosen

    def _change(
        self,
        before: tuple[NDArray[np.float32], NDArray[np.float32]],
        now: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> float:
        color = np.abs(now[0] - before[0]).max(axis=-1) > self._config.color_levels
        # Cells without a reading compare as equal: missing depth flickers by itself.
        depth = np.abs(now[1] - before[1]) > self._config.depth_ratio * before[1]
        return float(np.mean(color | depth))


def _cells(frame: RGBDFrame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean color (rows, columns, 3) and mean depth (rows, columns), NaN without a reading."""
    color = cv2.resize(frame.rgb.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
    valid = np.isfinite(frame.depth).astype(np.float32)
    meters = cv2.resize(np.nan_to_num(frame.depth, nan=0.0), GRID, interpolation=cv2.INTER_AREA)
    fraction = cv2.resize(valid, GRID, interpolation=cv2.INTER_AREA)
    depth = np.divide(meters, fraction, out=np.full_like(meters, np.nan), where=fraction > 0.5)
    return color, depth
