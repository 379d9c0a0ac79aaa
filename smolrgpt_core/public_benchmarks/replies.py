"""Asks a model the questions of records: an answer each, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from smolrgpt_core.errors import SpatialError, UnansweredError
from smolrgpt_core.public_benchmarks.model_readers.asked import Asked
from smolrgpt_core.public_benchmarks.models import BenchmarkModel
from smolrgpt_core.public_benchmarks.predictions import Reply
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord

Item = tuple[BenchmarkRecord, Asked | None]
"""A record, and what its benchmark knows that it asks for."""


def reply_to(model: BenchmarkModel, item: Item) -> Reply:
    """Ask a record's question.

    Raises:
        SpatialError: MODEL_ERROR when nothing can be asked any more.
    """
    try:
        question = question_of(*item)
    except SpatialError as error:
        # A mask that does not decode: the question cannot be shown to any model.
        return Reply(None, f"{item[0].id} has no answer: {error.message}", error.status.name)
    try:
        found = model.answer(question)
        return Reply(found.text, confidence=found.confidence)
    except UnansweredError as error:
        return Reply(None, error.message, error.status.name)


def one_by_one(model: BenchmarkModel, items: Iterable[Item]) -> Iterator[Reply]:
    """Ask several questions in order; errors as of `reply_to`."""
    return (reply_to(model, item) for item in items)
