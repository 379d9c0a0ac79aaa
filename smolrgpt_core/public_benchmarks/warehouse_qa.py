"""The warehouse set of the AI City Challenge 2025, Track 3: side, count, distance, choice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import ClassVar

import numpy as np

from smolrgpt_core.answer.scoring import NormalizedAnswer, is_correct
from smolrgpt_core.data.truths import true_answer
from smolrgpt_core.data.warehouse_format import (
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
    mask_key,
    placeholders_in,
)
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.challenge_scores import (
    ScoredAnswer,
    challenge_scores,
    read_by_script,
    read_prediction,
)
from smolrgpt_core.label_rules import class_in
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.language.placeholders import numbered
from smolrgpt_core.object_classes import is_known
from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.published_files import (
    MaskInRow,
    PublishedRow,
    find_files,
    read_all_rows,
    read_records,
)
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkData,
    BenchmarkRecord,
    StoredImage,
    StoredRegion,
)
from smolrgpt_core.public_benchmarks.row_places import RowField
from smolrgpt_core.public_benchmarks.scoring import (
    PERCENT,
    Answered,
    Figure,
    Needs,
    Outcome,
    Scorer,
    Verdict,
    with_reader,
)
from smolrgpt_core.regions import Region

KINDS = {
    Category.LEFT_RIGHT: AnswerKind.SIDE,
    Category.COUNT: AnswerKind.COUNT,
    Category.DISTANCE: AnswerKind.LENGTH,
    Category.MCQ: AnswerKind.REGION,
}

_ACCURACIES = {
    "final weighted score": ("Final_weighted_score", "Total"),
    "overall": ("Overall_acc", "Total"),
    "qualitative": ("Qual_overall_acc", "Qual_total"),
    "quantitative": ("Quan_overall_acc", "Quan_total"),
    "left_right": ("Qual_left_right_acc", "Qual_left_right"),
    "mcq": ("Qual_mcq_acc", "Qual_mcq"),
    "count": ("Quan_count_acc", "Quan_count"),
    "distance": ("Quan_distance_acc", "Quan_distance"),
}
"""Figures by name: key of the challenge's script, and that of its denominator without "_count"."""

_ERRORS = {"err": PERCENT, "absrel": "", "rmse": "", "a1": ""}
"""Errors of a quantity by their name in the script, with the unit."""

FIRST_OTHER = 1000
"""Id of the first region of an image that only other questions name; a question has fewer."""

Reader = Callable[[object, Category], NormalizedAnswer | None]


def _scored(record: BenchmarkRecord, answer: str, read: Reader) -> ScoredAnswer:
    category, truth = CATEGORIES[record.category], record.truth
    value = read(answer, category)
    return ScoredAnswer(record.id, category, truth, value, is_correct(category, value, truth))


def _outcome(answered: Answered, read: Reader) -> Outcome:
    found = [
        _scored(record, answered.answers.get(record.id, ""), read) for record in answered.records
    ]
    verdicts = [
        Verdict(item.id, float(item.correct), "" if item.predicted is None else str(item.predicted))
        for item in found
    ]
    return Outcome(_figures(challenge_scores(found)), verdicts)


def _figures(scores: dict[str, float]) -> dict[str, Figure]:
    """Figures of the script's keys; only of the categories that have a question."""
    figures = {
        name: Figure(scores[key], int(scores[f"{total}_count"]))
        for name, (key, total) in _ACCURACIES.items()
        if key in scores
    }
    for category in ("count", "distance"):
        if category in figures:
            of = figures[category].of
            figures |= {
                f"{category} {key}": Figure(scores[f"Quan_{category}_{key}"], of, unit)
                for key, unit in _ERRORS.items()
            }
    return figures


class WarehouseQA(Benchmark):
    """1942 questions of its validation split; those of the test split have no published truth."""

    name = "ai-city"
    title = "AI City Challenge 2025, Track 3"
    hub = "nvidia/PhysicalAI-Spatial-Intelligence-Warehouse"
    files = ("val.json", "test.json")
    id_fields = ("id",)
    refusing = "rules"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "the challenge's script: a bare side, number or index; distances within 10 %, all "
                "else exact; mean of the four categories",
                lambda answered: _outcome(answered, read_by_script),
            ),
            "rules": Scorer(
                "the same arithmetic; what the script does not read, such as a sentence or a "
                "unit, is read by this project's rules, as in smolrgpt evaluate",
                lambda answered: _outcome(answered, read_prediction),
            ),
            "classifiers+model": Scorer(
                "the same arithmetic; read as by SmolRGPT's authors: two classifiers must agree "
                "on the category, then a language model is believed",
                lambda answered: _outcome(answered.as_classified(), read_prediction),
                Needs.CLASSIFIERS,
            ),
        },
    )

    def read(self, path: Path) -> BenchmarkData:
        """See `Benchmark.read`; calibrations are those of `cameras.json`, where it is there.

        Whatever other questions about an image name is there for a question, too.
        """
        cameras, masks = cache(_cameras), _MasksOfImages()
        rows = read_all_rows(find_files(path, self.files))
        data = read_records(rows, lambda row: masks.noted(row, _record(row, cameras(row.path))))
        return replace(data, records=tuple(map(masks.with_others, data.records)))

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; of several questions the first, as `smolrgpt evaluate` does."""
        return _record(row, _cameras(row.path))

    def asked(self, record: BenchmarkRecord) -> AnswerSpec:
        """What a question asks for, by its category."""
        kind = KINDS[CATEGORIES[record.category]]
        labels = tuple(region.label for region in record.stored_regions)
        return AnswerSpec(kind, labels if kind is AnswerKind.REGION else ())

    def guess(
        self, record: BenchmarkRecord, alike: Sequence[BenchmarkRecord], rng: np.random.Generator
    ) -> str:
        """A side, one of the masks, or a number of its category; see `Benchmark.guess`."""
        if record.category == "left_right":
            return ("left", "right")[int(rng.integers(2))]
        if record.category == "mcq":
            return str(rng.integers(len(record.stored_regions)))
        return super().guess(record, alike, rng)


class _MasksOfImages:
    """Masks by image, each once, whichever questions name it."""

    def __init__(self) -> None:
        self._found: defaultdict[Path, dict[int, StoredRegion]] = defaultdict(dict)
        self._own: dict[str, tuple[Path, frozenset[int]]] = {}

    def noted(self, row: PublishedRow, record: BenchmarkRecord) -> BenchmarkRecord:
        """The record; its masks are remembered unless one is broken."""
        image = row.path.with_suffix("") / row.fields["image"]
        keys = [hash(mask_key(rle)) for rle in row.fields["rle"] or ()]
        self._own[record.id] = image, frozenset(keys)
        found = self._found[image]
        whole = () if record.problems else record.stored_regions
        for key, region in zip(keys, whole, strict=False):
            known = found.get(key)
            if known is None or (is_known(region.label) and not is_known(known.label)):
                id = FIRST_OTHER + len(found) if known is None else known.id
                found[key] = replace(region, id=id)
        return record

    def with_others(self, record: BenchmarkRecord) -> BenchmarkRecord:
        """The record with what only other questions about its image name."""
        image, own = self._own[record.id]
        others = [region for key, region in self._found[image].items() if key not in own]
        return replace(record, other_regions=tuple(others))


def _cameras(path: Path) -> dict[str, CameraRecord]:
    """Calibrations beside a file of questions; empty in the public set, which has none."""
    folder = SplitFolder(path.parent, path.stem)
    return folder.read_cameras() if folder.cameras_path.is_file() else {}


def _record(row: PublishedRow, cameras: dict[str, CameraRecord]) -> BenchmarkRecord:
    entry = WarehouseRecord.from_json(row.fields)
    if placeholders_in(entry.dialogue) != len(entry.rle):
        raise ValueError(
            f"expected one mask for each <mask>, got {len(entry.rle)} for "
            f"{placeholders_in(entry.dialogue)}"
        )
    truth = true_answer(entry)
    folder = SplitFolder(row.path.parent, row.path.stem)
    regions, broken = _regions(entry, row)
    image = _stored(folder.image_path(entry.image))
    return BenchmarkRecord(
        id=entry.id,
        question=numbered(entry.question),
        prompt=entry.question,
        truth=truth,
        category=entry.category,
        image=image,
        stored_regions=regions,
        depth=_stored(folder.depth_path(entry.image)),
        camera=cameras.get(entry.image),
        problems=(*(() if image else ("no image",)), *broken),
    )


def _stored(path: Path) -> StoredImage | None:
    return StoredImage(path) if path.is_file() else None


def _regions(
    entry: WarehouseRecord, row: PublishedRow
) -> tuple[tuple[StoredRegion, ...], tuple[str, ...]]:
    """Regions by the nouns of the question, and which of their masks do not decode."""
    masks = (MaskInRow(RowField(row.stands, "rle"), number) for number in count())
    regions, problems = [], []
    named = zip(mask_labels(entry.question), entry.question_rle, masks, strict=False)
    for id, (noun, rle, mask) in enumerate(named):
        label = class_in(noun) or noun
        try:
            Region.from_rle(id, label, rle)
        except SpatialError as error:
            problems.append(f"mask {id} does not decode: {error.message}")
        regions.append(StoredRegion(id, label, mask))
    return tuple(regions), tuple(problems)
