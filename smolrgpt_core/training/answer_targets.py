"""What the readings of the metric branch are trained on: the answer to a question as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from smolrgpt_core.answer.scoring import VECTORS, read_value
from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import AnswerTruth
from smolrgpt_core.language import Category
from smolrgpt_core.model.packing import TypedAnswer
from smolrgpt_core.model.value_readings import SLOTS
from smolrgpt_core.scene.spatial_scene import COLORS

FIRST_SIDES = ("right", "front", "above", "inside")
"""Of two opposites the one whose value is 1, as yes is 1 and no is 0."""

_ONE_NUMBER = (Category.DISTANCE, Category.QUANTITY)


def typed_answer(conversation: Conversation, truth: AnswerTruth) -> TypedAnswer:
    """The answer to a single question of which the simulator's truth is known.

    An answer that cannot be read, such as the letter of a multiple choice, leaves what is known of
    the regions.

    Args:
        conversation: in the style that is asked.
        truth: of its regions.
    """
    category = Category[truth.kind.upper()]
    try:
        value: Any = read_value(conversation.normalized_answer, category)
    except ValueError:
        return TypedAnswer(truths=_truths(truth, ()))
    if category is Category.RELATION and value in COLORS:
        # No reading of places says it.
        return TypedAnswer(truths=_truths(truth, ()))
    order = value if category is Category.LIST else ()
    return TypedAnswer(
        category.value,
        _number(category, value),
        _numbers(category, value, truth.parts),
        _truths(truth, order),
    )


def _number(category: Category, value: Any) -> float:
    """The value of `RegionAnswers.values`."""
    if category in (Category.LEFT_RIGHT, Category.RELATION):
        return float(value in FIRST_SIDES)
    if category in VECTORS or category is Category.LIST:
        return 0.0
    return float(value)


def _numbers(category: Category, value: Any, parts: Sequence[float]) -> tuple[float, ...]:
    """The numbers of an answer; after its only one, or none, come those on the way to it."""
    if category in VECTORS:
        return tuple(map(float, value))
    first = float(value) if category in _ONE_NUMBER else math.nan
    return (first, *parts)[:SLOTS]


def _truths(truth: AnswerTruth, order: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """What is known of each `<mask>`."""
    places = {index: float(place) for place, index in enumerate(order)}
    colors = [_place_of(name) for name in truth.colors] or [math.nan] * len(truth.boxes)
    return tuple(
        (*box, places.get(index, math.nan), color)
        for index, (box, color) in enumerate(zip(truth.boxes, colors, strict=True))
    )


def _place_of(color: str) -> float:
    return float(COLORS.index(color)) if color else math.nan
