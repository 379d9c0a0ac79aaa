"""`smolrgpt distill`: a teacher's logits and answers on the data of a training, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.train import STOPPED, Changes, ConfigFile, shown_log
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.training.config_file import read_config


def distill_command(
    config: ConfigFile,
    teacher: Annotated[str, typer.Option(help="Folder or hub id of the teacher's checkpoint.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an interrupted run resumes there.")],
    changes: Changes = None,
    top: Annotated[
        int, typer.Option(help="Number of most likely tokens to store for each position.", min=1)
    ] = 32,
    answers: Annotated[
        bool, typer.Option("--answers", help="Also write the answers that the teacher generates.")
    ] = False,
) -> None:
    """Ask a teacher about the data of a training run, once for all students.

    CONFIG is the student's configuration; name the folder as distillation.logits there. With
    --answers the folder also has answers.jsonl for distillation.answers. The exit status is 0 when
    everything is written, 1 when a package is missing, 2 when configuration, teacher or data cannot
    be used.
    """
    with exit_on(WRONG_CALL, SpatialError), exit_on(STOPPED, ImportError):
        wanted = read_config(config, changes or ())
        # PyTorch takes seconds to import, which every other command would pay for.
        import torch

        from smolrgpt_core.training.stored_logits import TeacherSettings, write_logits

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with shown_log():
            write_logits(wanted, TeacherSettings(teacher, top, answers), out, device)
    typer.echo(f"wrote {out}")
