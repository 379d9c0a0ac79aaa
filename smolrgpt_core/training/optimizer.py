"""The optimizers of a run: AdamW, or Muon for matrices with AdamW for everything else.

Muon orthogonalizes the update of a matrix, so that rare questions are not dominated by frequent
ones. Its learning rates are scaled so that those of AdamW can be used (Liu et al. 2025, arXiv
2502.16982).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from smolrgpt_core.training.config import MUON, OptimizerConfig
from smolrgpt_core.training.muon import Muon

MATRICES = "matrices"
"""Key of a parameter group: whether it is of matrices that Muon takes."""


_LEAST_OF_MATRIX = 16


def make_optimizer(
    groups: Sequence[dict[str, Any]], config: OptimizerConfig
) -> torch.optim.Optimizer:
    """The optimizer for the groups of `parameter_groups`."""
    betas = (config.beta1, config.beta2)
    if config.name == MUON:
        return MuonAndAdamW(groups, betas)
    return torch.optim.AdamW(groups, betas=betas)


def is_matrix_of_layer(module: nn.Module, weight: nn.Parameter) -> bool:
    """Whether a weight of a module maps vectors to vectors; embeddings and kernels do not.

    Nor do heads with a few outputs: orthogonalized, their updates would be mostly noise.
    """
    is_matrix = isinstance(module, nn.Linear) and weight.ndim == 2
    return is_matrix and min(weight.shape) >= _LEAST_OF_MATRIX


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon and AdamW as a single optimizer, for schedulers, accelerate and checkpoints.

    Args:
        groups: with the key `MATRICES`.
        betas: of AdamW.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], betas: tuple[float, float]) -> None:
        matrices = [group for group in groups if group[MATRICES]]
        others = [group for group in groups if not group[MATRICES]]
        self._inner: list[torch.optim.Optimizer] = []
        if matrices:
            self._inner.append(Muon(matrices))
        if others:
            self._inner.append(torch.optim.AdamW(others, betas=betas))
        super().__init__([group for part in self._inner for group in part.param_groups], {})

    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step of both optimizers."""
        loss = None if closure is None else closure()
        for part in self._inner:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both optimizers."""
        return {"inner": [part.state_dict() for part in self._inner]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the states of both optimizers."""
        for part, state in zip(self._inner, state_dict["inner"], strict=True):
            part.load_state_dict(state)
        # Loading replaces the groups of each, which are the ones that schedulers must reach.
        self.param_groups = [group for part in self._inner for group in part.param_groups]
