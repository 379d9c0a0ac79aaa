"""`smolrgpt calibrate`: calibrates the confidences of a checkpoint."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers.calibration import write_calibration
from smolrgpt_core.answerers.likeness import write_likeness
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE
from smolrgpt_core.cli import options
from smolrgpt_core.cli.evaluate import (
    Intrinsics,
    Limit,
    SplitName,
    Workers,
    camera_option,
)
from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.options import writing
from smolrgpt_core.cli.progress import progress_by_name
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.reliability import reliability
from smolrgpt_core.text_tables import headed_table

if TYPE_CHECKING:
    from smolrgpt_core.evaluation.calibrating import Calibrating

CheckpointFolder = Annotated[
    Path,
    typer.Argument(
        help=f"Folder of the checkpoint, where {CALIBRATION_FILE} and {LIKENESS_FILE} are written.",
        exists=True,
        file_okay=False,
    ),
]

DataSets = Annotated[
    list[Path],
    typer.Option(
        help="Folder of a data set in the warehouse layout; may be repeated.",
        exists=True,
        file_okay=False,
    ),
]


def calibrate_command(
    checkpoint: CheckpointFolder,
    data: DataSets,
    split: SplitName = "val",
    limit: Limit = None,
    workers: Workers = 1,
    intrinsics: Intrinsics = "",
    depth_scale: options.DepthScale = "",
    answer_style: options.AnswerStyle = ModelSettings.answer_style,
) -> None:
    """Calibrate the confidences of a model, alone and combined with geometry.

    Use splits that the model was not trained on, with images and questions like its training data.
    Their properties are measured too: on input unlike them, the model alone is not trusted.
    The exit status is 0, or 2 when the data set or the checkpoint cannot be used.
    """
    camera = camera_option(intrinsics, depth_scale)
    if not os.access(checkpoint, os.W_OK):
        raise typer.BadParameter(
            f"{checkpoint} is not writable; {CALIBRATION_FILE} and {LIKENESS_FILE} go there"
        )
    with exit_on(WRONG_CALL, SpatialError, ValueError, ImportError):
        # PyTorch takes seconds to import, which every other command would pay for.
        from smolrgpt_core.evaluation.calibrating import calibrate

        settings = ModelSettings(answer_style=answer_style)
        with progress_by_name() as progress:
            found = calibrate(
                [SplitFolder(root, split) for root in data],
                str(checkpoint),
                settings,
                camera,
                limit,
                workers,
                progress,
            )
    calibrated, measured = checkpoint / CALIBRATION_FILE, checkpoint / LIKENESS_FILE
    with writing("CHECKPOINT"):
        write_calibration(calibrated, found.calibration)
        write_likeness(measured, found.likeness)
    Console().print(_table(found))
    if found.note:
        typer.echo(found.note, err=True)
    typer.echo(f"wrote {calibrated} and {measured}", err=True)


def _table(found: Calibrating) -> Table:
    """Expected calibration errors, the second one on images held out of the fit."""
    table = headed_table()
    for name in ("source", "category"):
        table.add_column(name, overflow="fold")
    for name in ("answers", "acc.\n%", "ECE raw\n%", "ECE held out\n%"):
        table.add_column(name, justify="right", no_wrap=True)
    groups = defaultdict(list)
    for item, confidence in zip(found.judged, found.held_out, strict=True):
        groups[item.evidence, item.category].append((item.confidence, confidence, item.correct))
    for (evidence, category), answers in sorted(
        groups.items(), key=lambda group: (group[0][0].value, group[0][1])
    ):
        before, after, correct = zip(*answers, strict=True)
        errors = [_error(confidences, correct) for confidences in (before, after)]
        accuracy = f"{100 * sum(correct) / len(correct):.1f}"
        table.add_row(
            evidence.value.replace("_", " "),
            category.name.lower(),
            str(len(correct)),
            accuracy,
            *errors,
        )
    return table


def _error(confidences: tuple[float, ...], correct: tuple[bool, ...]) -> str:
    found = reliability(confidences, correct)
    return f"{100 * found.expected_calibration_error:.1f}" if found else ""
