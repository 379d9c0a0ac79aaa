"""Files of a checkpoint by name, in a folder or on the hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from smolrgpt_core.checkpoints.weights import WEIGHTS_FILE, weights_files, weights_fingerprint

CALIBRATION_FILE = "calibration.json"
"""Confidences of the weights beside it."""

LIKENESS_FILE = "likeness.json"
"""What the weights beside it were trained on."""


def fingerprint_of(checkpoint: str | Path) -> str:
    """Fingerprint of the weights of a checkpoint.

    Args:
        checkpoint: folder or hub id.

    Raises:
        OSError: when there are no weights, or the hub cannot be asked.
        SpatialError: BAD_INPUT when the weights cannot be read.
    """
    weights = weights_files(partial(file_of, checkpoint))
    if not weights:
        from transformers.utils import cached_file

        # Says which file is missing, and where.
        cached_file(checkpoint, WEIGHTS_FILE)
    return weights_fingerprint(weights)


def file_of(checkpoint: str | Path, name: str) -> Path | None:
    """A file of a checkpoint, in a folder or on the hub; None where it has no such file."""
    if Path(checkpoint).is_dir():
        path = Path(checkpoint) / name
        return path if path.is_file() else None
    # Seconds to import, and not there where ONNX Runtime computes.
    from transformers.utils import cached_file

    found = cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)
