"""SQLite files of recordings, complete or truncated.

Read by their tables of topics and messages alone. What else is in them, such as the quality of
service of the publishers, is edited by people and differs between distributions.
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from smolrgpt_core.files import file_error

SQLITE_MAGIC = b"SQLite format 3\0"

SUFFIX = ".db3"

DEFINITION_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
}

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")

PAGE_SIZE, PAGE_COUNT = (">H", 16), (">I", 28)
"""Format and offset of two numbers in the head of an SQLite file."""


@dataclass(frozen=True)
class SqliteTopic:
    """A topic; of a cut file, its number of messages is 0, as it is not known."""

    id: int
    topic: str
    msgtype: str
    msgdef: MessageDefinition
    msgcount: int = 0


class SqliteStorage:
    """An SQLite file of a recording.

    Args:
        path: of the file.

    Attributes:
        connections: its topics.
        is_cut: whether it is truncated or damaged.

    Raises:
        SpatialError: BAD_INPUT when not even the list of topics is left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.is_cut = _is_cut(path)
            with closing(self._connect()) as database:
                self.connections = self._topics(database)
        except (sqlite3.Error, struct.error) as error:
            raise file_error(path, f"nothing in it is readable: {error}") from error

    def messages(
        self, connections: Collection[SqliteTopic]
    ) -> Iterator[tuple[SqliteTopic, int, bytes]]:
        """Topic, time of recording in ns, and bytes, in the order of recording.

        Raises:
            sqlite3.Error: at the truncation.
        """
        by_id = {topic.id: topic for topic in connections}
        # Of a cut file, the index of the times is mostly lost: it is spread over all of it.
        order = "id" if self.is_cut else "timestamp, id"
        with closing(self._connect()) as database:
            rows = database.execute(
                f"SELECT topic_id, timestamp, data FROM messages ORDER BY {order}"
            )
            for topic_id, timestamp, data in rows:
                if topic_id in by_id:
                    yield by_id[topic_id], timestamp, data

    def close(self) -> None:
        """Nothing is open between reads."""

    def _topics(self, database: sqlite3.Connection) -> list[SqliteTopic]:
        definitions = _definitions(database)
        counts = Counter[int]()
        try:
            rows = database.execute("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id")
            counts.update(dict(rows.fetchall()))
        except sqlite3.Error:
            # Reading the messages will meet the damage again, and say so.
            self.is_cut = True
        return [
            SqliteTopic(id, topic, type, definitions.get(type, NO_DEFINITION), counts[id])
            for id, topic, type in database.execute("SELECT id, name, type FROM topics ORDER BY id")
        ]

    def _connect(self) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
        database = sqlite3.connect(address, uri=True)
        # Without this, SQLite refuses a file that is shorter than its header states, as a whole.
        database.execute("PRAGMA writable_schema = ON")
        return database


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(32)
    size, pages = (
        struct.unpack_from(form, head, offset)[0] for form, offset in (PAGE_SIZE, PAGE_COUNT)
    )
    # 1 stands for 65536, which does not fit.
    return path.stat().st_size < (65536 if size == 1 else size) * pages


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
