"""`smolrgpt import-checkpoint`: released checkpoints of SmolRGPT and HiSpatial to our layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.text_tables import plain_table

if TYPE_CHECKING:
    from smolrgpt_core.model.official import ImportReport

NOT_IMPORTED = 1
"""Exit status when the checkpoint cannot be imported."""


def import_checkpoint(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder with config.json and model.safetensors, weights.tar as released, or a "
            "hub id; for HiSpatial, a folder or hub id with config.json and weights.pt.",
        ),
    ],
    destination: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Folder or hub id; by default, the one named in the checkpoint."),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            help="Training stage, such as sft, if there are several; by default the last."
        ),
    ] = None,
) -> None:
    """Convert a checkpoint of SmolRGPT's or HiSpatial's authors, so that --checkpoint takes it.

    All or nothing: if keys are missing, unexpected or of the wrong shape, they are listed, and the
    exit status is 1.
    """
    # PyTorch takes seconds to import, which every other command would pay for.
    from smolrgpt_core.model import official
    from smolrgpt_core.model.point_map import released_checkpoint

    with exit_on(NOT_IMPORTED, OSError, ValueError, SpatialError):
        if released_checkpoint.is_released(source):
            report = released_checkpoint.import_released(source, destination, tokenizer)
        else:
            report = official.import_checkpoint(source, destination, tokenizer, stage)
    Console().print(_table(report))


def _table(report: ImportReport) -> Table:
    table = plain_table()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "source": report.source,
        "written to": str(report.destination),
        "stage": report.stage,
        "parameters": f"{report.parameters:,}",
        **{name: f"{size:,}" for name, size in report.sizes.items()},
        "weights": report.dtype,
        "tokenizer": report.tokenizer,
        "redundant": ", ".join(report.ignored) or "nothing",
    }
    if report.others:
        rows["not imported"] = "\n".join(report.others)
    for name, value in rows.items():
        table.add_row(name, value)
    return table
