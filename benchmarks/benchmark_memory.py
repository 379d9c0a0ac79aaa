"""Memory of a benchmark's run as its questions grow in number: it must not grow with them.

For each form of file a process reads all rows, decodes every image and mask as a model would be
given them, answers and scores; its memory before the file is opened and at its peak after that are
printed beside the size of the file. Needs Linux.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from own_process import in_own_process

from smolrgpt_core.extras import require
from smolrgpt_core.public_benchmarks.benchmark import score
from smolrgpt_core.public_benchmarks.models import BenchmarkAnswer
from smolrgpt_core.public_benchmarks.questions import BenchmarkQuestion
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.running import BenchmarkRun, predictions_of

HEIGHT, WIDTH = 240, 320
MEGABYTE = 1e6

FORGET_PEAK = "5"
"""What tells Linux to begin a new peak."""

DISTINCT = 50
"""So many images, in turn: what matters is that each row has one."""

FORMS = {
    "parquet": "pope", "tsv": "mmbench", "json": "embspatial", "masks": "spatialrgpt",
    "others": "hispatial-tasks", "warehouse": "ai-city",
}  # fmt: skip
"""Benchmarks whose files have these forms; the last three have images in files, and masks."""

PER_IMAGE = 10
"""Questions about an image in the form "warehouse", each of which is given the masks of all."""


class Looker:
    """Looks at everything that a model is given, and says yes."""

    described: Mapping[str, Any] = {"kind": "looker"}

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """Decode the image; the masks are decoded already."""
        assert question.image is not None
        assert question.image.rgb().shape == (HEIGHT, WIDTH, 3)
        return BenchmarkAnswer("yes")


def main() -> None:
    """Measure every form with every number of rows, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    arguments = parser.parse_args()
    print("| form | rows | file, MB | memory before, MB | peak, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for form in arguments.forms:
        for rows in arguments.rows:
            with tempfile.TemporaryDirectory() as folder:
                file = _WRITERS[form](Path(folder), rows)
                size = file.stat().st_size / MEGABYTE
                before, peak = in_own_process(measured, form, file)
            print(f"| {form} | {rows} | {size:.0f} | {before:.0f} | {peak:.0f} |", flush=True)


def measured(form: str, file: Path) -> tuple[float, float]:
    """Memory in MB before the file is opened, and at its peak after that."""
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    before = peak_memory()
    benchmark = BENCHMARKS[FORMS[form]]
    data = benchmark.read(file)
    model = Looker()
    run = BenchmarkRun(file.parent / "run", benchmark, data, model.described, 0, False)
    with run.locked():
        replies = run.answer_all(model, None, lambda done, total: None)
    score(benchmark, data, predictions_of(replies), ())
    return before, peak_memory()


def peak_memory() -> float:
    """The most that this process has held since its peak was forgotten, MB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MEGABYTE


def images() -> Iterator[bytes]:
    """Encoded images of noise, some tens of kilobytes each, for ever."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(DISTINCT):
        noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        made.append(cv2.imencode(".jpg", noise)[1].tobytes())
    while True:
        yield from made


def write_parquet(folder: Path, rows: int) -> Path:
    """In the layout of POPE, a hundred rows in each group as the hub writes them."""
    parquet = require("pyarrow.parquet", "data", "parquet files need pyarrow")
    pyarrow = require("pyarrow", "data", "parquet files need pyarrow")
    path, encoded = folder / "test-0.parquet", images()
    writer = None
    for start in range(0, rows, 100):
        group = [
            {"question_id": str(row), "question": "Is there a crate?", "answer": "yes",
             "category": "random", "image_source": f"{row}",
             "image": {"bytes": next(encoded), "path": None}}
            for row in range(start, min(start + 100, rows))
        ]  # fmt: skip
        table = pyarrow.Table.from_pylist(group)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


def write_tsv(folder: Path, rows: int) -> Path:
    """In the layout of MMBench."""
    path, encoded = folder / "MMBench_DEV_EN.tsv", images()
    names = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image",
             "l2-category")  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(names)
        for row in range(rows):
            text = base64.b64encode(next(encoded)).decode()
            writer.writerow(
                [row, "Which?", "nan", "one", "two", "nan", "nan", "A", "kind", text, "kinds"]
            )
    return path


def write_json(folder: Path, rows: int) -> Path:
    """In the layout of EmbSpatial-Bench, one list."""
    path, encoded = folder / "embspatial_bench.json", images()
    with path.open("w") as file:
        for row in range(rows):
            entry = {
                "data_source": "mp3d", "question_id": f"mp3d_{row}", "question": "Where is it?",
                "relation": "left", "image": base64.b64encode(next(encoded)).decode(),
                "answer_options": ["one", "two", "three", "four"], "answer": 0, "objects": [],
            }  # fmt: skip
            file.write(("[" if row == 0 else ",\n") + json.dumps(entry))
        file.write("]")
    return path


def write_masks(folder: Path, rows: int) -> Path:
    """In the layout of SpatialRGPT-Bench: two masks for each question, images in files."""
    masks = _images_and_masks(folder)
    path = folder / "SpatialRGPT-Bench_v1.json"
    path.write_text(json.dumps([_region_question(row, masks) for row in range(rows)]))
    return path


def write_others(folder: Path, rows: int) -> Path:
    """In the layout of HiSpatial's tasks: besides, ten masks of what is not asked about."""
    masks = _images_and_masks(folder)
    others = {"class": ["crate"] * 10, "rle": masks[:10]}
    entries = []
    for row in range(rows):
        entry = _region_question(row, masks)
        asked = {**entry["qa_info"], "category": "problem solving", "type": "yes or no"}
        entries.append({**entry, "qa_info": asked, "others": others})
    path = folder / "HiSpatial-tasks.json"
    path.write_text(json.dumps(entries))
    return path


def write_warehouse(folder: Path, rows: int) -> Path:
    """In the layout of the warehouse set: `PER_IMAGE` questions about each image."""
    (folder / "val" / "images").mkdir(parents=True)
    masks = _images_and_masks(folder / "val" / "images")
    for number in range(-(-rows // PER_IMAGE)):
        place = folder / "val" / "images" / f"image{number}.jpg"
        place.hardlink_to(place.with_name(f"{number % DISTINCT}.jpg"))
    entries = [
        {
            "id": f"{row}", "image": f"image{row // PER_IMAGE}.jpg", "category": "left_right",
            "normalized_answer": "left", "freeform_answer": "It is on the left.",
            "rle": [masks[row % DISTINCT], masks[(row + 1) % DISTINCT]],
            "conversations": [
                {"from": "human", "value": "<image>\nIs the pallet <mask> left or right of the "
                                           "shelf <mask>?"},
                {"from": "gpt", "value": "Left."},
            ],
        }
        for row in range(rows)
    ]  # fmt: skip
    path = folder / "val.json"
    path.write_text(json.dumps(entries))
    return path


def _images_and_masks(folder: Path) -> list[dict[str, Any]]:
    """So many run-length encodings as there are images; the images are written into a folder."""
    from pycocotools import mask as coco

    for number, content in zip(range(DISTINCT), images(), strict=False):
        (folder / f"{number}.jpg").write_bytes(content)
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(DISTINCT):
        noise = cv2.blur(rng.random((HEIGHT, WIDTH)), (41, 41)) > 0.5
        encoded = coco.encode(np.asfortranarray(noise.astype(np.uint8)))
        masks.append({"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()})
    return masks


def _region_question(row: int, masks: list[dict[str, Any]]) -> dict[str, Any]:
    pair = [masks[row % DISTINCT], masks[(row + 1) % DISTINCT]]
    return {
        "id": f"qualitative_{row}", "text_q": "Is Region [0] wider than Region [1]?",
        "qa_info": {"category": "wide_predicate", "class": ["crate", "shelf"],
                    "type": "qualitative"},
        "image_info": {"dataset": "noise", "file_path": f"{row % DISTINCT}.jpg",
                       "height": HEIGHT, "width": WIDTH, "landmark": "indoor"},
        "conversations": [{"from": "human", "value": "<image>\n Is <mask> wider than <mask>?"},
                          {"from": "gpt", "value": "Yes."}],
        "bbox": [[0, 0, WIDTH, HEIGHT]] * 2, "rle": pair,
    }  # fmt: skip


_WRITERS: Mapping[str, Callable[[Path, int], Path]] = {
    "parquet": write_parquet, "tsv": write_tsv, "json": write_json, "masks": write_masks,
    "others": write_others, "warehouse": write_warehouse,
}  # fmt: skip


if __name__ == "__main__":
    main()
