"""Puts an adapter into a model, and merges it into the weights.

In place, with the layers of the library peft, so that the model keeps its class and everything that
takes a model also takes one with an adapter. peft's own wrapper is never used: it would turn
tokens into embeddings itself, and the images would be ignored.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from smolrgpt_core.adapter_settings import (
    BOTTLENECK,
    DORA,
    IA3,
    LN_TUNING,
    PROMPT,
    RSLORA,
    AdapterSettings,
)
from smolrgpt_core.extras import require
from smolrgpt_core.model.bottleneck import add_bottlenecks, described_bottlenecks
from smolrgpt_core.model.parts import Model, modules_of_part, parts_of
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.model.processing_smolrgpt import SmolRGPTProcessor
from smolrgpt_core.model_inputs.prompts import add_prompt_tokens

Processor = SmolRGPTProcessor | PointMapProcessor

_SECOND_OF_MLP = ("down_proj", "fc2")
"""Last names of layers whose inputs ia3 scales, after its paper, in models of transformers."""

_SHOWN = 6
"""Names of layers in an error message."""


def attach_adapter(model: Model, processor: Processor, settings: AdapterSettings) -> Processor:
    """Put a new adapter into a model; until it is trained or loaded the model answers as before.

    With "prompt" the new tokens are copies of random ones, which do change the answers.

    Args:
        model: changed in place.
        processor: of the model; its tokenizer gets the tokens of a prompt.
        settings: which adapter, and where.

    Returns:
        The processor of the model from now on.

    Raises:
        ValueError: when the model has an adapter already, or no layer that a target names; when
            peft is missing.
    """
    if any(map(is_tuner_layer, model.modules())):
        raise ValueError(
            "the model has an adapter already; merge it, or load the checkpoint without it"
        )
    if model.config.bottlenecks:
        raise ValueError(
            "the checkpoint has bottlenecks, which cannot be distinguished from a second "
            "adapter; train its parts themselves, or an adapter of the checkpoint that it was "
            "trained on"
        )
    layers = target_layers(model, settings)
    if settings.method == PROMPT:
        _attach_prompt(model, processor.tokenizer, settings)
    elif settings.method == BOTTLENECK:
        _attach_bottlenecks(model, settings, layers)
    else:
        _add(model, _peft_config(settings, layers))
    config: Any = model.config
    if isinstance(processor, PointMapProcessor):
        return PointMapProcessor(config, processor.image_processor, processor.tokenizer)
    return SmolRGPTProcessor(processor.tokenizer, config)


def adapter_weights(model: Model) -> dict[str, nn.Parameter]:
    """The weights of an adapter that is not merged, by their name in the model."""
    found: set[int] = set()
    for module in model.modules():
        for name in getattr(module, "adapter_layer_names", ()):
            found |= {id(weight) for weight in getattr(module, name).parameters()}
    return {name: weight for name, weight in model.named_parameters() if id(weight) in found}


def merge_adapter(model: Model) -> None:
    """Write an adapter into the weights of its model, which is then one like any other.

    Bottlenecks stay as they are: parts of the model.

    Raises:
        ValueError: when a merged weight would be no number.
    """
    for name, module in list(model.named_modules()):
        if is_tuner_layer(module):
            module.merge(safe_merge=True)
            model.set_submodule(name, module.get_base_layer())
    if model._hf_peft_config_loaded:
        model._hf_peft_config_loaded = False
        del model.peft_config


def is_tuner_layer(module: nn.Module) -> bool:
    """Whether a module is a layer of peft around another, whose own weight is not what counts."""
    return hasattr(module, "get_base_layer") and hasattr(module, "adapter_layer_names")


def target_layers(model: Model, settings: AdapterSettings) -> list[str]:
    """Dotted names in the model of the layers that the targets of an adapter name.

    Raises:
        ValueError: for a part that the model does not have, and for a pattern without a layer.
    """
    parts = parts_of(model)
    missing = [part for part in settings.targets if part not in parts]
    if missing:
        raise ValueError(
            f"targets: the model has no {', '.join(missing)}; its parts are {', '.join(parts)}"
        )
    names = {id(module): name for name, module in model.named_modules()}
    return [
        f"{names[id(parts[part])]}.{name}"
        for part, pattern in settings.targets.items()
        for name in _matching(model, part, pattern, settings.method, names)
    ]


def _matching(
    model: Model, part: str, pattern: str, method: str, names: dict[int, str]
) -> list[str]:
    """Names in the part of its layers that a pattern matches and the method can adapt."""
    root = names[id(parts_of(model)[part])]
    within = {
        names[id(module)].removeprefix(f"{root}."): module
        for module in modules_of_part(model, part)
        if id(module) in names and names[id(module)] != root
    }
    named = [name for name in within if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", name)]
    found = [name for name in named if _can_adapt(within[name], method)]
    if found:
        return found
    raise ValueError(
        f"targets.{part}: {pattern!r} matches no layer that {method} can adapt; it "
        + (
            "matches " + ", ".join(f"{n} ({type(within[n]).__name__})" for n in named[:_SHOWN])
            if named
            else "matches nothing"
        )
        + f". Such layers are: {_examples(within, method)}"
    )


def _examples(within: dict[str, nn.Module], method: str) -> str:
    fitting = [name for name, module in within.items() if _can_adapt(module, method)]
    if not fitting:
        return "none in this part; train it as a whole: name it under trainable, not as a target"
    more = ", ..." if len(fitting) > _SHOWN else ""
    return ", ".join(fitting[:_SHOWN]) + more


def _can_adapt(module: nn.Module, method: str) -> bool:
    if method == LN_TUNING:
        is_leaf = next(module.children(), None) is None
        return is_leaf and "Norm" in type(module).__name__ and hasattr(module, "weight")
    # A derived class may compute something else.
    return type(module) is nn.Linear


def _attach_bottlenecks(model: Model, settings: AdapterSettings, layers: Sequence[str]) -> None:
    root = model.base_model
    prefix = "" if root is model else f"{model.base_model_prefix}."
    described = described_bottlenecks([name.removeprefix(prefix) for name in layers], settings.rank)
    add_bottlenecks(root, described, settings.dropout)
    model.config.bottlenecks = described


def _attach_prompt(model: Model, tokenizer: Any, settings: AdapterSettings) -> None:
    if model.config.prompt_tokens:
        raise ValueError(
            f"the checkpoint has a prompt of {model.config.prompt_tokens} tokens already; train "
            "another adapter on it, or a prompt for the checkpoint that it was trained on"
        )
    ids = add_prompt_tokens(tokenizer, settings.tokens)
    _make_rows(model, ids)
    model.config.prompt_tokens = settings.tokens
    generation = model.generation_config
    generation.suppress_tokens = [*(generation.suppress_tokens or []), *ids]
    embedding = next(
        name for name, module in model.named_modules() if module is model.get_input_embeddings()
    )
    rows = _peft().TrainableTokensConfig(target_modules=[embedding], token_indices=ids)
    _add(model, rows)


def _add(model: Model, config: Any) -> None:
    with warnings.catch_warnings():
        # Rows of a head that is tied to the embedding move with it, here and in `merge_adapter`;
        # norms are copied whole, so that their type does not matter.
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings|Unsupported layer type")
        model.add_adapter(config)


@torch.no_grad()
def _make_rows(model: Model, ids: Sequence[int]) -> None:
    """Rows of new tokens in the embedding: those of random known ones, which have its scale."""
    inner: Any = model.vlm if isinstance(model, PointMapForConditionalGeneration) else model
    if max(ids) >= len(inner.get_input_embeddings().weight):
        inner.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    embedding, head = inner.get_input_embeddings(), inner.get_output_embeddings()
    known = torch.randint(0, min(ids), (len(ids),))
    embedding.weight[list(ids)] = embedding.weight[known]
    if head is not None and head.weight is not embedding.weight:
        head.weight[list(ids)] = 0


def _peft_config(settings: AdapterSettings, layers: Sequence[str]) -> Any:
    """The configuration of peft for these layers and no others."""
    peft = _peft()
    # A list would match all names that end so.
    targets = _any_of(layers)
    if settings.method == LN_TUNING:
        return peft.LNTuningConfig(target_modules=targets)
    if settings.method == IA3:
        second = [name for name in layers if name.rpartition(".")[2] in _SECOND_OF_MLP]
        return peft.IA3Config(target_modules=targets, feedforward_modules=_any_of(second))
    return peft.LoraConfig(
        target_modules=targets,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.method == RSLORA,
        use_dora=settings.method == DORA,
    )


def _any_of(names: Sequence[str]) -> str:
    """An expression that matches these names and no others."""
    return "|".join(map(re.escape, names)) if names else "(?!)"


def _peft() -> ModuleType:
    try:
        return require("peft", "train", "adapters need peft")
    except ImportError as error:
        raise ValueError(str(error)) from error
