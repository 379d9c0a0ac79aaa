"""How many threads PyTorch computes with while an engine computes; the program's own number stays.

An operator on several threads waits for the slowest of them. Those of a small model are so short
that waiting takes longer than computing, many times longer where other programs keep the cores
busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

SMALL_PARAMETERS = 20_000_000
"""A model with fewer parameters computes with one thread unless set otherwise."""


def threads_of(model: nn.Module, asked: int) -> int:
    """Threads to compute a model with; 0 = as many as PyTorch is set to.

    Args:
        model: what is computed.
        asked: `EngineConfig.threads`.
    """
    return asked or int(is_small(model))


def is_small(model: nn.Module) -> bool:
    """Whether a model's operators are so short that what is done around them counts."""
    return sum(weight.numel() for weight in model.parameters()) < SMALL_PARAMETERS


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with so many threads inside; 0 = as many as PyTorch is set to."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
