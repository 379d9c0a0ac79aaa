"""The files of public benchmarks as their authors publish them: parquet, TSV, JSON, JSON Lines.

What stands in them is not trusted: literals have a length limit, paths stay within their folder.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.extras import require
from smolrgpt_core.files import file_error
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkData,
    BenchmarkRecord,
    RejectedRow,
    StoredImage,
    image_content,
    image_path,
    is_missing,
)
from smolrgpt_core.public_benchmarks.row_places import Fields, RowField, RowPlace, placed_rows

DATA_FOLDER = Path("benchmark-data")
"""Where data sets of the hub are downloaded to; a cache of links would lead out of the folder."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

NAMED = 5
"""So many files of a folder without the expected ones are named."""

MAX_LITERAL_LENGTH = 2**20
"""Characters of a Python literal; masks of a image have some thousands."""


def published_data(data: str, example: str) -> Path:
    """A file or folder, or the data set of the hub that has this id, downloaded once.

    Args:
        data: path or hub id.
        example: hub id of the benchmark, for messages.

    Raises:
        ValueError: it is neither.
        OSError: the data set cannot be downloaded; what has arrived is stored for the next time.
        ImportError: the client of the hub is not installed.
    """
    path = Path(data)
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(data):
        raise ValueError(
            f"--data: expected a file, a folder or a hub id such as {example}, got {data!r}, where "
            "nothing is"
        )
    hub = require("huggingface_hub", "model", "data sets of the hub need its client")
    folder = DATA_FOLDER / data.replace("/", "-")
    try:
        hub.snapshot_download(data, repo_type="dataset", local_dir=folder)
    except OSError as error:
        reason = str(error).strip().split("\n")[0]
        raise OSError(
            f"--data: there is no file or folder {data!r}, and no such data set of the hub can be "
            f"downloaded (the benchmark's is {example}): {reason}"
        ) from error
    return folder


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published file.

    Attributes:
        path: the file; paths in the row are relative to its folder.
        number: of the row in the file, from 0.
        fields: as published.
        stands: where it can be read again.
        position: of the row in all files together, from 0.
    """

    path: Path
    number: int
    fields: Fields
    stands: RowPlace
    position: int = 0

    @property
    def place(self) -> str:
        """File and row, for messages."""
        return f"{self.path.name} row {self.number}"

    def image(self, *names: str) -> tuple[StoredImage | None, tuple[str, ...]]:
        """The image of the first field that has one, and what is wrong with it.

        A field is {"bytes", "path"} as in parquet files, base64, or a path below the folder.
        """
        for name in names:
            if not is_missing(self.fields.get(name)):
                return _image(self, name)
        return None, ("no image",)


@dataclass(frozen=True, slots=True)
class MaskInRow:
    """One of the masks in a field of a row.

    Attributes:
        field: with the run-length encodings of all.
        number: of the mask.
    """

    field: RowField
    number: int

    def rle(self) -> Any:
        """See `StoredMask`."""
        return literal(self.field.value())[self.number]


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
    there = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    raise file_error(
        path,
        f"expected one of the published files, or a folder with {' or '.join(patterns)}; it has "
        f"{', '.join(there[:NAMED]) + (', ...' if len(there) > NAMED else '') or 'no files'}",
    )


def read_rows(path: Path) -> Iterator[PublishedRow]:
    """The rows of one file; its suffix determines the format.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
        ImportError: pyarrow is needed and not installed.
    """
    for number, (row, stands) in enumerate(placed_rows(path)):
        if not isinstance(row, Mapping):
            raise file_error(path, f"row {number}: expected an object, got {row!r:.60}")
        yield PublishedRow(path, number, row, stands)


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
                raise ValueError(f"id {record.id!r} occurs twice")
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


def _image(row: PublishedRow, name: str) -> tuple[StoredImage | None, tuple[str, ...]]:
    """The image of a field that is there; its content is checked, and not stored."""
    folder, value = row.path.parent, row.fields[name]
    field = RowField(row.stands, name)
    if isinstance(value, RowField):
        field, value = value, value.value()
    path = image_path(value)
    if path:
        return _image_file(path, folder)
    try:
        content = image_content(value)
    except ValueError as error:
        return None, (str(error),)
    if not content:
        return None, ("no image",)
    named = f": {value.get('path')}" if isinstance(value, Mapping) else ""
    return StoredImage(folder / f"{row.place}{named}", field), ()


def _image_file(value: str, folder: Path) -> tuple[StoredImage | None, tuple[str, ...]]:
    path = folder / value
    if not path.resolve().is_relative_to(folder.resolve()):
        return None, (f"the image {value!r:.60} lies outside of the folder of the data",)
    return (StoredImage(path), ()) if path.is_file() else (None, (f"no image: {path} is missing",))
