"""Calls `smolrgpt` from a script, in the same process: PyTorch takes seconds to load."""

from __future__ import annotations

import sys

from smolrgpt_core.cli.application import app


def smolrgpt(*words: str) -> None:
    """Run the command with these words; a command that fails ends the script."""
    status = app(words, standalone_mode=False)
    if status:
        sys.exit(f"smolrgpt {' '.join(words)} ended with status {status}")
