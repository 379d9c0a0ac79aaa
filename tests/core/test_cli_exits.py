"""Errors that end a command, and those that show a fault of the program."""

from __future__ import annotations

import pytest
import typer

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on


def test_an_expected_error_ends_the_command_with_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, exit_on(WRONG_CALL, ValueError, OSError):
        raise OSError("no such disk")
    assert ended.value.exit_code == WRONG_CALL
    assert capsys.readouterr() == ("", "no such disk\n")


def test_the_inner_one_decides_about_an_error_that_both_name() -> None:
    with pytest.raises(typer.Exit) as ended, exit_on(2, LookupError), exit_on(1, KeyError):
        raise KeyError("missing")
    assert ended.value.exit_code == 1


def test_any_other_error_passes() -> None:
    with pytest.raises(KeyError), exit_on(WRONG_CALL, ValueError):
        raise KeyError("a fault of the program")
