"""The table of a study: one row for each combination of settings, with mean and spread."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.markdown import markdown_table
from smolrgpt_core.study.config import StudyConfig

SCORES = {
    "mean": "Final_weighted_score",
    "distance": "Quan_distance_acc",
    "count": "Quan_count_acc",
    "left/right": "Qual_left_right_acc",
    "choice": "Qual_mcq_acc",
}
"""The challenge's scores in percent, by column."""

COSTS = {
    "trained": "trained_parameters",
    "file, kB": "artifact_bytes",
    "seconds": "seconds",
    "processor seconds": "processor_seconds",
    "memory, MB": "memory_bytes",
    "questions": "questions",
}
"""Costs of training, by column."""

_UNITS = {"artifact_bytes": 1e3, "memory_bytes": 1e6}

BEFORE = "before training"
"""Name of the row of a checkpoint that runs begin with."""


@dataclass(frozen=True)
class Measured:
    """Values of repeated runs.

    Attributes:
        values: one or more.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation of the values; NaN for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Gain:
    """Questions that a model answers and another one does not, less the reverse.

    Attributes:
        points: of all questions, in percent.
        interval: half of the 95 % interval, from how the questions differ. Repetitions answer the
            same questions, so they make it no smaller than one model's questions allow.
    """

    points: float
    interval: float

    @classmethod
    def of(cls, before: Sequence[Mapping[str, bool]], after: Sequence[Mapping[str, bool]]) -> Gain:
        """The gain of repeated runs.

        Args:
            before: of each run that is compared with, whether it answers a question correctly, by
                id of the question.
            after: the same of each run whose gain it is.
        """
        gains = [
            100 * (statistics.fmean(run[id] for run in after)
                   - statistics.fmean(run[id] for run in before))
            for id in before[0]
        ]  # fmt: skip
        deviation = statistics.stdev(gains) if len(gains) > 1 else math.nan
        return cls(statistics.fmean(gains), 1.96 * deviation / math.sqrt(len(gains)))

    def __str__(self) -> str:
        """Such as "+11.2 ± 4.0"."""
        return f"{self.points:+.1f} ± {self.interval:.1f}"


@dataclass(frozen=True)
class StudyRow:
    """Repeated runs of the same settings.

    Attributes:
        values: names by axis, without that of the repetitions; none for a checkpoint before
            training.
        runs: number of repetitions.
        costs: by column of `COSTS`; empty for a checkpoint before training.
        scores: by evaluation and column of `SCORES`, with "refused" in percent of the questions.
        gains: over the model before training, by evaluation; empty where there is not one
            checkpoint that all runs begin with.
        gains_over_reference: by evaluation, over the same repetitions of the study's reference;
            empty for the reference itself, and where none of them is finished.
    """

    values: Mapping[str, str]
    runs: int
    costs: Mapping[str, Measured]
    scores: Mapping[str, Mapping[str, Measured]]
    gains: Mapping[str, Gain] = field(default_factory=dict)
    gains_over_reference: Mapping[str, Gain] = field(default_factory=dict)


def rows_of(study: StudyConfig, results: Sequence[Mapping[str, Any]]) -> list[StudyRow]:
    """Rows in the order of the results.

    Args:
        study: which names the axis of repetitions.
        results: of `Job.result`, complete ones.
    """
    bases = [result for result in results if not result["trained"]]
    groups: dict[tuple[tuple[str, str], ...], list[Mapping[str, Any]]] = {}
    for result in results:
        values = {axis: name for axis, name in result["values"].items() if axis != study.repeats}
        groups.setdefault(tuple(values.items()), []).append(result)
    return [
        StudyRow(
            dict(values),
            len(group),
            _costs(group),
            _scores(study, group),
            _gains(study, bases, group) if values and len(bases) == 1 else {},
            _gains(study, *_beside_reference(study, group, results)),
        )
        for values, group in groups.items()
    ]


def _gains(
    study: StudyConfig, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, Gain]:
    if not before:
        return {}
    return {
        name: Gain.of(
            *([item["evaluations"][name]["correct"] for item in runs] for runs in (before, after))
        )
        for name in study.evaluations
    }


def _beside_reference(
    study: StudyConfig, group: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Runs of the reference, and those of a row that differ from one of them in nothing else."""
    pairs = [
        (reference, run)
        for run in group
        for reference in results
        if reference["values"] == {**run["values"], **study.reference} and reference is not run
    ]
    return [reference for reference, _ in pairs], [run for _, run in pairs]


def _costs(group: Sequence[Mapping[str, Any]]) -> dict[str, Measured]:
    if not group[0]["trained"]:
        return {}
    return {
        column: Measured(tuple(item["trained"][key] / _UNITS.get(key, 1) for item in group))
        for column, key in COSTS.items()
    }


def _scores(
    study: StudyConfig, group: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Measured]]:
    found = {}
    for name in study.evaluations:
        results = [item["evaluations"][name] for item in group]
        columns = {
            column: Measured(tuple(item["scores"][key] for item in results))
            for column, key in SCORES.items()
            if all(key in item["scores"] for item in results)
        }
        refused = tuple(
            100 * sum(item["refusals"].values()) / item["questions"] for item in results
        )
        found[name] = columns | {"refused": Measured(refused)}
    return found


def as_csv(study: StudyConfig, rows: Sequence[StudyRow]) -> str:
    """All numbers; two columns, mean and spread, for each."""
    axes = _axes(study)
    table = []
    for row in rows:
        cells: dict[str, Any] = {axis: row.values.get(axis, BEFORE) for axis in axes}
        cells["runs"] = row.runs
        for name, gain in row.gains.items():
            cells[f"{name}: gain"] = gain.points
            cells[f"{name}: gain (95 %)"] = gain.interval
        for name, gain in row.gains_over_reference.items():
            cells[f"{name}: over {_reference(study)}"] = gain.points
            cells[f"{name}: over {_reference(study)} (95 %)"] = gain.interval
        for column, measured in _columns(row):
            cells[column] = measured.mean
            cells[f"{column} (spread)"] = "" if math.isnan(measured.spread) else measured.spread
        table.append(cells)
    file = io.StringIO()
    names = list(dict.fromkeys(name for cells in table for name in cells))
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue()


def as_markdown(study: StudyConfig, rows: Sequence[StudyRow]) -> str:
    """Tables of costs and mean scores, of gains over the reference, and of the categories."""
    sets = list(study.evaluations)
    head = ["trained", "file, kB", "seconds", "processor seconds", "memory, MB"]
    tables = [
        _markdown(
            study,
            rows,
            [*head, *(column for name in sets for column in (name, f"{name}, gain"))],
            lambda row: [
                *(row.costs.get(column) for column in head),
                *(
                    cell
                    for name in sets
                    for cell in (row.scores[name]["mean"], row.gains.get(name))
                ),
            ],
        )
    ]
    if compared := [row for row in rows if row.gains_over_reference]:
        tables.append(
            f"Gain over {_reference(study)}, all else equal, in the same questions:\n\n"
            + _markdown(
                study, compared, sets, lambda row: [row.gains_over_reference[name] for name in sets]
            )
        )
    for name in sets:
        columns = [*list(SCORES)[1:], "refused"]
        tables.append(
            f"By category, {name}:\n\n"
            + _markdown(
                study,
                rows,
                columns,
                lambda row, name=name, columns=columns: [  # type: ignore[misc]
                    row.scores[name].get(column) for column in columns
                ],
            )
        )
    return "\n\n".join(tables)


def _markdown(
    study: StudyConfig,
    rows: Sequence[StudyRow],
    columns: Sequence[str],
    cells: Callable[[StudyRow], Sequence[Measured | Gain | None]],
) -> str:
    axes = _axes(study)
    lines = []
    for row in rows:
        names = [row.values[axis] for axis in axes] if row.values else _names_before(axes)
        lines.append([*names, str(row.runs), *map(shown, cells(row))])
    return markdown_table([*axes, "runs", *columns], lines)


def _names_before(axes: Sequence[str]) -> list[str]:
    return [BEFORE, *[""] * (len(axes) - 1)]


def _reference(study: StudyConfig) -> str:
    return " ".join(text for item in study.reference.items() for text in item)


def _axes(study: StudyConfig) -> list[str]:
    return [axis for axis in study.axes if axis != study.repeats]


def _columns(row: StudyRow) -> Iterator[tuple[str, Measured]]:
    yield from row.costs.items()
    for name, columns in row.scores.items():
        yield from ((f"{name}: {column}", measured) for column, measured in columns.items())


def shown(measured: Measured | Gain | None) -> str:
    """Such as "61.2 ± 0.8"; large numbers without decimals; nothing for what is not known."""
    if isinstance(measured, Gain):
        return str(measured)
    if measured is None or math.isnan(measured.mean):
        return ""
    digits = 0 if abs(measured.mean) >= 100 else 1
    text = f"{measured.mean:,.{digits}f}"
    if math.isnan(measured.spread) or not measured.spread:
        return text
    return f"{text} ± {measured.spread:,.{digits}f}"
