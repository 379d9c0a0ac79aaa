"""Notices a camera that stands still: bit by bit the same image while that of the other changes.

Drivers that hang go on to stamp and send their last image. Two images of a camera are never the
same in every bit. In a simulation without noise they are as long as nothing moves, but then those
of the other camera hardly change either.

Limits: the first frame is compared with nothing, and a frame only with the one before it that was
looked at. A color image of one color, as of a covered lens, says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.messages.stamps import NANOSECONDS, time_to_ns
from smolrgpt_core.messages.types import Message

BLOCKS = (32, 24)
"""Columns and rows of blocks whose mean colors are compared: noise does not change these."""

CHANGED_LEVELS, CHANGED_FRACTION = 10, 0.1
"""Color has changed where this fraction of the blocks differs by so many levels."""

CHANGED_DEPTH = 0.1
"""Depth has changed where that fraction of its readings, one in each block, differs by this
fraction: several times the noise of a stereo camera."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """The first frame with these depth readings, or with this color image."""

    stamp_ns: int
    readings: NDArray[np.uint8]
    frame: RGBDFrame


class FrozenImagesTest:
    """Compares the depth and the color of each frame with those of the frame before."""

    def __init__(self) -> None:
        self._depth: _Seen | None = None
        self._color: _Seen | None = None

    def doubt(self, depth: Message, frame: RGBDFrame) -> str:
        """Why the depth may be of another moment than the color image; empty if it may not.

        Args:
            depth: image message.
            frame: the same, with its color image.
        """
        readings = np.frombuffer(depth.data, dtype=np.uint8)
        seen = _Seen(time_to_ns(depth.header.stamp), readings, frame)
        return self._doubt_of_depth(seen) or self._doubt_of_color(seen)

    def _doubt_of_depth(self, now: _Seen) -> str:
        before = self._depth
        if before is None or not np.array_equal(now.readings, before.readings):
            self._depth = now
            return ""
        if now.stamp_ns == before.stamp_ns or not _has_changed(before.frame.rgb, now.frame.rgb):
            return ""
        return (
            f"depth is bit by bit the same as {_apart_s(before, now):.3g} s before or after, while "
            "the color image has changed: does the depth camera stand still?"
        )

    def _doubt_of_color(self, now: _Seen) -> str:
        before = self._color
        if before is None or not np.array_equal(now.frame.rgb, before.frame.rgb):
            self._color = now
            return ""
        is_plain = bool(np.all(now.frame.rgb == now.frame.rgb[0, 0]))
        if is_plain or not _has_moved(before.frame.depth, now.frame.depth):
            return ""
        return (
            f"the color image is bit by bit the same as {_apart_s(before, now):.3g} s before or "
            "after, while depth has changed: does the color camera stand still?"
        )


def _apart_s(one: _Seen, other: _Seen) -> float:
    return abs(one.stamp_ns - other.stamp_ns) / NANOSECONDS


def _has_changed(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    if one.shape != other.shape:
        return True
    means = [cv2.resize(rgb, BLOCKS, interpolation=cv2.INTER_AREA) for rgb in (one, other)]
    levels = cv2.absdiff(*means).max(axis=2)
    return bool(np.mean(levels > CHANGED_LEVELS) > CHANGED_FRACTION)


def _has_moved(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether depth (H, W), meters, NaN where there is none, has changed where both have any."""
    first, second = (
        cv2.resize(depth, BLOCKS, interpolation=cv2.INTER_NEAREST) for depth in (one, other)
    )
    known = np.isfinite(first) & np.isfinite(second)
    changed = np.abs(first[known] - second[known]) > CHANGED_DEPTH * first[known]
    return bool(np.count_nonzero(changed) > CHANGED_FRACTION * first.size)
