"""The true answer of a record, parsed alike for evaluation, training, baselines and checks.

A truth that cannot be read is refused with the reason, so that it can be counted and named; it is
never left out in silence, and never taken for another value.
"""

from __future__ import annotations

from smolrgpt_core.answer import ParsedAnswer, read_answer
from smolrgpt_core.answer.scoring import NormalizedAnswer, read_normalized
from smolrgpt_core.data.warehouse_format import MODEL, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES, Category

ROUNDING_M = 0.0101
"""Distances of one record that differ by less than this are the same, rounded."""


def true_answer(record: WarehouseRecord) -> NormalizedAnswer:
    """The value of a record's `normalized_answer`.

    It answers the record's question, the first one of several: a record with several questions
    whose first answer says something else belongs to another of them, and is refused.

    Raises:
        ValueError: there is none, or it cannot be read; the message states what was expected and
        what was found.
    """
    value = read_truth(record.normalized_answer, record.category, len(record.question_rle))
    parsed = _first_answer(record)
    if parsed and not same_answer(parsed, value, CATEGORIES[record.category]):
        raise ValueError(
            f"the record has several questions, but {record.normalized_answer!r} does not agree "
            "with the first answer"
        )
    return value


def read_truth(normalized_answer: str, category: str, regions: int) -> NormalizedAnswer:
    """The value of a `normalized_answer` that stands in a data set.

    Args:
        normalized_answer: as it stands there.
        category: name of the question's category.
        regions: how many `<mask>` the question has.

    Raises:
        ValueError: there is none, or it cannot be read; the message states what was expected and
        what was found.
    """
    if category not in CATEGORIES:
        raise ValueError(f"expected a category of {', '.join(CATEGORIES)}, got {category!r}")
    kind = CATEGORIES[category]
    return read_normalized(normalized_answer, kind, regions if kind is Category.MCQ else None)


def same_answer(parsed: ParsedAnswer, value: NormalizedAnswer, category: Category) -> bool:
    """Whether a sentence and a normalized answer have the same value, but for rounding.

    Args:
        parsed: of the sentence.
        value: the normalized answer.
        category: of the question.
    """
    if category is Category.LEFT_RIGHT:
        return parsed.side.name.lower() == value
    if category is Category.MCQ:
        return parsed.region_index == value
    return parsed.value is not None and abs(parsed.value - float(value)) < ROUNDING_M


def _first_answer(record: WarehouseRecord) -> ParsedAnswer | None:
    """The answer to the first of several questions; None for a single one, or if unreadable."""
    answers = [turn.text for turn in record.dialogue if turn.speaker == MODEL]
    if len(answers) < 2:
        return None
    try:
        return read_answer(answers[0], CATEGORIES[record.category])
    except SpatialError:
        # A sentence that says nothing contradicts nothing.
        return None
