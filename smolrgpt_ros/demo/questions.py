"""The questions of the demo, their forms, and the rows of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import CATEGORIES, Category, SpatialQuestion, read_question
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.report import ReportRow, compare_with_truth, compared_row
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import (
    ALL_WAREHOUSE_FORMS,
    QuestionWithTruth,
    RegionStyle,
    generate_questions,
)
from smolrgpt_core.truth import SceneTruth
from smolrgpt_ros.srv import SpatialQuery

MORE_FORMS = (
    ("fits_through", "is_nearer", "room_in_buffer"),
    ("front_or_behind", "above_or_below"),
    ("position", "bearing", "free_area"),
)
"""Question forms beyond the four categories: yes/no, side, position and quantity."""


TRIES = 4
"""Of each of these forms, as not every pair of regions makes a clear question."""


class Form(Enum):
    """How a request expresses its question."""

    PLAIN = "plain English"
    MASKS = "<mask> placeholders with region ids"
    TYPED = "category and region ids, no text"


@dataclass(frozen=True, eq=False)
class DemoQuestion:
    """One request with the expected answer.

    Attributes:
        shown: the question as displayed.
        request: as sent, without stamp.
        category: kind of answer asked for.
        truth: the true answer; None if a refusal is expected.
        status: the expected status.
    """

    shown: str
    request: SpatialQuery.Request
    category: Category
    truth: QuestionWithTruth | None = None
    status: Status = Status.OK


def questions_about(
    regions: RegionSet, truth: SceneTruth, turn: int, seed: int, used_forms: set[str]
) -> list[DemoQuestion]:
    """One question of each kind that the frame offers, preferably of forms not yet used.

    Kinds are the four categories of the warehouse and the groups of `MORE_FORMS`; these are asked
    in plain English.

    Args:
        regions: of the frame.
        truth: of the frame.
        turn: number of the frame, so that each category is asked in every form.
        seed: of the selection.
        used_forms: question forms used so far; updated.
    """
    rng = np.random.default_rng([seed, turn])
    scene = TrueScene(truth, regions)
    candidates = generate_questions(scene, rng, style=RegionStyle.PLAIN, forms=ALL_WAREHOUSE_FORMS)
    questions = []
    for number, category in enumerate(CATEGORIES.values()):
        form = list(Form)[(turn + number) % len(Form)]
        choices = [choice for choice in candidates if choice.category is category]
        questions += _first_in_form(choices, form, regions, used_forms)
    for forms in MORE_FORMS:
        choices = generate_questions(
            scene, rng, style=RegionStyle.PLAIN, forms=forms, per_form=TRIES
        )
        questions += _first_in_form(choices, Form.PLAIN, regions, used_forms)
    return questions


def _first_in_form(
    choices: list[QuestionWithTruth], form: Form, regions: RegionSet, used_forms: set[str]
) -> list[DemoQuestion]:
    """The best choice: one that this form can express, preferably of a new kind."""
    choices = sorted(choices, key=lambda choice: choice.form in used_forms)
    if form is Form.TYPED:
        choices.sort(key=lambda choice: not _is_expressed_by_category(choice.question, regions))
    if not choices:
        return []
    used_forms.add(choices[0].form)
    return [_in_form(choices[0], form, regions)]


def questions_without_answer() -> list[DemoQuestion]:
    """Questions without an answer, to show that the node gives the reason instead of a guess."""
    unknown = "How far is pallet 999 from buffer 1?"
    unclear = "Which pallet is the heaviest?"
    return [
        DemoQuestion(
            unknown,
            SpatialQuery.Request(question=unknown),
            Category.DISTANCE,
            status=Status.UNKNOWN_REGION,
        ),
        DemoQuestion(
            unclear,
            SpatialQuery.Request(question=unclear),
            Category.MCQ,
            status=Status.BAD_QUESTION,
        ),
    ]


def _in_form(truth: QuestionWithTruth, form: Form, regions: RegionSet) -> DemoQuestion:
    question = truth.question
    ids = list(question.region_ids)
    if form is Form.TYPED and _is_expressed_by_category(question, regions):
        names = ", ".join(regions[id].name for id in ids)
        shown = f"{question.category.name} [{names}]"
        request = SpatialQuery.Request(category=int(question.category), region_ids=ids)
    elif form is Form.MASKS and ids:
        shown = f"{question.text} {ids}"
        request = SpatialQuery.Request(question=question.text, region_ids=ids)
    else:
        shown = truth.text
        request = SpatialQuery.Request(question=truth.text)
    return DemoQuestion(shown, request, question.category, truth)


def _is_expressed_by_category(question: SpatialQuestion, regions: RegionSet) -> bool:
    """Whether category and ids alone mean the same as the text."""
    try:
        typed = read_question("", regions, question.category, question.region_ids)
    except SpatialError:
        return False
    return typed.program == question.program


def judge(
    question: DemoQuestion,
    answer: SpatialAnswer,
    regions: RegionSet,
    image: NDArray[np.uint8] | None,
) -> ReportRow:
    """The answer compared with the truth, or with the expected refusal.

    Args:
        question: as asked.
        answer: the response.
        regions: of the frame.
        image: the annotated image.
    """
    compared = "no answer", "", answer.status is question.status
    if question.truth is not None:
        compared = compare_with_truth(question.truth, answer, regions)
    if answer.status is not question.status:
        truth_text, _, is_correct = compared
        compared = truth_text, f"expected {question.status.name}", is_correct
    return compared_row(question.shown, question.category, answer, regions, compared, image)


def wrong_answers(rows: Sequence[ReportRow]) -> list[str]:
    """A line for each row that is not correct."""
    return [
        f"{row.question}: got {row.answer_text!r} ({row.status.name}), "
        f"expected {row.truth_text!r} {row.error_text}".rstrip()
        for row in rows
        if not row.within_tolerance
    ]
