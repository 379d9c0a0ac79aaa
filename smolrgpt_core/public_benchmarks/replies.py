"""The outcome of a question: an answer, or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.public_benchmarks.model_readers.asked import Asked
from smolrgpt_core.public_benchmarks.models import BenchmarkModel
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord

CANNOT_ASK = (Status.NO_RGB, Status.NO_DEPTH, Status.MODEL_ERROR)
"""Why a question has no answer where model or data are at fault."""


@dataclass(frozen=True)
class Reply:
    """The outcome of one question.

    Attributes:
        text: the answer; None when there is none.
        problem: why there is none.
        status: the reason as a word, such as "NO_DEPTH".
        confidence: probability of the answer among the candidates; None for generated text.
    """

    text: str | None
    problem: str = ""
    status: str = ""
    confidence: float | None = None

    def line(self, id: str) -> bytes:
        """A line of the file of predictions."""
        why = {"status": self.status, "problem": self.problem} if self.text is None else {}
        sure = {} if self.confidence is None else {"confidence": self.confidence}
        return json.dumps({"id": id, "prediction": self.text, **why, **sure}).encode() + b"\n"

    @property
    def could_not_be_asked(self) -> bool:
        """Whether model or data were at fault, not the question."""
        return self.status in {status.name for status in CANNOT_ASK}


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
