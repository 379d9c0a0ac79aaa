"""Stamps of messages: reading them, also from serialized messages, and matching them.

CDR, the format of DDS and of recordings, begins with four bytes of which the second is the byte
order. In messages whose first field is a std_msgs/Header, the stamp follows: int32 seconds, uint32
nanoseconds.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.types import Message

NANOSECONDS = 1_000_000_000

STAMP_OFFSET = 4
STAMP_SIZE = 8

DEFAULT_SYNC_TOLERANCE_S = 0.02
"""Largest difference between the stamps of rgb, depth and regions."""

INPUTS: dict[str, Status] = {
    "rgb": Status.NO_RGB,
    "depth": Status.NO_DEPTH,
    "camera_info": Status.NO_CAMERA_INFO,
    "regions": Status.NO_REGIONS,
}
"""The inputs, with the status if one has never arrived."""

SYNCHRONIZED = ("rgb", "depth", "regions")
"""The inputs whose stamps must match; a calibration is valid until the next one."""

Item = TypeVar("Item")


def time_to_ns(stamp: Message) -> int:
    """Nanoseconds since the epoch of the stamp's clock."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def read_stamp_ns(serialized: bytes) -> int:
    """Stamp of a serialized message in nanoseconds.

    Raises:
        struct.error: the message is too short for a stamp.
    """
    _, byte_order = struct.unpack_from("BB", serialized)
    order = "<" if byte_order & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", serialized, STAMP_OFFSET)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def without_stamp(serialized: bytes) -> bytes:
    """The message without its stamp: equal for messages that differ only in their stamps."""
    return serialized[:STAMP_OFFSET] + serialized[STAMP_OFFSET + STAMP_SIZE :]


def nearest(items: Sequence[Item], stamp_ns: int, stamp_of: Callable[[Item], int]) -> Item:
    """The item with the nearest stamp.

    Args:
        items: sorted by stamp, at least one.
        stamp_ns: nanoseconds.
        stamp_of: stamp of an item.
    """
    index = bisect_left(items, stamp_ns, key=stamp_of)
    neighbors = items[max(index - 1, 0) : index + 1]
    return min(neighbors, key=lambda item: abs(stamp_of(item) - stamp_ns))
