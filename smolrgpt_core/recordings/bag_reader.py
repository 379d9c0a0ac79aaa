"""Reads a recording by topic, as far as it is readable.

A recording is a folder with `.db3` or `.mcap` files, or one such file, complete or truncated,
compressed with zstd or not. It can be read several times, with the same messages in the same order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from smolrgpt_core.closing import Closing
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error
from smolrgpt_core.messages.types import Message
from smolrgpt_core.recordings.bag_types import BagTypes
from smolrgpt_core.recordings.mcap_files import MCAP_MAGIC, McapPath, TruncatedMcap
from smolrgpt_core.recordings.sqlite_storage import SQLITE_MAGIC, SUFFIX, SqliteStorage
from smolrgpt_core.recordings.storage_files import (
    check_is_ros2,
    find_storage_files,
    is_packed,
    unpack,
    unpack_message,
)


@dataclass(frozen=True)
class BagTopic:
    """A topic of a recording. `count` is 0 if the number of messages is unknown."""

    name: str
    type_name: str
    count: int


class RecordedMessage(NamedTuple):
    """A message as the recorder received it.

    Attributes:
        topic: of the message.
        received_ns: time of the recorder's clock.
        serialized: CDR.
    """

    topic: str
    received_ns: int
    serialized: bytes


class BagReader(Closing):
    """A recording that is open; use it in a `with` statement, or call `close`.

    Args:
        path: folder or file of the recording.

    Attributes:
        damage: problems of the recording; empty if there are none (so far).

    Raises:
        SpatialError: BAD_INPUT when this is not a recording, or nothing in it is readable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._problems: list[str] = []
        try:
            self._storages = self._open()
        except BaseException:
            self._stack.close()
            raise
        connections = [item for storage in self._storages for item in storage.connections]
        self._types = BagTypes(_definitions(connections))
        self._type_names = {item.topic: item.msgtype for item in connections}
        counts = dict.fromkeys(self._type_names, 0)
        for item in connections:
            counts[item.topic] += item.msgcount
        self.topics = [
            BagTopic(name, self._type_names[name], counts[name]) for name in sorted(counts)
        ]

    @property
    def damage(self) -> str:
        """Problems of the recording; empty if there are none (so far)."""
        return "; ".join(self._problems)

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    def messages(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        """The messages on these topics in recording order, up to a truncation."""
        for storage in self._storages:
            wanted = [item for item in storage.connections if item.topic in topics]
            if not wanted:
                continue
            try:
                for connection, received_ns, serialized in storage.messages(wanted):
                    content = unpack_message(bytes(serialized))
                    yield RecordedMessage(connection.topic, received_ns, content)
            # With a damaged file, rosbags, SQLite or a decompressor may raise anything.
            except Exception as error:
                self._report(f"it is readable up to a damaged place: {error}")

    def first(self, topic: str) -> Message | None:
        """The first message on a topic, None if there is none.

        Raises:
            SpatialError: BAD_INPUT when it cannot be decoded.
        """
        for message in self.messages([topic]):
            return self.decode(topic, message.serialized)
        return None

    def decode(self, topic: str, serialized: bytes) -> Message:
        """Deserialize a message.

        Raises:
            SpatialError: BAD_INPUT when the bytes are not a message.
        """
        return self._types.decode(serialized, self._type_names[topic])

    def _open(self) -> list[Any]:
        """All files that can be opened.

        Raises:
            SpatialError: BAD_INPUT when none can.
        """
        found = find_storage_files(self.path)
        self._problems += found.problems
        storages, errors = [], []
        for file in found.paths:
            try:
                storages.append(self._open_file(file))
            except SpatialError as error:
                errors.append(error)
        if not storages:
            if len(errors) == 1:
                raise errors[0]
            raise file_error(self.path, "; ".join(map(str, errors)))
        self._problems += map(str, errors)
        return storages

    def _open_file(self, file: Path) -> Any:
        """One file, whole or cut.

        Raises:
            SpatialError: BAD_INPUT when nothing of it can be read.
        """
        try:
            check_is_ros2(file)
            if is_packed(file):
                file, damage = unpack(file, self._temporary_folder())
                if damage:
                    self._report(damage)
            with file.open("rb") as content:
                magic = content.read(len(SQLITE_MAGIC))
        except OSError as error:
            raise file_error(file, f"cannot be read: {error.strerror}") from error
        is_mcap = magic.startswith(MCAP_MAGIC)
        is_sqlite = not is_mcap and (magic == SQLITE_MAGIC or file.suffix == SUFFIX)
        storage = self._open_sqlite(file) if is_sqlite else self._open_mcap(file)
        self._stack.callback(storage.close)
        return storage

    def _open_sqlite(self, file: Path) -> SqliteStorage:
        log = file.with_name(f"{file.name}-wal")
        if log.exists() and log.stat().st_size:
            self._report(
                f"{log.name} contains messages that are not read: open the recording once with "
                "sqlite3 to include them"
            )
        storage = SqliteStorage(file)
        if storage.is_cut:
            self._report(f"{file.name} is truncated or damaged")
        return storage

    def _open_mcap(self, file: Path) -> Reader:
        try:
            return _opened(McapPath(file))
        except Exception as error:
            damage = f"{file.name} is truncated or damaged: {error}"
        try:
            storage = _opened(TruncatedMcap(file))
        except Exception as error:
            raise file_error(file, f"nothing in it is readable: {error}") from error
        self._report(damage)
        return storage

    def _temporary_folder(self) -> Path:
        return Path(self._stack.enter_context(TemporaryDirectory(prefix="smolrgpt_bag_")))

    def _report(self, problem: str) -> None:
        if problem not in self._problems:
            self._problems.append(problem)


def _definitions(connections: Collection[Any]) -> dict[str, MessageDefinition]:
    """Definitions by type; one file may have what another lacks."""
    all_of_them = {item.msgtype: item.msgdef for item in connections}
    complete = {
        item.msgtype: item.msgdef
        for item in connections
        if item.msgdef.format is not MessageDefinitionFormat.NONE
    }
    return {**all_of_them, **complete}


def _opened(path: McapPath) -> Reader:
    # rosbags declares more of a path than it uses.
    reader = Reader(cast(Any, path))
    reader.open()
    return reader
