"""What a stage trains, and how: parts of the model by name, each with its own learning rate.

The optimizer is AdamW, or Muon for matrices with AdamW for everything else.

Muon orthogonalizes the update of a matrix, so that rare questions are not dominated by frequent
ones. Its learning rates are scaled so that those of AdamW can be used (Liu et al. 2025, arXiv
2502.16982).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.adapters import adapter_weights
from smolrgpt_core.model.parts import Model, parts_of, weights_of_part
from smolrgpt_core.training.config import MUON, OptimizerConfig
from smolrgpt_core.training.muon import Muon

MATRICES = "matrices"
"""Key of a parameter group: whether it is of matrices that Muon takes."""


_LEAST_OF_MATRIX = 16


def set_trainable(
    model: Model, trainable: Mapping[str, float], adapted: Collection[str] = ()
) -> None:
    """Train these parts and freeze all others.

    Args:
        model: to train, with its adapter attached.
        trainable: peak learning rate by part, see `training.config.PARTS`.
        adapted: those of them of which the adapter's weights are trained, and no others.

    Raises:
        SpatialError: BAD_INPUT for a part that the model does not have.
    """
    parts = parts_of(model)
    missing = sorted(set(trainable) - set(parts))
    if missing:
        raise bad_input(
            f"the model has no {', '.join(missing)} to train; its parts are {', '.join(parts)}",
        )
    of_adapter = _ids_of_adapter(model)
    model.requires_grad_(False)
    for part in trainable:
        for _, weight in weights_of_part(model, part):
            weight.requires_grad_(part not in adapted or id(weight) in of_adapter)


def parameter_groups(
    model: Model, trainable: Mapping[str, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups: the peak learning rate of each part; no decay of biases and norms.

    Args:
        model: to train.
        trainable: peak learning rate by part, see `training.config.PARTS`.
        weight_decay: of matrices.
    """
    groups, known, head = [], set[int](), model.get_output_embeddings()
    of_adapter = _ids_of_adapter(model)
    for part, rate in trainable.items():
        kinds: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for module, weight in weights_of_part(model, part):
            # Where head and embedding are one matrix it is trained once, as an embedding.
            if weight.requires_grad and id(weight) not in known:
                known.add(id(weight))
                is_matrix = module is not head and is_matrix_of_layer(module, weight)
                is_of_adapter = id(weight) in of_adapter
                kind = _kind_of_adapter(weight) if is_of_adapter else (weight.ndim > 1, is_matrix)
                kinds.setdefault(kind, []).append(weight)
        groups += [
            {
                "params": weights,
                "lr": rate,
                "weight_decay": weight_decay if decays else 0.0,
                MATRICES: is_matrix,
            }
            for (decays, is_matrix), weights in kinds.items()
        ]
    return groups


def _kind_of_adapter(weight: nn.Parameter) -> tuple[bool, bool]:
    """Whether a weight of an adapter decays, and whether Muon takes it.

    It takes none: orthogonalized, the steps of a factor would all be of its full rank. Factors of
    ia3 are matrices with one row or column: decay would pull them from 1 to 0.
    """
    return weight.ndim > 1 and min(weight.shape) > 1, False


def _ids_of_adapter(model: Model) -> set[int]:
    return {id(weight) for weight in adapter_weights(model).values()}


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
