"""Logs the loss of every step to `losses.jsonl`, to compare runs.

It contains nothing that depends on time or machine. A resumed run truncates it to the step from
which it resumes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smolrgpt_core.files import write_file

FILE = "losses.jsonl"


class LossLog:
    """Appends one line per step."""

    def __init__(self, output: Path, step: int) -> None:
        """Resume after a step; later or incomplete lines are removed."""
        path = output / FILE
        earlier = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        write_file(path, "".join(earlier).encode())
        self._file = path.open("a")

    def append(self, step: int, values: Mapping[str, Any]) -> None:
        """Write the line of a step to the file."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Flush to disk, so that it survives a power failure."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> list[str]:
    """Whole lines with their ends."""
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
