"""The protocol that the node, the command line and the evaluation call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import SpatialQuestion


class Answerer(Protocol):
    """Answers questions about one frame. Implementations are thread-safe."""

    def prepare(self, frame: RGBDFrame) -> None:
        """Do what needs no question, so that answers about this frame come sooner.

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

    def answer_together(
        self, frame: RGBDFrame, questions: Sequence[SpatialQuestion]
    ) -> list[SpatialAnswer | SpatialError]:
        """Answer questions about one frame, together where that is faster.

        Returns:
            For each question what `answer` would return, or the SpatialError that it would raise:
            no question spoils another.
        """
        ...


def answer_or_error(
    answerer: Answerer, frame: RGBDFrame, question: SpatialQuestion
) -> SpatialAnswer | SpatialError:
    """The answer, or why there is none."""
    try:
        return answerer.answer(frame, question)
    except SpatialError as error:
        return error
