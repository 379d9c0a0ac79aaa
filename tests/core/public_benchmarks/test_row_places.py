"""Rows of published files are parsed one by one, and found again where they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.public_benchmarks import row_places
from smolrgpt_core.public_benchmarks.row_places import RowField, placed_rows

ROWS = [{"id": str(number), "text": '\u00e4 "quoted"\n' * (number % 5)} for number in range(150)]


def written(path: Path) -> Path:
    """The rows in the form that the suffix says."""
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=40)
    elif path.suffix == ".jsonl":
        path.write_text("\n\n".join(map(json.dumps, ROWS)) + "\n")
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS, ensure_ascii=False, indent=1))
    else:
        cells = ((row["id"], row["text"].replace('"', '""')) for row in ROWS)
        lines = [f'{id}\t"{text}"\n' for id, text in cells]
        path.write_text("\ufeffid\ttext\n" + "".join(lines))
    return path


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "json", "tsv"])
def test_a_row_is_found_again_in_any_order(suffix: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(row_places, "JSON_CHUNK", 7)
    rows, places = zip(*placed_rows(written(tmp_path / f"rows.{suffix}")), strict=True)
    assert list(rows) == ROWS
    for number in (149, 3, 4, 70, 0, 149):
        assert places[number].value("text") == ROWS[number]["text"]


@pytest.mark.parametrize("text", ["[{}, ]", "[{} {}]", "[{}", "[{}] 1", "[{,}]", "", "{}", "[{}]]"])
def test_what_is_no_json_list_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(SpatialError, match=r"rows\.json: expected"):
        list(placed_rows(path))


def test_an_image_that_another_row_has_is_that_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    image = "iVBORw0KGgo" * 20
    path.write_text(f"index\timage\n7\t{image}\n8\t7\n9\t5\n")
    rows = [row for row, _ in placed_rows(path)]
    assert rows[0]["image"] == image
    assert isinstance(rows[1]["image"], RowField)
    assert rows[1]["image"].value() == image
    assert rows[2]["image"] == "5"


def test_a_file_that_changed_meanwhile_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl")
    place = [place for _, place in placed_rows(path)][100]
    path.write_text("{}\n")
    with pytest.raises(SpatialError, match=r"rows\.jsonl: the row at byte .* changed"):
        place.value("text")


def test_a_parquet_file_that_is_not_read_to_its_end_is_closed_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = row_places._batches(written(tmp_path / "rows.parquet"))
    next(batches)
    # As at the end of Python, when PyArrow is cleared before the batches are.
    monkeypatch.delattr(pyarrow, "ArrowException")
    batches.close()  # type: ignore[attr-defined]
