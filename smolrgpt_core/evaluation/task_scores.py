"""Scores of the questions of a mixture, by task.

A task has questions of many forms: quantities, yes or no, multiple choice. Each answer is compared
with the truth by the rule of its form, see `answer.scoring.is_correct`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smolrgpt_core.answer.scoring import AnswerValue, is_correct, read_value
from smolrgpt_core.language import Category, SpatialQuestion, measure_of
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.question import asked_side

_OTHER_SIDE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class AnswerForm:
    """What the answer to a question looks like.

    Attributes:
        category: of the question; None for multiple choice, whose answer is a letter.
        unit: of a quantity.
        ordered: whether the order of a list counts.
        side: "left" or "right", where the question asks whether something is there.
        measure: what the question measures, see `measure_of`.
    """

    category: Category | None
    unit: str = ""
    ordered: bool = False
    side: str = ""
    measure: str = ""


@dataclass(frozen=True)
class TaskScore:
    """Correct answers of one task.

    Attributes:
        questions: how many were asked.
        right: how many of them were answered correctly.
    """

    questions: int
    right: int

    @property
    def percent(self) -> float:
        """Correct answers in percent."""
        return 100 * self.right / self.questions


@dataclass(frozen=True)
class TaskAnswer:
    """A prediction and the true answer, both as the data set writes them.

    Attributes:
        id: of the question.
        task: of the question.
        truth: the true answer.
        predicted: the prediction; empty for a refusal.
        correct: whether it counts as correct.
        form: of the answer; None where the question cannot be read.
    """

    id: str
    task: str
    truth: str
    predicted: str
    correct: bool
    form: AnswerForm | None

    @property
    def category(self) -> Category | None:
        """Of the question; None for multiple choice, and where it cannot be read."""
        return self.form.category if self.form else None

    @property
    def group(self) -> str:
        """The task."""
        return self.task


def form_of(question: SpatialQuestion) -> AnswerForm:
    """The form of a question's answer."""
    if question.options:
        return AnswerForm(None)
    program = question.program
    if program is None:
        return AnswerForm(question.category)
    ordered = program.operator in (selections.Sorted, selections.First)
    side, measure = asked_side(program), measure_of(program)
    return AnswerForm(question.category, program.unit, ordered, side, measure)


def check_truth(form: AnswerForm | None, truth: str) -> None:
    """Check that a true answer has the form of its question.

    Raises:
        ValueError: it has not; the message states what was expected and what was found.
    """
    if form is not None and form.category is not None:
        _value(form, form.category, truth)


def is_correct_answer(form: AnswerForm | None, predicted: str, truth: str) -> bool:
    """Whether a prediction counts as correct.

    Args:
        form: of the answer; None where the question cannot be read: no answer to it is correct.
        predicted: the prediction; empty for a refusal.
        truth: the true answer.

    Raises:
        ValueError: the true answer does not have the form.
    """
    if form is None:
        return False
    if form.category is None:
        return predicted == truth
    true = _value(form, form.category, truth)
    try:
        value = _value(form, form.category, predicted)
    except ValueError:
        # Not readable is a result here: it counts as wrong.
        return False
    return is_correct(form.category, value, true, form.unit, ordered=form.ordered)


def _value(form: AnswerForm, category: Category, text: str) -> AnswerValue:
    """The value of an answer; "yes" to "is it left?" is the side that was asked about."""
    if form.side and text in ("yes", "no"):
        return form.side if text == "yes" else _OTHER_SIDE[form.side]
    return read_value(text, category)


def task_scores(answers: Sequence[TaskAnswer]) -> dict[str, TaskScore]:
    """Correct answers by task, in the order of the names; empty without tasks."""
    return {
        task: TaskScore(
            len(of_task := [item for item in answers if item.task == task]),
            sum(item.correct for item in of_task),
        )
        for task in sorted({item.task for item in answers})
    }


def mean_percent(scores: Mapping[str, TaskScore]) -> float:
    """Mean over tasks of their correct answers, in percent."""
    return sum(item.percent for item in scores.values()) / len(scores)
