"""`smolrgpt export-onnx`: a folder that answers without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.text_tables import headed_table

if TYPE_CHECKING:
    from smolrgpt_core.inference.onnx_export import Export

NOT_EXPORTED = 1
"""Exit status when the checkpoint cannot be exported."""


def export_onnx_command(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    checkpoint: Annotated[
        Path,
        typer.Option(
            help="Folder of the checkpoint; by default the nano model of the package.",
            show_default=False,
            exists=True,
            file_okay=False,
        ),
    ] = NANO,
) -> None:
    """Write a folder with which ONNX Runtime answers; PyTorch is not needed where it is used.

    Both runtimes are asked the same questions first; if they do not write the same tokens, nothing
    is written and the exit status is 1.
    """
    # PyTorch takes seconds to import, which every other command would pay for.
    from smolrgpt_core.inference.onnx_export import export_onnx

    with exit_on(NOT_EXPORTED, ImportError, OSError, ValueError, SpatialError):
        export = export_onnx(checkpoint, out)
    Console().print(_table(export))
    typer.echo(f"wrote {out}")


def _table(export: Export) -> Table:
    table = headed_table()
    table.add_column("file", no_wrap=True)
    table.add_column("kB", justify="right")
    for name, size in export.bytes_of.items():
        table.add_row(name, f"{size / 1000:,.0f}")
    table.add_section()
    table.add_row("together", f"{sum(export.bytes_of.values()) / 1000:,.0f}")
    table.caption = (
        f"Both runtimes produce the same {export.tokens} tokens; their probabilities differ by at "
        f"most {export.apart:.1e}."
    )
    return table
