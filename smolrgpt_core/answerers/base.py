"""The protocol that the node, the command line and the evaluation call."""

from __future__ import annotations

from typing import Protocol

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import SpatialQuestion


class Answerer(Protocol):
    """Answers questions about one frame. Implementations are thread-safe."""

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: whenever there is no answer (unknown region, no valid depth, cannot
                tell, ...); the returned answer always has the status OK.
        """
        ...
