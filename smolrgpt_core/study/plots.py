"""Plots of a study: scores over costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smolrgpt_core.extras import require
from smolrgpt_core.study.config import StudyConfig
from smolrgpt_core.study.table import BEFORE, StudyRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = ("trained", "processor seconds", "memory, MB")


def write_plots(study: StudyConfig, rows: Sequence[StudyRow], path: Path) -> None:
    """A row of plots for each evaluation, a color for each value of the first axis.

    Args:
        study: of the rows.
        rows: with at least one trained model.
        path: of a PNG file.

    Raises:
        ImportError: matplotlib is not installed; the message says how to install it.
    """
    require("matplotlib", "data", "plots need matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(study)
    sets = list(study.evaluations)
    figure = Figure(figsize=(3.6 * len(panels), 3.2 * len(sets)), dpi=100)
    grid = figure.subplots(len(sets), len(panels), squeeze=False, sharey="row")
    for line, name in zip(grid, sets, strict=True):
        for axes, (label, place) in zip(line, panels.items(), strict=True):
            _draw(axes, study, rows, name, place)
            axes.set_xlabel(label)
        line[0].set_ylabel(f"{name}, %")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=9)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path)


def _panels(study: StudyConfig) -> dict[str, Callable[[StudyRow], float]]:
    """What is on the horizontal axis of each plot: numbers of the study, and costs."""
    panels: dict[str, Callable[[StudyRow], float]] = {}
    for axis, values in study.axes.items():
        if axis != study.repeats and len(values) > 1 and all(name.isdecimal() for name in values):
            panels[axis] = lambda row, axis=axis: float(row.values[axis])  # type: ignore[misc]
    for column in _COSTS:
        panels[column] = lambda row, column=column: row.costs[column].mean  # type: ignore[misc]
    return panels


def _draw(
    axes: Axes,
    study: StudyConfig,
    rows: Sequence[StudyRow],
    evaluation: str,
    place: Callable[[StudyRow], float],
) -> None:
    first = next(axis for axis in study.axes if axis != study.repeats)
    for row in rows:
        if not row.values:
            score = row.scores[evaluation]["mean"].mean
            axes.axhline(score, color="gray", linestyle="--", linewidth=0.9, label=BEFORE)
    for number, name in enumerate(study.axes[first]):
        of_name = [row for row in rows if row.values.get(first) == name]
        if not of_name:
            continue
        scores = [row.scores[evaluation]["mean"] for row in of_name]
        axes.errorbar(
            [place(row) for row in of_name],
            [score.mean for score in scores],
            [0 if math.isnan(score.spread) else score.spread for score in scores],
            color=f"C{number}", marker="o", markersize=4, linewidth=1, capsize=2, label=name,
        )  # fmt: skip
    if _fits_log_scale([place(row) for row in rows if row.values]):
        axes.set_xscale("log")
    axes.grid(alpha=0.3)


def _fits_log_scale(places: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows all places; memory of a short run may be measured as 0."""
    return all(place > 0 for place in places)
