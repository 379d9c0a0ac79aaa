"""Checks the answers of a record: each can be read, and both say the same."""

from __future__ import annotations

from collections.abc import Iterator

from smolrgpt_core.answer import read_answer
from smolrgpt_core.data.problems import Problem, ProblemKind
from smolrgpt_core.data.truths import read_truth, says_the_same
from smolrgpt_core.data.warehouse_format import MODEL, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES, Category


def check_answer(record: WarehouseRecord, place: str, answer_expected: bool) -> Iterator[Problem]:
    """What is wrong with the answers of a record.

    Args:
        record: the question.
        place: for the problems.
        answer_expected: False for a test split, whose answers may be withheld.
    """
    sentences = list(
        dict.fromkeys(text for text in (record.freeform_answer, _first_answer(record)) if text)
    )
    given = bool(sentences or record.normalized_answer)
    category = CATEGORIES.get(record.category)
    if category is None:
        # The public test split states no category, and has no answer that needs one.
        if record.category or given or answer_expected:
            known = ", ".join(CATEGORIES)
            found = f"expected one of {known}, found {record.category!r}"
            yield Problem(ProblemKind.CATEGORY, place, found)
    elif given or answer_expected:
        yield from _check_given(record, category, sentences, place)


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
            normalised = read_truth(
                record.normalized_answer, record.category, len(record.question_rle)
            )
        except ValueError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, f"normalised answer: {error}")
    for sentence in sentences:
        try:
            said = read_answer(sentence, category)
        except SpatialError as error:
            yield Problem(ProblemKind.ANSWER_UNREADABLE, place, str(error))
            continue
        if normalised is not None and not says_the_same(said, normalised, category):
            yield Problem(
                ProblemKind.ANSWER_DISAGREES,
                place,
                f"normalised {record.normalized_answer!r}, free form {sentence!r}",
            )


def _first_answer(record: WarehouseRecord) -> str:
    """What the model is to say to the question; empty in a test split."""
    return next((turn.text for turn in record.dialogue if turn.speaker == MODEL), "")
