"""Checkpoints that are complete or absent.

    OUTPUT/checkpoints/step-00000500/      weights, optimizer, scheduler, generators
    OUTPUT/checkpoints/step-00000500/run.json

A checkpoint is written under a temporary name, flushed to disk and renamed, so that every folder
with a final name is complete, whatever stops the process. Independent of the content of the files.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from smolrgpt_core.errors import RunStoppedError, Status
from smolrgpt_core.files import read_json

FOLDER = "checkpoints"
RUN_FILE = "run.json"

_NAME = re.compile(r"step-(\d{8})")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        folder: with its files.
        step: number of optimizer steps.
    """

    folder: Path
    step: int

    def facts(self) -> dict[str, Any]:
        """Data saved with it: "validation_loss" (or null), and the state to resume the run."""
        facts: dict[str, Any] = read_json(self.folder / RUN_FILE)
        return facts


class CheckpointStore:
    """The checkpoints of one run.

    Attributes:
        output: folder of the run.
    """

    def __init__(self, output: Path, keep: int) -> None:
        """Open the checkpoints in a folder.

        Args:
            output: of the run.
            keep: number of latest checkpoints to keep.
        """
        self.output = output
        self._folder = output / FOLDER
        self._keep = keep

    def all(self) -> list[Checkpoint]:
        """Complete checkpoints, oldest first."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        matches = [(path, _NAME.fullmatch(path.name)) for path in found]
        complete = [Checkpoint(path, int(match[1])) for path, match in matches if match]
        return sorted(complete, key=lambda checkpoint: checkpoint.step)

    def newest(self) -> Checkpoint | None:
        """The one to resume from."""
        return next(reversed(self.all()), None)

    def best(self) -> Checkpoint | None:
        """The one with the lowest validation loss, if there was validation."""
        losses = [(item.facts().get("validation_loss"), item) for item in self.all()]
        measured = [(loss, item) for loss, item in losses if loss is not None]
        return min(measured, key=lambda pair: pair[0])[1] if measured else None

    def remove_unfinished(self) -> None:
        """Remove incomplete checkpoints of a process that was stopped while writing."""
        if self._folder.is_dir():
            for path in self._folder.glob(".*"):
                shutil.rmtree(path)

    def begin(self, step: int) -> Path:
        """An empty folder to write to; the same for all processes of a run."""
        folder = self._folder / f".step-{step:08}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def commit(self, step: int, facts: dict[str, Any]) -> Checkpoint:
        """Rename the written checkpoint to its final name, then remove old ones."""
        folder = self._folder / f".step-{step:08}"
        loss = facts.get("validation_loss")
        if loss is not None and not math.isfinite(loss):
            facts = {**facts, "validation_loss": None}
        (folder / RUN_FILE).write_text(json.dumps(facts))
        flush_to_disk(folder)
        final = self._folder / f"step-{step:08}"
        self._remove(final)
        folder.rename(final)
        flush_to_disk(self._folder, deep=False)
        self._prune()
        return Checkpoint(final, step)

    def _prune(self) -> None:
        newest_steps = {item.step for item in self.all()[-self._keep :]}
        best = self.best()
        for checkpoint in self.all():
            if checkpoint.step not in newest_steps and checkpoint != best:
                self._remove(checkpoint.folder)

    def _remove(self, folder: Path) -> None:
        """Rename before removal, since a partial checkpoint must not look complete."""
        if folder.exists():
            nameless = folder.with_name(f".{folder.name}.removed")
            folder.rename(nameless)
            shutil.rmtree(nameless)


def flush_to_disk(path: Path, deep: bool = True) -> None:
    """Flush a file, or a folder with its content, so that it survives a power failure."""
    if deep and path.is_dir():
        for entry in path.iterdir():
            flush_to_disk(entry)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(store: CheckpointStore) -> Iterator[None]:
    """Turn errors from a full disk into an error that says what to do.

    Raises:
        RunStoppedError: BAD_INPUT instead of an error while writing.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if not _is_of_writing(error):
            raise
        store.remove_unfinished()
        raise _not_written(store, error) from error


def _is_of_writing(error: Exception) -> bool:
    """Whether the disk is full; torch and safetensors only report it as text."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS)
    words = str(error)
    return isinstance(error, SafetensorError) or "PytorchStreamWriter" in words


def _not_written(store: CheckpointStore, error: Exception) -> RunStoppedError:
    free = shutil.disk_usage(store.output).free / 2**20
    last = store.newest()
    place = f"{last.folder} is complete" if last else "there is none yet"
    return RunStoppedError(
        Status.BAD_INPUT,
        f"{store.output} cannot be written to ({str(error).splitlines()[0]}); {free:.0f} MiB are "
        "free there. Free some space and run the same command again: it resumes from the "
        f"last checkpoint; {place}",
    )
