"""The bare answer of a record or a submission: how it is parsed, written and judged.

People and programs write numbers, numeric strings, number words, numbers with a unit, "l", "Left
side", "[Region 3]", or a whole sentence. Anything ambiguous is refused, never treated as a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer.reading import read_answer
from smolrgpt_core.answer.spatial_answer import UNITS, SpatialAnswer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.language.english import NUMBER_WORDS
from smolrgpt_core.language.interpreter import SAME_ANGLE_DEG

NormalizedAnswer = float | int | str
"""Meters (distance), number (count), index (mcq), "left" or "right"."""

AnswerValue = NormalizedAnswer | bool | tuple[int, ...] | NDArray[np.float64]
"""Of any category: also yes or no, the indices of a list, a vector."""

DISTANCE_TOLERANCE = 0.1
"""Largest relative error of a correct distance (the challenge's rule)."""

WHOLE_UNITS = ("objects", "h")
"""Units of quantities that are whole numbers."""

VECTORS = (Category.POSITION, Category.DIRECTION, Category.SIZE)
"""Categories of answers that are three numbers."""

NO_REGIONS = "none"
"""A list without any region."""

_NUMBERS = (Category.QUANTITY, Category.LIST, *VECTORS)

_EXPECTED = {
    Category.DISTANCE: "non-negative meters",
    Category.COUNT: "a non-negative integer",
    Category.MCQ: "the index of a region, starting at 0",
    Category.LEFT_RIGHT: '"left" or "right"',
    Category.TRUTH: '"yes" or "no"',
    Category.RELATION: 'a word such as "front"',
    Category.LIST: "indices of regions, with commas, or none",
    Category.QUANTITY: "a number",
    **dict.fromkeys(VECTORS, "three numbers, with commas"),
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
        ValueError: it cannot be parsed; the message states what was expected and what was found.
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
    """A number of JSON, infinite if it is an integer beyond what a float holds."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def write_normalized(value: NormalizedAnswer | bool | tuple[float, ...], unit: str = "") -> str:
    """A value as a data set writes it: measured numbers with two decimals.

    Args:
        value: int is an index or a number of objects; also what `NormalizedAnswer` does not have,
            yes or no, and the numbers of a vector.
        unit: of a number, one of `WHOLE_UNITS` for a whole one.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(f"{number:.2f}" for number in value)
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if unit in WHOLE_UNITS else f"{value:.2f}"


def normalized_answer(answer: SpatialAnswer, region_ids: Sequence[int]) -> str:
    """An answer as a data set writes it; a region as its place among the masks.

    Args:
        answer: of any category.
        region_ids: of the masks, in order.

    Raises:
        ValueError: for an answer without a category.
    """
    if answer.option:
        return answer.option
    if answer.category is None:
        raise ValueError(f"expected an answer of a category, got {answer}")
    value = answer_value(answer)
    if answer.category is Category.LEFT_RIGHT:
        return answer.side.name.lower()
    if answer.category is Category.MCQ:
        return write_regions((value,), region_ids)
    if answer.category is Category.LIST:
        return write_regions(value, region_ids)
    if answer.category in VECTORS:
        return write_normalized(tuple(map(float, value)))
    if answer.category in (Category.TRUTH, Category.RELATION):
        return write_normalized(value)
    return write_normalized(float(value), answer.unit or UNITS.get(answer.category, ""))


def write_regions(ids: Sequence[int], region_ids: Sequence[int]) -> str:
    """Regions as a data set writes them: their places among the masks.

    Args:
        ids: of the regions.
        region_ids: of the masks, in order; where one of `ids` has no mask, all are written as ids.
    """
    known = set(ids) <= set(region_ids)
    return ", ".join(str(region_ids.index(id) if known else id) for id in ids) or NO_REGIONS


def answer_value(answer: SpatialAnswer) -> Any:
    """What an answer consists of: the field that its category fills."""
    fields = {
        Category.LEFT_RIGHT: answer.side,
        Category.MCQ: answer.region_id,
        Category.TRUTH: answer.truth,
        Category.LIST: answer.answer_ids,
        Category.RELATION: answer.relation,
        Category.POSITION: answer.vector,
        Category.DIRECTION: answer.vector,
        Category.SIZE: answer.vector,
    }
    return answer.value if answer.category is None else fields.get(answer.category, answer.value)


def read_value(text: str, category: Category) -> AnswerValue:
    """The value of a bare answer of any category, as `normalized_answer` writes it.

    Args:
        text: "yes", "front", "0, 3", "1.00, -0.20, 4.10", or as `read_normalized` takes it.
        category: of the question.

    Raises:
        ValueError: it cannot be read; the message states what was expected and what was found.
    """
    if category in CATEGORIES.values():
        return read_normalized(text, category)
    word = text.strip().rstrip(".").lower()
    if category is Category.TRUTH and word in ("yes", "no"):
        return word == "yes"
    if category is Category.RELATION and word.isalpha():
        return word
    if category in _NUMBERS and all(map(_NUMBER.fullmatch, parts := re.split(r",\s*", word))):
        numbers = np.array([float(part) for part in parts])
        if category is Category.LIST and not (numbers % 1).any():
            return tuple(numbers.astype(int).tolist())
        if category is Category.QUANTITY and len(numbers) == 1:
            return float(numbers[0])
        if category in VECTORS and len(numbers) == 3:
            return numbers
    if category is Category.LIST and word == NO_REGIONS:
        return ()
    raise ValueError(f"expected {_EXPECTED[category]}, got {_shown(text)}")


def is_near(meters: float, truth: float) -> bool:
    """Whether a distance counts as correct: 90 % to 110 % of the true one, so that 0 must be 0.

    The bounds are computed as in the challenge's script, which decides what is exactly 10 % off.
    """
    return (1 - DISTANCE_TOLERANCE) * truth <= meters <= (1 + DISTANCE_TOLERANCE) * truth


def is_correct(
    category: Category, predicted: Any, truth: Any, unit: str = "", *, ordered: bool = False
) -> bool:
    """Whether an answer counts as correct.

    A distance, or another quantity or vector, must be near, see `is_near`; an angle and a direction
    within `SAME_ANGLE_DEG`; all else must be equal.

    Args:
        category: of the question.
        predicted: the answer in the form of the category, such as meters, or the ids of a list;
            None: no answer.
        truth: the true answer in the same form.
        unit: of a quantity.
        ordered: whether the order of a list counts.
    """
    if predicted is None:
        return False
    if category in VECTORS:
        return _is_same_vector(category, np.asarray(predicted), np.asarray(truth, dtype=np.float64))
    if category is Category.LIST:
        order = list if ordered else sorted
        return bool(order(predicted) == order(truth))
    if category in (Category.DISTANCE, Category.QUANTITY) and unit not in WHOLE_UNITS:
        value, true = float(predicted), float(truth)
        if unit == "deg":
            return abs((value - true + 180) % 360 - 180) <= SAME_ANGLE_DEG
        return is_near(value, true)
    return bool(predicted == truth)


def _is_same_vector(
    category: Category, predicted: NDArray[np.float64], truth: NDArray[np.float64]
) -> bool:
    if category is Category.DIRECTION:
        return bool(predicted @ truth >= np.cos(np.deg2rad(SAME_ANGLE_DEG)))
    return bool(np.linalg.norm(predicted - truth) <= DISTANCE_TOLERANCE * np.linalg.norm(truth))


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
        read = read_answer(text, category)
    except SpatialError:
        # Not readable is a result here; the caller says so.
        return None
    if category is Category.LEFT_RIGHT:
        return read.side.name.lower()
    return read.region_index if category is Category.MCQ else _checked(read.value, category)


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
