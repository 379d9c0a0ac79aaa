"""The commands of `smolrgpt`."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.annotate import annotate
from smolrgpt_core.cli.ask import ask
from smolrgpt_core.cli.bag2data import bag2data
from smolrgpt_core.cli.benchmark import benchmark_command
from smolrgpt_core.cli.calibrate import calibrate_command
from smolrgpt_core.cli.data import app as data
from smolrgpt_core.cli.demo import demo
from smolrgpt_core.cli.distill import distill_command
from smolrgpt_core.cli.evaluate import evaluate_command
from smolrgpt_core.cli.export import export_command
from smolrgpt_core.cli.export_onnx import export_onnx_command
from smolrgpt_core.cli.import_checkpoint import import_checkpoint
from smolrgpt_core.cli.import_hispatial import import_hispatial
from smolrgpt_core.cli.page import page
from smolrgpt_core.cli.replay import replay_command
from smolrgpt_core.cli.score import score
from smolrgpt_core.cli.simulate import simulate
from smolrgpt_core.cli.study import study_command
from smolrgpt_core.cli.train import train
from smolrgpt_core.doctor import Check, CheckResult, examine, healthy
from smolrgpt_core.text_tables import plain_table

app = typer.Typer(
    help="Answer spatial questions about the regions of an RGB-D image.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(ask)
app.command()(demo)
app.command()(import_checkpoint)
app.command()(import_hispatial)
app.command()(simulate)
app.command()(annotate)
app.command()(bag2data)
app.command()(page)
app.command("replay")(replay_command)
app.command()(train)
app.command("study")(study_command)
app.command("distill")(distill_command)
app.command("export")(export_command)
app.command("export-onnx")(export_onnx_command)
app.command()(score)
app.command("evaluate")(evaluate_command)
app.command("benchmark")(benchmark_command)
app.command("calibrate")(calibrate_command)
app.add_typer(data, name="data")

VERDICT_MARKS = {
    CheckResult.OK: Text("✓", "green"),
    CheckResult.OPTIONAL: Text("-", "dim"),
    CheckResult.WARNING: Text("!", "bold yellow"),
    CheckResult.FAILED: Text("✗", "bold red"),
}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"smolrgpt {importlib.metadata.version('smolrgpt')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Answer spatial questions about the regions of an RGB-D image."""


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what is installed, what works, what is missing and how to install it.

    The exit status is 1 only if a core requirement is missing.
    """
    console = Console(stderr=True)
    with console.status("Checking the installation ..."):
        checks = examine()
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        Console().print(doctor_table(checks))
    raise typer.Exit(0 if healthy(checks) else 1)


def doctor_table(checks: list[Check]) -> Table:
    """The checks as a table, by group."""
    table = plain_table()
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    group = ""
    for check in checks:
        if check.group != group:
            table.add_section()
            table.add_row("", Text(check.group, "bold"), "")
            group = check.group
        found = Text(check.found)
        if check.remedy:
            found.append(
                f"\n-> {check.remedy}",
                "yellow" if check.verdict is not CheckResult.OPTIONAL else "dim",
            )
        table.add_row(VERDICT_MARKS[check.verdict], check.name, found)
    return table
