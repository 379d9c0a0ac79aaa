"""A language model as the judge of SpatialRGPT-Bench and of problem solving.

Replies have the form of those of SpatialRGPT-Bench's official judge. That is GPT-4 with its
authors' instructions; this one is any model with those below. Its figures stand under a name of
their own, and do not compare with those of another judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.quantity_readers import HOURS
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord

_LENGTH = (
    "You compare two answers to a question about a length. Convert the length in each answer to "
    "meters (1 inch = 0.0254 m, 1 foot = 0.3048 m, 1 cm = 0.01 m) with four decimals. Reply in "
    'JSON: "answer_in_meters" for the true answer, "response_in_meters" for the response, null if '
    "the response gives no length."
)

_HOUR = (
    "You compare two answers to a question about a direction on the face of a clock. Reply in "
    'JSON: "answer_direction" is the hour of the true answer as a whole number from 1 to 12, '
    '"response_direction" that of the response, null if the response names no hour.'
)

_AGREEMENT = (
    'You compare the response to a question with the true answer. Reply in JSON: "your_mark" is '
    "1 if the response means the same as the true answer, else 0. A response that asserts the "
    'opposite relation of what the true answer denies means the same: "it is narrower" agrees '
    'with "No, it is not wider". A response that does not decide gets 0.'
)


def judged(
    records: Iterable[BenchmarkRecord],
    answers: Mapping[str, str],
    asked: Callable[[BenchmarkRecord], AnswerSpec | None],
    judge: JsonModel,
    advance: Callable[[int, int], None],
) -> dict[str, Any]:
    """Replies of a judge by question, in the form of the official one; None for no answer.

    Args:
        records: questions with their truths.
        answers: of a model, by id of the question.
        asked: what a question asks for.
        judge: the language model.
        advance: called with the finished and total numbers of questions.

    Raises:
        SpatialError: MODEL_ERROR when the server cannot be asked any more; its replies are stored.
    """
    wanted = list(records)
    found: dict[str, Any] = {}
    for done, record in enumerate(wanted):
        advance(done, len(wanted))
        answer, kind = answers.get(record.id, ""), asked(record)
        found[record.id] = _reply(record, answer, kind, judge) if answer.strip() and kind else None
    advance(len(wanted), len(wanted))
    return found


def _reply(
    record: BenchmarkRecord, answer: str, asked: AnswerSpec, judge: JsonModel
) -> Mapping[str, Any] | None:
    instructions, fields = _INSTRUCTIONS.get(asked.kind, (_AGREEMENT, _MARK))
    text = f"Question: {record.question}\nTrue answer: {record.truth}\nResponse: {answer}"
    schema = {
        "type": "object", "properties": dict(fields), "required": list(fields),
        "additionalProperties": False,
    }  # fmt: skip
    return judge.reply(instructions, text, schema)


_MARK: Mapping[str, Any] = {"your_mark": {"type": "integer", "enum": [0, 1]}}

_INSTRUCTIONS: Mapping[AnswerKind, tuple[str, Mapping[str, Any]]] = {
    AnswerKind.LENGTH: (
        _LENGTH,
        {
            "answer_in_meters": {"type": "number"},
            "response_in_meters": {"type": ["number", "null"]},
        },
    ),
    AnswerKind.HOUR: (
        _HOUR,
        {
            "answer_direction": {"type": "integer", "minimum": 1, "maximum": HOURS},
            "response_direction": {"type": ["integer", "null"], "minimum": 1, "maximum": HOURS},
        },
    ),
}
