"""Answers of a running query node to its other clients."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from smolrgpt_core.answer import SpatialAnswer

LATEST = 30
"""Number of answers that are stored."""


@dataclass(frozen=True, eq=False)
class HeardAnswer:
    """A question from any client, with the node's answer or refusal."""

    question: str
    answer: SpatialAnswer


class Feed:
    """The latest answers of a node; thread-safe.

    Attributes:
        total: number of answers so far.
    """

    def __init__(self) -> None:
        self.total = 0
        self._answers: deque[HeardAnswer] = deque(maxlen=LATEST)
        self._lock = Lock()

    def add(self, question: str, answer: SpatialAnswer) -> None:
        """Add an answer.

        Args:
            question: as asked; may be empty where ids are enough.
            answer: to it.
        """
        with self._lock:
            self.total += 1
            self._answers.append(HeardAnswer(question, answer))

    def latest(self) -> list[HeardAnswer]:
        """The answers, latest first."""
        with self._lock:
            return list(reversed(self._answers))
