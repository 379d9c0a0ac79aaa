"""Rows of published files, one after the other, and where each stands, to be read again.

A benchmark's images are many times larger than the memory of a machine may be: a row is parsed and
forgotten, and its image read again when it is asked for.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from smolrgpt_core.extras import require
from smolrgpt_core.files import file_error, read_json

MAX_FIELD_LENGTH = 2**28
"""Characters of a field of a TSV file; an image in base64 has some millions."""

MAX_REFERENCE_LENGTH = 64
"""An `image` of a TSV file that is not longer is the index of another row with the image."""

PARQUET_BATCH = 64
"""Rows that are decoded at once."""

PARQUET_BUFFER = 2**20
"""Bytes; without such a buffer, and with reading ahead, a file comes into memory as a whole."""

JSON_CHUNK = 2**20
"""Bytes of a JSON list that are read at once, at least."""

OPEN_COLUMNS = 4
"""Parquet columns of which the last batch is cached."""

Fields = Mapping[str, Any]
_WHITESPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row stands in a file.

    Attributes:
        path: of the file.
        start: number of the row in a parquet file; in others its first byte.
        length: bytes; 0 in a parquet file.
        header: names of the columns of a TSV file.
    """

    path: Path
    start: int
    length: int = 0
    header: tuple[str, ...] = ()

    def value(self, name: str) -> Any:
        """A field of the row, read again.

        Raises:
            SpatialError: BAD_INPUT when the file is gone or not the same any more.
        """
        if not self.length:
            return _parquet_column(self.path, name).value(self.start)
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                text = file.read(self.length).decode()
            if not self.header:
                return json.loads(text)[name]
            return next(csv.DictReader(text.splitlines(True), self.header, delimiter="\t"))[name]
        except (OSError, ValueError, LookupError, StopIteration) as error:
            raise file_error(
                self.path, f"the row at byte {self.start} changed while it was used: {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class RowField:
    """A field of a row.

    Attributes:
        place: of the row.
        name: of the field.
    """

    place: RowPlace
    name: str

    def value(self) -> Any:
        """What stands there; see `RowPlace.value`."""
        return self.place.value(self.name)


def placed_rows(path: Path) -> Iterator[tuple[Fields, RowPlace]]:
    """The rows of a file with their places; its suffix determines the format.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
        ImportError: pyarrow is needed and not installed.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise file_error(path, f"expected a file that ends with one of {', '.join(_READERS)}")
    return reader(path)


class _ParquetColumn:
    """One column of a parquet file, of which a batch at a time is in memory.

    Rows are asked for in their order, mostly; another order starts again.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._first = 0
        self._batch: list[Any] = []
        self._batches = _batches(path, [name])

    def value(self, row: int) -> Any:
        """The value of a row."""
        if row < self._first:
            self._first, self._batch = 0, []
            self._batches = _batches(self._path, [self._name])
        try:
            while row >= self._first + len(self._batch):
                self._first += len(self._batch)
                self._batch = next(self._batches)[self._name].to_pylist()
        except StopIteration as error:
            raise file_error(self._path, f"row {row} is gone; it changed while used") from error
        return self._batch[row - self._first]


@lru_cache(OPEN_COLUMNS)
def _parquet_column(path: Path, name: str) -> _ParquetColumn:
    return _ParquetColumn(path, name)


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    parquet = require("pyarrow.parquet", "data", "parquet files need pyarrow")
    arrow = require("pyarrow", "data", "parquet files need pyarrow")
    # Looked up now: at the end of Python, where what is not read to its end is closed, PyArrow may
    # be cleared already.
    unreadable = (OSError, arrow.ArrowException)
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=PARQUET_BUFFER) as file:
            yield from file.iter_batches(batch_size=PARQUET_BATCH, columns=columns)
    except unreadable as error:
        raise file_error(
            path, f"expected a whole parquet file; download it again: {error}"
        ) from error


def _parquet_rows(path: Path) -> Iterator[tuple[Fields, RowPlace]]:
    rows = (row for batch in _batches(path) for row in batch.to_pylist())
    return ((row, RowPlace(path, number)) for number, row in enumerate(rows))


class _Lines:
    """Lines of a file for a reader of rows, which counts the bytes that it has taken."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.taken = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        start = self.taken
        self.taken += len(line)
        return line.decode("utf-8" if start else "utf-8-sig")


def _tsv_rows(path: Path) -> Iterator[tuple[Fields, RowPlace]]:
    """Rows of a TSV file; a short `image` is replaced by the place of that which it names."""
    csv.field_size_limit(MAX_FIELD_LENGTH)
    images: dict[str, RowField] = {}
    try:
        with path.open("rb") as file:
            lines = _Lines(file)
            rows = csv.DictReader(lines, delimiter="\t")
            header = tuple(rows.fieldnames or ())
            start = lines.taken
            for row in rows:
                place = RowPlace(path, start, lines.taken - start, header)
                start = lines.taken
                image = row.get("image") or ""
                if len(image) > MAX_REFERENCE_LENGTH:
                    images[str(row.get("index"))] = RowField(place, "image")
                known = images.get(image)
                yield ({**row, "image": known} if known else row), place
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise file_error(path, f"expected a TSV file: {error}") from error


def _json_rows(path: Path) -> Iterator[tuple[Fields, RowPlace]]:
    """Objects of a JSON list, of which a part is in memory at a time."""
    text = _JsonText(path)
    if text.next_sign() != "[":
        found = read_json(path)
        raise file_error(path, f"expected a list, got {type(found).__name__}")
    sign = text.skip(1)
    while sign != "]":
        yield text.item()
        sign = text.next_sign()
        if sign == "]":
            break
        if sign != "," or text.skip(1) == "]":
            raise text.broken()
    text.skip(1)
    if text.next_sign():
        raise text.broken()


class _JsonText:
    """The text of a JSON file from a place on, as much of it as is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text, self._byte, self._at_end = "", 0, False

    def next_sign(self) -> str:
        """The next sign that is no white space; empty at the end."""
        while True:
            rest = self._text.lstrip(_WHITESPACE)
            self._forget(len(self._text) - len(rest))
            if rest or self._at_end:
                return rest[:1]
            self._read()

    def skip(self, signs: int) -> str:
        """The next sign after some others."""
        self._forget(signs)
        return self.next_sign()

    def item(self) -> tuple[Any, RowPlace]:
        """The value that begins here, and its place."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text)
                break
            except (ValueError, RecursionError):
                # Cut off by the end of what has been read, unless that is the end of the file.
                if self._at_end:
                    raise self.broken() from None
                self._read()
        start = self._byte
        self._forget(end)
        return value, RowPlace(self._path, start, self._byte - start)

    def broken(self) -> Exception:
        """The error of a file that is no JSON list, as the reader of whole files words it."""
        read_json(self._path)
        return file_error(self._path, "expected a list of objects")

    def _read(self) -> None:
        # As much again as there is: an object of several chunks is not parsed once for each.
        chunk = self._file.read(max(JSON_CHUNK, len(self._text)))
        self._at_end = not chunk
        try:
            self._text += self._decode(chunk, self._at_end)
        except UnicodeDecodeError as error:
            raise file_error(self._path, f"expected JSON: {error}") from error
        if self._at_end:
            self._file.close()

    def _forget(self, signs: int) -> None:
        self._byte += len(self._text[:signs].encode())
        self._text = self._text[signs:]


_DECODER = json.JSONDecoder()


def _json_lines(path: Path) -> Iterator[tuple[Fields, RowPlace]]:
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                place = RowPlace(path, start, len(line))
                start += len(line)
                if line.strip():
                    yield _json_line(path, number, line), place
    except OSError as error:
        raise file_error(path, f"cannot be read: {error.strerror}") from error


def _json_line(path: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise file_error(path, f"line {number}: expected JSON: {error}") from error


_READERS: Mapping[str, Callable[[Path], Iterator[tuple[Fields, RowPlace]]]] = {
    ".parquet": _parquet_rows,
    ".tsv": _tsv_rows,
    ".json": _json_rows,
    ".jsonl": _json_lines,
}
