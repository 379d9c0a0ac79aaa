"""`smolrgpt evaluate`: accuracy of an answerer on a data set, compared with baselines."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers.registry import DEFAULT_ANSWERER
from smolrgpt_core.cli import options
from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.option_groups import FusionOptions, grouped
from smolrgpt_core.cli.options import parsed, writing
from smolrgpt_core.cli.progress import progress_by_name
from smolrgpt_core.data.warehouse_format import SPLITS, SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.ablations import ABLATIONS
from smolrgpt_core.evaluation.answer_files import write_predictions
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem, Evaluation, evaluate, named
from smolrgpt_core.evaluation.predictions import AnswererChoice, Camera
from smolrgpt_core.evaluation.reliability import OVERALL
from smolrgpt_core.evaluation.task_scores import mean_percent
from smolrgpt_core.files import METERS_PER_UNIT, write_file
from smolrgpt_core.text_tables import headed_table

COLUMNS = {
    "distance": "Quan_distance_acc",
    "count": "Quan_count_acc",
    "left/right": "Qual_left_right_acc",
    "choice": "Qual_mcq_acc",
    "final": "Final_weighted_score",
}

TASK_MEAN = "mean of tasks"

Data = Annotated[
    Path,
    typer.Option(
        help="Folder of a data set in the warehouse layout.", exists=True, file_okay=False
    ),
]
SplitName = Annotated[str, typer.Option(help=f"{', '.join(SPLITS)}.")]
Limit = Annotated[int | None, typer.Option(help="Use only the first N questions.", min=1)]
Workers = Annotated[
    int, typer.Option(help="Number of processes; each loads its own answerer.", min=1, max=256)
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="File for all scores.", dir_okay=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for predictions.json, report.html, confidence.md and reliability.png.",
        file_okay=False,
    ),
]
Ablate = Annotated[
    list[str] | None,
    typer.Option(
        help="Also evaluate with part of the input removed; may be repeated: "
        f"{', '.join(ABLATIONS)}."
    ),
]
Intrinsics = Annotated[
    str,
    typer.Option(
        help="Pinhole calibration in pixels, for images without an entry in cameras.json.",
        metavar="FX,FY,CX,CY",
    ),
]


@grouped
def evaluate_command(
    *,
    data: Data,
    answerer: options.AnswererName = "",
    checkpoint: options.Checkpoint = "",
    adapter: options.Adapter = ModelSettings.adapter,
    split: SplitName = "test",
    limit: Limit = None,
    workers: Workers = 1,
    json_file: JsonFile = None,
    out: Out = None,
    intrinsics: Intrinsics = "",
    depth_scale: options.DepthScale = "",
    device: options.Device = ModelSettings.device,
    dtype: options.Dtype = ModelSettings.dtype,
    answer_style: options.AnswerStyle = ModelSettings.answer_style,
    preference: FusionOptions,
    object_sizes: options.ObjectSizes = "",
    ablate: Ablate = None,
) -> None:
    """Ask an answerer every question of a split, and score its answers next to baselines.

    The exit status is 0, or 2 when the data set or the answerer cannot be used. A question without
    an answer counts as wrong; its prediction is empty.
    """
    camera = camera_option(intrinsics, depth_scale)
    fusion = preference.settings()
    name = answerer or ("model" if checkpoint or adapter else DEFAULT_ANSWERER)
    with exit_on(WRONG_CALL, SpatialError, ValueError, ImportError):
        model = replace(options.model_settings(device, dtype, answer_style), adapter=adapter)
        chosen = AnswererChoice(name, checkpoint, model, fusion, object_sizes=object_sizes)
        with progress_by_name() as progress:
            found = evaluate(
                SplitFolder(data, split),
                chosen,
                camera,
                limit,
                workers,
                progress,
                ablate or (),
            )
        if out is not None:
            _write_folder(found, out, camera)
    if json_file is not None:
        with writing("--json"):
            write_file(json_file, json.dumps(found.to_json(), indent=2).encode())
    _print(found)


def camera_option(intrinsics: str, depth_scale: str) -> Camera | None:
    """The calibration from --intrinsics and --depth-scale; None without them.

    Raises:
        typer.BadParameter: they are invalid, or --depth-scale is given alone.
    """
    scale = parsed("--depth-scale", options.parse_depth_scale, depth_scale)
    if not intrinsics:
        if scale is not None:
            raise typer.BadParameter("--depth-scale needs --intrinsics")
        return None
    fx, fy, cx, cy = parsed("--intrinsics", options.parse_intrinsics, intrinsics)
    return Camera((fx, fy, cx, cy), scale or METERS_PER_UNIT["uint16"])


def _write_folder(found: Evaluation, out: Path, camera: Camera | None) -> None:
    from smolrgpt_core.evaluation.confidence_report import write_confidence_report
    from smolrgpt_core.evaluation.evaluation_report import write_report

    predictions = {item.id: item.answer for item in found.systems[0].predictions}
    with writing("--out"):
        write_predictions(out / "predictions.json", predictions)
        if found.systems[0].judged:
            write_report(found, out / "report.html", camera)
            write_confidence_report(found, out)
    typer.echo(f"wrote {os.fspath(out)}", err=True)


def _print(found: Evaluation) -> None:
    console = Console()
    console.print(_table(found))
    if found.systems[0].tasks:
        console.print(_task_table(found))
    for item in found.systems:
        if item.about:
            console.print(Text(f"{item.name}: {item.about}", "dim"))
        if item.refusals:
            reasons = ", ".join(f"{number} {name}" for name, number in item.refusals.most_common())
            console.print(Text(f"{item.name} refused: {reasons}", "yellow"))
        if unusable := item.unusable:
            console.print(Text(f"{item.name}, unusable answers: {named(unusable)}", "yellow"))
        if broken := item.broken:
            console.print(Text(f"{item.name}, broken data: {named(broken)}", "red"))
        if item.agreements:
            console.print(Text(f"{item.name}: {_agreements(item)}", "dim"))
    if found.unscored:
        console.print(Text(found.unscored_note, "red"))
    elif not found.systems[0].judged:
        console.print(Text("The split has no ground-truth answers: nothing to score.", "yellow"))


def _table(found: Evaluation) -> Table:
    columns = {name: key for name, key in COLUMNS.items() if key in found.systems[0].scores}
    table = headed_table()
    table.add_column(f"correct of {len(found.systems[0].judged)}, %")
    has_tasks = bool(found.systems[0].tasks)
    for name in (*columns, *([TASK_MEAN] if has_tasks else ()), "refused", "ECE", "ms"):
        table.add_column(name, justify="right", min_width=len(name))
    for item in found.systems:
        cells = [f"{item.scores[key]:.2f}" for key in columns.values()]
        if has_tasks:
            cells.append(f"{mean_percent(item.tasks):.2f}")
        refused = str(sum(item.refusals.values()))
        overall = item.reliabilities.get(OVERALL)
        error = f"{100 * overall.expected_calibration_error:.1f}" if overall else ""
        table.add_row(item.name, *cells, refused, error, f"{item.median_seconds * 1000:.0f}")
    return table


def _task_table(found: Evaluation) -> Table:
    """A row for each task of a mixture, a column for each system."""
    table = headed_table()
    table.add_column("correct by task, %")
    table.add_column("questions", justify="right")
    for item in found.systems:
        table.add_column(item.name, justify="right")
    for name, score in found.systems[0].tasks.items():
        cells = [f"{item.tasks[name].percent:.1f}" for item in found.systems]
        table.add_row(name, str(score.questions), *cells)
    return table


def _agreements(item: EvaluatedSystem) -> str:
    """Such as "430 agree (98.1 % correct), 31 disagree (60.0 % correct)"."""
    return ", ".join(
        f"{counts['answers']} {name.lower()} ({counts['right'] / counts['answers']:.1%} correct)"
        for name, counts in item.agreements.items()
    )
