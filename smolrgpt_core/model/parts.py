"""The parts of a model by name, for training and for adapters."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from smolrgpt_core.model.modeling_smolrgpt import SmolRGPTForConditionalGeneration
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration

Model = SmolRGPTForConditionalGeneration | PointMapForConditionalGeneration

MODULES = {
    "vision_encoder": "vision_model",
    "rgb_connector": "connectors.rgb",
    "depth_connector": "connectors.depth",
    "rgb_refiner": "refiners.rgb",
    "depth_refiner": "refiners.depth",
    "region_colors": "metric_branch.colors",
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


def modules_of_part(model: Model, part: str) -> list[nn.Module]:
    """The modules of a part, without those of another part that lies within it."""
    parts = parts_of(model)
    within = {
        id(module)
        for other in parts
        if other != part and parts[other] in set(parts[part].modules())
        for module in parts[other].modules()
    }
    return [module for module in parts[part].modules() if id(module) not in within]


def weights_of_part(model: Model, part: str) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Weights of a part, each with the module that it belongs to; the head is the language model's.

    What lies within is skipped where it is a part of its own.
    """
    modules = modules_of_part(model, part)
    head = model.get_output_embeddings()
    if part == "language_model" and head is not None:
        modules.append(head)
    for module in modules:
        yield from ((module, weight) for weight in module.parameters(recurse=False))
