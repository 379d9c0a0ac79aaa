"""Progress bar in the terminal, reports in the log, and values for TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers import Trainer, TrainerCallback
from transformers.integrations import TensorBoardCallback

logger = logging.getLogger(__name__)

TENSORBOARD_FOLDER = "tensorboard"


class ProgressBar(TrainerCallback):
    """Shows the progress of a run; for the main process."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[report]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("training", total=None, report="")

    def on_train_begin(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """As `TrainerCallback`: start at the step from which the run resumes."""
        self._progress.update(self._task, total=state.max_steps, completed=state.global_step)
        self._progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """As `TrainerCallback`: advance by one step."""
        self._progress.update(self._task, completed=state.global_step)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, float] | None = None,
        **unused: Any,
    ) -> None:
        """As `TrainerCallback`: show loss and speed, and write all values to the log."""
        values = dict(logs or {})
        logger.info(
            "step %d: %s",
            state.global_step,
            "  ".join(f"{name} {value:.4g}" for name, value in values.items()),
        )
        if "questions_per_second" in values:
            report = f"loss {values['loss']:.4f}  {values['questions_per_second']:.0f} questions/s"
            self._progress.update(self._task, report=report)

    def close(self) -> None:
        """Stop updating the bar."""
        self._progress.stop()


def add_tensorboard(trainer: Trainer, output: Path, step: int) -> None:
    """Write values for TensorBoard if it is installed; values of repeated steps are dropped.

    Args:
        trainer: to log.
        output: folder of the run.
        step: from which the run resumes.
    """
    if not find_spec("tensorboard"):
        logger.info("TensorBoard is not installed; values are only written to the log")
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(output / TENSORBOARD_FOLDER), purge_step=step + 1)
    trainer.add_callback(TensorBoardCallback(writer))
