"""The part of `smolrgpt benchmark` that asks models, and shows baselines beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.files import write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark, Report, score
from smolrgpt_core.public_benchmarks.guessing import GUESS, guessed
from smolrgpt_core.public_benchmarks.predictions import read_judgements
from smolrgpt_core.public_benchmarks.records import BenchmarkData
from smolrgpt_core.public_benchmarks.shuffling import shuffled

if TYPE_CHECKING:
    from smolrgpt_core.public_benchmarks.model_loading import AnyModel

RESULTS_FOLDER = Path("benchmark-results")
"""Where results go that no folder is named for."""


class Beside(str, Enum):
    """Rows that stand beside a score."""

    GUESS = GUESS
    """What guessing gives."""
    BLIND = "blind"
    """The same model without the image."""
    SHUFFLED = "shuffled"
    """The same model with the options of multiple choices in another order."""


@dataclass(frozen=True)
class RunPlan:
    """What is asked of whom.

    Attributes:
        benchmark: whose questions.
        data: a published file, or a folder with it.
        model: name, folder, hub id or URL.
        options: of the model, as keywords of `ModelOptions`.
        output: folder of the results; None: one below `RESULTS_FOLDER`.
        beside: rows to show beside the score.
        scorers: names of rules; empty: all that can run.
        limit: of the first questions; None: all.
        seed: of guesses and orders.
        judgements: file with the replies of a judge.
    """

    benchmark: Benchmark
    data: Path
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    output: Path | None = None
    beside: Sequence[Beside] = ()
    scorers: Sequence[str] = ()
    limit: int | None = None
    seed: int = 0
    judgements: Path | None = None

    @property
    def folder(self) -> Path:
        """Of the results."""
        if self.output is not None:
            return self.output
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.model).strip("-")
        return RESULTS_FOLDER / self.benchmark.name / name


def run_plan(plan: RunPlan) -> dict[str, Report]:
    """Ask, score and write results.

    Returns:
        Reports by the name of their row, that of the model first.

    Raises:
        typer.Exit: a file, the model or the folder cannot be used; answers are kept.
        ImportError, OSError, ValueError: the model cannot be loaded.
    """
    data = plan.benchmark.read(plan.data)
    if plan.model == GUESS:
        return {GUESS: _guess(plan, data)}
    model = _load(plan)
    reports = {"model": _asked(plan, data, model, plan.folder, is_shuffled=False)}
    for row in dict.fromkeys(plan.beside):
        folder = plan.folder / row.value
        if row is Beside.GUESS:
            reports[row.value] = _guess(plan, data)
        elif row is Beside.BLIND:
            blind = replace(model, options=replace(model.options, blind=True))
            reports[row.value] = _asked(plan, data, blind, folder, is_shuffled=False)
        else:
            changed = shuffled(data, plan.seed)
            reports[row.value] = _asked(plan, changed, model, folder, is_shuffled=True)
    return reports


def _load(plan: RunPlan) -> AnyModel:
    # Imported here: scoring a file must not need PyTorch, which also takes seconds.
    from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
    from smolrgpt_core.public_benchmarks.models import ModelOptions

    options = ModelOptions(
        max_new_tokens=plan.benchmark.max_new_tokens,
        conventions=plan.benchmark.conventions,
        **plan.options,
    )
    return load_benchmark_model(plan.model, options)


def _guess(plan: RunPlan, data: BenchmarkData) -> Report:
    asked = replace(data, records=data.records[: plan.limit])
    rules = plan.benchmark.scorers
    names = [name for name in plan.scorers or rules if not rules[name].judged]
    report = guessed(plan.benchmark, asked, names, plan.seed)
    settings = {"benchmark": plan.benchmark.name, "model": {"kind": GUESS}, "seed": plan.seed}
    folder = plan.folder if plan.model == GUESS else plan.folder / GUESS
    _write(folder / "result.json", report, settings, {})
    return report


def _asked(
    plan: RunPlan, data: BenchmarkData, model: AnyModel, folder: Path, is_shuffled: bool
) -> Report:
    from smolrgpt_core.public_benchmarks.running import BenchmarkRun, predictions_of

    run = BenchmarkRun(folder, plan.benchmark, data, model.described, plan.seed, is_shuffled)
    with resumable(folder), run.locked(), _progress(folder.name) as advance:
        replies = run.answer_all(model, plan.limit, advance)
    problems = {id: reply.problem for id, reply in replies.items() if reply.text is None}
    asked = replace(data, records=data.records[: plan.limit])
    if problems:
        note = (
            f"questions that the model has no answer to, such as: {next(iter(problems.values()))}"
        )
        asked = replace(asked, notes=(*asked.notes, note))
    judged = None
    if plan.judgements is not None:
        judged = read_judgements(plan.judgements, plan.benchmark.question_id)
    rules = plan.benchmark.scorers
    names = plan.scorers or [name for name, rule in rules.items() if judged or not rule.judged]
    report = score(plan.benchmark, asked, predictions_of(replies), names, judged)
    _write(run.result_path, report, run.settings, problems)
    return report


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Progress with the time left; yields what is told how many questions of how many are done."""
    with work_progress() as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _write(path: Path, report: Report, settings: dict[str, Any], problems: dict[str, str]) -> None:
    content = {"run": settings, **report.to_json(), "problems": problems}
    write_file(path, json.dumps(content, indent=1).encode())
