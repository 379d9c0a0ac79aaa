"""`smolrgpt import-hispatial`: shards of HiSpatial's authors to our layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.cli.options import wrong_call
from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.extras import require
from smolrgpt_core.text_tables import counts_table

if TYPE_CHECKING:
    from smolrgpt_core.hispatial_data.run import ImportRun, ImportSummary

Shards = Annotated[
    list[Path],
    typer.Argument(
        help="Tars of Objects365 or COYO, CA-1M or general questions, in any mixture.",
        exists=True,
        dir_okay=False,
        metavar="SHARD...",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the data set; created if needed.")]
Questions = Annotated[
    int,
    typer.Option(help="Maximum number of questions per image, without those about pixels.", min=1),
]
Split = Annotated[str, typer.Option(help=f"Split for all images: {', '.join(SPLITS)}.")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def import_hispatial(
    shards: Shards,
    out: Out,
    questions: Questions = 16,
    split: Split = "train",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Convert released training data of HiSpatial's authors to a data set in the public layout.

    Pickles are read once, in a process of their own that builds only tensors and plain values.
    Records that cannot be used are counted and named with the reason.

    The same shards and options give the same bytes. After a kill the same command resumes. The exit
    status is 0 if the data set is complete, 1 if it is not, 2 for an invalid command line, 130
    after Ctrl-C.
    """
    with resumable(out):
        require(
            "torch",
            "model",
            "the released shards contain pickles of PyTorch; reading them needs torch",
        )
        from smolrgpt_core.hispatial_data.run import ImportRun, ImportSettings

        with wrong_call():
            run = ImportRun(ImportSettings(tuple(shards), questions, split, seed), out)
        summary = _convert(run)
    if summary is None:
        typer.echo(f"{out} is already complete.", err=True)
    elif as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2))
    else:
        Console().print(_table(summary))


def _convert(run: ImportRun) -> ImportSummary | None:
    """Convert what is missing; None if nothing was."""
    from smolrgpt_core.hispatial_data.unpickling import Unpickler

    with run.locked():
        if run.is_complete:
            return None
        missing = run.missing()
        total = len(run.settings.shards)
        with work_progress() as progress, Unpickler() as unpickler:
            task = progress.add_task("shards", total=total, completed=total - len(missing))
            for shard in missing:
                name = run.settings.shards[shard].name
                for done, _ in enumerate(run.convert(shard, unpickler), 1):
                    progress.update(task, description=f"shards ({name}: {done} records)")
                progress.advance(task)
        return run.finish()


def _table(summary: ImportSummary) -> Table:
    """What a data set holds, and what cannot be used and why."""
    table = counts_table()
    for stream, count in sorted(summary.images.items()):
        table.add_row(f"images: {stream}", str(count), "")
    table.add_row("with much depth out of range", str(summary.short_of_depth), "")
    for broken in summary.broken:
        place = f"{broken.shard}: {broken.key}" if broken.key else broken.shard
        table.add_row("broken", "", f"{place}: {broken.reason}")
    table.add_section()
    for family, count in sorted(summary.questions.items()):
        table.add_row(f"questions: {family}", str(count), "")
    for format, count in sorted(summary.formats.items()):
        table.add_row(f"in format: {format}", str(count), "")
    for reason, count in summary.left_out.most_common():
        table.add_row("left out", str(count), reason)
    return table
