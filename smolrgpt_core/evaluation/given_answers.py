"""Reads `normalized_answer` as people and programs write it.

A submission holds numbers, texts of numbers, number words, "Left side", "[Region 3]", or a whole
sentence. What cannot be read for sure is None: it is never taken for a value.
"""

from __future__ import annotations

import math

from smolrgpt_core.answer import read_answer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.question import Category
from smolrgpt_core.question.vocabulary import NUMBER_WORDS

GivenAnswer = float | int | str
"""Metres (distance), number (count), index (mcq), "left" or "right"."""


def read_given(answer: object, category: Category) -> GivenAnswer | None:
    """The value of an answer in a file, or None when it is not clear.

    Args:
        answer: a number or a text, as JSON has it.
        category: of the question.
    """
    if isinstance(answer, str):
        return _read_text(answer.strip(), category)
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        return _checked(float(answer), category)
    return None


def _read_text(text: str, category: Category) -> GivenAnswer | None:
    number = _bare_number(text)
    if number is not None:
        return _checked(number, category)
    try:
        said = read_answer(text, category)
    except SpatialError:
        # Not readable is a result here, and is counted by whoever asks.
        return None
    if category is Category.LEFT_RIGHT:
        return said.side.name.lower()
    return said.region_index if category is Category.MCQ else _checked(said.value, category)


def _bare_number(text: str) -> float | None:
    """A text that is nothing but a number, in digits or as a word."""
    word = text.rstrip(".").lower()
    if word in NUMBER_WORDS:
        return float(NUMBER_WORDS[word])
    try:
        return float(text)
    except ValueError:
        return None


def _checked(value: float | None, category: Category) -> GivenAnswer | None:
    """The number, if the category has such numbers."""
    if value is None or not math.isfinite(value) or value < 0 or category is Category.LEFT_RIGHT:
        return None
    if category is Category.MCQ:
        return int(value) if value == int(value) else None
    return value
