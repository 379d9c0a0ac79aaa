"""Parses and writes `normalized_answer`: the bare answer of a record or a submission.

People and programs write numbers, numeric strings, number words, numbers with a unit, "l", "Left
side", "[Region 3]", or a whole sentence. Anything ambiguous is refused, never treated as a value.
"""

from __future__ import annotations

import math
import re

from smolrgpt_core.answer.reading import read_answer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS

NormalizedAnswer = float | int | str
"""Meters (distance), number (count), index (mcq), "left" or "right"."""

_EXPECTED = {
    Category.DISTANCE: "non-negative meters",
    Category.COUNT: "a non-negative integer",
    Category.MCQ: "the index of a region, starting at 0",
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
        regions: number of regions to choose from; None: unknown.

    Raises:
        ValueError: it cannot be parsed; says what was expected and what was found.
    """
    value = _value(answer, category)
    if value is None:
        raise ValueError(f"expected {_EXPECTED[category]}, got {_shown(answer)}")
    if category is Category.MCQ and regions is not None and int(value) >= regions:
        raise ValueError(
            f"expected the index of one of {regions} regions, starting at 0, got {_shown(answer)}"
        )
    return value


def as_float(number: float) -> float:
    """A JSON number as a float; infinite if it is too large an integer."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def write_normalized(value: NormalizedAnswer, category: Category) -> str:
    """A value as in the data set: a distance in meters with two decimals."""
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
        parsed = read_answer(text, category)
    except SpatialError:
        # Not an error here; the caller reports it.
        return None
    if category is Category.LEFT_RIGHT:
        return parsed.side.name.lower()
    return parsed.region_index if category is Category.MCQ else _checked(parsed.value, category)


def _bare_number(text: str) -> float | None:
    """The value of a text that is only a number, in digits or as a word."""
    word = text.rstrip(".").lower()
    if word in NUMBER_WORDS:
        return float(NUMBER_WORDS[word])
    return float(text) if _NUMBER.fullmatch(text) else None


def _checked(value: float | None, category: Category) -> NormalizedAnswer | None:
    """The number, if it is valid for the category."""
    if value is None or not math.isfinite(value) or value < 0 or category is Category.LEFT_RIGHT:
        return None
    if category is Category.DISTANCE:
        return value
    return int(value) if value.is_integer() else None


def _shown(answer: object) -> str:
    return f"{answer!r:.60}" if answer not in ("", None) else "nothing"
