"""MCAP files in the form that rosbags expects, also if truncated.

Everything before the truncation is read. A recorder that was killed, or a copy that was
interrupted, leaves such files. Damage in the middle of a file is not repaired.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

MCAP_MAGIC = b"\x89MCAP0\r\n"
MCAP_FOOTER, MCAP_DATA_END = 0x02, 0x0F
MCAP_CLOSING_PART = struct.pack("<BQQQI", MCAP_FOOTER, 20, 0, 0, 0) + MCAP_MAGIC
"""A footer without a summary, and the magic."""

RECORD_HEAD = struct.Struct("<BQ")

SUFFIX = ".mcap"


class McapPath:
    """An MCAP file with any name, as a path for rosbags.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.suffix = SUFFIX

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Never."""
        return False

    def open(self, *_: Any) -> BinaryIO:
        """The file, to be read."""
        return self._path.open("rb")


class TruncatedMcap(McapPath):
    """An MCAP file up to its last complete record, with a valid end."""

    def open(self, *_: Any) -> BinaryIO:
        """The file as if it had been closed after the last complete record."""
        file = self._path.open("rb")
        return io.BufferedReader(_ClosedFile(file, whole_records_end(file)))


def whole_records_end(file: BinaryIO) -> int:
    """Offset of the first byte after the last complete data record."""
    size = file.seek(0, io.SEEK_END)
    position = len(MCAP_MAGIC)
    while position + RECORD_HEAD.size <= size:
        file.seek(position)
        opcode, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        end = position + RECORD_HEAD.size + length
        is_data = 0 < opcode < MCAP_DATA_END and opcode != MCAP_FOOTER
        if not is_data or end > size:
            break
        position = end
    return position


class _ClosedFile(io.RawIOBase):
    """The first bytes of a file, followed by the closing part of MCAP."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file = file
        self._end = end
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._end + len(MCAP_CLOSING_PART)
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position < self._end:
            self._file.seek(self._position)
            content = self._file.read(min(len(buffer), self._end - self._position))
        else:
            offset = self._position - self._end
            content = MCAP_CLOSING_PART[offset : offset + len(buffer)]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
