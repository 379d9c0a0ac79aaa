"""Progress of all commands, and how those end that make a data set piece by piece."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from smolrgpt_core.cli.exits import INTERRUPTED, WRONG_CALL
from smolrgpt_core.errors import SpatialError, Status

NOT_MADE = 1
"""Exit status when the data set is incomplete."""

GO_ON = "Finished parts are kept: the same command resumes where this one stopped."


class _RateColumn(ProgressColumn):
    """Pieces per second, of late."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.2f}/s" if task.speed else "-/s")


def work_progress() -> Progress:
    """Progress on standard error, with the rate and the time that is left."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateColumn(),
        TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True))


def count_progress(transient: bool = False) -> Progress:
    """Progress on standard error with the time that is left; a transient one goes at its end."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), transient=transient)


@contextmanager
def progress_by_name() -> Iterator[Callable[[str, int, int], None]]:
    """A transient bar for each name; yields `advance(name, done, total)`."""
    with count_progress(transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield advance


@contextmanager
def resumable(root: Path) -> Iterator[None]:
    """End the command on errors, with how to resume.

    Args:
        root: folder of the data set.

    Raises:
        typer.Exit: anything went wrong.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        typer.echo(f"Stopped. {GO_ON}", err=True)
        raise typer.Exit(INTERRUPTED) from error
    except ConnectionError as error:
        typer.echo(f"{error}. {GO_ON}", err=True)
        raise typer.Exit(NOT_MADE) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space, or choose another disk. " if full else ""
        reason = error.strerror or str(error)
        typer.echo(f"{error.filename or root}: {reason}. {advice}{GO_ON}", err=True)
        raise typer.Exit(NOT_MADE) from error
    except (SpatialError, ImportError) as error:
        lost = isinstance(error, SpatialError) and error.status is Status.MODEL_ERROR
        typer.echo(f"{error}. {GO_ON}" if lost else str(error), err=True)
        wrong_call = isinstance(error, SpatialError) and error.status is Status.BAD_INPUT
        raise typer.Exit(WRONG_CALL if wrong_call else NOT_MADE) from error
