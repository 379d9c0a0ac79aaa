"""A benchmark's run keeps words, never images, masks or rows: what it keeps of a question is small.

Bytes are counted, so that the speed of a machine does not matter; in a process of its own, since
those that other threads hold count too, and earlier tests leave some behind.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from smolrgpt_core.public_benchmarks import row_places
from smolrgpt_core.public_benchmarks.benchmark import score
from smolrgpt_core.public_benchmarks.models import BenchmarkAnswer
from smolrgpt_core.public_benchmarks.published_files import find_files
from smolrgpt_core.public_benchmarks.questions import BenchmarkQuestion
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.running import BenchmarkRun, predictions_of

BALLAST = 2**16
"""Bytes that are added to each row, to its image if that stands in it, and to each mask."""

KEPT = 8 * 1024
"""Bytes that a run may keep of a question, at most: less than any of its images or masks has."""

FEW, MORE = 3, 9
"""How many copies of a fixture the two runs are over that are compared."""

FIXTURES = {
    "spatialrgpt_bench": ("spatialrgpt", "id"),
    "spatialrgpt_bench/val-00000-of-00001.parquet": ("spatialrgpt", "id"),
    "cv_bench": ("cv-bench", "idx"),
    "q_spatial": ("q-spatial", ""),
    "embspatial_bench": ("embspatial", "question_id"),
    "robospatial_home/annotations.json": ("robospatial-home", "img"),
    "3dsrbench": ("3dsrbench", "qid"),
    "general_vqa/realworldqa.jsonl": ("realworldqa", "index"),
    "general_vqa/pope.jsonl": ("pope", "question_id"),
    "general_vqa/mmbench_dev_toy.tsv": ("mmbench", "index"),
    "general_vqa/seedbench.jsonl": ("seed-bench", "question_id"),
    "ai_city": ("ai-city", "id"),
    "hispatial_tasks": ("hispatial-tasks", "id"),
}
"""Benchmark of each fixture, and the field that tells its rows apart; Q-Spatial has none."""


class Looker:
    """Looks at everything that a model is given, and notes what Arrow holds meanwhile."""

    described: Mapping[str, Any] = {"kind": "looker"}

    def __init__(self) -> None:
        self.most_in_arrow = 0

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """Decode the image and the depth; the masks are decoded already."""
        for image in (question.image, question.depth):
            if image is not None:
                image.plane()
        self.most_in_arrow = max(self.most_in_arrow, pyarrow.total_allocated_bytes())
        return BenchmarkAnswer("yes")


def test_every_benchmark_is_measured() -> None:
    assert {name for name, _ in FIXTURES.values()} == BENCHMARKS.keys()


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory) -> dict[str, list[tuple[int, int]]]:
    """Questions and bytes of the runs over few copies of each fixture, and over more."""
    command = [sys.executable, __file__, str(folder), str(tmp_path_factory.mktemp("runs"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_memory_does_not_grow_with_rows_images_and_masks(fixture: str, runs) -> None:
    (rows, peak), (more_rows, more_peak) = runs[fixture]
    assert more_rows == rows * MORE // FEW
    assert (more_peak - peak) / (more_rows - rows) < KEPT


def main(folder: str, root: str) -> None:
    """Print what the fixture `runs` is."""
    row_places.PARQUET_BATCH = 4
    row_places.JSON_CHUNK = row_places.PARQUET_BUFFER = BALLAST
    found = {
        fixture: measured_runs(fixture, Path(folder), Path(root, str(number)))
        for number, fixture in enumerate(FIXTURES)
    }
    assert threading.active_count() == 1
    print(json.dumps(found))


def measured_runs(fixture: str, folder: Path, root: Path) -> list[tuple[int, int]]:
    """Questions and bytes of a run over few copies of a fixture, and of one over more."""
    # The first run imports what all need.
    _, few, more = (
        measured(fixture, heavy(fixture, folder, root / str(times), times), root)
        for times in (1, FEW, MORE)
    )
    return [few, more]


def measured(fixture: str, path: Path, root: Path) -> tuple[int, int]:
    """Questions of a fixture, and the most bytes that a run over them holds at once."""
    benchmark, looker = BENCHMARKS[FIXTURES[fixture][0]], Looker()
    row_places._parquet_column.cache_clear()
    tracemalloc.start()
    data = benchmark.read(path)
    folder = root / f"run of {len(data.records)}"
    run = BenchmarkRun(folder, benchmark, data, looker.described, 0, False)
    with run.locked():
        replies = run.answer_all(looker, None, lambda done, total: None)
    score(benchmark, data, predictions_of(replies), ())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return len(data.records), peak + looker.most_in_arrow


def heavy(fixture: str, folder: Path, target: Path, times: int) -> Path:
    """A fixture whose rows are there several times, under different names and with ballast."""
    source = folder / fixture
    root = source if source.is_dir() else source.parent
    shutil.copytree(root, target)
    place = target / source.relative_to(root)
    benchmark, field = FIXTURES[fixture]
    for file in find_files(place, BENCHMARKS[benchmark].files):
        rows = [dict(row) for row, _ in row_places.placed_rows(file)]
        copies = [_copied(row, field, copy, target) for copy in range(times) for row in rows]
        _write(file, [_loaded(row) for row in copies])
    return place


def _copied(row: dict[str, Any], field: str, copy: int, folder: Path) -> dict[str, Any]:
    """A row under the name of a copy; one without a name is named by its place."""
    value = row.get(field)
    if value is None or not copy:
        return row
    if field == "img":
        name = value.replace("img_", f"img_{copy}_")
        shutil.copyfile(folder / value, folder / name)
    elif field == "qid":
        name = f"{copy}{value[1:]}"
    elif str(value).isdigit():
        name = type(value)(int(value) + 1000 * copy)
    else:
        name = f"{value}{copy:02d}"
    return {**row, field: name}


def _loaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row with ballast behind the image that stands in it, in its masks, and of its own."""
    loaded = {name: _image_with_ballast(value) for name, value in row.items()}
    if isinstance(row.get("rle"), list):
        loaded["rle"] = [{**mask, "ballast": "x" * BALLAST} for mask in row["rle"]]
    return {**loaded, "ballast": "x" * BALLAST}


def _image_with_ballast(value: Any) -> Any:
    if isinstance(value, dict) and value.get("bytes"):
        return {**value, "bytes": value["bytes"] + bytes(BALLAST)}
    is_image = isinstance(value, str) and value.startswith(("iVBOR", "/9j/"))
    return (
        base64.b64encode(base64.b64decode(value) + bytes(BALLAST)).decode() if is_image else value
    )


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    if file.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=8)
    elif file.suffix == ".jsonl":
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif file.suffix == ".json":
        file.write_text(json.dumps(rows))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
        file.write_text(text.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
