"""`smolrgpt train`: a training run, from a file that says all of it."""

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

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.extras import install_command
from smolrgpt_core.training.config import TrainConfig
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.errors import RunStoppedError

STOPPED = 1
"""Exit status when the run stopped before its last step, or a package is missing."""

WRONG_CALL = 2
"""Exit status when the configuration, or what it names, cannot be used."""

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

NEEDED = {
    "accelerate": "accelerate",
    "safetensors": "safetensors",
    "torch": "torch",
    "transformers": "transformers",
    "yaml": "pyyaml",
}
"""Module and distribution of what training cannot do without."""

ConfigFile = Annotated[
    Path,
    typer.Argument(
        help="YAML file of the run, such as config/train/nano.yaml.", exists=True, dir_okay=False
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(
        help="Values in place of the file's, such as optimizer.steps=200, "
        "data.sources.0.root=DIR or trainable.language_model=1e-4.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]


def train(config: ConfigFile, changes: Changes = None) -> None:
    """Train a model, or go on where the same command stopped.

    Checkpoints, logs and the finished model go to the folder `output` of the configuration. For
    several GPUs: torchrun --nproc-per-node N -m smolrgpt_core.cli train CONFIG. The exit status is
    0 when the model is finished, 1 when the run stopped with an error, 2 when the configuration,
    its data or its checkpoint cannot be used, 130 after Ctrl-C.
    """
    missing = sorted(name for module, name in NEEDED.items() if find_spec(module) is None)
    if missing:
        typer.echo(
            f"training needs {', '.join(missing)}, not installed here; install with: "
            f"{install_command('train')}",
            err=True,
        )
        raise typer.Exit(STOPPED)
    try:
        wanted = read_config(config, changes or ())
    except SpatialError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_CALL) from error
    with _shown_log():
        _run(wanted)


def _run(config: TrainConfig) -> None:
    # PyTorch takes seconds to import, which every other command would pay for.
    from smolrgpt_core.training import run

    try:
        model = run.train(config)
    except (RunStoppedError, ImportError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STOPPED) from error
    except SpatialError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_CALL) from error
    except KeyboardInterrupt as error:
        typer.echo("Stopped. The same command goes on at the last checkpoint.", err=True)
        raise typer.Exit(INTERRUPTED) from error
    if _is_main_process():
        typer.echo(f"wrote {model}")


@contextmanager
def _shown_log() -> Iterator[None]:
    """Reports of the main process and warnings of all: above the bar, or as lines of a file."""
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
