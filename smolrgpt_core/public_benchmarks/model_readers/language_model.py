"""A language model that reads what the rules refuse.

It replies with the answer and a quotation. The reply is accepted only if the text contains the
quotation, nothing negates it, it is not one of several alternatives, and this project's own parser
finds the same value and unit, or the same option, in it. All other answers stay unread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smolrgpt_core.answer.reading import METERS_PER_UNIT, SAME_DISTANCE
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.model_readers.asked import (
    AnswerKind,
    AnswerSpec,
    length_text,
)
from smolrgpt_core.public_benchmarks.model_readers.evidence import (
    has_rival,
    is_negated,
    quoted,
    the_length,
    the_option,
)

UNCLEAR = "unclear"
"""What a model is to reply when the text does not state it."""

_UNITS = ("m", "cm", "mm", "ft", "inch", "yd")

_LENGTH = (
    "You get a question about a length and an answer to it. Extract the length that the answer "
    'finally gives. Reply in JSON: "quote" is the exact words of the answer that state it, with '
    'the unit; "value" is its number in digits; "unit" is one of '
    f"{', '.join(_UNITS)}, or {UNCLEAR} when the answer gives no length or several. Do not convert "
    "units. Do not measure or guess anything yourself. "
    'Example: the answer "I think the sofa is 7 feet long." gives '
    '{"quote": "7 feet", "value": 7, "unit": "ft"}.'
)

_OPTION = (
    "You get a question and an answer to it. Say which of these the answer finally claims: "
    '{options}. Reply in JSON: "quote" is the exact words of the answer that claim it; "answer" '
    f"is one of these, or {UNCLEAR} when the answer claims none or several. Do not answer the "
    "question yourself. Example with other choices, red and blue: the answer "
    '"I would call it blue." gives {{"quote": "blue", "answer": "blue"}}.'
)


@dataclass(frozen=True, eq=False)
class LanguageModelReader:
    """Reads answers to questions whose kind of answer is known.

    Attributes:
        model: that replies in JSON.
    """

    model: JsonModel

    def read(self, asked: AnswerSpec, question: str, answer: str) -> str:
        """The answer in the form of `AnswerSpec.by_rules`; empty when it stays unread.

        Args:
            asked: what the question asks for.
            question: its text.
            answer: the text to read.

        Raises:
            SpatialError: as of `JsonModel.reply`.
        """
        reply = self.claimed(asked, question, answer)
        return "" if reply is None else accepted(asked, reply, answer)

    def claimed(self, asked: AnswerSpec, question: str, answer: str) -> Mapping[str, Any] | None:
        """What the model claims to have read, unchecked; None when it does not reply properly.

        Args:
            asked: what the question asks for.
            question: its text.
            answer: the text to read.

        Raises:
            SpatialError: as of `JsonModel.reply`.
        """
        if asked.kind is AnswerKind.LENGTH:
            instructions, schema = _LENGTH, _length_schema()
        else:
            instructions = _OPTION.format(options=", ".join(map(_with_name(asked), asked.options)))
            schema = _option_schema(asked)
        return self.model.reply(instructions, f"Question: {question}\nAnswer: {answer}", schema)


def accepted(asked: AnswerSpec, reply: Mapping[str, Any], answer: str) -> str:
    """The answer in a reply, if its quotation supports it; empty otherwise.

    Args:
        asked: what the question asks for.
        reply: of a model.
        answer: the text that was read.
    """
    quote = reply["quote"]
    quote = quoted(quote, answer) if isinstance(quote, str) else ""
    if not quote or has_rival(quote, answer):
        return ""
    if asked.kind is not AnswerKind.YES_NO and is_negated(quote, answer):
        return ""
    if asked.kind is AnswerKind.LENGTH:
        return _accepted_length(reply, quote)
    claimed = reply["answer"]
    return claimed if claimed in asked.options and the_option(asked, quote) == claimed else ""


def believed(asked: AnswerSpec, reply: Mapping[str, Any]) -> str:
    """The unchecked answer in a reply, as SmolRGPT's authors use it; empty for "unclear"."""
    if asked.kind is AnswerKind.LENGTH:
        meters = _claimed_meters(reply)
        return "" if meters is None else length_text(meters)
    return reply["answer"] if reply["answer"] in asked.options else ""


def _accepted_length(reply: Mapping[str, Any], quote: str) -> str:
    found, meters = the_length(quote), _claimed_meters(reply)
    if found is None or meters is None or found.unit != METERS_PER_UNIT[reply["unit"]]:
        return ""
    agrees = abs(found.meters - meters) <= SAME_DISTANCE * found.meters
    return length_text(found.meters) if agrees else ""


def _claimed_meters(reply: Mapping[str, Any]) -> float | None:
    value, unit = reply["value"], METERS_PER_UNIT.get(str(reply["unit"]))
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) * unit if known and unit is not None else None


def _length_schema() -> dict[str, Any]:
    fields = {
        "quote": {"type": "string", "maxLength": 200},
        "value": {"type": "number"},
        "unit": {"type": "string", "enum": [*_UNITS, UNCLEAR]},
    }
    return _object_schema(fields)


def _option_schema(asked: AnswerSpec) -> dict[str, Any]:
    fields = {
        "quote": {"type": "string", "maxLength": 200},
        "answer": {"type": "string", "enum": [*asked.options, UNCLEAR]},
    }
    return _object_schema(fields)


def _object_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": dict(fields), "required": list(fields),
        "additionalProperties": False,
    }  # fmt: skip


def _with_name(asked: AnswerSpec) -> Callable[[str], str]:
    """An option with its name: "B (a green box)"."""
    if len(asked.names) != len(asked.options):
        return str
    named = dict(zip(asked.options, asked.names, strict=True))
    return lambda option: f"{option} ({named[option]})" if named[option] else option
