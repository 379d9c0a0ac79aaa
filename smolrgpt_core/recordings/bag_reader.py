"""Reads a recording, topic by topic, as far as it can be read.

A recording is a folder with `metadata.yaml`, or one `.db3` or `.mcap` file. It may be read several
times; every time it gives the same messages in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from rosbags.rosbag2 import Reader

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error
from smolrgpt_core.messages.types import Message
from smolrgpt_core.recordings.bag_types import BagTypes
from smolrgpt_core.recordings.damaged_storage import CutDatabase, CutMcap

STORAGE_SUFFIXES = (".db3", ".mcap")
METADATA = "metadata.yaml"


@dataclass(frozen=True)
class BagTopic:
    """A topic of a recording. `count` is 0 where the number of messages is not known."""

    name: str
    type_name: str
    count: int


class BagReader:
    """A recording that is open; use it in a `with` statement, or call `close`.

    Args:
        path: folder or file of the recording.

    Attributes:
        damage: what is wrong with the recording, empty if nothing is (so far).

    Raises:
        SpatialError: BAD_INPUT when this is no recording, or nothing of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        self._storages = self._open()
        self.damage = "; ".join(filter(None, [self.damage, *_unmerged(path)]))
        connections = [item for storage in self._storages for item in storage.connections]
        self._types = BagTypes({item.msgtype: item.msgdef for item in connections})
        self._type_names = {item.topic: item.msgtype for item in connections}
        counts = dict.fromkeys(self._type_names, 0)
        for item in connections:
            counts[item.topic] += item.msgcount
        self.topics = [
            BagTopic(name, self._type_names[name], counts[name]) for name in sorted(counts)
        ]

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for storage in self._storages:
            storage.close()

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Topic and bytes of each message on these topics; ends where the recording is cut."""
        for storage in self._storages:
            wanted = [item for item in storage.connections if item.topic in topics]
            if not wanted:
                continue
            try:
                for connection, _, serialized in storage.messages(wanted):
                    yield connection.topic, bytes(serialized)
            # A damaged file makes rosbags, SQLite or a decompressor raise whatever they like.
            except Exception as error:
                self.damage = self.damage or f"it can be read up to a damaged place: {error}"

    def first(self, topic: str) -> Message | None:
        """The first message on a topic, None if there is none.

        Raises:
            SpatialError: BAD_INPUT when it cannot be decoded.
        """
        for _, serialized in self.messages([topic]):
            return self.decode(topic, serialized)
        return None

    def decode(self, topic: str, serialized: bytes) -> Message:
        """The message that these bytes are.

        Raises:
            SpatialError: BAD_INPUT when they are none.
        """
        return self._types.decode(serialized, self._type_names[topic])

    def _open(self) -> list[Any]:
        if not self.path.exists():
            raise file_error(self.path, "there is no such recording")
        try:
            return [_opened(self.path)]
        except Exception as error:
            self.damage = _cause(self.path, error)
        files = storage_files(self.path)
        if not files:
            raise file_error(
                self.path,
                f"expected a ROS 2 recording, a folder with {METADATA} or a "
                f"{' or '.join(STORAGE_SUFFIXES)} file; {self.damage}",
            )
        storages, errors = [], []
        for file in files:
            try:
                storages.append(_open_file(file))
            except SpatialError as error:
                errors.append(str(error))
        if not storages:
            raise file_error(self.path, "; ".join(errors))
        self.damage = "; ".join([self.damage, *errors])
        return storages


def storage_files(path: Path) -> list[Path]:
    """The files of a recording that hold messages, in the order of recording."""
    files = path.iterdir() if path.is_dir() else [path]
    found = [file for file in files if file.suffix in STORAGE_SUFFIXES]
    return sorted(found, key=lambda file: [int(part) for part in re.findall(r"\d+", file.stem)])


def _unmerged(path: Path) -> list[str]:
    """What SQLite has not yet written into its files, by file."""
    logs = [file.with_name(f"{file.name}-wal") for file in storage_files(path)]
    return [
        f"{log.name} holds messages that are not read: open the recording once with sqlite3, which "
        "adds them"
        for log in logs
        if log.exists() and log.stat().st_size
    ]


def _opened(path: Path | CutMcap) -> Any:
    # rosbags declares more of a path than it uses.
    reader = Reader(cast(Any, path))
    reader.open()
    return reader


def _open_file(file: Path) -> Any:
    """One file, whole or cut.

    Raises:
        SpatialError: BAD_INPUT when nothing of it can be read.
    """
    try:
        return _opened(file)
    except Exception:
        if file.suffix == ".db3":
            return CutDatabase(file)
    try:
        return _opened(CutMcap(file))
    except Exception as error:
        raise file_error(file, f"nothing of it can be read: {error}") from error


def _cause(path: Path, error: Exception) -> str:
    if path.is_dir() and not (path / METADATA).exists():
        return f"{METADATA} is missing, as when the recorder was killed"
    return f"it is cut off or damaged: {error}"
