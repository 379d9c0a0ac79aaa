"""Converts a pickled state dict to safetensors: `python -m ... SOURCE DESTINATION`.

A program of its own, so that a file from elsewhere is unpickled where nothing else is. PyTorch
builds tensors only (`weights_only`), a restriction that has been bypassed before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from smolrgpt_core.plain_pickles import load_plain


def main(source: str, destination: str) -> None:
    """Convert one file.

    Raises:
        SystemExit: when it holds anything but tensors, or is no pickle.
    """
    try:
        state = load_plain(source)
    except ValueError as error:
        raise SystemExit(f"it holds more than tensors, or is damaged: {error}") from error
    others = [str(name) for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise SystemExit(f"expected tensors only, got others under {', '.join(others[:5])}")
    # Tied weights share memory, which safetensors does not store.
    temporary = Path(destination).with_suffix(".tmp")
    save_file({name: value.clone().contiguous() for name, value in state.items()}, temporary)
    temporary.replace(destination)


if __name__ == "__main__":
    main(*sys.argv[1:])
