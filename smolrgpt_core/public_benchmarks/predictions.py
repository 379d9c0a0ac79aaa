"""The outcome of a question, and files of predictions and of a judge's replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import Status
from smolrgpt_core.files import file_error
from smolrgpt_core.public_benchmarks.published_files import read_rows
from smolrgpt_core.public_benchmarks.scoring import JudgedRecords

ANSWER_FIELDS = ("prediction", "pred", "answer", "normalized_answer")
"""Names that an answer may have in a file of predictions: ours, and those of official scripts."""

REPLY_FIELDS = ("reply", "judge_reply")
"""Names that a judge's reply may have."""


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


@dataclass(frozen=True)
class Predictions:
    """The content of a file of predictions.

    Attributes:
        answers: texts by id of the question.
        judged: replies of a judge that stand in the same lines.
    """

    answers: Mapping[str, str]
    judged: JudgedRecords


def read_predictions(
    path: Path, id_of: Callable[[Mapping[str, Any]], str], answer_field: str = ""
) -> Predictions:
    """Predictions by question; a null or absent answer is none.

    Args:
        path: JSON Lines or a JSON list, one object for each question.
        id_of: the question of an object; raises KeyError or ValueError when it names none.
        answer_field: the answer's name in the objects; empty: the first of `ANSWER_FIELDS`.

    Raises:
        SpatialError: BAD_INPUT that names the file and the line.
    """
    answers: dict[str, str] = {}
    replies: dict[str, Any] = {}
    fields = (answer_field,) if answer_field else ANSWER_FIELDS
    for id, row, place in _entries(path, id_of):
        name = next((name for name in fields if name in row), None)
        if name is None:
            raise file_error(path, f"{place}: expected one of {fields}, got {sorted(row)}")
        if row[name] is not None:
            answers[id] = str(row[name])
        replies |= _reply(id, row)
    return Predictions(answers, JudgedRecords(replies))


def read_judgments(path: Path, id_of: Callable[[Mapping[str, Any]], str]) -> JudgedRecords:
    """The replies of a judge by question.

    Args:
        path: JSON Lines or a JSON list of objects with a `reply`.
        id_of: as for `read_predictions`.

    Raises:
        SpatialError: BAD_INPUT that names the file and the line.
    """
    replies: dict[str, Any] = {}
    for id, row, place in _entries(path, id_of):
        found = _reply(id, row)
        if not found:
            raise file_error(path, f"{place}: expected one of {REPLY_FIELDS}, got {sorted(row)}")
        replies |= found
    return JudgedRecords(replies)


def _reply(id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    name = next((name for name in REPLY_FIELDS if name in row), None)
    return {} if name is None else {id: row[name]}


def _entries(
    path: Path, id_of: Callable[[Mapping[str, Any]], str]
) -> list[tuple[str, Mapping[str, Any], str]]:
    entries: dict[str, tuple[str, Mapping[str, Any], str]] = {}
    for row in read_rows(path):
        place, fields = row.place, row.fields
        try:
            id = id_of(fields)
        except (KeyError, ValueError) as error:
            raise file_error(
                path,
                f"{place} names no question: expected {error.args[0]}, got {sorted(fields)}",
            ) from error
        if id in entries:
            raise file_error(path, f"{place}: {id!r} occurs twice; give one line for each question")
        entries[id] = (id, fields, place)
    return list(entries.values())
