"""Notices a depth camera that stands still: bit by bit the same readings while color changes.

Drivers that hang go on to stamp and send their last image. Two measurements are never the same in
every bit. In a simulation without noise they are as long as nothing moves, but then color hardly
changes either.

Limits: the first frame is compared with nothing, and a frame only with the one before it that was
looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.messages.stamps import NANOSECONDS, time_to_ns
from smolrgpt_core.messages.types import Message

BLOCKS = (32, 24)
"""Columns and rows of blocks whose mean colors are compared: noise does not change these."""

CHANGED_LEVELS, CHANGED_FRACTION = 10, 0.1
"""Color has changed where this fraction of the blocks differs by so many levels."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """The first frame with these readings."""

    stamp_ns: int
    readings: NDArray[np.uint8]
    rgb: NDArray[np.uint8]


class FrozenDepthTest:
    """Compares the depth of each frame with that of the frame before."""

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def doubt(self, depth: Message, rgb: NDArray[np.uint8]) -> str:
        """Why the depth may be of another moment than the color image; empty if it may not.

        Args:
            depth: image message.
            rgb: uint8 (H, W, 3), of the same frame.
        """
        stamp_ns = time_to_ns(depth.header.stamp)
        readings = np.frombuffer(depth.data, dtype=np.uint8)
        seen = self._seen
        if seen is None or not np.array_equal(readings, seen.readings):
            self._seen = _Seen(stamp_ns, readings, rgb)
            return ""
        if stamp_ns == seen.stamp_ns or not _has_changed(seen.rgb, rgb):
            return ""
        apart = abs(stamp_ns - seen.stamp_ns) / NANOSECONDS
        return (
            f"depth is bit by bit the same as {apart:.3g} s before or after, while the color image "
            "has changed: does the depth camera stand still?"
        )


def _has_changed(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    if one.shape != other.shape:
        return True
    means = [cv2.resize(rgb, BLOCKS, interpolation=cv2.INTER_AREA) for rgb in (one, other)]
    levels = cv2.absdiff(*means).max(axis=2)
    return bool(np.mean(levels > CHANGED_LEVELS) > CHANGED_FRACTION)
