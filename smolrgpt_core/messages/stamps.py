"""Stamps of messages: reading them, also without decoding the rest, and what belongs together.

CDR, the format of DDS and of recordings, opens with four bytes of which the second tells the byte
order. Messages whose first field is a std_msgs/Header go on with the stamp: int32 seconds, uint32
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
"""How far the stamps of rgb, depth and regions may lie apart."""

INPUTS: dict[str, Status] = {
    "rgb": Status.NO_RGB,
    "depth": Status.NO_DEPTH,
    "camera_info": Status.NO_CAMERA_INFO,
    "regions": Status.NO_REGIONS,
}
"""The inputs, and the status when one has never arrived."""

SYNCHRONISED = ("rgb", "depth", "regions")
"""The inputs whose stamps must agree; a calibration holds until the next one."""

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
    """Everything else: equal for two messages that differ in their stamps only."""
    return serialized[:STAMP_OFFSET] + serialized[STAMP_OFFSET + STAMP_SIZE :]


def nearest(items: Sequence[Item], stamp_ns: int, stamp_of: Callable[[Item], int]) -> Item:
    """The item with the nearest stamp; the items are ordered by stamp, at least one."""
    index = bisect_left(items, stamp_ns, key=stamp_of)
    neighbours = items[max(index - 1, 0) : index + 1]
    return min(neighbours, key=lambda item: abs(stamp_of(item) - stamp_ns))
