"""Pickles of PyTorch that hold tensors and plain values only.

For programs of their own, in which nothing else is: PyTorch's restriction (`weights_only`) has been
bypassed before.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import torch


def load_plain(source: str | BinaryIO) -> Any:
    """What a file of `torch.save` holds.

    Args:
        source: path of the file, or the file.

    Raises:
        ValueError: it holds anything else, or is damaged; the message is PyTorch's, without its
            advice to trust the file.
    """
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        # A broken pickle may raise anything.
        raise ValueError(_cause(error)) from error


def _cause(error: Exception) -> str:
    text = str(error).partition("Check the documentation")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return repr(error)
    return next((line for line in lines if "GLOBAL" in line), lines[-1])
