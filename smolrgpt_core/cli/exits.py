"""How commands end: the exit statuses that several of them share, and the errors that end them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

WRONG_CALL = 2
"""Exit status when an option, or what it names, cannot be used."""

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


@contextmanager
def exit_on(status: int, *errors: type[Exception]) -> Iterator[None]:
    """End the command on these errors, with their message on standard error.

    Args:
        status: exit status.
        errors: that end it; any other one passes.

    Raises:
        typer.Exit: one of them was raised.
    """
    try:
        yield
    except errors as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(status) from error
