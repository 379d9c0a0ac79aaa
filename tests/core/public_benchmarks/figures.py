"""Figures of an outcome."""

from __future__ import annotations

from smolrgpt_core.public_benchmarks.scoring import Outcome


def values(outcome: Outcome) -> dict[str, float]:
    """The value of each figure by its name."""
    return {name: figure.value for name, figure in outcome.figures.items()}
