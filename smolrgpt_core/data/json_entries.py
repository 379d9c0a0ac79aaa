"""Random access to the entries of a JSON list or a JSON Lines file that is larger than the memory.

One scan finds where every entry lies; entries are parsed when they are asked for. A file that is
cut off gives the entries before the cut, and reports it. Knows nothing of what the entries mean.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.files import file_error, write_file

CHUNK_BYTES = 2**23
"""How much of the file is read at once."""

MAX_ENTRY_BYTES = 2**26
"""Where no entry ends within so many bytes, the file is broken."""

_SEPARATORS = " \t\r\n,"


@dataclass(frozen=True, eq=False)
class JsonEntries:
    """The entries of one file.

    Attributes:
        path: the file.
        spans: int64 (N, 2), first byte and length of each entry.
        groups: int64 (N,), equal for entries with the same key.
        damage: why the file ends early; empty if it does not.
    """

    path: Path
    spans: NDArray[np.int64] = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    damage: str = ""

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: int) -> Any:
        """Parse one entry.

        Raises:
            SpatialError: BAD_INPUT that names the file and the entry.
        """
        start, length = self.spans[index].tolist()
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return json.loads(file.read(length))
        except (OSError, ValueError) as error:
            raise file_error(
                self.path, f"entry {index} cannot be read again: {error}; did the file change?"
            ) from error

    @classmethod
    def scan(
        cls,
        path: Path,
        key: Callable[[Any], Any] = lambda entry: None,
        index_folder: Path | None = None,
    ) -> JsonEntries:
        """Find the entries of a file.

        Args:
            path: a JSON list, or JSON Lines.
            key: what makes entries belong together, such as their image; hashable.
            index_folder: where the result is cached for the next time; None: nowhere.

        Raises:
            SpatialError: BAD_INPUT when the file cannot be opened or does not begin with entries.
        """
        cache = None if index_folder is None else index_folder / _index_name(path)
        if cache is not None and cache.is_file():
            with np.load(cache, allow_pickle=False) as saved:
                return cls(path, saved["spans"], saved["groups"], str(saved["damage"]))
        entries = _scan(path, key)
        if cache is not None:
            _save(cache, entries)
        return entries


class GroupMembers:
    """Which entries belong to each group; two arrays, however many groups there are."""

    def __init__(self, groups: NDArray[np.int64]) -> None:
        """Sort entries by their group.

        Args:
            groups: int64 (N,), the group of each entry; groups are numbered from 0 on.
        """
        self._numbers = np.argsort(groups, kind="stable")
        self._ends = np.cumsum(np.bincount(groups)) if len(groups) else groups

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, group: int) -> list[int]:
        """Numbers of the entries of one group, ascending."""
        start = 0 if group == 0 else self._ends[group - 1]
        return [int(number) for number in self._numbers[start : self._ends[group]]]

    def __iter__(self) -> Iterator[list[int]]:
        return (self[group] for group in range(len(self)))


def _scan(path: Path, key: Callable[[Any], Any]) -> JsonEntries:
    spans: list[tuple[int, int]] = []
    groups: list[int] = []
    group_of: dict[Any, int] = {}
    damage = ""
    try:
        with path.open("rb") as file:
            for start, length, entry in _walk(file):
                spans.append((start, length))
                groups.append(group_of.setdefault(key(entry), len(group_of)))
    except _DamagedError as error:
        damage = f"{error}; the {len(spans)} entries before it can be used"
    except OSError as error:
        raise file_error(path, f"cannot be opened: {error.strerror}") from error
    if damage and not spans:
        raise file_error(path, f"expected a JSON list or JSON Lines: {damage}")
    return JsonEntries(
        path,
        np.array(spans, dtype=np.int64).reshape(-1, 2),
        np.array(groups, dtype=np.int64),
        damage,
    )


class _DamagedError(ValueError):
    """Where and why the entries of a file end early."""


def _walk(file: BinaryIO) -> Iterator[tuple[int, int, Any]]:
    """(first byte, length, entry) of each entry.

    The bytes are read as Latin-1, one character each, so that positions are those in the file; the
    texts in these entries are correct for comparing, not for reading.
    """
    decoder = json.JSONDecoder()
    text = file.read(CHUNK_BYTES).decode("latin-1")
    base, position = 0, 0
    in_list = text.lstrip().startswith("[")
    if in_list:
        position = text.index("[") + 1
    while True:
        while position < len(text) and text[position] in _SEPARATORS:
            position += 1
        entry, end = _parse(decoder, text, position)
        # A number or word at the very end of the text might go on in the next chunk.
        if end is None or end == len(text):
            more = file.read(CHUNK_BYTES) if len(text) - position <= MAX_ENTRY_BYTES else b""
            if more:
                base, text, position = base + position, text[position:] + more.decode("latin-1"), 0
                continue
        rest = text[position : position + 1]
        if end is None and ((in_list and rest == "]") or (not in_list and not rest)):
            return
        if end is None:
            raise _DamagedError(f"the entry at byte {base + position} is truncated or not JSON")
        yield base + position, end - position, entry
        position = end


def _parse(decoder: json.JSONDecoder, text: str, position: int) -> tuple[Any, int | None]:
    """The entry at a position and where it ends; None where there is no whole entry."""
    try:
        return decoder.raw_decode(text, position)
    except (json.JSONDecodeError, RecursionError):
        return None, None


def _index_name(path: Path) -> str:
    """Another name for every version of a file."""
    try:
        state = path.stat()
    except OSError as error:
        raise file_error(path, f"cannot be opened: {error.strerror}") from error
    return f"{path.name}.{state.st_size}.{state.st_mtime_ns}.index.npz"


def _save(cache: Path, entries: JsonEntries) -> None:
    content = io.BytesIO()
    np.savez(content, spans=entries.spans, groups=entries.groups, damage=np.array(entries.damage))
    try:
        write_file(cache, content.getvalue())
    except OSError as error:
        raise file_error(cache, f"the index cannot be written: {error}") from error
