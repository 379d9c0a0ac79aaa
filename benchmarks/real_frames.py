"""How often answers are correct on frames of real sensors whose truth is known.

The folder has the layout of the public data set (docs/data_formats.md), and a `truth.json` that
says which set, such as one sensor, each image is of. Prints for each answerer, by set and category:
correct, wrong and refused, the relative error of distances, the mean confidence beside the fraction
that is correct; then the answers that a robot must never get: OK, but wrong by more than 25 %, and
sure of it. Masks can be disturbed as segmenters disturb them.

    python benchmarks/real_frames.py --data DIR
    python benchmarks/real_frames.py --data DIR --answerer geometric --grow 6
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from smolrgpt_core.data.warehouse_format import SplitFolder, WarehouseRecord
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer, read_prediction, score_answer
from smolrgpt_core.evaluation.predictions import AnswererChoice, Prediction, predict
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.regions import decode_rle, encode_rle

FAR_WRONG, SURE = 0.25, 0.8
"""Relative error, and confidence, above which an answer is dangerous."""

SPARSE = "lidar"
"""What the names of sets begin with whose depth is that of a laser scanner."""


@dataclass(frozen=True)
class Asked:
    """One question, its answer and the truth.

    Attributes:
        id: of the record.
        set: of its image.
        category: such as "distance".
        question: as asked.
        status: name of the status.
        correct: whether the rule of the challenge counts it as correct.
        answer, truth: as `normalized_answer`; the answer is empty for a refusal.
        confidence: NaN for a refusal, and for an answer that has none.
        error: of a distance, relative to the truth; NaN of anything else.
        message: to a refusal.
    """

    id: str
    set: str
    category: str
    question: str
    status: str
    correct: bool
    answer: str
    truth: str
    confidence: float
    error: float
    message: str

    @property
    def refused(self) -> bool:
        """Whether there is no answer."""
        return self.status != Status.OK.name

    @property
    def dangerous(self) -> bool:
        """Whether it is far wrong, and sure of it or without a confidence that warns."""
        return not self.refused and self.error > FAR_WRONG and not self.confidence <= SURE


def ask_all(
    folder: SplitFolder, records: Sequence[WarehouseRecord], sets: Mapping[str, str], answerer: str
) -> list[Asked]:
    """Ask every question, in the order of the records."""
    predictions = predict(folder, records, AnswererChoice(answerer))
    return [
        _judge(record, prediction, sets[record.image])
        for record, prediction in zip(records, predictions, strict=True)
    ]


def _judge(record: WarehouseRecord, prediction: Prediction, set_name: str) -> Asked:
    category = CATEGORIES[record.category]
    truth = read_prediction(record.normalized_answer, category)
    if truth is None:
        raise ValueError(f"record {record.id!r} has no truth: {record.normalized_answer!r}")
    scored = score_answer(record.id, category, truth, prediction.answer)
    return Asked(
        id=record.id,
        set=set_name,
        category=record.category,
        question=record.question,
        status=prediction.status.name,
        correct=scored.correct,
        answer=prediction.answer,
        truth=record.normalized_answer,
        confidence=prediction.confidence,
        error=_relative_error(scored),
        message=prediction.message,
    )


def _relative_error(scored: ScoredAnswer) -> float:
    if scored.category is not Category.DISTANCE or scored.predicted is None:
        return float("nan")
    return abs(float(scored.predicted) - float(scored.truth)) / max(float(scored.truth), 1e-8)


def print_table(answerer: str, asked: Sequence[Asked], console: Console) -> None:
    """One row for each set and category, then the dangerous answers."""
    columns = ("set", "category", "asked", "correct", "wrong", "refused", "correct %")
    table = Table(
        *columns, "error: median / 95 %", "confidence / correct of answers", title=answerer
    )
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    totals: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for item in asked:
        groups[item.set, item.category].append(item)
        kind = "all lidar" if item.set.startswith(SPARSE) else "all RGB-D"
        totals[kind, item.category].append(item)
    for (name, category), items in groups.items():
        table.add_row(name, category, *_cells(items))
    table.add_section()
    for (name, category), items in sorted(totals.items()):
        table.add_row(name, category, *_cells(items))
    console.print(table)
    dangerous = [item for item in asked if item.dangerous]
    console.print(
        f"{answerer}: {len(dangerous)} distances are given as OK, wrong by more than "
        f"{FAR_WRONG:.0%}, and more than {SURE} sure or without a confidence"
    )
    for item in dangerous:
        console.print(
            f"  {item.id}: {item.answer} m for {item.truth} m at {item.confidence:.2f}",
            highlight=False,
        )


def _cells(items: Sequence[Asked]) -> list[str]:
    answers = [item for item in items if not item.refused]
    correct = sum(item.correct for item in items)
    errors = np.array([item.error for item in answers if np.isfinite(item.error)])
    shown = f"{np.median(errors):.1%} / {np.quantile(errors, 0.95):.0%}" if errors.size else ""
    sure = (
        f"{np.mean(known):.2f} / {np.mean([item.correct for item in answers]):.2f}"
        if (known := [item.confidence for item in answers if np.isfinite(item.confidence)])
        else ""
    )
    counts = (len(items), correct, len(answers) - correct, len(items) - len(answers))
    return [*map(str, counts), f"{correct / len(items):.0%}", shown, sure]


def with_masks(
    record: WarehouseRecord, change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
) -> WarehouseRecord:
    """The record with other masks."""
    return replace(record, rle=tuple(encode_rle(change(decode_rle(rle))) for rle in record.rle))


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask (H, W) that reaches so many pixels too far."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def boxed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The smallest upright rectangle around a mask (H, W), as a detector gives it."""
    box = np.zeros_like(mask)
    rows, columns = np.nonzero(mask)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return box


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the frames")
    parser.add_argument("--split", default="test")
    parser.add_argument("--answerer", action="append", help="default: geometric and fused")
    masks = parser.add_mutually_exclusive_group()
    masks.add_argument("--grow", type=int, default=0, help="pixels by which masks are grown")
    masks.add_argument("--boxes", action="store_true", help="boxes instead of masks")
    parser.add_argument("--json", type=Path, help="also write every answer to this file")
    options = parser.parse_args()
    folder = SplitFolder(options.data, options.split)
    sets = {image: item["set"] for image, item in read_json(options.data / "truth.json").items()}
    records = folder.read_records()
    if options.grow:
        records = [with_masks(record, lambda mask: grown(mask, options.grow)) for record in records]
    if options.boxes:
        records = [with_masks(record, boxed) for record in records]
    answers = {
        name: ask_all(folder, records, sets, name)
        for name in options.answerer or ("geometric", "fused")
    }
    for name, asked in answers.items():
        print_table(name, asked, Console(width=140))
    if options.json:
        content = {name: [asdict(item) for item in asked] for name, asked in answers.items()}
        write_file(options.json, json.dumps(content, indent=2).encode())


if __name__ == "__main__":
    main()
