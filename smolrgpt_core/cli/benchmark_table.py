"""`smolrgpt benchmark --table`: results of this machine beside the figures that papers print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error, read_json
from smolrgpt_core.public_benchmarks.names import RESULT_FILE
from smolrgpt_core.public_benchmarks.published_figures import COLUMNS, PUBLISHED
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.text_tables import headed_table


@dataclass(frozen=True)
class OwnResult:
    """A result file, scored by one rule.

    Attributes:
        benchmark: name of the benchmark.
        model: and how it was asked, where that is out of the ordinary.
        track: its input.
        rule: name of the scorer.
        figures: (percent, denominator) by name.
    """

    benchmark: str
    model: str
    track: str
    rule: str
    figures: Mapping[str, tuple[float, int]]


def print_published(paths: Sequence[Path], scorers: Sequence[str]) -> None:
    """Print a table for each benchmark that there is a result of.

    Args:
        paths: result files, or folders with one.
        scorers: rules to show; empty: the first of each result.

    Raises:
        typer.Exit: a file cannot be used.
    """
    if not paths:
        raise typer.BadParameter(
            f"expected the folders of runs, or their {RESULT_FILE}", param_hint="--table"
        )
    with exit_on(WRONG_CALL, SpatialError):
        results = [item for path in paths for item in read_result(path, scorers)]
    console = Console()
    for name in dict.fromkeys(result.benchmark for result in results):
        own = [result for result in results if result.benchmark == name]
        sources = list(dict.fromkeys(row.source for row in PUBLISHED[name]))
        for columns in COLUMNS[name]:
            console.print(_table(name, columns, own, sources))
        for number, source in enumerate(sources, start=1):
            console.print(Text(f"[{number}] {source}", "dim"))


def read_result(path: Path, scorers: Sequence[str]) -> list[OwnResult]:
    """The results of a file, one for each rule.

    Args:
        path: a result file, or a folder with one.
        scorers: as of `print_published`.

    Raises:
        SpatialError: BAD_INPUT when it is none, or has no such rule.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    if not file.is_file():
        raise file_error(
            file, "expected the result of a run; `smolrgpt benchmark --model` makes it"
        )
    content = read_json(file)
    try:
        benchmark, run = content["benchmark"], content["run"]
        rules = list(scorers) or list(content["scorers"])[:1]
        if benchmark not in BENCHMARKS:
            raise KeyError(f"benchmark {benchmark!r}")
        model = _named(run)
        return [
            OwnResult(benchmark, model, run["model"].get("track", "none"), rule,
                      _figures(content["scorers"][rule]["figures"]))
            for rule in rules
        ]  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise file_error(
            file,
            f"expected a result of `smolrgpt benchmark --model` with such rules; it lacks {error}",
        ) from error


def _figures(stored: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    return {name: (float(item["value"]), int(item["of"])) for name, item in stored.items()}


def _named(run: Mapping[str, Any]) -> str:
    model = run["model"]
    name = str(model.get("model") or model.get("checkpoint") or model["kind"])
    ways = [
        *(["blind"] if model.get("blind") else []),
        *(["options shuffled"] if run.get("options") == "shuffled" else []),
    ]
    return f"{name} ({', '.join(ways)})" if ways else name


def _table(
    name: str, columns: Sequence[str], own: Sequence[OwnResult], sources: Sequence[str]
) -> Table:
    """Published rows that have any of the columns, then ours with their denominators."""
    table = headed_table()
    table.add_column(f"{BENCHMARKS[name].title}, %", overflow="fold")
    table.add_column("source or rule", overflow="fold")
    table.add_column("input", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for row in PUBLISHED[name]:
        if any(column in row.figures for column in columns):
            cells = [f"{row.figures[c]:.2f}" if c in row.figures else "" for c in columns]
            source = f"[{sources.index(row.source) + 1}]"
            table.add_row(*map(Text, (row.model, source, row.track, *cells)))
    table.add_section()
    for result in own:
        cells = [
            "{:.2f} ({})".format(*result.figures[c]) if c in result.figures else "" for c in columns
        ]
        texts = (result.model, result.rule, result.track, *cells)
        table.add_row(*(Text(text, "bold") for text in texts))
    return table
