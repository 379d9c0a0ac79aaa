"""Which weights a stage trains: parts of the model by name, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model import SmolRGPTForConditionalGeneration
from smolrgpt_core.training.optimizer import MATRICES, is_matrix_of_layer

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


def parts_of(model: SmolRGPTForConditionalGeneration) -> dict[str, nn.Module]:
    """The parts that this model has."""
    modules = dict(model.model.named_modules())
    return {part: modules[path] for part, path in MODULES.items() if path in modules}


def set_trainable(model: SmolRGPTForConditionalGeneration, trainable: Mapping[str, float]) -> None:
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
        parts[part].requires_grad_(True)
    if "language_model" in trainable:
        model.lm_head.requires_grad_(True)


def parameter_groups(
    model: SmolRGPTForConditionalGeneration, trainable: Mapping[str, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups: the peak learning rate of each part; no decay of biases and norms.

    Args:
        model: to train.
        trainable: peak learning rate by part, see `training.config.PARTS`.
        weight_decay: of matrices.
    """
    parts, groups, known = parts_of(model), [], set[int]()
    for part, rate in trainable.items():
        modules = [parts[part], *([model.lm_head] if part == "language_model" else [])]
        kinds: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for module, weight in _trained(modules):
            # Where head and embedding are one matrix it is trained once, as an embedding.
            if id(weight) not in known:
                known.add(id(weight))
                is_matrix = module is not model.lm_head and is_matrix_of_layer(module, weight)
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


def _trained(modules: Sequence[nn.Module]) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Weights that are trained, each with the module that it belongs to."""
    for module in modules:
        for part in module.modules():
            yield from (
                (part, weight) for weight in part.parameters(recurse=False) if weight.requires_grad
            )
