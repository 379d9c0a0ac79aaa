"""HiSpatial's custom tasks: object to camera, direction, problem solving.

The paper (arXiv 2603.25411) publishes neither its questions nor a script. Here they are asked about
simulated warehouses, see `smolrgpt simulate --hispatial-tasks`; a distance to the camera is correct
within 25 %, as in the paper. What the paper leaves open is our choice, which the scorers document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.language.conventions import HISPATIAL
from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.quantity_readers import length_by_rules
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, StoredRegion
from smolrgpt_core.public_benchmarks.row_places import RowField
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Needs,
    Outcome,
    Scorer,
    Verdict,
    fractions_by,
    with_reader,
)
from smolrgpt_core.public_benchmarks.spatialrgpt_bench import is_near, read_as_published

FILE = "HiSpatial-tasks.json"

CAMERA, DIRECTION, SOLVING = "object to camera", "direction", "problem solving"
"""The tasks."""

VECTOR = "vector"
"""What an answer to `DIRECTION` is; the other tasks have an `AnswerKind`."""

SAME_DIRECTION_DEG = 30.0
"""Largest angle to the true direction of a correct one; the paper's is in no text at hand."""

_MAX_LENGTH = 2000
"""Characters of an answer in which three numbers are looked for."""

_NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?![\w])")

_ASKED_FOR = {
    VECTOR: "Answer with a unit vector of three numbers, as the camera sees: x to the right, y "
    "down, z forward.",
    AnswerKind.LENGTH: "Answer with a length and its unit.",
    AnswerKind.COUNT: "Answer with a number.",
    AnswerKind.YES_NO: "Answer with yes or no.",
    AnswerKind.REGION: "Answer with one region, such as Region [1].",
}
"""Sentence behind a question for models that only talk."""


@dataclass(frozen=True, slots=True)
class OtherMask:
    """A mask of an object that the question does not mention.

    Attributes:
        field: `others` of a row.
        number: of the mask.
    """

    field: RowField
    number: int

    def rle(self) -> Any:
        """See `StoredMask`."""
        return self.field.value()["rle"][self.number]


def vector_by_rules(answer: str) -> NDArray[np.float64] | None:
    """The direction (3,), of length 1, in an answer; None without exactly three numbers."""
    if len(answer) > _MAX_LENGTH:
        return None
    numbers = [float(text.replace("\u2212", "-")) for text in _NUMBER.findall(answer)]
    length = math.hypot(*numbers)
    if len(numbers) != 3 or not math.isfinite(length) or length == 0:
        return None
    return np.array(numbers) / length


def degrees_apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Angle of two vectors (3,) of length 1."""
    return math.degrees(math.acos(min(1.0, max(-1.0, float(first @ second)))))


def _by_rules(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    """Whether an answer is correct, and what was read."""
    truth = str(record.truth)
    if record.category == DIRECTION:
        predicted, true = vector_by_rules(answer), vector_by_rules(truth)
        if predicted is None or true is None:
            return 0.0, ""
        apart = degrees_apart(predicted, true)
        return float(apart <= SAME_DIRECTION_DEG), f"{apart:.0f} deg off"
    asked = _asked(record)
    read = asked.by_rules(answer)
    if asked.kind is AnswerKind.LENGTH:
        meters, true_meters = length_by_rules(answer), length_by_rules(truth)
        right = meters is not None and true_meters is not None and is_near(meters, true_meters)
        return float(right), read
    return float(bool(read) and read == asked.by_rules(truth)), read


def _by_judge(replies: Mapping[str, Any]) -> Callable[[BenchmarkRecord, str], tuple[float, str]]:
    """Score problem solving by a judge, and everything else by rules."""

    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        if record.category != SOLVING:
            return _by_rules(record, answer)
        reply = replies.get(record.id)
        names: tuple[str, ...] = ("your_mark",)
        if _asked(record).kind is AnswerKind.LENGTH:
            names = ("answer_in_meters", "response_in_meters")
        values = [reply.get(name) if isinstance(reply, Mapping) else None for name in names]
        found = [float(value) for value in values if isinstance(value, (int, float))]
        if len(found) < len(names) or not all(map(math.isfinite, found)):
            return 0.0, ""
        if len(found) == 1:
            return float(found[0] > 0), "agrees" if found[0] > 0 else "differs"
        return float(is_near(found[1], found[0])), f"{found[1]:g} m"

    return decide


def _outcome(
    answered: Answered, decide: Callable[[BenchmarkRecord, str], tuple[float, str]]
) -> Outcome:
    verdicts = answered.verdicts(decide)
    figures = fractions_by(answered.records, verdicts, lambda record: record.category)
    solving = [
        (record, verdict)
        for record, verdict in zip(answered.records, verdicts, strict=True)
        if record.category == SOLVING
    ]
    if solving:
        records, found = zip(*solving, strict=True)
        kinds = fractions_by(records, found, lambda record: record.source)
        figures |= {f"{SOLVING}, {name}": figure for name, figure in sorted(kinds.items())}
    return Outcome(figures | _angles(answered.records, verdicts), verdicts)


def _angles(records: Any, verdicts: list[Verdict]) -> dict[str, Figure]:
    """Mean angle to the true direction, over the answers that can be read."""
    degrees = [
        float(verdict.read.split()[0])
        for record, verdict in zip(records, verdicts, strict=True)
        if record.category == DIRECTION and verdict.read
    ]
    return {"direction error": Figure(fmean(degrees), len(degrees), "deg")} if degrees else {}


def _others(record: BenchmarkRecord, row: PublishedRow) -> tuple[StoredRegion, ...]:
    """Objects that the question does not name, with ids after those of its regions."""
    first, field = len(record.stored_regions), RowField(row.stands, "others")
    return tuple(
        StoredRegion(first + number, label, OtherMask(field, number))
        for number, label in enumerate(row.fields["others"]["class"])
    )


def _asked(record: BenchmarkRecord) -> AnswerSpec:
    kind = AnswerKind(record.source)
    names = tuple(region.label for region in record.stored_regions)
    return AnswerSpec(kind, names if kind is AnswerKind.REGION else ())


class HiSpatialTasks(Benchmark):
    """Three tasks, for which only simulated questions are available."""

    name = "hispatial-tasks"
    title = "HiSpatial's custom tasks, simulated"
    hub = "smolrgpt simulate --hispatial-tasks"
    files = (FILE,)
    id_fields = ("question_id",)
    conventions = HISPATIAL
    refusing = "rules"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "rules": Scorer(
                "lengths within 25 %, directions within 30 degrees, all else equal, read by this "
                "project's rules; the angle, and how problem solving is read, are not the paper's",
                lambda answered: _outcome(answered, _by_rules),
            ),
            "judge": Scorer(
                "the same, but problem solving by the model that --judge names, as the paper does "
                "by GPT-4.1",
                lambda answered: _outcome(answered, _by_judge(answered.by_models.judged or {})),
                needs=Needs.JUDGE,
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row, whose `source` is what its answer is.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        record, kind = read_as_published(row), str(row.fields["qa_info"]["type"])
        if record.category not in (CAMERA, DIRECTION, SOLVING):
            raise ValueError(f"expected one of HiSpatial's custom tasks, got {record.category!r}")
        expected = VECTOR if record.category == DIRECTION else AnswerKind(kind)
        question = f"{record.question} {_ASKED_FOR[expected]}"
        return replace(record, question=question, source=kind, other_regions=_others(record, row))

    def asked(self, record: BenchmarkRecord) -> AnswerSpec | None:
        """What a question asks for; None for a direction, which only rules read."""
        return None if record.category == DIRECTION else _asked(record)

    def is_judged(self, record: BenchmarkRecord) -> bool:
        """Problem solving alone."""
        return record.category == SOLVING
