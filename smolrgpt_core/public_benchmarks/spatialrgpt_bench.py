"""SpatialRGPT-Bench: sentences and lengths about masked regions, judged by a language model.

The judge is not run here: its replies are read (`official`), or rules stand for it (`rules`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from statistics import fmean
from typing import Any, ClassVar

import numpy as np

from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.language.conventions import SPATIALRGPT
from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.model_readers.asked import (
    AnswerKind,
    AnswerSpec,
    region_by_rules,
)
from smolrgpt_core.public_benchmarks.published_files import MaskInRow, PublishedRow, literal
from smolrgpt_core.public_benchmarks.quantity_readers import (
    HOURS,
    hour_by_rules,
    hours_apart,
    length_by_rules,
)
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, published_regions, text_field
from smolrgpt_core.public_benchmarks.row_places import RowField
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Needs,
    Outcome,
    Scorer,
    Verdict,
    fraction,
    fractions_by,
    with_reader,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import leading_word

QUALITATIVE = ("below/above", "left/right", "big/small", "tall/short", "wide/thin", "behind/front")
"""Groups of yes/no and either/or questions; a raw category belongs to that whose word it has."""

QUANTITATIVE = {
    "distance_data": "direct distance",
    "horizontal_distance_data": "horizontal distance",
    "vertical_distance_data": "vertical distance",
    "width_data": "width",
    "height_data": "height",
    "direction": "direction",
}
"""Groups of quantities by their raw category."""

TOLERANCE = 0.25
"""Largest relative error of a right quantity."""

EPSILON = 0.0001
"""Meters; added to the true value in the error of a question."""

DEGREES_PER_HOUR = 30


@dataclass(frozen=True)
class Judgment:
    """What a judge, or rules, read from a truth and an answer.

    Attributes:
        truth: meters or hour; 1 for a yes/no or either/or question.
        response: meters, hour, or the mark of the judge; None when unreadable.
        failed: whether the judge gave no reply at all.
    """

    truth: float
    response: float | None
    failed: bool = False


def group_of(record: BenchmarkRecord) -> str:
    """The group that a question counts in.

    Raises:
        ValueError: its category belongs to none.
    """
    if record.category in QUANTITATIVE:
        return QUANTITATIVE[record.category]
    for group in QUALITATIVE:
        if record.category.split("_")[0] in group.split("/"):
            return group
    raise ValueError(f"expected a category of SpatialRGPT-Bench, got {record.category!r}")


def is_quantity(record: BenchmarkRecord) -> bool:
    """Whether a question asks for a length or a direction."""
    return record.category in QUANTITATIVE


def judgment_of_reply(record: BenchmarkRecord, reply: Any) -> Judgment:
    """The content of a judge's reply, a JSON object; see `Judgment`.

    A missing key, null and a word instead of a number make it unreadable, as does no reply.
    """
    failed = not isinstance(reply, Mapping)
    if failed or not is_quantity(record):
        return Judgment(1.0, None if failed else _mark(reply.get("your_mark")), failed)
    direction = record.category == "direction"
    names = ("answer_direction", "response_direction")
    if not direction:
        names = ("answer_in_meters", "response_in_meters")
    try:
        truth, response = (float(reply[name]) for name in names)
    except (KeyError, TypeError, ValueError, OverflowError):
        # Unreadable is a result here: wrong, and absent from the errors.
        return Judgment(math.nan, None)
    readable = math.isfinite(truth) and math.isfinite(response)
    return Judgment(truth, response) if readable else Judgment(math.nan, None)


def _mark(value: Any) -> float | None:
    """The mark of a judge; None for null and for what is no number."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        # A word instead of a mark: unreadable, and counted as such.
        return None


def judgment_by_rules(record: BenchmarkRecord, answer: str) -> Judgment:
    """What this project's rules read from the truth and from an answer."""
    if record.category.endswith("_predicate"):
        return _agreement(leading_word(str(record.truth)), leading_word(answer))
    if record.category.endswith("_choice"):
        return _agreement(region_by_rules(str(record.truth)), region_by_rules(answer))
    reader: Callable[[str], float | None] = length_by_rules
    if record.category == "direction":
        reader = hour_by_rules
    truth = reader(str(record.truth))
    return Judgment(math.nan, None) if truth is None else Judgment(truth, reader(answer))


def outcome(answered: Answered, judgments: Sequence[Judgment]) -> Outcome:
    """Figures of the official script from judgments of all questions."""
    records = answered.records
    verdicts = [_verdict(r, j) for r, j in zip(records, judgments, strict=True)]
    figures: dict[str, Figure] = {}
    for name, quantity in (("qualitative", False), ("quantitative", True)):
        found = [v for r, v in zip(records, verdicts, strict=True) if is_quantity(r) == quantity]
        if found:
            figures[name] = fraction(found)
    figures |= fractions_by(records, verdicts, group_of)
    notes: list[str] = []
    for group in QUANTITATIVE.values():
        members = [j for r, j in zip(records, judgments, strict=True) if group_of(r) == group]
        figures |= _errors(group, members, notes)
    return Outcome(figures, verdicts, notes)


def _by_replies(answered: Answered, replies: Mapping[str, Any]) -> list[Judgment]:
    return [judgment_of_reply(record, replies.get(record.id)) for record in answered.records]


def _judge(answered: Answered) -> Outcome:
    return outcome(answered, _by_replies(answered, answered.by_models.judged or {}))


def _official(answered: Answered) -> Outcome:
    judgments = _by_replies(answered, answered.judged.replies)
    found = outcome(answered, judgments)
    return Outcome(
        found.figures, found.verdicts, [*found.notes, *_carried_marks(answered, judgments, found)]
    )


def _rules(answered: Answered) -> Outcome:
    judgments = [
        judgment_by_rules(record, answered.answers.get(record.id, ""))
        for record in answered.records
    ]
    found = outcome(answered, judgments)
    unread = [
        record.id
        for record in answered.records
        if not judgment_by_rules(record, str(record.truth)).response
    ]
    note = f"truths that the rules do not read, counted as wrong: {len(unread)}"
    return Outcome(found.figures, found.verdicts, [*found.notes, *([note] if unread else [])])


def _verdict(record: BenchmarkRecord, judgment: Judgment) -> Verdict:
    response, truth = judgment.response, judgment.truth
    if response is None:
        return Verdict(record.id, 0.0, "")
    if not is_quantity(record):
        return Verdict(record.id, float(response > 0), "agrees" if response > 0 else "differs")
    if record.category == "direction":
        return Verdict(record.id, float(hours_apart(truth, response) <= 1), f"{response:g} o'clock")
    return Verdict(record.id, float(is_near(response, truth)), f"{response:g} m")


def is_near(response: float, truth: float) -> bool:
    """Whether a length is correct: within `TOLERANCE` of the true one, both ends included."""
    return (1 - TOLERANCE) * truth <= response <= (1 + TOLERANCE) * truth


def _errors(group: str, members: Sequence[Judgment], notes: list[str]) -> dict[str, Figure]:
    """Errors of a group over its readable answers; says where the script would print NaN."""
    pairs = [(j.truth, j.response) for j in members if j.response is not None]
    if not pairs:
        return {}
    if group == "direction":
        degrees = fmean(hours_apart(t, r) * DEGREES_PER_HOUR for t, r in pairs)
        return {"direction error": Figure(degrees, len(pairs), "deg")}
    figures = {
        f"{group} error": Figure(
            100 * fmean(abs(r - t) / (t + EPSILON) for t, r in pairs), len(pairs)
        )
    }
    defined = [(t, r) for t, r in pairs if t != 0]
    if len(defined) < len(pairs):
        notes.append(
            f"true values of {group} that are 0, and not in its abs rel: "
            f"{len(pairs) - len(defined)}; the official script prints NaN"
        )
    if defined:
        relative = round(fmean(abs(r - t) / t for t, r in defined), 3)
        figures[f"{group} abs rel"] = Figure(relative, len(defined), "")
    return figures


def _carried_marks(answered: Answered, judgments: Sequence[Judgment], found: Outcome) -> list[str]:
    """What the official script would print, which after a failure reuses the mark before it."""
    carried: list[Judgment] = []
    previous: Judgment | None = None
    failures = 0
    for record, judgment in zip(answered.records, judgments, strict=True):
        if judgment.failed and not is_quantity(record):
            failures += 1
            if previous is None:
                return [_failures(failures, "stops there: the question before has no mark")]
            judgment = previous
        previous = None if is_quantity(record) else judgment
        carried.append(judgment)
    if not failures:
        return []
    printed = outcome(answered, carried).figures
    changed = [
        f"{name} {figure.value:.2f} instead of {found.figures[name].value:.2f}"
        for name, figure in printed.items()
        if figure.value != found.figures[name].value
    ]
    prints = f"reuses the mark of the question before and prints {', '.join(changed) or 'the same'}"
    return [_failures(failures, prints)]


def _failures(number: int, what: str) -> str:
    return (
        f"yes/no and either/or questions without a reply of the judge, counted as wrong: {number}; "
        f"the official script {what}"
    )


def _agreement(truth: str, answer: str) -> Judgment:
    return Judgment(1.0, float(truth == answer) if truth and answer else None)


def read_as_published(row: PublishedRow) -> BenchmarkRecord:
    """The record of a row in the layout of SpatialRGPT-Bench, whatever its category."""
    fields = {**row.fields, **{name: literal(row.fields.get(name)) for name in _STRUCTURED}}
    asked, answer = (turn["value"] for turn in fields["conversations"])
    info = fields["image_info"]
    size = (int(info["height"]), int(info["width"]))
    masks = (MaskInRow(RowField(row.stands, "rle"), number) for number in count())
    regions, problems = published_regions(
        fields["rle"], masks, fields["bbox"], fields["qa_info"]["class"], size
    )
    path = row.fields.get("file_path") or info["file_path"]
    image, missing = replace(row, fields={**fields, "file_path": path}).image("image", "file_path")
    return BenchmarkRecord(
        id=text_field(fields, "id"),
        question=text_field(fields, "text_q"),
        prompt=asked.replace("<mask>", "<mask> <depth>"),
        truth=answer,
        category=fields["qa_info"]["category"],
        image=image,
        stored_regions=regions,
        source=info["dataset"],
        depth=row.image("depth_path")[0],
        camera=CameraRecord.from_json(fields["camera"]) if "camera" in fields else None,
        problems=(*missing, *problems),
    )


class SpatialRGPTBench(Benchmark):
    """1406 questions about regions of Omni3D images."""

    name = "spatialrgpt"
    title = "SpatialRGPT-Bench"
    hub = "a8cheng/SpatialRGPT-Bench"
    files = ("SpatialRGPT-Bench_v1.json", "val-*.parquet")
    id_fields = ("question_id",)
    conventions = SPATIALRGPT
    refusing = "rules"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "authors' arithmetic on a judge's replies: 25 % of a length, one hour of a "
                "direction, micro averages",
                _official,
                needs=Needs.JUDGEMENTS,
            ),
            "judge": Scorer(
                "the same arithmetic on the replies of the model that --judge names, by this "
                "project's instructions",
                _judge,
                needs=Needs.JUDGE,
            ),
            "rules": Scorer(
                "the same arithmetic; lengths, hours, yes/no and regions read by this project's "
                "rules",
                _rules,
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; structured fields may be texts of Python literals."""
        record = read_as_published(row)
        group_of(record)
        return record

    def asked(self, record: BenchmarkRecord) -> AnswerSpec:
        """What a question asks for, by its category."""
        if record.category == "direction":
            return AnswerSpec(AnswerKind.HOUR)
        if is_quantity(record):
            return AnswerSpec(AnswerKind.LENGTH)
        names = tuple(region.label for region in record.stored_regions)
        return AnswerSpec(
            AnswerKind.REGION if record.category.endswith("_choice") else AnswerKind.YES_NO,
            names if record.category.endswith("_choice") else (),
        )

    def guess(
        self, record: BenchmarkRecord, alike: Sequence[BenchmarkRecord], rng: np.random.Generator
    ) -> str:
        """Yes or no, a region, an hour, or a length of its category; see `Benchmark.guess`."""
        if record.category.endswith("_predicate"):
            return ("yes", "no")[int(rng.integers(2))]
        if record.category.endswith("_choice"):
            return f"Region [{rng.integers(len(record.stored_regions))}]"
        if record.category == "direction":
            return f"{rng.integers(HOURS) + 1} o'clock"
        return super().guess(record, alike, rng)


_STRUCTURED = ("image_info", "qa_info", "conversations", "bbox", "rle")
