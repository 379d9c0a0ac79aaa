"""Reads the stamp of a serialized message without decoding the rest.

CDR, the format of DDS, opens with four bytes of which the second tells the byte order. Messages
whose first field is a std_msgs/Header go on with the stamp: int32 seconds, uint32 nanoseconds.
"""

from __future__ import annotations

import struct

from smolrgpt_ros.conversions import NANOSECONDS

STAMP_OFFSET = 4
STAMP_SIZE = 8


def read_stamp_ns(serialized: bytes) -> int:
    """Stamp in nanoseconds."""
    order = "<" if serialized[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", serialized, STAMP_OFFSET)
    return seconds * NANOSECONDS + nanoseconds


def without_stamp(serialized: bytes) -> bytes:
    """Everything else: equal for two messages that differ in their stamps only."""
    return serialized[:STAMP_OFFSET] + serialized[STAMP_OFFSET + STAMP_SIZE :]
