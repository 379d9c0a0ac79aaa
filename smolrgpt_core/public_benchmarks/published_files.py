"""The files of public benchmarks as their authors publish them: parquet, TSV, JSON, JSON Lines.

What stands in them is not trusted: literals have a length limit, paths stay within their folder.
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.extras import require
from smolrgpt_core.files import file_error, read_bytes, read_json
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkData,
    BenchmarkRecord,
    RejectedRow,
    StoredImage,
    is_missing,
)

MAX_LITERAL_LENGTH = 2**20
"""Characters of a Python literal; masks of a image have some thousands."""

MAX_FIELD_LENGTH = 2**28
"""Characters of a field of a TSV file; a image in base64 has some millions."""

MAX_REFERENCE_LENGTH = 64
"""An `image` of a TSV file that is not longer is the index of another row with the image."""

MAX_PATH_LENGTH = 1024
"""Characters of a path to a image; base64 has no dot in these."""

PARQUET_BATCH = 64
"""Rows that are decoded at once."""

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published file.

    Attributes:
        path: the file; paths in the row are relative to its folder.
        number: of the row in the file, from 0.
        fields: as published.
        position: of the row in all files together, from 0.
    """

    path: Path
    number: int
    fields: Fields
    position: int = 0

    @property
    def place(self) -> str:
        """File and row, for messages."""
        return f"{self.path.name} row {self.number}"

    def image(self, *names: str) -> tuple[StoredImage | None, tuple[str, ...]]:
        """The image of the first field that has one, and what is wrong with it.

        A field is {"bytes", "path"} as in parquet files, base64, or a path below the folder.
        """
        values = [self.fields[name] for name in names if not is_missing(self.fields.get(name))]
        if not values:
            return None, ("no image",)
        return _image(values[0], self)


def find_files(path: Path, patterns: Sequence[str]) -> list[Path]:
    """The published files of a benchmark.

    Args:
        path: one of the files, or a folder with them.
        patterns: names to look for in a folder; the first that is there decides.

    Raises:
        SpatialError: BAD_INPUT when there is none.
    """
    if path.is_file():
        return [path]
    for pattern in patterns:
        if found := sorted(path.rglob(pattern)):
            return found
    raise file_error(path, f"expected one of the published files, or a folder with {patterns}")


def read_rows(path: Path) -> Iterator[PublishedRow]:
    """The rows of one file; its suffix says the form.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
        ImportError: pyarrow is needed and not installed.
    """
    readers: dict[str, Callable[[Path], Iterator[Fields]]] = {
        ".parquet": _parquet_rows,
        ".tsv": _tsv_rows,
        ".json": _json_rows,
        ".jsonl": _json_lines,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise file_error(path, f"expected a file that ends with one of {', '.join(readers)}")
    for number, row in enumerate(reader(path)):
        if not isinstance(row, Mapping):
            raise file_error(path, f"row {number}: expected an object, got {row!r:.60}")
        yield PublishedRow(path, number, row)


def read_all_rows(paths: Iterable[Path]) -> Iterator[PublishedRow]:
    """The rows of several files, one after the other; see `read_rows`."""
    rows = chain.from_iterable(map(read_rows, paths))
    return (replace(row, position=position) for position, row in enumerate(rows))


def read_records(
    rows: Iterable[PublishedRow], parse: Callable[[PublishedRow], BenchmarkRecord]
) -> BenchmarkData:
    """Parse rows; those that cannot be used are collected with the reason.

    Args:
        rows: of all files.
        parse: makes a record; raises ValueError or SpatialError for a row that cannot be used.

    Raises:
        SpatialError: BAD_INPUT when no row can be used.
    """
    records: dict[str, BenchmarkRecord] = {}
    rejected: list[RejectedRow] = []
    path = Path()
    for row in rows:
        path = row.path
        try:
            record = parse(row)
            if record.id in records:
                raise ValueError(f"id {record.id!r} is there twice")
            records[record.id] = record
        except (ValueError, TypeError, KeyError, SpatialError) as error:
            rejected.append(RejectedRow(row.place, str(error)))
    if not records:
        reason = f": {rejected[0].place}: {rejected[0].reason}" if rejected else ""
        raise file_error(path, f"no row can be used{reason}")
    return BenchmarkData(tuple(records.values()), tuple(rejected))


def literal(value: Any) -> Any:
    """A structured field, which some copies hold as the text of a Python literal.

    Raises:
        ValueError: the text is no literal, or longer than `MAX_LITERAL_LENGTH`.
    """
    if not isinstance(value, str):
        return value
    if len(value) > MAX_LITERAL_LENGTH:
        raise ValueError(
            f"expected a literal of at most {MAX_LITERAL_LENGTH} characters, got {len(value)}"
        )
    try:
        with warnings.catch_warnings():
            # Such as "1and": the value is refused or not, and nobody can change the text.
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"expected a Python literal, got {value!r:.60}") from error


def _image(value: Any, row: PublishedRow) -> tuple[StoredImage | None, tuple[str, ...]]:
    folder = row.path.parent
    if isinstance(value, Mapping):
        content, value = value.get("bytes"), value.get("path")
        if content:
            return StoredImage(folder / f"{row.place}: {value}", bytes(content)), ()
    if isinstance(value, (list, tuple)) and value:
        return _image(value[0], row)
    if not isinstance(value, str) or is_missing(value):
        return None, ("no image",)
    if Path(value[:MAX_PATH_LENGTH]).suffix:
        return _image_file(value, folder)
    try:
        return StoredImage(folder / row.place, base64.b64decode(value, validate=True)), ()
    except (binascii.Error, ValueError):
        return None, (f"the image is neither a path nor base64: {value!r:.40}",)


def _image_file(value: str, folder: Path) -> tuple[StoredImage | None, tuple[str, ...]]:
    path = folder / value
    if not path.resolve().is_relative_to(folder.resolve()):
        return None, (f"the image {value!r:.60} lies outside of the folder of the data",)
    return (StoredImage(path), ()) if path.is_file() else (None, (f"no image: {path} is missing",))


def _parquet_rows(path: Path) -> Iterator[Fields]:
    parquet = require("pyarrow.parquet", "data", "parquet files need pyarrow")
    arrow_error = require("pyarrow", "data", "parquet files need pyarrow").ArrowException
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=PARQUET_BATCH):
            yield from batch.to_pylist()
    except (OSError, arrow_error) as error:
        raise file_error(path, f"expected a parquet file: {error}") from error


def _tsv_rows(path: Path) -> Iterator[Fields]:
    """Rows of a TSV file; a short `image` is replaced by that of the row that it names."""
    csv.field_size_limit(MAX_FIELD_LENGTH)
    images: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                image = row.get("image") or ""
                if len(image) > MAX_REFERENCE_LENGTH:
                    images[str(row.get("index"))] = image
                yield {**row, "image": images.get(image, image)} if "image" in row else row
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise file_error(path, f"expected a TSV file: {error}") from error


def _json_rows(path: Path) -> Iterator[Fields]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise file_error(path, f"expected a list, got {type(rows).__name__}")
    yield from rows


def _json_lines(path: Path) -> Iterator[Fields]:
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise file_error(path, f"line {number}: expected JSON: {error}") from error
