"""The part of `smolrgpt benchmark` that asks models, and shows baselines beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import typer

from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.files import write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark, BenchmarkReport, score
from smolrgpt_core.public_benchmarks.guessing import guessed
from smolrgpt_core.public_benchmarks.model_readers.of_run import LanguageModels
from smolrgpt_core.public_benchmarks.names import GEOMETRIC, GUESS, PAGE_FILE, RESULT_FILE
from smolrgpt_core.public_benchmarks.predictions import Reply, read_judgments
from smolrgpt_core.public_benchmarks.records import BenchmarkData
from smolrgpt_core.public_benchmarks.run_page import write_run_page
from smolrgpt_core.public_benchmarks.scoring import Needs
from smolrgpt_core.public_benchmarks.shuffling import shuffled

if TYPE_CHECKING:
    from smolrgpt_core.public_benchmarks.model_loading import AnyModel
    from smolrgpt_core.public_benchmarks.workers import Workers

RESULTS_FOLDER = Path("benchmark-results")
"""Where results go that no folder is named for."""


class ComparedWith(str, Enum):
    """Rows shown next to a score."""

    GUESS = GUESS
    """What guessing gives."""
    BLIND = "blind"
    """The same model without the image."""
    SHUFFLED = "shuffled"
    """The same model with the options of multiple choices in another order."""


@dataclass(frozen=True)
class RunPlan:
    """Which questions are asked of which model.

    Attributes:
        benchmark: whose questions.
        data: a published file, or a folder with it.
        models: names, folders, hub ids or URLs.
        options: of the model, as keywords of `ModelOptions`.
        output: folder of the results, with one for each of several models; None: those below
            `RESULTS_FOLDER`.
        beside: rows to show beside the score.
        scorers: names of rules; empty: all that can run.
        limit: of the first questions; None: all.
        seed: of guesses and orders.
        judgments: file with the replies of a judge.
        language_models: that read and judge the answers.
        workers: processes with each model.
    """

    benchmark: Benchmark
    data: Path
    models: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    output: Path | None = None
    beside: Sequence[ComparedWith] = ()
    scorers: Sequence[str] = ()
    limit: int | None = None
    seed: int = 0
    judgments: Path | None = None
    language_models: LanguageModels = field(default_factory=LanguageModels)
    workers: int = 1

    def folder(self, model: str) -> Path:
        """Of the results of a model."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-")
        if self.output is None:
            return RESULTS_FOLDER / self.benchmark.name / name
        return self.output / name if len(self.models) > 1 else self.output


def run_plan(plan: RunPlan) -> dict[str, BenchmarkReport]:
    """Ask, score and write results.

    Returns:
        Reports by the name of their row: the models, then what stands beside each.

    Raises:
        typer.Exit: a file, the model or the folder cannot be used; answers are stored.
        ImportError, OSError, ValueError: the model cannot be loaded.
    """
    data = plan.benchmark.read(plan.data)
    reports: dict[str, BenchmarkReport] = {}
    for name in dict.fromkeys(plan.models):
        if name == GUESS:
            reports[GUESS] = _guess(plan, data, plan.folder(name))
        else:
            reports |= _rows_of(plan, data, name)
    return reports


def _rows_of(plan: RunPlan, data: BenchmarkData, name: str) -> dict[str, BenchmarkReport]:
    """The row of a model, and those beside it."""
    model, folder = _load(plan, name), plan.folder(name)
    several = len(plan.models) > 1
    reports = {name if several else "model": _asked(plan, data, model, folder, is_shuffled=False)}
    for row in dict.fromkeys(plan.beside):
        title, place = f"{name} {row.value}" if several else row.value, folder / row.value
        if row is ComparedWith.GUESS:
            reports[GUESS] = _guess(plan, data, place)
        elif row is ComparedWith.BLIND and name == GEOMETRIC:
            typer.echo(
                "geometry measures depth, so there is no row for it without the image", err=True
            )
        elif row is ComparedWith.BLIND:
            blind = replace(model, options=replace(model.options, blind=True))
            reports[title] = _asked(plan, data, blind, place, is_shuffled=False)
        else:
            changed = shuffled(data, plan.seed)
            reports[title] = _asked(plan, changed, model, place, is_shuffled=True)
    return reports


def _load(plan: RunPlan, name: str) -> AnyModel | Workers:
    # Imported here: scoring a file must not need PyTorch, which also takes seconds.
    from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
    from smolrgpt_core.public_benchmarks.models import ModelOptions
    from smolrgpt_core.public_benchmarks.workers import Workers

    options = ModelOptions(
        max_new_tokens=plan.benchmark.max_new_tokens,
        conventions=plan.benchmark.conventions,
        **plan.options,
    )
    if plan.workers > 1:
        return Workers(name, options, plan.workers)
    return load_benchmark_model(name, options)


def _guess(plan: RunPlan, data: BenchmarkData, folder: Path) -> BenchmarkReport:
    asked = replace(data, records=data.records[: plan.limit])
    rules = plan.benchmark.scorers
    names = [
        name
        for name in plan.benchmark.rules(plan.scorers, {Needs.NOTHING})
        if rules[name].needs is Needs.NOTHING
    ]
    report = guessed(plan.benchmark, asked, names, plan.seed)
    settings = {"benchmark": plan.benchmark.name, "model": {"kind": GUESS}, "seed": plan.seed}
    _write(folder / RESULT_FILE, report, settings, {})
    return report


def _asked(
    plan: RunPlan, data: BenchmarkData, model: AnyModel | Workers, folder: Path, is_shuffled: bool
) -> BenchmarkReport:
    from smolrgpt_core.public_benchmarks.running import BenchmarkRun, predictions_of

    run = BenchmarkRun(folder, plan.benchmark, data, model.described, plan.seed, is_shuffled)
    with resumable(folder), run.locked(), part_progress(folder.name) as advance:
        replies = run.answer_all(model, plan.limit, advance)
    problems = {id: reply.problem for id, reply in replies.items() if reply.text is None}
    asked = replace(data, records=data.records[: plan.limit])
    if problems:
        first = next(iter(problems.values()))
        note = f"questions without an answer from the model: {len(problems)}, for example: {first}"
        asked = replace(asked, notes=(*asked.notes, note))
    asked = replace(asked, notes=(*asked.notes, *_confidences(replies)))
    judged = None
    if plan.judgments is not None:
        judged = read_judgments(plan.judgments, plan.benchmark.question_id)
    answers = predictions_of(replies)
    with resumable(folder):
        made, about = plan.language_models.of_answers(
            plan.benchmark, asked, answers, folder, part_progress
        )
    report = score(plan.benchmark, asked, answers, plan.scorers, judged, made)
    _write(folder / RESULT_FILE, report, {**run.settings, **about}, problems)
    title = str(run.settings["model"].get("model") or run.settings["model"]["checkpoint"])
    write_run_page(folder / PAGE_FILE, report, replies, title)
    return report


def _confidences(replies: Mapping[str, Reply]) -> list[str]:
    """A note on the answers that were found by their likelihood."""
    sure = [reply.confidence for reply in replies.values() if reply.confidence is not None]
    if not sure:
        return []
    return [
        f"answers found by their likelihood: {len(sure)} of {len(replies)}, mean confidence "
        f"{100 * fmean(sure):.1f} %"
    ]


@contextmanager
def part_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Progress with the time left; yields a callback for finished and total questions."""
    with work_progress() as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _write(
    path: Path, report: BenchmarkReport, settings: dict[str, Any], problems: dict[str, str]
) -> None:
    content = {"run": settings, **report.to_json(), "problems": problems}
    write_file(path, json.dumps(content, indent=1).encode())
