"""What a question asks for, and how this project's rules read its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from smolrgpt_core.answer.reading import read_answer
from smolrgpt_core.answer.spatial_answer import Side
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category
from smolrgpt_core.public_benchmarks.letter_readers import standalone_letter
from smolrgpt_core.public_benchmarks.quantity_readers import (
    HOURS,
    hour_by_rules,
    length_by_rules,
)
from smolrgpt_core.public_benchmarks.records import OPTION_LETTERS
from smolrgpt_core.public_benchmarks.yes_no_readers import NO, YES, leading_word

LEFT, RIGHT = "left", "right"

MOST_OBJECTS = 20
"""Largest number among the candidates of a count."""


class AnswerKind(str, Enum):
    """The kind of an answer."""

    LENGTH = "length"
    HOUR = "hour"
    YES_NO = "yes or no"
    REGION = "region"
    LETTER = "letter"
    SIDE = "side"
    COUNT = "count"


@dataclass(frozen=True)
class AnswerSpec:
    """What a question asks for, without its truth.

    Attributes:
        kind: of the answer.
        names: texts of the options of a multiple choice, or classes of the regions, in order.
    """

    kind: AnswerKind
    names: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """All possible answers, in the form of the rules; none for a length."""
        return _OPTIONS[self.kind](self) if self.kind in _OPTIONS else ()

    def spoken(self, option: str) -> tuple[str, ...]:
        """Forms in which a model may state an option."""
        if self.kind is AnswerKind.LETTER:
            return (option, f"({option})")
        return (option[0].upper() + option[1:],)

    def by_rules(self, answer: str) -> str:
        """The answer in the form of `options`, or as "0.4 m"; empty when the rules refuse it."""
        return _RULES[self.kind](self, answer)


def region_by_rules(sentence: str) -> str:
    """The number of the one region that a sentence names as "[1]"; empty otherwise."""
    named = set(re.findall(r"\[([0-9]+)\]", sentence))
    return named.pop() if len(named) == 1 else ""


def length_text(meters: float) -> str:
    """A length in the form of the rules."""
    return f"{meters:.6g} m"


def hour_text(hour: float) -> str:
    """An hour in the form of the rules."""
    return f"{hour:.0f} o'clock"


def region_text(number: str | int) -> str:
    """A region in the form of the rules."""
    return f"Region [{number}]"


def _length(asked: AnswerSpec, answer: str) -> str:
    meters = length_by_rules(answer)
    return "" if meters is None else length_text(meters)


def _hour(asked: AnswerSpec, answer: str) -> str:
    hour = hour_by_rules(answer)
    return "" if hour is None else hour_text(hour)


def _region(asked: AnswerSpec, answer: str) -> str:
    number = region_by_rules(answer)
    return region_text(number) if number and int(number) < len(asked.names) else ""


def _side(asked: AnswerSpec, answer: str) -> str:
    try:
        return LEFT if read_answer(answer, Category.LEFT_RIGHT).side is Side.LEFT else RIGHT
    except SpatialError:
        # Refused: a result here.
        return ""


def _count(asked: AnswerSpec, answer: str) -> str:
    try:
        return f"{read_answer(answer, Category.COUNT).value:.0f}"
    except SpatialError:
        # Refused: a result here.
        return ""


_RULES: Mapping[AnswerKind, Callable[[AnswerSpec, str], str]] = {
    AnswerKind.LENGTH: _length,
    AnswerKind.HOUR: _hour,
    AnswerKind.YES_NO: lambda asked, answer: leading_word(answer),
    AnswerKind.REGION: _region,
    AnswerKind.LETTER: lambda asked, answer: standalone_letter(answer, asked.names),
    AnswerKind.SIDE: _side,
    AnswerKind.COUNT: _count,
}

_OPTIONS: Mapping[AnswerKind, Callable[[AnswerSpec], tuple[str, ...]]] = {
    AnswerKind.HOUR: lambda asked: tuple(map(hour_text, range(1, HOURS + 1))),
    AnswerKind.YES_NO: lambda asked: (YES, NO),
    AnswerKind.REGION: lambda asked: tuple(map(region_text, range(len(asked.names)))),
    AnswerKind.LETTER: lambda asked: tuple(OPTION_LETTERS[: len(asked.names)]),
    AnswerKind.SIDE: lambda asked: (LEFT, RIGHT),
    AnswerKind.COUNT: lambda asked: tuple(map(str, range(MOST_OBJECTS + 1))),
}
