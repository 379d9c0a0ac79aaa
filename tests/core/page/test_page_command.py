"""The command tells what it needs, and stops early."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.extras import install_command

DOCS = Path(__file__).parents[3] / "docs"


def test_without_nicegui_it_says_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['nicegui'] = None\n"
        "from smolrgpt_core.cli import main; main()"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, "page"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert install_command("page") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_other_commands_do_without_nicegui() -> None:
    code = "import sys, smolrgpt_core.cli.application; print('nicegui' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["page", "--no-open", "--port", str(port)])
    assert done.exit_code == 1
    assert "choose another --port" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rgb", "{page}", "--recording", "{page}"], "not from both"),
        (["--rgb", "{page}"], "--depth"),
        (["--recording", "{page}"], "nothing in it is readable"),
    ],
)
def test_frames_that_cannot_be_used_end_the_command(
    words: list[str], told: str, free_port: int
) -> None:
    filled = [word.format(page=DOCS / "demo.md") for word in words]
    done = CliRunner().invoke(
        app, ["page", "--no-open", "--port", str(free_port), "--answerer", "geometric", *filled]
    )
    assert done.exit_code == 2
    assert told in re.sub(r"[\s│]+", " ", done.stderr)


def test_the_documentation_lists_every_option_with_its_default() -> None:
    section = (DOCS / "command_line.md").read_text().partition("\n## page\n")[2]
    section = section.partition("\n## ")[0]
    command = typer.main.get_command(app).commands["page"]  # type: ignore[attr-defined]
    for option in command.params:
        row = next(line for line in section.splitlines() if f"`{option.opts[0]}" in line)
        if isinstance(option.default, (int, str)) and option.default and option.name != "is_opened":
            assert f"`{option.default}`" in row
