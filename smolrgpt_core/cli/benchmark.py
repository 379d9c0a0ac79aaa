"""`smolrgpt benchmark`: models asked the questions of a public benchmark, or a file of answers,
scored by its authors' rule and others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.benchmark_run import (
    RESULTS_FOLDER,
    Beside,
    RunPlan,
    part_progress,
    run_plan,
)
from smolrgpt_core.cli.benchmark_table import print_published
from smolrgpt_core.cli.options import parsed, writing
from smolrgpt_core.cli.progress import resumable
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark, Report, score
from smolrgpt_core.public_benchmarks.hub_data import DATA_FOLDER, published_data
from smolrgpt_core.public_benchmarks.model_readers.of_run import LanguageModels
from smolrgpt_core.public_benchmarks.predictions import (
    ANSWER_FIELDS,
    read_judgements,
    read_predictions,
)
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.scoring import PERCENT, Figure, Needs, Outcome

LONG_FIGURE = 1e6
"""From here on a figure is written with an exponent: an answer such as 10^20 makes such errors."""

WRONG_CALL = 2
"""Exit status when a file cannot be used or a name is unknown."""

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
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Whom to ask; may be repeated: guess; geometric, nano or fused, answerers of this "
        "package; the URL of a server of the OpenAI protocol; or a SmolRGPT, point-map or any "
        "image-text checkpoint.",
        metavar="MODEL",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        help="Folder for answers and result; by default one of the benchmark and the model below "
        "benchmark-results. A killed run resumes there.",
        file_okay=False,
    ),
]
Limit = Annotated[int | None, typer.Option(help="Ask only the first N questions.", min=1)]
BesideRows = Annotated[
    list[Beside] | None,
    typer.Option(
        help="Also score guessing, the model without the image, or with the options in another "
        "order; may be repeated."
    ),
]
AnswerForms = Annotated[
    str,
    typer.Option(
        "--answers",
        help="words: what the model writes is read. likelihood: of the answers that a question "
        "can have, the most likely, with its confidence; image-text models of transformers.",
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
    float | None, typer.Option(help="Seconds that the server may take for an answer; 60.")
]
Reader = Annotated[
    str,
    typer.Option(
        help="Server of a language model that reads the answers which the rules refuse; figures "
        "of the rules alone stand beside its.",
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
        "--workers", help="Processes with the model, each with a part of the questions.", min=1
    ),
]
Seed = Annotated[int, typer.Option(help="Of guesses and of the order of options.", min=0)]
TableOfResults = Annotated[
    bool,
    typer.Option(
        "--table", help="Put the results that are named, files or folders, beside papers' figures."
    ),
]
List = Annotated[bool, typer.Option("--list", help="List benchmarks and their scorers.")]


def benchmark_command(
    names: Names = None,
    data: Data = "",
    predictions: PredictionsFile = None,
    scorer: Scorers = None,
    judgements: Judgements = None,
    answer_field: AnswerField = "",
    model: ModelNames = None,
    output: Output = None,
    limit: Limit = None,
    beside: BesideRows = None,
    answers: AnswerForms = "words",
    regions: Regions = "marks",
    depth_model: DepthModel = "",
    device: Device = "auto",
    server_model: ServerModel = "",
    timeout: Timeout = None,
    reader: Reader = "",
    judge: Judge = "",
    reader_model: ReaderModel = "",
    classifiers: Classifiers = None,
    workers: WorkerCount = 1,
    seed: Seed = 0,
    json_file: JsonFile = None,
    list_them: List = False,
    table: TableOfResults = False,
) -> None:
    """Ask a model the questions of a public benchmark, and score its answers by published rules.

    With --predictions a file of answers is scored. The exit status is 0; 1 when a run was stopped,
    with its answers kept; 2 when a file or a model cannot be used or a name is unknown. A question
    without a readable answer counts as wrong; what a rule leaves out is said below its figures.
    """
    if list_them:
        Console().print(_list())
        return
    if table:
        print_published(list(map(Path, names or ())), scorer or ())
        return
    benchmark = _known(" ".join(names or ()))
    if not data or (predictions is None) is (not model):
        raise typer.BadParameter(
            "--data and one of --model and --predictions are needed, or --list"
        )
    _check_rules(benchmark, scorer or ())
    asked = LanguageModels(reader, judge, reader_model, timeout, classifiers)
    with _told():
        asked.check(benchmark)
        place = published_data(data, benchmark.hub)
        if predictions is not None:
            files = AnswerFiles(place, predictions, judgements, answer_field, output)
            reports = {"answers": _score(benchmark, files, scorer or [], asked)}
        else:
            limit_s = timeout if _is_of_model(model or (), asked) else None
            options = model_keywords(answers, regions, depth_model, device, server_model, limit_s)
            plan = RunPlan(
                benchmark, place, tuple(model or ()), options, output, beside or (), scorer or (),
                limit, seed, judgements, asked, workers,
            )  # fmt: skip
            reports = run_plan(plan)
    _tell(reports, json_file)


@contextmanager
def _told() -> Iterator[None]:
    """End the command with the reason when a file or a model cannot be used."""
    try:
        yield
    except (SpatialError, ValueError, ImportError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_CALL) from error


def _is_of_model(models: Sequence[str], asked: LanguageModels) -> bool:
    """Whether a timeout is meant for the models, not for the readers of their answers alone."""
    by_server = any(name.startswith(("http://", "https://")) for name in models)
    return by_server or not (asked.reader or asked.judge)


def _check_rules(benchmark: Benchmark, scorers: Sequence[str]) -> None:
    unknown = [rule for rule in scorers if rule not in benchmark.scorers]
    if unknown:
        raise typer.BadParameter(
            f"unknown: {', '.join(unknown)}; expected {', '.join(benchmark.scorers)}",
            param_hint="--scorer",
        )


def _tell(reports: Mapping[str, Report], json_file: Path | None) -> None:
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


def model_keywords(
    answers: str,
    regions: str,
    depth_model: str,
    device: str,
    server_model: str,
    timeout: float | None,
) -> dict[str, Any]:
    """The options of a model, as keywords of `ModelOptions`; an invalid one is a usage error."""
    from smolrgpt_core.public_benchmarks.questions import AnswerForm, RegionForm

    server = {"model": server_model} if server_model else {}
    limits = {} if timeout is None else {"timeout_s": timeout}
    return {
        "answer_form": parsed("--answers", AnswerForm, answers),
        "region_form": parsed("--regions", RegionForm, regions),
        "depth_model": depth_model, "device": device, "server": {**server, **limits},
    }  # fmt: skip


def _known(name: str) -> Benchmark:
    benchmark = BENCHMARKS.get(name)
    if benchmark is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(BENCHMARKS)}, got {name!r}", param_hint="NAME"
        )
    return benchmark


@dataclass(frozen=True)
class AnswerFiles:
    """Files of answers that are there already.

    Attributes:
        data: published file of the benchmark, or a folder with it.
        predictions: the answers.
        judgements: replies of a judge.
        answer_field: name of the answer in the predictions; empty: one of the known ones.
        output: folder for the replies of language models; None: one below `RESULTS_FOLDER`.
    """

    data: Path
    predictions: Path
    judgements: Path | None
    answer_field: str
    output: Path | None


def _score(
    benchmark: Benchmark, files: AnswerFiles, scorers: list[str], asked: LanguageModels
) -> Report:
    given = read_predictions(files.predictions, benchmark.question_id, files.answer_field)
    judged = given.judged
    if files.judgements is not None:
        judged = read_judgements(files.judgements, benchmark.question_id)
    data = benchmark.read(files.data)
    folder = files.output or RESULTS_FOLDER / benchmark.name / files.predictions.stem
    with resumable(folder):
        made, _ = asked.of_answers(benchmark, data, given, folder, part_progress)
    return score(benchmark, data, given, scorers, judged, made)


def _print(report: Report) -> None:
    console = Console()
    console.print(_table(f"{report.benchmark.title}, %", report.outcomes))
    for name in report.outcomes:
        console.print(Text(f"{name}: {report.benchmark.scorers[name].about}", "dim"))
    for note in report.notes():
        console.print(Text(note, "yellow"))


def _print_beside(reports: Mapping[str, Report]) -> None:
    """A table for each rule, with a column for each run; the first run has all rules."""
    console = Console()
    first = next(iter(reports.values()))
    for name in first.outcomes:
        found = {run: item.outcomes[name] for run, item in reports.items() if name in item.outcomes}
        console.print(_table(f"{first.benchmark.title}, {name}, %", found))
        console.print(Text(f"{name}: {first.benchmark.scorers[name].about}", "dim"))
    told = set(first.notes())
    for note in first.notes():
        console.print(Text(note, "yellow"))
    for run, report in reports.items():
        for note in report.notes():
            if note not in told:
                console.print(Text(f"{run}: {note}", "yellow"))


def _table(title: str, outcomes: Mapping[str, Outcome]) -> Table:
    """A row for each figure with its denominator, a column for each outcome, and what is unread."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(title, overflow="fold")
    for name in outcomes:
        table.add_column(name, justify="right", overflow="fold")
    names = dict.fromkeys(name for found in outcomes.values() for name in found.figures)
    for name in names:
        table.add_row(name, *(_cell(found.figures.get(name)) for found in outcomes.values()))
    table.add_section()
    shares = (
        f"{100 * found.unread / len(found.verdicts):.2f} ({len(found.verdicts)})"
        if found.verdicts
        else ""
        for found in outcomes.values()
    )
    table.add_row("unreadable or missing", *shares)
    return table


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    unit = "" if figure.unit == PERCENT else f" {figure.unit}".rstrip()
    if abs(figure.value) >= LONG_FIGURE:
        return f"{figure.value:.2g}{unit} ({figure.of})"
    digits = 0 if figure.unit == "answers" else 3 if figure.unit == "" else 2
    return f"{figure.value:.{digits}f}{unit} ({figure.of})"


def _needed(needs: Needs) -> str:
    return "" if needs is Needs.NOTHING else f" (needs {needs.value})"


def _list() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
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
