"""How well confidences predict the fraction of correct answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

OVERALL = "overall"
"""Name of all categories together."""

BINS = 10
"""Confidences are put together in so many intervals of the same width."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of similar confidence.

    Attributes:
        answers: how many.
        confidence: their mean.
        right: fraction of them that is correct.
    """

    answers: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """Confidences compared with the truth.

    Attributes:
        bins: by rising confidence; empty intervals are skipped.
    """

    bins: tuple[ReliabilityBin, ...]

    @property
    def answers(self) -> int:
        """How many."""
        return sum(item.answers for item in self.bins)

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of confidence and fraction of correct answers over the bins, by answers."""
        gaps = [item.answers * abs(item.confidence - item.right) for item in self.bins]
        return sum(gaps) / self.answers

    @property
    def right(self) -> float:
        """Fraction of all answers that is correct."""
        return sum(item.answers * item.right for item in self.bins) / self.answers

    @property
    def confidence(self) -> float:
        """Mean of all."""
        return sum(item.answers * item.confidence for item in self.bins) / self.answers

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "answers": self.answers,
            "right": self.right,
            "confidence": self.confidence,
            "expected_calibration_error": self.expected_calibration_error,
            "bins": [asdict(item) for item in self.bins],
        }


def reliability(confidences: Sequence[float], correct: Sequence[bool]) -> Reliability | None:
    """Put answers into `BINS` bins of confidence.

    Args:
        confidences: 0 to 1; answers with NaN are skipped.
        correct: whether each of them is correct.

    Returns:
        None when no confidence is known.
    """
    confidence, truth = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    known = ~np.isnan(confidence)
    confidence, truth = confidence[known], truth[known]
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = [
        ReliabilityBin(
            int(inside.sum()), float(confidence[inside].mean()), float(truth[inside].mean())
        )
        for place in range(BINS)
        if (inside := places == place).any()
    ]
    return Reliability(tuple(found)) if found else None
