"""New parts of a model that was trained without them: they begin without any effect."""

from __future__ import annotations

import torch
from torch import nn


class QuietLinear(nn.Linear):
    """A layer whose output is 0 at first: a model trained without it keeps its output.

    Args:
        inputs: channels.
        outputs: channels.
        first: value of the first output at first, in the place of 0.
    """

    def __init__(self, inputs: int, outputs: int, first: float = 0.0) -> None:
        super().__init__(inputs, outputs)
        self.first = first

    def first_bias(self) -> torch.Tensor:
        """The bias (outputs,) to start from; the weights start at 0."""
        bias = torch.zeros_like(self.bias)
        bias[0] = self.first
        return bias
