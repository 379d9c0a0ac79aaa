"""`smolrgpt study`: many training runs side by side, in one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from smolrgpt_core.cli.options import writing
from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.files import write_file
from smolrgpt_core.ray_workers import LOCAL
from smolrgpt_core.study.config import (
    StudyConfig,
    chosen,
    in_order_of_work,
    jobs_of,
    read_study,
    require_evaluation_data,
)
from smolrgpt_core.study.jobs import Job
from smolrgpt_core.study.on_ray import JobsOnRay
from smolrgpt_core.study.page import StudyPart, write_page
from smolrgpt_core.study.plots import write_plots
from smolrgpt_core.study.processes import InProcesses, Outcome
from smolrgpt_core.study.table import StudyRow, as_csv, as_markdown, rows_of, shown
from smolrgpt_core.text_tables import headed_table

if TYPE_CHECKING:
    Do = Callable[[Sequence[Job]], Iterator[Outcome]]

FAILED = 1
"""Exit status when a run failed."""

ConfigFile = Annotated[
    Path,
    typer.Argument(
        help="YAML file of the study, such as config/study/small_hall.yaml.",
        exists=True,
        dir_okay=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        help="Override values in all runs, such as optimizer.steps=20.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Run only these values of an axis; may be repeated.",
        metavar="AXIS=NAME,...",
        show_default=False,
    ),
]
Workers = Annotated[
    int, typer.Option(help="Number of simultaneous runs, each in a separate process.", min=1)
]
Ray = Annotated[
    str,
    typer.Option(
        help=f"Address of a Ray cluster whose machines share the folders, or {LOCAL}: workers on "
        "this machine.",
        metavar="ADDRESS",
    ),
]
Gpus = Annotated[float, typer.Option(help="GPUs of each run with --ray.", min=0)]
Finished = Annotated[
    bool, typer.Option("--finished", help="Train nothing: show the runs that are finished.")
]
WriteDocs = Annotated[
    Path | None,
    typer.Option(
        help="Markdown page whose section of this study is replaced; plots go to images/ beside "
        "it.",
        metavar="FILE",
        dir_okay=False,
    ),
]


def study_command(
    config: ConfigFile,
    changes: Changes = None,
    only: Only = None,
    workers: Workers = 1,
    ray: Ray = "",
    gpus: Gpus = 0.0,
    finished: Finished = False,
    write_docs: WriteDocs = None,
) -> None:
    """Train and evaluate a model for every combination of settings, and compare them.

    Models, logs and results of the runs go to the folder `output` of the configuration, with
    table.md, table.csv, results.json and plots.png about those chosen. All settings are run once
    before any is repeated, and the values of the first axis side by side. After a kill the same
    command resumes; what is finished is not repeated. The exit status is 0 if no run failed, 1 if
    one did or a package is missing, 2 if the configuration cannot be used, 130 after Ctrl-C.
    """
    with resumable(config):
        whole = read_study(config)
        study = chosen(whole, only or ())
        jobs = jobs_of(study, changes or ())
        failed = [] if finished else _do(study, jobs, _means(ray, workers, gpus))
        done = [job for job in jobs if not job.missing()]
    if _trained(done):
        unfinished = _trained(jobs) - _trained(done)
        part = StudyPart(config, study, whole, tuple(changes or ()), unfinished)
        with writing("--write-docs"):
            rows = _write(study, done)
            if write_docs is not None:
                write_page(write_docs, part, rows, _hardware(done))
        _print(study, rows)
    else:
        typer.echo("No run has finished yet, so there is no table.", err=True)
    for job, problem in failed:
        typer.echo(f"{job.name} failed: {problem}", err=True)
    if failed:
        raise typer.Exit(FAILED)


def _means(ray: str, workers: int, gpus: float) -> Do:
    return JobsOnRay(ray, workers, gpus) if ray else InProcesses(workers)


def _do(study: StudyConfig, jobs: Sequence[Job], do: Do) -> list[Outcome]:
    """Do what is missing; returns those that failed."""
    missing = [job for job in jobs if job.missing()]
    if missing:
        require_evaluation_data(study)
    failed = []
    with work_progress() as bar:
        task = bar.add_task("runs", total=len(jobs), completed=len(jobs) - len(missing))
        for job, problem in do(in_order_of_work(study, missing)) if missing else ():
            if problem:
                failed.append((job, problem))
            bar.advance(task)
    return failed


def _trained(jobs: Sequence[Job]) -> int:
    """How many of the jobs are runs, not checkpoints that runs begin with."""
    return sum(job.train is not None for job in jobs)


def _write(study: StudyConfig, done: Sequence[Job]) -> list[StudyRow]:
    results = [job.result() for job in done]
    rows = rows_of(study, results)
    output = Path(study.output)
    write_file(output / "results.json", json.dumps(results, indent=1).encode())
    write_file(output / "table.csv", as_csv(study, rows).encode())
    write_file(output / "table.md", (as_markdown(study, rows) + "\n").encode())
    write_plots(study, rows, output / "plots.png")
    return rows


def _hardware(done: Sequence[Job]) -> list[str]:
    trained = [job.result()["trained"] for job in done if job.train]
    return list(dict.fromkeys(item["hardware"] for item in trained))


def _print(study: StudyConfig, rows: Sequence[StudyRow]) -> None:
    table = headed_table()
    costs = ("trained", "processor seconds", "memory, MB")
    for name in ("settings", "runs", *costs, *study.evaluations):
        is_first = name == "settings"
        table.add_column(name, justify="left" if is_first else "right", no_wrap=is_first)
    for row in rows:
        scores = [row.scores[name].get("mean") for name in study.evaluations]
        table.add_row(
            ", ".join(row.values.values()) or "before training",
            str(row.runs),
            *(shown(row.costs.get(name)) for name in costs),
            *map(shown, scores),
        )
    Console().print(table)
