"""Reads and writes `normalized_answer`: the bare answer of a record or of a submission.

People and programs write numbers, texts of numbers, number words, numbers with a unit, "l", "Left
side", "[Region 3]", or a whole sentence. What is not clear is refused, never taken for a value.
"""

from __future__ import annotations

import math
import re

from smolrgpt_core.answer.reading import read_answer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS

NormalizedAnswer = float | int | str
"""Metres (distance), number (count), index (mcq), "left" or "right"."""

_EXPECTED = {
    Category.DISTANCE: "metres from 0 on",
    Category.COUNT: "a whole number from 0 on",
    Category.MCQ: "the index of a region, from 0 on",
    Category.LEFT_RIGHT: '"left" or "right"',
}

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)
_SIDES = {"l": "left", "r": "right"}


def read_normalized(
    answer: object, category: Category, regions: int | None = None
) -> NormalizedAnswer:
    """The value of a `normalized_answer`.

    Args:
        answer: a number or a text, as JSON has it.
        category: of the question.
        regions: how many regions a choice can be about; None: not known.

    Raises:
        ValueError: says what was expected and what was found.
    """
    value = _value(answer, category)
    if value is None:
        raise ValueError(f"expected {_EXPECTED[category]}, got {_shown(answer)}")
    if category is Category.MCQ and regions is not None and int(value) >= regions:
        raise ValueError(f"expected one of {regions} regions from 0 on, got {_shown(answer)}")
    return value


def as_float(number: float) -> float:
    """A number of JSON, infinite if it is an integer beyond what a float holds."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def write_normalized(value: NormalizedAnswer, category: Category) -> str:
    """A value as the data set writes it: a distance in metres with two decimals."""
    return f"{value:.2f}" if category is Category.DISTANCE else str(value)


def _value(answer: object, category: Category) -> NormalizedAnswer | None:
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
        return None
    if not isinstance(answer, str):
        return _checked(as_float(answer), category)
    text = answer.strip()
    number = _bare_number(text)
    if number is not None:
        return _checked(number, category)
    word = text.rstrip(".").lower()
    if category is Category.LEFT_RIGHT and word in _SIDES:
        return _SIDES[word]
    try:
        said = read_answer(text, category)
    except SpatialError:
        # Not readable is a result here; the caller says so.
        return None
    if category is Category.LEFT_RIGHT:
        return said.side.name.lower()
    return said.region_index if category is Category.MCQ else _checked(said.value, category)


def _bare_number(text: str) -> float | None:
    """A text that is nothing but a number, in digits or as a word."""
    word = text.rstrip(".").lower()
    if word in NUMBER_WORDS:
        return float(NUMBER_WORDS[word])
    return float(text) if _NUMBER.fullmatch(text) else None


def _checked(value: float | None, category: Category) -> NormalizedAnswer | None:
    """The number, if the category has such numbers."""
    if value is None or not math.isfinite(value) or value < 0 or category is Category.LEFT_RIGHT:
        return None
    if category is Category.DISTANCE:
        return value
    return int(value) if value.is_integer() else None


def _shown(answer: object) -> str:
    return f"{answer!r:.60}" if answer not in ("", None) else "nothing"
