"""The loss of every step in `losses.jsonl`: the one record that runs are compared by.

It holds nothing that depends on time or machine. A run that goes on cuts it back to the step that
it goes on from.
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
    """Appends one line for each step."""

    def __init__(self, output: Path, step: int) -> None:
        """Go on after a step; lines of later steps, or half a line, are removed."""
        path = output / FILE
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        write_file(path, "".join(kept).encode())
        self._file = path.open("a")

    def append(self, step: int, values: Mapping[str, Any]) -> None:
        """Add the line of a step; it is in the file when this returns."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Wait until it would survive a loss of power."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> list[str]:
    """Whole lines with their ends."""
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
