"""Plots of an evaluation as images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import DISTANCE_TOLERANCE
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem, Evaluation
from smolrgpt_core.evaluation.reliability import OVERALL, Reliability
from smolrgpt_core.extras import require
from smolrgpt_core.language import Category

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

CATEGORIES = {
    Category.DISTANCE: "Quan_distance_acc",
    Category.COUNT: "Quan_count_acc",
    Category.LEFT_RIGHT: "Qual_left_right_acc",
    Category.MCQ: "Qual_mcq_acc",
}


MOST_BARS = 12
"""More tasks than these cannot be distinguished in one plot."""


def plots_of(evaluation: Evaluation) -> dict[str, NDArray[np.uint8]]:
    """Images (H, W, 3) by caption; only those with data."""
    scored = evaluation.systems[0].scored
    plots = {}
    if len(evaluation.systems[0].tasks) <= MOST_BARS:
        plots["Correct answers next to the baselines"] = _draw(_draw_bars, evaluation)
    for category, (caption, draw) in _PLOTS.items():
        answers = [
            item for item in scored if item.category is category and item.predicted is not None
        ]
        if answers:
            plots[caption] = _draw(draw, answers)
    if evaluation.systems[0].reliabilities:
        plots["Correct answers over confidence"] = reliability_diagram(evaluation.systems[0])
    return plots


def reliability_diagram(system: EvaluatedSystem) -> NDArray[np.uint8]:
    """Fraction of correct answers over confidence, as an image (H, W, 3); equal on the diagonal.

    Args:
        system: that has confidences.
    """
    return _draw(_draw_reliability, system.reliabilities)


def _draw(draw: Callable[..., None], *arguments: object) -> NDArray[np.uint8]:
    canvas, axes = _new_canvas()
    draw(axes, *arguments)
    canvas.figure.tight_layout()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_bars(axes: Axes, evaluation: Evaluation) -> None:
    """Correct answers by category or task, a bar for each system."""
    count = len(evaluation.systems)
    width = 0.8 / count
    for number, system in enumerate(evaluation.systems):
        accuracies = _accuracies(system)
        places = np.arange(len(accuracies)) + (number - (count - 1) / 2) * width
        bars = axes.bar(places, list(accuracies.values()), width * 0.94, label=system.name)
        axes.bar_label(bars, fmt="%.0f", fontsize=8 if len(accuracies) < 6 else 5)
    names = list(_accuracies(evaluation.systems[0]))
    axes.set_xticks(np.arange(len(names)), names, rotation=0 if len(names) < 6 else 20, fontsize=8)
    axes.set_ylim(0, 118)
    axes.set_ylabel("correct answers, %")
    axes.legend(ncols=2, fontsize=8, loc="upper center")


def _accuracies(system: EvaluatedSystem) -> dict[str, float]:
    """Percent of correct answers by the name of a category or task."""
    if system.tasks:
        return {name.replace("_", "\n"): score.percent for name, score in system.tasks.items()}
    return {
        category.name.lower().replace("_", "/"): system.scores.get(key, np.nan)
        for category, key in CATEGORIES.items()
    }


def _draw_reliability(axes: Axes, reliabilities: Mapping[str, Reliability]) -> None:
    """A line for each category, with a dot for each bin, larger where there are more answers."""
    axes.plot([0, 1], [0, 1], linestyle="--", linewidth=0.8, color="gray")
    for name, found in reliabilities.items():
        confidence = [item.confidence for item in found.bins]
        right = [item.right for item in found.bins]
        sizes = [8 + 120 * item.answers / found.answers for item in found.bins]
        color = "black" if name == OVERALL else None
        (line,) = axes.plot(
            confidence, right, linewidth=1, color=color,
            label=f"{name.replace('_', '/')} ({found.answers}), "
            f"ECE {found.expected_calibration_error:.1%}",
        )  # fmt: skip
        axes.scatter(confidence, right, sizes, color=line.get_color(), alpha=0.6)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("confidence")
    axes.set_ylabel("fraction of correct answers")
    axes.legend(fontsize=8, loc="upper left")


def _draw_distances(axes: Axes, answers: Sequence[ScoredAnswer]) -> None:
    """Relative error of each distance over the true distance, correct ones in another color."""
    pairs = [(float(item.truth), float(item.predicted or 0), item.correct) for item in answers]
    truth, predicted, correct = map(np.array, zip(*pairs, strict=True))
    shown = truth > 0
    error = 100 * (predicted[shown] / truth[shown] - 1)
    limit = max(25.0, float(np.quantile(np.abs(error), 0.98)) * 1.1) if shown.any() else 25.0
    is_correct = correct[shown].astype(bool)
    for mask, name, marker in ((is_correct, "correct", "o"), (~is_correct, "wrong", "x")):
        axes.scatter(
            truth[shown][mask], np.clip(error[mask], -limit, limit), s=12, marker=marker,
            label=f"{name} ({np.count_nonzero(mask)})",
        )  # fmt: skip
    for bound in (-100 * DISTANCE_TOLERANCE, 100 * DISTANCE_TOLERANCE):
        axes.axhline(bound, linestyle="--", linewidth=0.8, color="gray")
    axes.set_xlabel("true distance, m")
    axes.set_ylabel("error, %")
    axes.legend(fontsize=8)


def _draw_confusion(axes: Axes, answers: Sequence[ScoredAnswer]) -> None:
    """How often each truth (rows) got each answer (columns)."""
    values = sorted({int(value) for item in answers for value in (item.truth, item.predicted or 0)})
    place = {value: index for index, value in enumerate(values)}
    table = np.zeros((len(values), len(values)), dtype=int)
    for item in answers:
        table[place[int(item.truth)], place[int(item.predicted or 0)]] += 1
    axes.imshow(np.sqrt(table), cmap="Blues")
    for (row, column), number in np.ndenumerate(table):
        if number:
            dark = table[row, column] > table.max() / 3
            axes.text(
                column, row, str(number), ha="center", va="center", fontsize=8,
                color="white" if dark else "black",
            )  # fmt: skip
    axes.set_xticks(range(len(values)), list(map(str, values)))
    axes.set_yticks(range(len(values)), list(map(str, values)))
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")


_PLOTS = {
    Category.DISTANCE: ("Distance errors over the true distance", _draw_distances),
    Category.COUNT: ("Counts: truth and answer", _draw_confusion),
    Category.MCQ: ("Choices: index of the correct region and of the answer", _draw_confusion),
}


def _new_canvas() -> tuple[FigureCanvasAgg, Axes]:
    """A canvas that needs no display, with one plot.

    Raises:
        ImportError: matplotlib is not installed; the message says how to install it.
    """
    require("matplotlib", "data", "plots need matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110)
    return FigureCanvasAgg(figure), figure.add_subplot()
