"""Figures of several outcomes side by side, as text for the terminal and the page of a run."""

from __future__ import annotations

from collections.abc import Mapping

from smolrgpt_core.public_benchmarks.scoring import PERCENT, Figure, Outcome

LONG_FIGURE = 1e6
"""From here on a figure is written with an exponent: an answer such as 10^20 makes such errors."""

UNREADABLE = "unreadable or missing"
"""Name of the last row."""


def figure_rows(outcomes: Mapping[str, Outcome]) -> list[tuple[str, ...]]:
    """A row for each figure, its name first, then its value by each outcome; empty where it has
    none. The last row is the fraction of answers that are missing or cannot be read.

    Args:
        outcomes: by name, one column each.
    """
    names = dict.fromkeys(name for found in outcomes.values() for name in found.figures)
    rows = [
        (name, *(_figure_text(found.figures.get(name)) for found in outcomes.values()))
        for name in names
    ]
    return [*rows, (UNREADABLE, *map(_unread_text, outcomes.values()))]


def _unread_text(outcome: Outcome) -> str:
    asked = len(outcome.verdicts)
    return f"{100 * outcome.unread / asked:.2f} ({asked})" if asked else ""


def _figure_text(figure: Figure | None) -> str:
    if figure is None:
        return ""
    unit = "" if figure.unit == PERCENT else f" {figure.unit}".rstrip()
    if abs(figure.value) >= LONG_FIGURE:
        return f"{figure.value:.2g}{unit} ({figure.of})"
    digits = 0 if figure.unit == "answers" else 3 if figure.unit == "" else 2
    return f"{figure.value:.{digits}f}{unit} ({figure.of})"
