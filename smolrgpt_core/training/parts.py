"""Which weights a stage trains: parts of the model by name, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration
from smolrgpt_core.training.optimizer import MATRICES, is_matrix_of_layer
from smolrgpt_core.training.start import Model

MODULES = {
    "vision_encoder": "vision_model",
    "rgb_connector": "connectors.rgb",
    "depth_connector": "connectors.depth",
    "rgb_refiner": "refiners.rgb",
    "depth_refiner": "refiners.depth",
    "point_fusion": "point_encoder",
    "metric_branch": "metric_branch",
    "language_model": "language_model",
}
"""Module of `SmolRGPTModel` by name of the part. The head is tied to the language model's."""


def parts_of(model: Model) -> dict[str, nn.Module]:
    """The parts that this model has, without the head. One may lie within another."""
    if isinstance(model, PointMapForConditionalGeneration):
        return model.parts
    modules = dict(model.model.named_modules())
    return {part: modules[path] for part, path in MODULES.items() if path in modules}


def set_trainable(model: Model, trainable: Mapping[str, float]) -> None:
    """Train these parts and freeze all others.

    Raises:
        SpatialError: BAD_INPUT for a part that the model does not have.
    """
    parts = parts_of(model)
    missing = sorted(set(trainable) - set(parts))
    if missing:
        raise bad_input(
            f"the model has no {', '.join(missing)} to train; its parts are {', '.join(parts)}",
        )
    model.requires_grad_(False)
    for part in trainable:
        for _, weight in _weights(model, part):
            weight.requires_grad_(True)


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
    for part, rate in trainable.items():
        kinds: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for module, weight in _weights(model, part):
            # Where head and embedding are one matrix it is trained once, as an embedding.
            if weight.requires_grad and id(weight) not in known:
                known.add(id(weight))
                is_matrix = module is not head and is_matrix_of_layer(module, weight)
                kinds.setdefault((weight.ndim > 1, is_matrix), []).append(weight)
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


def _weights(model: Model, part: str) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Weights of a part, each with the module that it belongs to; the head is the language model's.

    What lies within is left out where it is a part of its own.
    """
    parts = parts_of(model)
    within = {
        id(module)
        for other in parts
        if other != part and parts[other] in set(parts[part].modules())
        for module in parts[other].modules()
    }
    modules = [module for module in parts[part].modules() if id(module) not in within]
    head = model.get_output_embeddings()
    if part == "language_model" and head is not None:
        modules.append(head)
    for module in modules:
        yield from ((module, weight) for weight in module.parameters(recurse=False))
