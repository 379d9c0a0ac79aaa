"""`smolrgpt export`: the model of a finished training run, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.errors import SpatialError

NOT_EXPORTED = 1
"""Exit status when the run cannot be exported."""


def export_command(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of the run: `output` of its configuration.", exists=True, file_okay=False
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    name: Annotated[str, typer.Option(help="Title of the model card.")] = "smolrgpt",
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(
            help="Output of `smolrgpt evaluate --json` for the card; may be repeated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Copy the model of a finished run, with a model card of its data, training and scores."""
    # PyTorch takes seconds to import, which every other command would pay for.
    from smolrgpt_core.training.export import export

    with exit_on(NOT_EXPORTED, SpatialError):
        export(run, out, name, evaluation or ())
    typer.echo(f"wrote {out}")
