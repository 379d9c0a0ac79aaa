"""One row for each question: its answer in short form, compared with the truth by our rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Agreement, SpatialAnswer
from smolrgpt_core.answer.scoring import VECTORS, answer_value, is_correct
from smolrgpt_core.drawing import name_regions
from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.wording import quantity
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.synthesis import QuestionWithTruth

TOTAL = "total"
"""The latency stage for the total time of a question."""


@dataclass(frozen=True, eq=False)
class ReportRow:
    """One question with its answer and the truth.

    Attributes:
        question: as asked, with regions by name.
        category: kind of answer asked for; a text where it is none of ours.
        answer_text: the answer, or the reason for none.
        truth_text: the true answer.
        error_text: difference between answer and truth; empty if undefined.
        within_tolerance: whether the answer, or the refusal, is correct.
        latency: seconds by stage; `TOTAL` is the sum.
        status: outcome of the question.
        image: annotated image, uint8 (H, W, 3) RGB, or None.
        agreement: of model and geometry, if both were asked.
        confidence: probability that the answer is correct; NaN if unknown.
        both_values: values of model and geometry; empty unless both have one.
        note: message of an answer, such as the other answerer's answer.
        understood: canonical sentence for the question as interpreted.
        steps: intermediate results, one sentence each.
    """

    question: str
    category: Category | str
    answer_text: str
    truth_text: str
    error_text: str
    within_tolerance: bool
    latency: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.OK
    image: NDArray[np.uint8] | None = None
    agreement: Agreement = Agreement.UNKNOWN
    confidence: float = math.nan
    both_values: str = ""
    note: str = ""
    understood: str = ""
    steps: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """`correct`, `wrong` or `no answer`; an expected refusal is correct."""
        if self.within_tolerance:
            return "correct"
        return "wrong" if self.status is Status.OK else "no answer"


def compare_with_truth(
    question: QuestionWithTruth, answer: SpatialAnswer, regions: RegionSet | None = None
) -> tuple[str, str, bool]:
    """The truth as text, the error as text, and whether the answer counts as correct.

    Without an answer there is no error, and it is not correct; see `is_correct` for what is.

    Args:
        question: with its true answer.
        answer: the answer, or a refusal.
        regions: to name regions in the text; None: by id.
    """
    category, unit, content = question.category, question.program.unit, _true_content(question)
    truth = _content_text(category, content, unit, regions)
    if not answer.ok:
        return truth, "", False
    ordered = question.program.operator in (selections.Sorted, selections.First)
    right = is_correct(category, answer_value(answer), content, unit, ordered=ordered)
    if question.value is not None:
        error = (np.nan if answer.value is None else answer.value) - question.value
        return truth, _error_text(unit, error, question.value), right
    return truth, "" if right else "differs", right


def answer_text(answer: SpatialAnswer, regions: RegionSet | None = None) -> str:
    """The answer in short form, such as "3.42 m" or "pallet 7"; for a refusal, the reason."""
    if not answer.ok or answer.category is None:
        return answer.message
    return _content_text(answer.category, answer_value(answer), answer.unit, regions)


def both_values_text(answer: SpatialAnswer) -> str:
    """The values of model and geometry, such as "3.4, 3.42"; empty unless both have one."""
    values = (answer.model_value, answer.geometric_value)
    if any(value is None for value in values):
        return ""
    return ", ".join(f"{value:.3g}" for value in values)


def report_row(
    question: QuestionWithTruth,
    answer: SpatialAnswer,
    regions: RegionSet,
    image: NDArray[np.uint8] | None = None,
) -> ReportRow:
    """The row of a question that has an answer.

    Args:
        question: with its true answer.
        answer: the answer, or a refusal.
        regions: to name regions in the text.
        image: annotated image, uint8 (H, W, 3) RGB.
    """
    named = name_regions(question.text, question.region_ids, regions)
    compared = compare_with_truth(question, answer, regions)
    return compared_row(named, question.category, answer, regions, compared, image)


def compared_row(
    question: str,
    category: Category,
    answer: SpatialAnswer,
    regions: RegionSet,
    compared: tuple[str, str, bool],
    image: NDArray[np.uint8] | None = None,
) -> ReportRow:
    """The row of a question whose answer was compared with what was expected.

    Args:
        question: as displayed.
        category: kind of answer asked for.
        answer: the answer, or a refusal.
        regions: to name regions in the text.
        compared: truth, error and whether the answer is correct, as `compare_with_truth` has them.
        image: annotated image, uint8 (H, W, 3) RGB.
    """
    truth_text, error_text, is_correct = compared
    return ReportRow(
        question=question,
        category=category,
        answer_text=answer_text(answer, regions),
        truth_text=truth_text,
        error_text=error_text,
        within_tolerance=is_correct,
        latency=answer.latency_s,
        status=answer.status,
        image=image,
        agreement=answer.agreement,
        confidence=answer.confidence,
        both_values=both_values_text(answer),
        note=answer.message if answer.ok else "",
        understood=answer.understood,
        steps=answer.steps,
    )


def _true_content(question: QuestionWithTruth) -> Any:
    """The content of the true answer; for a side asked as a yes/no question, the side."""
    if question.category is Category.LEFT_RIGHT:
        return question.side
    return question.region_id if question.category is Category.MCQ else question.truth


def _content_text(category: Category, content: Any, unit: str, regions: RegionSet | None) -> str:
    """The content of an answer in short form."""
    if category is Category.LEFT_RIGHT:
        return str(content.name.lower())
    if category is Category.MCQ:
        return _region_text(content, regions)
    if category is Category.TRUTH:
        return "yes" if content else "no"
    if category is Category.LIST:
        return ", ".join(_region_text(id, regions) for id in content) or "none"
    if category is Category.RELATION:
        return str(content)
    if category in VECTORS:
        numbers = ", ".join(f"{number:.2f}" for number in content)
        return f"({numbers}){'' if category is Category.DIRECTION else ' m'}"
    return quantity(content, unit)


def _region_text(id: int | None, regions: RegionSet | None) -> str:
    if regions is None or id is None or id not in regions:
        return f"region {id}"
    return regions[id].name


def _error_text(unit: str, error: float, truth: float) -> str:
    if unit == "objects":
        return f"{error:+.0f}" if error else "0"
    relative = f" ({abs(error) / truth:.1%})" if truth else ""
    return f"{round(error, 2) + 0.0:+.2f} {unit}{relative}"


def agreement_text(agreement: Agreement) -> str:
    """`yes` or `no`; empty where only one was asked."""
    return {Agreement.AGREE: "yes", Agreement.DISAGREE: "no"}.get(agreement, "")


def percent_text(fraction: float) -> str:
    """Such as "98%"; empty for NaN."""
    return "" if math.isnan(fraction) else f"{fraction:.0%}"


def milliseconds_text(seconds: float | None) -> str:
    """Milliseconds with two digits at least; empty for None."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def median_latency(rows: Sequence[ReportRow], stage: str) -> float | None:
    """Seconds that a stage took; None where no row has it."""
    times = [row.latency[stage] for row in rows if stage in row.latency]
    return median(times) if times else None
