"""Q-Spatial Bench: distances and sizes, right within a factor of two."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.quantity_readers import (
    CENTIMETERS,
    centimeters_of_tuple,
    first_number,
    has_unknown_unit,
    length_by_rules,
    tagged_centimeters,
)
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, text_field
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Needs,
    Outcome,
    Scorer,
    fraction,
    fractions_by,
    mean_of,
    with_reader,
)

SPLITS = ("QSpatial_plus", "QSpatial_scannet")

FACTOR = 2.0
"""A correct answer is less than this many times too large or too small."""

NARROW_FACTOR = 1.5
"""The second bound that VLMEvalKit reports."""

NEARLY_NOTHING = 1e-8
"""Centimeters that VLMEvalKit adds to both sides, so that exactly a factor of two passes."""

SYSTEM = (
    "You will be provided with a question and a 2D image. The question involves measuring the "
    "precise distance in 3D space through a 2D image. You will answer the question by providing a "
    "numeric answer consisting of a scalar and a distance unit in the format of "
    '"""\\scalar{scalar} \\distance_unit{distance unit}""" at the end of your response.'
)
"""The authors' system text; their plain prompt is the question after it."""

CENTIMETERS_PER_METER = 100.0

FLOAT32_DIGITS = 6
"""Decimal digits that a float32 keeps."""


def is_within(predicted: float, truth: float, factor: float) -> bool:
    """Whether the larger is less than `factor` times the smaller; both of any one unit.

    Args:
        predicted: the answer.
        truth: the true value.
        factor: limit of their ratio.
    """
    if not (predicted > 0 and truth > 0):
        return False
    return max(predicted / truth, truth / predicted) < factor


def _official(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        predicted = tagged_centimeters(answer, unknown_unit=1.0)
        return _decided(predicted, float(record.truth), FACTOR)

    found = _by_split(answered, decide)
    notes = list(found.notes)
    unknown = sum(has_unknown_unit(answered.answers.get(r.id, "")) for r in answered.records)
    if unknown:
        notes.append(f"answers with a unit that it does not know, read as cm: {unknown}")
    return Outcome(found.figures, found.verdicts, notes)


def _rules(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        meters = length_by_rules(answer)
        predicted = None if meters is None else meters * CENTIMETERS_PER_METER
        return _decided(predicted, _decimal(record), FACTOR)

    return _by_split(answered, decide)


def _regex(answer: str) -> float | None:
    return tagged_centimeters(answer, unknown_unit=0.0)


def _vlmevalkit_regex(answered: Answered) -> Outcome:
    return _vlmevalkit(answered, lambda record: _regex(answered.answers.get(record.id, "")))


def _vlmevalkit_judge(answered: Answered) -> Outcome:
    replies = answered.judged.replies
    return _vlmevalkit(
        answered, lambda record: centimeters_of_tuple(str(replies.get(record.id) or ""))
    )


def _vlmevalkit(answered: Answered, read: Callable[[BenchmarkRecord], float | None]) -> Outcome:
    """Both bounds, for each split and each type of question in it."""
    figures: dict[str, Figure] = {}
    for factor in (FACTOR, NARROW_FACTOR):
        verdicts = answered.verdicts(_padded(read, factor))
        for key in (_source, _source_and_type):
            end = "" if factor == FACTOR else f" < {factor:g}"
            fractions = fractions_by(answered.records, verdicts, key)
            figures |= {f"{name}{end}": figure for name, figure in fractions.items()}
    return Outcome(figures, answered.verdicts(_padded(read, FACTOR)))


def _padded(
    read: Callable[[BenchmarkRecord], float | None], factor: float
) -> Callable[[BenchmarkRecord, str], tuple[float, str]]:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        predicted = read(record)
        truth = float(record.truth) + NEARLY_NOTHING
        hit, _ = _decided((predicted or 0.0) + NEARLY_NOTHING, truth, factor)
        return hit, "" if predicted is None or math.isnan(predicted) else f"{predicted:g} cm"

    return decide


def _source(record: BenchmarkRecord) -> str:
    return record.source


def _source_and_type(record: BenchmarkRecord) -> str:
    return f"{record.source} {record.category}"


def _hispatial(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        meters = first_number(answer)
        truth = float(record.truth) / CENTIMETERS_PER_METER
        # Its bounds are products, not quotients.
        right = meters is not None and 0.5 * truth < meters < 2 * truth
        return float(right), "" if meters is None else f"{meters:g} m"

    verdicts = answered.verdicts(decide)
    splits = fractions_by(answered.records, verdicts, _source)
    return Outcome({"micro": fraction(verdicts), **splits}, verdicts)


def _decided(predicted: float | None, truth: float, factor: float) -> tuple[float, str]:
    if predicted is None or math.isnan(predicted):
        return 0.0, ""
    return float(is_within(predicted, truth, factor)), f"{predicted:g} cm"


def _by_split(
    answered: Answered, decide: Callable[[BenchmarkRecord, str], tuple[float, str]]
) -> Outcome:
    """The mean of both splits, each split, and each type of question in it."""
    records, verdicts = answered.records, answered.verdicts(decide)
    splits = fractions_by(records, verdicts, _source)
    types = fractions_by(records, verdicts, _source_and_type)
    if len(splits) < len(SPLITS):
        note = f"no mean of both splits: the data has only {', '.join(splits)}"
        return Outcome(splits | types, verdicts, [note])
    return Outcome({"overall": mean_of(splits.values()), **splits, **types}, verdicts)


def _decimal(record: BenchmarkRecord) -> float:
    """The true value as its authors wrote it: 120, not the 120.00000477 of a float32."""
    return float(f"{record.truth:.{FLOAT32_DIGITS}g}")


class QSpatial(Benchmark):
    """101 questions with images and 170 whose images must be taken from ScanNet."""

    name = "q-spatial"
    title = "Q-Spatial Bench"
    hub = "andrewliao11/Q-Spatial-Bench"
    files = ("QSpatial_*.parquet",)
    id_fields = ("split", "index")
    max_new_tokens = 512
    refusing = "rules"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "authors' notebook: tags; a unit that it does not know is cm; mean of splits",
                _official,
            ),
            "vlmevalkit_regex": Scorer(
                "VLMEvalKit without a judge: tags, an unknown unit is 0; by split",
                _vlmevalkit_regex,
            ),
            "vlmevalkit_judge": Scorer(
                "VLMEvalKit: a judge's tuple of number and unit; by split",
                _vlmevalkit_judge,
                needs=Needs.JUDGEMENTS,
            ),
            "hispatial": Scorer("HiSpatial: first number, taken as meters; micro", _hispatial),
            "rules": Scorer(
                "this project's reader of lengths, truths as decimals; mean of splits", _rules
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; the file's name states which split it is.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        split = next((name for name in SPLITS if row.path.name.startswith(name)), None)
        if split is None:
            raise ValueError(f"expected a file whose name begins with one of {SPLITS}")
        value, unit = float(row.fields["answer_value"]), text_field(row.fields, "answer_unit")
        if unit not in CENTIMETERS or not 0 < value < math.inf:
            raise ValueError(f"expected a length with its unit, got {value!r} {unit!r}")
        image, problems = row.image("image")
        question = text_field(row.fields, "question")
        return BenchmarkRecord(
            id=f"{split}/{row.number}",
            question=question,
            prompt=f"{SYSTEM}\nQuestion: {question}",
            truth=value * CENTIMETERS[unit],
            category=text_field(row.fields, "question_type"),
            image=image,
            source=split,
            problems=problems,
        )

    def asked(self, record: BenchmarkRecord) -> AnswerSpec:
        """A length, always."""
        return AnswerSpec(AnswerKind.LENGTH)

    def guess(
        self, record: BenchmarkRecord, alike: Sequence[BenchmarkRecord], rng: np.random.Generator
    ) -> str:
        """The truth of a like question in the tags; see `Benchmark.guess`."""
        value = super().guess(record, alike, rng)
        return f"\\scalar{{{value}}} \\distance_unit{{cm}}" if value else ""
