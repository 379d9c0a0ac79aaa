"""One run of a study: training, measurement and evaluation; finished parts are skipped.

FOLDER/                       what `smolrgpt train` writes, without its checkpoints
FOLDER/trained.json           configuration, time, memory, size
FOLDER/evaluation-NAME.json   questions and scores
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error, read_json, write_file
from smolrgpt_core.settings_file import from_entries, to_entries
from smolrgpt_core.training.config import TrainConfig

if TYPE_CHECKING:
    from smolrgpt_core.study.config import EvaluationSet

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """One model of a study.

    Attributes:
        values: names by axis; none for a checkpoint that runs start from.
        folder: for its files.
        evaluations: data sets by name.
        train: how it is trained; None for a finished checkpoint.
        checkpoint: the finished checkpoint.
        home: base folder of relative paths; workers on other machines start elsewhere.
    """

    values: Mapping[str, str]
    folder: Path
    evaluations: Mapping[str, EvaluationSet]
    train: TrainConfig | None
    checkpoint: str = ""
    home: Path = field(default_factory=Path.cwd)

    @property
    def name(self) -> str:
        """For messages."""
        return self.folder.name

    def missing(self) -> list[str]:
        """Names of the result files that are not finished.

        Raises:
            SpatialError: BAD_INPUT when the folder belongs to another configuration.
        """
        return [name for name, _ in self._missing()]

    def do(self) -> None:
        """Train and evaluate what is missing.

        Raises:
            SpatialError: as `training.run.train` and `evaluate_alone`.
        """
        os.chdir(self.home)
        for name, make in self._missing():
            write_file(self.folder / name, json.dumps(make(), indent=1).encode())
        # They are for going on, and are several times as large as the model.
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)

    def result(self) -> dict[str, Any]:
        """The finished results: contents of the files, evaluations by name."""
        return {
            "values": dict(self.values),
            "trained": self._read("trained.json"),
            "evaluations": {
                name: found["result"]
                for name in self.evaluations
                if (found := self._read(_file_of(name)))
            },
        }

    def _missing(self) -> Iterator[tuple[str, Any]]:
        if self.train is not None and not self._is_made("trained.json", self.train):
            yield "trained.json", self._trained
        for name, item in self.evaluations.items():
            if not self._is_made(_file_of(name), item):
                yield _file_of(name), lambda item=item: self._evaluated(item)

    def _is_made(self, name: str, settings: TrainConfig | EvaluationSet) -> bool:
        found = self._read(name)
        if not found:
            return False
        now, before = to_entries(settings), found["settings"]
        with suppress(SpatialError):
            # As this version reads them, with the defaults of settings that are new.
            before = to_entries(from_entries(type(settings), before))
        if before != now:
            raise file_error(
                self.folder / name,
                f"was made with other settings, {_differences(before, now)}; "
                "choose another output, or remove this folder",
            )
        return True

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        found: dict[str, Any] = read_json(path) if path.is_file() else {}
        return found

    def _trained(self) -> dict[str, Any]:
        from smolrgpt_core.training import run
        from smolrgpt_core.training.checkpoints import CheckpointStore

        assert self.train is not None
        libraries = peak_bytes()
        model = run.train(self.train)
        newest = CheckpointStore(self.folder, self.train.checkpoints.keep).newest()
        assert newest is not None
        facts = newest.facts()
        artifact = self.folder / run.ADAPTER_FOLDER if self.train.peft else model
        return {
            "settings": to_entries(self.train),
            "seconds": facts["seconds"],
            "processor_seconds": facts["processor_seconds"],
            "questions": facts["questions"],
            "trained_parameters": facts["trained_parameters"],
            "hardware": facts["hardware"],
            "memory_bytes": max(peak_bytes() - libraries, 0),
            "library_bytes": libraries,
            "artifact_bytes": sum(path.stat().st_size for path in artifact.glob("*.safetensors")),
        }

    def _evaluated(self, item: EvaluationSet) -> dict[str, Any]:
        from smolrgpt_core.data.warehouse_format import SplitFolder
        from smolrgpt_core.evaluation.evaluation import evaluate_alone
        from smolrgpt_core.evaluation.predictions import AnswererChoice
        from smolrgpt_core.training.run import MODEL_FOLDER

        checkpoint = self.checkpoint or str(self.folder / MODEL_FOLDER)
        found = evaluate_alone(
            SplitFolder(Path(item.data), item.split),
            AnswererChoice("model", checkpoint),
            item.limit or None,
        )
        result = {
            "questions": len(found.judged),
            "scores": found.scores,
            "correct": {item.id: item.correct for item in found.judged},
            "refusals": dict(found.refusals),
            "unusable": found.unusable,
            "median_seconds": found.median_seconds,
        }
        return {"settings": to_entries(item), "result": result}


def peak_bytes() -> int:
    """Peak memory of this process so far; on a GPU, of its memory.

    `getrusage` is not used because a new process inherits its peak from its parent.
    """
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _file_of(evaluation: str) -> str:
    return f"evaluation-{evaluation}.json"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return "; ".join(
        f"{name}: {before.get(name)!r} before, {now.get(name)!r} now" for name in names
    )
