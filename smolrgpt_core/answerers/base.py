"""The protocol that the node, the command line and the evaluation call."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import SpatialQuestion

NO_DEADLINE = math.inf


class Answerer(Protocol):
    """Answers questions about one frame. Implementations are thread-safe."""

    @property
    def free_text(self) -> bool:
        """Whether it accepts text that no parser has understood."""
        ...

    def prepare(self, frame: RGBDFrame) -> None:
        """Precompute what depends on the frame alone, so that answers about it come sooner.

        Raises:
            SpatialError: the frame cannot be used.
        """
        ...

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: whenever there is no answer (unknown region, no valid depth, cannot
                tell, ...); the returned answer always has the status OK.
        """
        ...

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """Answer questions about one frame, together where that is faster.

        Args:
            frame: what they are about.
            questions: what is asked.
            deadlines: one for each question, by `time.monotonic()`, in seconds; `NO_DEADLINE` for
                as long as it takes. None: no question has one.

        Returns:
            For each question what `answer` would return, or the SpatialError that it would raise:
            no question spoils another. TIMEOUT for those whose deadline passes before their answer
            is there; nothing more is computed for them.
        """
        ...


class UntrainedQuestionError(SpatialError):
    """A question of a kind that a model was not trained on."""


class UncertainAnswerError(SpatialError):
    """An answer that is less certain than required, and alone would be CANNOT_TELL.

    Attributes:
        answer: the likeliest one.
    """

    def __init__(self, message: str, answer: SpatialAnswer) -> None:
        super().__init__(Status.CANNOT_TELL, message)
        self.answer = answer

    def __reduce__(self) -> tuple[Any, ...]:
        """Makes the error picklable, for worker processes."""
        return type(self), (self.message, self.answer)


def answers_about(
    answerer: Answerer,
    frame: RGBDFrame,
    questions: Sequence[SpatialQuestion],
    deadlines: Sequence[float] | None = None,
) -> list[SpatialAnswer | SpatialError]:
    """The result of `answer_batch`, with warnings about the frame in each message.

    That is how much of the depth was taken for no reading: of an answer where it is much, of a
    refusal for want of depth in any case.

    Args:
        answerer: that is asked.
        frame: that all questions are about.
        questions: to answer.
        deadlines: one for each question, by `time.monotonic()`, seconds; None: no limit.
    """
    outcomes = answerer.answer_batch(frame, questions, deadlines)
    return [_with_depth_loss(outcome, frame) for outcome in outcomes]


def _with_depth_loss(
    outcome: SpatialAnswer | SpatialError, frame: RGBDFrame
) -> SpatialAnswer | SpatialError:
    loss = frame.depth_loss
    wants_depth = outcome.status is Status.NO_VALID_DEPTH and loss.fraction > 0
    if not (loss.is_reported or wants_depth):
        return outcome
    message = f"{outcome.message}; {loss}" if outcome.message else str(loss)
    if isinstance(outcome, SpatialError):
        return SpatialError(outcome.status, message)
    return replace(outcome, message=message)


def each_deadline(
    questions: Sequence[SpatialQuestion], deadlines: Sequence[float] | None
) -> list[float]:
    """One deadline for each question.

    Raises:
        ValueError: when there are not as many deadlines as questions.
    """
    if deadlines is None:
        return [NO_DEADLINE] * len(questions)
    if len(deadlines) != len(questions):
        raise ValueError(
            f"deadlines must be one for each of {len(questions)} questions, got {len(deadlines)}"
        )
    return list(deadlines)


def answer_as_batch(
    answerer: Answerer, frame: RGBDFrame, question: SpatialQuestion
) -> SpatialAnswer:
    """The answer to one question, as a batch of one.

    Args:
        answerer: that is asked.
        frame: that the question is about.
        question: to answer.

    Raises:
        SpatialError: there is no answer.
    """
    (outcome,) = answerer.answer_batch(frame, [question])
    if isinstance(outcome, SpatialError):
        raise outcome
    return outcome


def answer_or_error(
    answerer: Answerer, frame: RGBDFrame, question: SpatialQuestion, deadline: float = NO_DEADLINE
) -> SpatialAnswer | SpatialError:
    """The answer, or why there is none; a question is not begun after its deadline.

    Args:
        answerer: that is asked.
        frame: that the question is about.
        question: to answer.
        deadline: by `time.monotonic()`, seconds.
    """
    late_s = time.monotonic() - deadline
    if late_s >= 0:
        return SpatialError(
            Status.TIMEOUT,
            f"the deadline passed {late_s:.2f} s before the question was processed; allow more "
            f"time, or ask fewer questions at once",
        )
    try:
        return answerer.answer(frame, question)
    except SpatialError as error:
        return error
