"""Plots of a study: scores over costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smolrgpt_core.extras import require
from smolrgpt_core.study.config import StudyConfig
from smolrgpt_core.study.table import BEFORE, StudyRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = ("trained", "processor seconds", "memory, MB")
_LOG_FROM = 10
"""Factor between the smallest and the largest place from which an axis of costs is logarithmic."""
_ASIDE = 1.03
"""Factor between the places of rows that have the same number."""
_LEGEND = 0.4
"""Height of the legend, in inches."""


def write_plots(study: StudyConfig, rows: Sequence[StudyRow], path: Path) -> None:
    """A row of plots for each evaluation, a color for each value of the first axis.

    Bars are 95 % intervals of the gain over the model before training: one that does not reach the
    dashed line has gained or lost something. Without such a model they are the spread over the
    repetitions.

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
    height = 3.2 * len(sets)
    figure = Figure(figsize=(3.6 * len(panels), height), dpi=100)
    grid = figure.subplots(len(sets), len(panels), squeeze=False, sharey="row")
    for line, name in zip(grid, sets, strict=True):
        for axes, (label, panel) in zip(line, panels.items(), strict=True):
            _draw(axes, study, rows, name, panel)
            axes.set_xlabel(label)
        line[0].set_ylabel(f"{name}, %")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=9)
    figure.tight_layout(rect=(0, _LEGEND / height, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path)


@dataclass(frozen=True)
class _Panel:
    """What is on the horizontal axis of a plot.

    Attributes:
        place: of a row.
        is_number: whether places are numbers of the study, along which rows are joined.
        is_name: whether places are those of names, which colors tell apart.
    """

    place: Callable[[StudyRow], float]
    is_number: bool = False
    is_name: bool = False


def _panels(study: StudyConfig) -> dict[str, _Panel]:
    """By label: numbers of the study, or else its only axis; and costs."""
    panels = {}
    compared = {axis: list(names) for axis, names in study.axes.items() if axis != study.repeats}
    for axis, names in compared.items():
        if len(names) > 1 and all(name.isdecimal() for name in names):
            panels[axis] = _Panel(lambda row, axis=axis: float(row.values[axis]), is_number=True)  # type: ignore[misc]
        elif len(compared) == 1:
            panels[axis] = _Panel(
                lambda row, axis=axis, names=names: names.index(row.values[axis]),  # type: ignore[misc]
                is_name=True,
            )
    for column in _COSTS:
        panels[column] = _Panel(lambda row, column=column: row.costs[column].mean)  # type: ignore[misc]
    return panels


def _draw(
    axes: Axes, study: StudyConfig, rows: Sequence[StudyRow], evaluation: str, panel: _Panel
) -> None:
    first = next(axis for axis in study.axes if axis != study.repeats)
    middle = (len(study.axes[first]) - 1) / 2
    for row in rows:
        if not row.values:
            score = row.scores[evaluation]["mean"].mean
            axes.axhline(score, color="gray", linestyle="--", linewidth=0.9, label=BEFORE)
    for number, name in enumerate(study.axes[first]):
        of_name = [row for row in rows if row.values.get(first) == name]
        if not of_name:
            continue
        # Rows in one place stand side by side, or their bars would hide each other.
        aside = _ASIDE ** (number - middle) if panel.is_number else 1.0
        axes.errorbar(
            [panel.place(row) * aside for row in of_name],
            [row.scores[evaluation]["mean"].mean for row in of_name],
            [_bar(row, evaluation) for row in of_name],
            color=f"C{number}", marker="o", markersize=4, linewidth=1, capsize=2, label=name,
            linestyle="-" if panel.is_number else "none",
        )  # fmt: skip
    _scale(axes, panel, sorted({panel.place(row) for row in rows if row.values}))
    axes.grid(alpha=0.3)


def _scale(axes: Axes, panel: _Panel, places: Sequence[float]) -> None:
    if panel.is_name:
        axes.set_xticks([])
        return
    # Memory of a short run may be measured as 0.
    if places[0] > 0 and (panel.is_number or places[-1] >= _LOG_FROM * places[0]):
        axes.set_xscale("log")
    if panel.is_number:
        axes.set_xticks(places, [f"{item:g}" for item in places])
        axes.minorticks_off()


def _bar(row: StudyRow, evaluation: str) -> float:
    """Half the length of the bar at a score."""
    if evaluation in row.gains:
        return row.gains[evaluation].interval
    spread = row.scores[evaluation]["mean"].spread
    return 0.0 if math.isnan(spread) else spread
