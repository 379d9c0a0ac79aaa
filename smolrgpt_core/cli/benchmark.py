"""`smolrgpt benchmark`: models asked the questions of a public benchmark, or a file of answers,
scored by its authors' rule and others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.benchmark_run import (
    RESULTS_FOLDER,
    ComparedWith,
    RunPlan,
    part_progress,
    run_plan,
)
from smolrgpt_core.cli.benchmark_table import print_published
from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.option_groups import grouped
from smolrgpt_core.cli.options import parsed, writing
from smolrgpt_core.cli.progress import resumable
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark, BenchmarkReport, score
from smolrgpt_core.public_benchmarks.figure_table import figure_rows
from smolrgpt_core.public_benchmarks.model_readers.of_run import LanguageModels
from smolrgpt_core.public_benchmarks.names import PAGE_FILE
from smolrgpt_core.public_benchmarks.predictions import (
    ANSWER_FIELDS,
    Reply,
    read_judgments,
    read_predictions,
)
from smolrgpt_core.public_benchmarks.published_files import DATA_FOLDER, published_data
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.run_page import write_run_page
from smolrgpt_core.public_benchmarks.scoring import Needs, Outcome
from smolrgpt_core.text_tables import headed_table

Names = Annotated[
    list[str] | None,
    typer.Argument(help=f"{', '.join(BENCHMARKS)}; with --table, results.", metavar="NAME"),
]
Data = Annotated[
    str,
    typer.Option(
        help="Published file of the benchmark, a folder with it, or the data set's hub id, which "
        f"is downloaded into {DATA_FOLDER}.",
        metavar="DIR_OR_HUB_ID",
    ),
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
        help="Scoring rule; may be repeated. By default all rules that need no judge, and the "
        "others if there are judgments.",
    ),
]
Judgments = Annotated[
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
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Model to ask; may be repeated: guess; an answerer of this package: geometric, "
        "nano or fused; the URL of a server with the OpenAI protocol; or a SmolRGPT, "
        "point-map or image-text checkpoint.",
        metavar="MODEL",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        help="Folder for answers and results; by default a folder for benchmark and model in "
        "benchmark-results. A killed run resumes there. With --predictions, only for a page.",
        file_okay=False,
    ),
]
Limit = Annotated[int | None, typer.Option(help="Ask only the first N questions.", min=1)]
BesideRows = Annotated[
    list[ComparedWith] | None,
    typer.Option(
        help="Also score guessing, the model without the image, or with the options in another "
        "order; may be repeated."
    ),
]
AnswerForms = Annotated[
    str,
    typer.Option(
        "--answers",
        help="words: the model's text is parsed. likelihood: the most likely of the possible "
        "answers, with its confidence; only for image-text models of transformers.",
    ),
]
Regions = Annotated[
    str, typer.Option(help="How models without region tokens see regions: marks or boxes.")
]
DepthModel = Annotated[
    str,
    typer.Option(
        help="Metric depth estimator, for models that need depth where the data has none.",
        metavar="DIR_OR_HUB_ID",
    ),
]
Device = Annotated[str, typer.Option(help="auto, or a device of PyTorch.")]
ServerModel = Annotated[
    str, typer.Option(help="Name of the model on the server; not needed if it has only one.")
]
Timeout = Annotated[
    float | None, typer.Option(help="Timeout of the server in seconds; 60 by default.")
]
Reader = Annotated[
    str,
    typer.Option(
        help="Server of a language model that reads answers which the rules cannot; the figures "
        "of the rules alone are shown next to its own.",
        metavar="URL",
    ),
]
Judge = Annotated[
    str,
    typer.Option(
        help="Server of a language model that judges answers to SpatialRGPT-Bench, and problem "
        "solving of HiSpatial's tasks.",
        metavar="URL",
    ),
]
ReaderModel = Annotated[
    str,
    typer.Option(
        help="Name of the reader's and judge's model; not needed if its server has only one."
    ),
]
Classifiers = Annotated[
    Path | None,
    typer.Option(
        help="Folder of two trained classifiers: the reader is also asked as by SmolRGPT's "
        "authors, of all answers to ai-city.",
        exists=True,
        file_okay=False,
    ),
]
WorkerCount = Annotated[
    int,
    typer.Option(
        "--workers",
        help="Number of processes; each loads the model and asks part of the questions.",
        min=1,
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed for guesses and the order of options.", min=0)]
TableOfResults = Annotated[
    bool,
    typer.Option(
        "--table", help="Show the named results (files or folders) next to figures from papers."
    ),
]
List = Annotated[bool, typer.Option("--list", help="List benchmarks and their scorers.")]


@dataclass(frozen=True)
class AnswerFiles:
    """Answers that are there already, and replies of a judge."""

    predictions: PredictionsFile = None
    judgments: Judgments = None
    answer_field: AnswerField = ""


@dataclass(frozen=True)
class ReaderOptions:
    """Language models that read or judge answers."""

    timeout: Timeout = None
    reader: Reader = ""
    judge: Judge = ""
    reader_model: ReaderModel = ""
    classifiers: Classifiers = None

    def language_models(self) -> LanguageModels:
        """The models."""
        return LanguageModels(
            self.reader, self.judge, self.reader_model, self.timeout, self.classifiers
        )

    def model_timeout(self, models: Sequence[str]) -> float | None:
        """The timeout, unless it is meant for the readers of the answers alone."""
        by_server = any(name.startswith(("http://", "https://")) for name in models)
        return self.timeout if by_server or not (self.reader or self.judge) else None


@dataclass(frozen=True)
class PresentationOptions:
    """How models are asked."""

    answers: AnswerForms = "words"
    regions: Regions = "marks"
    depth_model: DepthModel = ""
    device: Device = "auto"
    server_model: ServerModel = ""

    def keywords(self, timeout_s: float | None) -> dict[str, Any]:
        """Keywords of `ModelOptions` for `load_model`.

        Args:
            timeout_s: seconds for a reply of a server; None: its default.

        Raises:
            typer.BadParameter: an option is not one of the choices.
        """
        from smolrgpt_core.public_benchmarks.questions import AnswerMethod, RegionForm

        server = {"model": self.server_model} if self.server_model else {}
        limits = {} if timeout_s is None else {"timeout_s": timeout_s}
        return {
            "answer_form": parsed("--answers", AnswerMethod, self.answers),
            "region_form": parsed("--regions", RegionForm, self.regions),
            "depth_model": self.depth_model,
            "device": self.device,
            "server": {**server, **limits},
        }


@grouped
def benchmark_command(
    *,
    names: Names = None,
    data: Data = "",
    scorer: Scorers = None,
    files: AnswerFiles,
    model: ModelNames = None,
    output: Output = None,
    limit: Limit = None,
    beside: BesideRows = None,
    presentation: PresentationOptions,
    readers: ReaderOptions,
    workers: WorkerCount = 1,
    seed: Seed = 0,
    json_file: JsonFile = None,
    list_them: List = False,
    table: TableOfResults = False,
) -> None:
    """Ask a model the questions of a public benchmark, and score its answers by published rules.

    With --predictions a file of answers is scored. A question without a
    readable answer counts as wrong; questions that a rule skips are named
    below its figures. The exit status is 0; 1 when a run was stopped, and its
    answers were saved; 2 when a file or a model cannot be used or a name is
    unknown.
    """
    if list_them:
        Console().print(_list())
        return
    if table:
        print_published(list(map(Path, names or ())), scorer or ())
        return
    benchmark = _known(" ".join(names or ()))
    if not data or (files.predictions is None) is (not model):
        raise typer.BadParameter("expected --data with --model or --predictions, or --list")
    _check_rules(benchmark, scorer or ())
    asked = readers.language_models()
    with exit_on(WRONG_CALL, SpatialError, ValueError, ImportError, OSError):
        asked.check(benchmark)
        place = published_data(data, benchmark.hub)
        if files.predictions is not None:
            reports = {"answers": _score(benchmark, place, files, scorer or [], asked, output)}
        else:
            options = presentation.keywords(readers.model_timeout(model or ()))
            plan = RunPlan(
                benchmark, place, tuple(model or ()), options, output, beside or (), scorer or (),
                limit, seed, files.judgments, asked, workers,
            )  # fmt: skip
            reports = run_plan(plan)
    _print_and_write(reports, json_file)


def _check_rules(benchmark: Benchmark, scorers: Sequence[str]) -> None:
    unknown = [rule for rule in scorers if rule not in benchmark.scorers]
    if unknown:
        raise typer.BadParameter(
            f"unknown: {', '.join(unknown)}; expected {', '.join(benchmark.scorers)}",
            param_hint="--scorer",
        )


def _print_and_write(reports: Mapping[str, BenchmarkReport], json_file: Path | None) -> None:
    """Print the reports, and write them if wanted: one as it is, several by their rows."""
    first = next(iter(reports.values()))
    if json_file is not None:
        contents = {name: report.to_json() for name, report in reports.items()}
        content = contents if len(reports) > 1 else first.to_json()
        with writing("--json"):
            write_file(json_file, json.dumps(content, indent=2).encode())
    if len(reports) > 1:
        _print_beside(reports)
    else:
        _print(first)


def _known(name: str) -> Benchmark:
    benchmark = BENCHMARKS.get(name)
    if benchmark is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(BENCHMARKS)}, got {name!r}", param_hint="NAME"
        )
    return benchmark


def _score(
    benchmark: Benchmark, path: Path, files: AnswerFiles, scorers: list[str],
    asked: LanguageModels, output: Path | None,
) -> BenchmarkReport:  # fmt: skip
    """Scores of answers in a file.

    Args:
        benchmark: that they answer.
        path: published file of the benchmark, or a folder with it.
        files: of the answers and of a judge's replies.
        scorers: names; empty: all that can be used.
        asked: language models that read or judge the answers.
        output: folder for their replies and a page; None: none is written, and the replies go
            to one below `RESULTS_FOLDER`.
    """
    assert files.predictions is not None
    found = read_predictions(files.predictions, benchmark.question_id, files.answer_field)
    judged = found.judged
    if files.judgments is not None:
        judged = read_judgments(files.judgments, benchmark.question_id)
    data = benchmark.read(path)
    folder = output or RESULTS_FOLDER / benchmark.name / files.predictions.stem
    with resumable(folder):
        made, _ = asked.of_answers(benchmark, data, found, folder, part_progress)
    report = score(benchmark, data, found, scorers, judged, made)
    if output is not None:
        missing = Reply(None, "the file has no prediction for it", Status.BAD_INPUT.name)
        replies = {
            record.id: Reply(found.answers[record.id]) if record.id in found.answers else missing
            for record in data.records
        }
        write_run_page(output / PAGE_FILE, report, replies, files.predictions.name)
    return report


def _print(report: BenchmarkReport) -> None:
    console = Console()
    console.print(_table(f"{report.benchmark.title}, %", report.outcomes))
    for name in report.outcomes:
        console.print(Text(f"{name}: {report.benchmark.scorers[name].about}", "dim"))
    for note in report.notes():
        console.print(Text(note, "yellow"))


def _print_beside(reports: Mapping[str, BenchmarkReport]) -> None:
    """A table for each rule, with a column for each run; the first run has all rules."""
    console = Console()
    first = next(iter(reports.values()))
    for name in first.outcomes:
        found = {run: item.outcomes[name] for run, item in reports.items() if name in item.outcomes}
        console.print(_table(f"{first.benchmark.title}, {name}, %", found))
        console.print(Text(f"{name}: {first.benchmark.scorers[name].about}", "dim"))
    shown_notes = set(first.notes())
    for note in first.notes():
        console.print(Text(note, "yellow"))
    for run, report in reports.items():
        for note in report.notes():
            if note not in shown_notes:
                console.print(Text(f"{run}: {note}", "yellow"))


def _table(title: str, outcomes: Mapping[str, Outcome]) -> Table:
    """A row for each figure with its denominator, a column for each outcome, and what is unread."""
    table = headed_table()
    table.add_column(title, overflow="fold")
    for name in outcomes:
        table.add_column(name, justify="right", overflow="fold")
    *figures, unreadable = figure_rows(outcomes)
    for row in figures:
        table.add_row(*row)
    table.add_section()
    table.add_row(*unreadable)
    return table


def _needed(needs: Needs) -> str:
    return "" if needs is Needs.NOTHING else f" (needs {needs.value})"


def _list() -> Table:
    table = headed_table()
    table.add_column("benchmark", no_wrap=True)
    table.add_column("scorer", no_wrap=True)
    table.add_column("published as, its files; rules", overflow="fold")
    for benchmark in BENCHMARKS.values():
        files = ", ".join(benchmark.files)
        table.add_row(benchmark.name, "", Text(f"{benchmark.hub}: {files}", "bold"))
        for name, rule in benchmark.scorers.items():
            table.add_row("", name, rule.about + _needed(rule.needs))
        table.add_section()
    return table
