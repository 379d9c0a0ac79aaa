"""A model's output, parsed strictly as the value that its question asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from smolrgpt_core.answer import UNITS, Side, SpatialAnswer, read_answer
from smolrgpt_core.answer.scoring import VECTORS, read_value
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import CATEGORIES, Category, SpatialQuestion
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.operators import questions
from smolrgpt_core.language.options import choose
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import RegionSet


def output_error(problem: str, output: str) -> SpatialError:
    """The error for words that are no answer."""
    return SpatialError(
        Status.MODEL_ERROR,
        f"the model's answer cannot be used: {problem}; its output was {output!r}; rephrase "
        "the question, or use a checkpoint that was trained on such questions",
    )


def read_output(text: str, question: SpatialQuestion) -> Any:
    """The value of a model's output, in the form of its category.

    Args:
        text: a value or, for the four categories of the warehouse, a sentence.
        question: as the model was asked.

    Returns:
        A number, a `Side`, True or False, a word, the id of a region, a tuple of ids, or a vector
        (3,).

    Raises:
        SpatialError: MODEL_ERROR when it gives no such value, or one that cannot be.
    """
    category = question.category
    if category in CATEGORIES.values():
        parsed = read_answer(text, category)
        if category is Category.LEFT_RIGHT:
            return parsed.side
        if category is Category.MCQ:
            return _chosen_region(parsed.region_index, question, text)
        _check_count(parsed.value, question, text)
        return parsed.value
    try:
        value = read_value(text, category)
    except ValueError as error:
        raise output_error(str(error), text) from error
    if category is Category.LIST:
        assert isinstance(value, tuple)
        return tuple(_chosen_region(index, question, text) for index in value)
    _check_side(value, question, text)
    return value


def answer_of_value(value: Any, question: SpatialQuestion, regions: RegionSet) -> SpatialAnswer:
    """The answer with a value, without the centers of its regions.

    Args:
        value: as `read_output` returns it.
        question: that it answers.
        regions: of the frame.

    Raises:
        SpatialError: as `choose`, for multiple choice.
    """
    category, program = question.category, question.program
    asked = asked_side(program) if program else ""
    side = value if category is Category.LEFT_RIGHT else Side.NONE
    word = side.name.lower() if side is not Side.NONE else ""
    is_number = category in (Category.DISTANCE, Category.COUNT, Category.QUANTITY)
    known = None
    if program is not None:
        known = (word == asked if asked else word) if word else value
    unit = UNITS.get(category, program.unit if program and is_number else "")
    relation = value if category is Category.RELATION else ""
    option = ""
    if program is not None and question.options:
        option = choose(program, known, question.options, regions)
    return SpatialAnswer(
        status=Status.OK,
        category=category,
        text=_sentence(question, value, known, regions),
        value=value if is_number else None,
        unit=unit,
        region_id=value if category is Category.MCQ else None,
        answer_ids=_ids(category, value),
        side=side,
        truth=_truth(category, known, asked),
        relation="" if asked else word or relation,
        vector=np.asarray(value) if category in VECTORS else None,
        option=option,
        understood=say(program, regions) if program else "",
        model_value=value if is_number else None,
    )


def _ids(category: Category, value: Any) -> tuple[int, ...]:
    if category is Category.LIST:
        return tuple(value)
    return (value,) if category is Category.MCQ else ()


def _truth(category: Category, known: Any, asked: str) -> bool | None:
    return bool(known) if asked or category is Category.TRUTH else None


def _sentence(question: SpatialQuestion, value: Any, known: Any, regions: RegionSet) -> str:
    """The model's output, in the words of every answer."""
    if question.program is not None:
        return answer_sentence(question.program, known, regions, question.unit)
    sentences = {
        Category.DISTANCE: lambda: f"{value} m.",
        Category.COUNT: lambda: f"{value}.",
        Category.LEFT_RIGHT: lambda: f"{value.name.capitalize()}.",
        Category.MCQ: lambda: f"It is {regions[value].name}.",
    }
    return sentences[question.category]()


def _check_side(value: Any, question: SpatialQuestion, output: str) -> None:
    """Check that a word is one of the two that the question offers: "above" or "below"."""
    program = question.program
    if program is None or program.operator is not questions.Side:
        return
    offered = program.arguments[2].split("_")
    if value not in offered:
        raise output_error(f"{value!r} is neither {offered[0]!r} nor {offered[1]!r}", output)


def _chosen_region(index: int | None, question: SpatialQuestion, output: str) -> int:
    """Id of the region that the model calls `[Region index]`.

    Raises:
        SpatialError: MODEL_ERROR when it is not one of those to choose from.
    """
    ids, candidates = question.region_ids, question.candidate_ids
    if index is None or not 0 <= index < len(ids) or ids[index] not in candidates:
        choices = [place for place, id in enumerate(ids) if id in candidates]
        raise output_error(
            f"it chose [Region {index}], but the choices in the question are {choices}", output
        )
    return ids[index]


def _check_count(value: float | None, question: SpatialQuestion, output: str) -> None:
    """Refuse a count of more than the question lists, where it lists all that may count.

    Raises:
        SpatialError: MODEL_ERROR.
    """
    lists_all = question.program is not None and question.category is Category.COUNT
    if lists_all and value is not None and value > len(question.region_ids):
        raise output_error(
            f"it counted {value:g}, the question is about {len(question.region_ids)} regions",
            output,
        )
