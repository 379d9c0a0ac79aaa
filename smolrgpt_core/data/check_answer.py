"""Checks the answers of a record: each can be read, and both say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

from smolrgpt_core.answer import ParsedAnswer, Side, read_answer
from smolrgpt_core.data.problems import Problem, ProblemKind
from smolrgpt_core.data.samples import MODEL
from smolrgpt_core.data.warehouse_format import WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.question import CATEGORIES, Category

ROUNDING_M = 0.0101
"""Distances of one record that differ by less than this are the same, rounded."""


def check_answer(record: WarehouseRecord, place: str, answer_expected: bool) -> Iterator[Problem]:
    """What is wrong with the answers of a record.

    Args:
        record: the question.
        place: for the problems.
        answer_expected: False for a test split, whose answers may be withheld.
    """
    category = CATEGORIES.get(record.category)
    if category is None:
        known = ", ".join(CATEGORIES)
        found = f"expected one of {known}, found {record.category!r}"
        yield Problem(ProblemKind.CATEGORY, place, found)
        return
    sentences = dict.fromkeys(
        text for text in (record.freeform_answer, _last_words(record)) if text
    )
    if answer_expected or sentences or record.normalized_answer:
        yield from _check_given(record, category, list(sentences), place)


def _check_given(
    record: WarehouseRecord, category: Category, sentences: list[str], place: str
) -> Iterator[Problem]:
    missing = [
        name
        for name, given in (
            ("normalized_answer", record.normalized_answer),
            ("freeform_answer or a turn of gpt", sentences),
        )
        if not given
    ]
    if missing:
        yield Problem(ProblemKind.ANSWER_MISSING, place, f"expected {' and '.join(missing)}")
    normalised = None
    if record.normalized_answer:
        try:
            normalised = read_normalized(record.normalized_answer, category, len(record.rle))
        except ValueError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, str(error))
    for sentence in sentences:
        try:
            said = read_answer(sentence, category)
        except SpatialError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, str(error))
            continue
        if normalised is not None and not _same(said, normalised):
            yield Problem(
                ProblemKind.ANSWER_DISAGREES,
                place,
                f"normalised {record.normalized_answer!r}, free form {sentence!r}",
            )


def read_normalized(text: str, category: Category, masks: int) -> ParsedAnswer:
    """The value of `normalized_answer`.

    Args:
        text: such as "left", "3", "4.27".
        category: of the question.
        masks: how many regions a choice can be about.

    Raises:
        ValueError: says what was expected and what was found.
    """
    if category is Category.LEFT_RIGHT:
        if text not in ("left", "right"):
            raise ValueError(f'normalised answer must be "left" or "right", got {text!r}')
        return ParsedAnswer(side=Side[text.upper()])
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if category is Category.DISTANCE:
        if not 0 <= number < math.inf:
            raise ValueError(f"normalised answer must be metres from 0 on, got {text!r}")
        return ParsedAnswer(value=number)
    if not (number >= 0 and number.is_integer()):
        raise ValueError(f"normalised answer must be a whole number from 0 on, got {text!r}")
    if category is Category.COUNT:
        return ParsedAnswer(value=number)
    if number >= masks:
        raise ValueError(
            f"normalised answer must be one of {masks} regions from 0 on, got {text!r}"
        )
    return ParsedAnswer(region_index=int(number))


def _last_words(record: WarehouseRecord) -> str:
    """What the model is to say in the last turn; empty in a test split."""
    last = record.conversations[-1]
    return last.text if last.speaker == MODEL else ""


def _same(said: ParsedAnswer, normalised: ParsedAnswer) -> bool:
    if said.value is not None and normalised.value is not None:
        return abs(said.value - normalised.value) < ROUNDING_M
    return (said.side, said.region_index) == (normalised.side, normalised.region_index)
