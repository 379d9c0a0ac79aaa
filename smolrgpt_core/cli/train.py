"""`smolrgpt train`: runs or resumes the training that a YAML file describes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from smolrgpt_core.cli.exits import INTERRUPTED, WRONG_CALL, exit_on
from smolrgpt_core.errors import RunStoppedError, SpatialError
from smolrgpt_core.extras import install_command
from smolrgpt_core.training.config import TrainConfig
from smolrgpt_core.training.config_file import read_config

STOPPED = 1
"""Exit status when the run stopped before its last step, or a package is missing."""

NEEDED = {
    "accelerate": "accelerate",
    "safetensors": "safetensors",
    "torch": "torch",
    "transformers": "transformers",
    "yaml": "pyyaml",
}
"""Modules that training needs, with their distributions."""

ConfigFile = Annotated[
    Path,
    typer.Argument(
        help="YAML file of the run, such as config/train/nano.yaml.", exists=True, dir_okay=False
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        help="Override values of the file, such as optimizer.steps=200, "
        "data.sources.0.root=DIR or trainable.language_model=1e-4.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]


def train(config: ConfigFile, changes: Changes = None) -> None:
    """Train a model, or resume an interrupted run.

    Checkpoints, logs and the finished model go to the folder `output` of the configuration. For
    several GPUs: torchrun --nproc-per-node N -m smolrgpt_core.cli train CONFIG. The exit status is
    0 when training has finished, 1 when the run stopped with an error, 2 when the configuration,
    its data or its checkpoint cannot be used, 130 after Ctrl-C.
    """
    missing = sorted(name for module, name in NEEDED.items() if find_spec(module) is None)
    if missing:
        typer.echo(
            f"training needs {', '.join(missing)}, which cannot be found; install them with: "
            f"{install_command('train')}",
            err=True,
        )
        raise typer.Exit(STOPPED)
    with exit_on(WRONG_CALL, SpatialError):
        wanted = read_config(config, changes or ())
    with shown_log():
        _run(wanted)


def _run(config: TrainConfig) -> None:
    # PyTorch takes seconds to import, which every other command would pay for.
    from smolrgpt_core.training import run

    try:
        with exit_on(WRONG_CALL, SpatialError), exit_on(STOPPED, RunStoppedError, ImportError):
            model = run.train(config)
    except KeyboardInterrupt as error:
        typer.echo("Stopped. The same command resumes from the last checkpoint.", err=True)
        raise typer.Exit(INTERRUPTED) from error
    if _is_main_process():
        typer.echo(f"wrote {model}")


@contextmanager
def shown_log() -> Iterator[None]:
    """Show the log of the main process and warnings of all: above the bar, or as plain lines."""
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("smolrgpt_core")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if _is_main_process() else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _is_main_process() -> bool:
    """Whether this is the first process of those that `torchrun` started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
