"""Converts a pickled state dict to safetensors: `python -m ... SOURCE DESTINATION`.

A program of its own, so that a file from elsewhere is unpickled where nothing else is. PyTorch is
told to build tensors only (`weights_only`), a restriction that has been bypassed before.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def main(source: str, destination: str) -> None:
    """Convert one file.

    Raises:
        SystemExit: when it holds anything but tensors, or is no pickle.
    """
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise SystemExit(f"it holds more than tensors, or is damaged: {_cause(error)}") from error
    others = [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise SystemExit(f"expected tensors only, got others under {', '.join(others[:5])}")
    # Tied weights share memory, which safetensors does not store.
    temporary = Path(destination).with_suffix(".tmp")
    save_file({name: value.clone().contiguous() for name, value in state.items()}, temporary)
    temporary.replace(destination)


def _cause(error: Exception) -> str:
    """PyTorch's error about the file, without its advice to trust it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "GLOBAL" in line), lines[0] if lines else repr(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
