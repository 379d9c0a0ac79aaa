"""Which weights a stage trains: parts of the model by name, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.adapters import adapter_weights
from smolrgpt_core.model.parts import Model, parts_of, weights_of_part
from smolrgpt_core.training.optimizer import MATRICES, is_matrix_of_layer


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
