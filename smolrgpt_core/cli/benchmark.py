"""`smolrgpt benchmark`: answers to a public benchmark, scored by its authors' rule and others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.options import writing
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark, Report, score
from smolrgpt_core.public_benchmarks.predictions import (
    ANSWER_FIELDS,
    read_judgements,
    read_predictions,
)
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.scoring import PERCENT, Figure

WRONG_CALL = 2
"""Exit status when a file cannot be used or a name is unknown."""

Name = Annotated[str, typer.Argument(help=f"{', '.join(BENCHMARKS)}.", metavar="NAME")]
Data = Annotated[
    Path | None,
    typer.Option(help="Published file of the benchmark, or a folder with it.", exists=True),
]
PredictionsFile = Annotated[
    Path | None,
    typer.Option(
        help="JSON Lines, or a JSON list, with the question's id and the answer.",
        exists=True,
        dir_okay=False,
    ),
]
Scorers = Annotated[
    list[str] | None,
    typer.Option(
        "--scorer",
        help="Rule to score by; may be repeated. By default all that need no judge, and the "
        "others if there are judgements.",
    ),
]
Judgements = Annotated[
    Path | None,
    typer.Option(
        help="JSON Lines with the question's id and the `reply` of a judge.",
        exists=True,
        dir_okay=False,
    ),
]
AnswerField = Annotated[
    str,
    typer.Option(
        help=f"Name of the answer in the predictions; by default {', '.join(ANSWER_FIELDS)}."
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="File for all figures and verdicts.", dir_okay=False)
]
List = Annotated[bool, typer.Option("--list", help="List benchmarks and their scorers.")]


def benchmark_command(
    name: Name = "",
    data: Data = None,
    predictions: PredictionsFile = None,
    scorer: Scorers = None,
    judgements: Judgements = None,
    answer_field: AnswerField = "",
    json_file: JsonFile = None,
    list_them: List = False,
) -> None:
    """Score answers to a public benchmark by published rules, side by side.

    The exit status is 0, or 2 when a file cannot be used or a name is unknown. A question without a
    readable answer counts as wrong; what a rule leaves out is said below its figures.
    """
    if list_them:
        Console().print(_list())
        return
    benchmark = _known(name)
    if data is None or predictions is None:
        raise typer.BadParameter("--data and --predictions are needed, or --list")
    unknown = [rule for rule in scorer or () if rule not in benchmark.scorers]
    if unknown:
        raise typer.BadParameter(
            f"unknown: {', '.join(unknown)}; expected {', '.join(benchmark.scorers)}",
            param_hint="--scorer",
        )
    try:
        report = _score(benchmark, data, predictions, judgements, scorer or [], answer_field)
    except (SpatialError, ValueError, ImportError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_CALL) from error
    if json_file is not None:
        with writing("--json"):
            write_file(json_file, json.dumps(report.to_json(), indent=2).encode())
    _print(report)


def _known(name: str) -> Benchmark:
    benchmark = BENCHMARKS.get(name)
    if benchmark is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(BENCHMARKS)}, got {name!r}", param_hint="NAME"
        )
    return benchmark


def _score(
    benchmark: Benchmark,
    data: Path,
    predictions: Path,
    judgements: Path | None,
    scorers: list[str],
    answer_field: str,
) -> Report:
    given = read_predictions(predictions, benchmark.question_id, answer_field)
    judged = given.judged
    if judgements is not None:
        judged = read_judgements(judgements, benchmark.question_id)
    if not scorers:
        scorers = [
            name for name, rule in benchmark.scorers.items() if judged.replies or not rule.judged
        ]
    return score(benchmark, benchmark.read(data), given, scorers, judged)


def _print(report: Report) -> None:
    console = Console()
    console.print(_table(report))
    for name in report.outcomes:
        console.print(Text(f"{name}: {report.benchmark.scorers[name].about}", "dim"))
    for note in report.notes():
        console.print(Text(note, "yellow"))


def _table(report: Report) -> Table:
    """A row for each figure that a scorer has, with its denominator, and the unreadable answers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(f"{report.benchmark.title}, %", overflow="fold")
    for name in report.outcomes:
        table.add_column(name, justify="right", overflow="fold")
    names = dict.fromkeys(name for found in report.outcomes.values() for name in found.figures)
    for name in names:
        table.add_row(name, *(_cell(found.figures.get(name)) for found in report.outcomes.values()))
    table.add_section()
    shares = (
        f"{100 * found.unread / len(found.verdicts):.2f} ({len(found.verdicts)})"
        if found.verdicts
        else ""
        for found in report.outcomes.values()
    )
    table.add_row("unreadable or missing", *shares)
    return table


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    unit = "" if figure.unit == PERCENT else f" {figure.unit}".rstrip()
    digits = 0 if figure.unit == "answers" else 3 if figure.unit == "" else 2
    return f"{figure.value:.{digits}f}{unit} ({figure.of})"


def _list() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("scorer", no_wrap=True)
    table.add_column("published as, its files; rules", overflow="fold")
    for benchmark in BENCHMARKS.values():
        files = ", ".join(benchmark.files)
        table.add_row(benchmark.name, "", Text(f"{benchmark.hub}: {files}", "bold"))
        for name, rule in benchmark.scorers.items():
            table.add_row("", name, rule.about + (" (judged)" if rule.judged else ""))
        table.add_section()
    return table
