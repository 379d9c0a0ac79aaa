"""Files of a recording that was cut off: what lies before the cut is read.

A recorder that was killed, or a copy that was interrupted, leaves an MCAP file without its closing
part, or an SQLite file that is shorter than it says. Damage in the middle of a file is not
repaired.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from smolrgpt_core.files import file_error

MCAP_MAGIC = b"\x89MCAP0\r\n"
MCAP_FOOTER, MCAP_DATA_END = 0x02, 0x0F
MCAP_CLOSING_PART = struct.pack("<BQQQI", MCAP_FOOTER, 20, 0, 0, 0) + MCAP_MAGIC
"""A footer that says that there is no summary, and the magic."""

RECORD_HEAD = struct.Struct("<BQ")

DEFINITION_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
}


class CutMcap:
    """An MCAP file up to its last whole record, closed properly: a path as rosbags wants it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.suffix = path.suffix

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Never."""
        return False

    def open(self, *_: Any) -> BinaryIO:
        """The file as it would have been, had it ended after the last whole record."""
        file = self._path.open("rb")
        return io.BufferedReader(_ClosedFile(file, whole_records_end(file)))


def whole_records_end(file: BinaryIO) -> int:
    """Offset of the first byte behind the last whole record of data."""
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


@dataclass(frozen=True)
class CutTopic:
    """A topic of a cut database; its number of messages is not known."""

    id: int
    topic: str
    msgtype: str
    msgdef: MessageDefinition
    msgcount: int = 0


class CutDatabase:
    """An SQLite recording that is shorter than it says.

    Args:
        path: of the file.

    Raises:
        SpatialError: BAD_INPUT when not even the list of topics is left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with closing(self._connect()) as database:
                definitions = _definitions(database)
                rows = database.execute("SELECT id, name, type FROM topics ORDER BY id")
                none = MessageDefinition(MessageDefinitionFormat.NONE, "")
                self.connections = [
                    CutTopic(id, topic, type_name, definitions.get(type_name, none))
                    for id, topic, type_name in rows
                ]
        except sqlite3.Error as error:
            raise file_error(path, f"nothing of it can be read: {error}") from error

    def messages(self, connections: Collection[CutTopic]) -> Iterator[tuple[CutTopic, int, bytes]]:
        """Topic, time of recording in ns, and bytes, in the order of recording.

        Raises:
            sqlite3.Error: at the cut.
        """
        by_id = {topic.id: topic for topic in connections}
        with closing(self._connect()) as database:
            # By row: the index of the times is spread over the file, so most of it is lost.
            rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            for topic_id, timestamp, data in rows:
                if topic_id in by_id:
                    yield by_id[topic_id], timestamp, data

    def close(self) -> None:
        """Nothing is open between reads."""

    def _connect(self) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
        database = sqlite3.connect(address, uri=True)
        # Without this, SQLite refuses a file that is shorter than it says, as a whole.
        database.execute("PRAGMA writable_schema = ON")
        return database


def _definitions(database: sqlite3.Connection) -> dict[str, MessageDefinition]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    if ("message_definitions",) not in tables.fetchall():
        return {}
    rows = database.execute(
        "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
    )
    return {
        name: MessageDefinition(DEFINITION_FORMATS.get(format, MessageDefinitionFormat.NONE), text)
        for name, format, text in rows
    }
