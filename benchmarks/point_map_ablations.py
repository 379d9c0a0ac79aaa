#!/usr/bin/env python3
"""Point-map models that differ in what they are given or trained on, with the same budget and seed.

Trains `config/train/point_map/nano.yaml` once for each row of the table by the real command: metric
points, relative depth, RGB only, and points without levels 0 and 1, whose draws are replaced by
general questions ("what is in the red box?"). Every model answers the same questions about scenes
that none was trained on. Runs in OUT, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from commands import smolrgpt
from performance_page import Table, describe_machine, publish

from smolrgpt_core.data.record_frames import read_image
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.inference import PointMapEngine
from smolrgpt_core.language import MASK
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.model_inputs.regions_in_words import BOX_COLORS
from smolrgpt_core.synthesis.mixtures import MIXTURES
from smolrgpt_core.training.config_file import read_config

CONFIG = Path(__file__).resolve().parent.parent / "config" / "train" / "point_map" / "nano.yaml"
TOLERANCE = 0.25
"""Largest relative error of a number that counts as right, as in SpatialRGPT-Bench."""

FAMILIES = MIXTURES["hispatial"].families
_TRAINED_WITHOUT_POINTS = "trainable=" + json.dumps(
    {part: rate for part, rate in read_config(CONFIG).trainable.items() if part != "point_encoder"}
)
ROWS: dict[str, tuple[str, ...]] = {
    "points": (),
    "relative depth": ("start.overrides.points=relative",),
    "RGB only": ("start.overrides.points=none", _TRAINED_WITHOUT_POINTS),
    "points, without levels 0 and 1": ("data.levels_left_out=[0, 1]",),
}
"""Changes to the configuration by row of the table."""

GUESS = "guess from the question's kind"
Answers = dict[str, list[bool]]
Key = tuple[str, str]


def main() -> None:
    """Make the data, train, answer, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("point_map_ablations"))
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of weights and order of the data")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--questions", type=int, default=2000, help="that are scored")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--change", nargs="*", default=[], help="further KEY=VALUE of the runs")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    levels, general = arguments.out / "levels", arguments.out / "general"
    _simulate(levels, arguments.scenes)
    write_general(SplitFolder(levels, "train"), SplitFolder(general, "train"))
    asked = records_to_ask(SplitFolder(levels, "test"), arguments.questions)
    columns = {GUESS: guesses(SplitFolder(levels, "train").read_records(), asked)}
    for row in arguments.rows:
        columns[row] = _answered(row, levels, general, asked, arguments)
    machine = describe_machine()
    table = _table(columns, arguments)
    publish("Point maps: what the model is given", machine, [table], arguments.write_docs)


def _simulate(root: Path, scenes: int) -> None:
    smolrgpt(
        "simulate", "--scenes", str(scenes), "--seed", "11", "--views", "3", "--questions", "16",
        "--mixture", "hispatial", "--fractions", "0.86,0.02,0.12", "--image-size", "256x192",
        "--workers", "1", "--out", str(root),
    )  # fmt: skip


def write_general(spatial: SplitFolder, general: SplitFolder) -> None:
    """Questions that need no space, about the same images: what is in a box."""
    target = general.root / general.split
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.symlink_to((spatial.root / spatial.split).resolve())
    records = []
    for record in spatial.read_records():
        labels = mask_labels(record.question)
        records += [
            WarehouseRecord(
                f"{record.id}_general",
                record.image,
                (Turn(HUMAN, f"What is {MASK}?"), Turn(MODEL, f"A {label}.")),
                (rle,),
                "other",
                label,
                f"A {label}.",
            )
            for label, rle in list(zip(labels, record.rle, strict=True))[:1]
            if label
        ]
    general.write_records(records)


def records_to_ask(folder: SplitFolder, count: int) -> list[WarehouseRecord]:
    """Records of a split that a model with colored boxes can be asked, in the order of images."""
    fitting = [item for item in folder.read_records() if len(item.rle) <= len(BOX_COLORS)]
    return fitting[:count]


def _answered(
    row: str,
    levels: Path,
    general: Path,
    asked: Sequence[WarehouseRecord],
    arguments: argparse.Namespace,
) -> Answers:
    """Train the model of a row and score it, or take what was scored before."""
    output = arguments.out / row.replace(" ", "_").replace(",", "")
    _train(row, output, levels, general, arguments)
    path = output / f"scored-{arguments.steps}-{len(asked)}.json"
    if not path.exists():
        engine = PointMapEngine.from_pretrained(output / "model")
        right = scored(engine, SplitFolder(levels, "test"), asked)
        write_file(path, json.dumps(right).encode())
    answers: Answers = read_json(path)
    return answers


def _train(
    row: str, output: Path, levels: Path, general: Path, arguments: argparse.Namespace
) -> None:
    sources = (
        f"[{{kind: warehouse, root: {levels}, mixture: hispatial, weight: 7}}, "
        f"{{kind: warehouse, root: {general}, weight: 1}}]"
    )
    changes = (
        f"output={output}", f"data.sources={sources}", f"optimizer.steps={arguments.steps}",
        "validation.source=null", f"seed={arguments.seed}", *ROWS[row], *arguments.change,
    )  # fmt: skip
    smolrgpt("train", str(CONFIG), *changes)


def scored(
    engine: PointMapEngine, folder: SplitFolder, records: Sequence[WarehouseRecord]
) -> Answers:
    """Whether each answer is correct, by family; an error is a wrong answer."""
    cameras, right = folder.read_cameras(), defaultdict(list)
    for image, group in groupby(records, key=lambda record: record.image):
        frame, asked = read_image(folder, list(group), cameras[image])
        questions = [(item.record.question, item.region_ids) for item in asked]
        answers = engine.ask_each(questions, "short", frame=frame)
        for item, answer in zip(asked, answers, strict=True):
            text = "" if isinstance(answer, SpatialError) else answer.text
            right[item.record.category].append(is_correct(text, item.record.normalized_answer))
    return right


def is_correct(text: str, truth: str) -> bool:
    """Whether a short answer says the same: numbers within `TOLERANCE`, all else equal."""
    wanted, found = _numbers(truth), _numbers(text)
    if wanted is None or "." not in truth:
        return text.strip(" .()").lower() == truth.lower()
    if found is None or len(found) != len(wanted):
        return False
    off = sum((a - b) ** 2 for a, b in zip(found, wanted, strict=True)) ** 0.5
    return off <= TOLERANCE * sum(value**2 for value in wanted) ** 0.5


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.removesuffix(" m").split(",")]
    except ValueError:
        return None


def guesses(train: Iterable[WarehouseRecord], asked: Iterable[WarehouseRecord]) -> Answers:
    """What is correct when every question gets the usual answer of its family and kind."""
    known: dict[Key, list[str]] = defaultdict(list)
    for record in train:
        known[_key(record)].append(record.normalized_answer)
    usual = {key: _usual(answers) for key, answers in known.items()}
    right: Answers = defaultdict(list)
    for record in asked:
        text = usual.get(_key(record), "")
        right[record.category].append(is_correct(text, record.normalized_answer))
    return right


def _key(record: WarehouseRecord) -> Key:
    """Family and kind of answer: a letter, a word, one number or several."""
    numbers = _numbers(record.normalized_answer)
    kind = "word" if numbers is None else f"{len(numbers)} numbers"
    return record.category, "letter" if record.normalized_answer.isupper() else kind


def _usual(answers: Sequence[str]) -> str:
    """The most frequent answer; of measured numbers the median."""
    if all("." in answer and "," not in answer for answer in answers):
        return f"{statistics.median(map(float, answers)):.2f}"
    return statistics.mode(answers)


def _table(columns: Mapping[str, Answers], arguments: argparse.Namespace) -> Table:
    return Table(
        "Correct answers by task",
        ("task", "questions", *columns),
        tuple(_rows(columns)),
        f"{arguments.steps} steps, seed {arguments.seed}, {arguments.scenes} scenes of which 12 % "
        f"are asked about; a number is correct within {TOLERANCE:.0%}.",
    )


def _rows(columns: Mapping[str, Answers]) -> Iterator[tuple[str, ...]]:
    first = next(iter(columns.values()))
    for name, family in FAMILIES.items():
        if name in first:
            cells = [_percent(answers[name]) for answers in columns.values()]
            yield f"{family.level}: {name}", str(len(first[name])), *cells
    whole: dict[str, Any] = {
        column: [item for some in answers.values() for item in some]
        for column, answers in columns.items()
    }
    number = len(next(iter(whole.values())))
    yield "all", str(number), *(_percent(items) for items in whole.values())


def _percent(items: Sequence[bool]) -> str:
    return f"{100 * statistics.mean(items):.1f} %"


if __name__ == "__main__":
    main()
