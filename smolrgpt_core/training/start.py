"""Initial model and processor: from a checkpoint, from backbones, or from scratch.

Like checkpoints, backbones are loaded completely or not at all. Does not depend on training.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    set_seed,
)
from transformers.utils import IMAGE_PROCESSOR_NAME, PROCESSOR_NAME, cached_file

from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import read_json
from smolrgpt_core.inference.loading import model_type_of
from smolrgpt_core.model import (
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTProcessor,
)
from smolrgpt_core.model.configuration_smolrgpt import PRESETS
from smolrgpt_core.model.encoders import encoder_of, rgb_range_of
from smolrgpt_core.model.parts import Model
from smolrgpt_core.model.point_map import (
    FAMILIES,
    PointMapConfig,
    PointMapForConditionalGeneration,
    nano,
)
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.model_inputs.images import PixelRange
from smolrgpt_core.model_inputs.regions_in_words import with_box_colors
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.tokenizer import PLACEHOLDERS, train_tokenizer

_FIXED = {"model_type", "sub_configs", "vlm_config"}
_FIELDS = SmolRGPTConfig.__annotations__.keys() - _FIXED
_POINT_MAP_FIELDS = PointMapConfig.__annotations__.keys() - _FIXED
_NESTED = ("vision_config", "text_config")
_PLACEHOLDER_IDS = ("image_token_id", "mask_rgb_token_id", "mask_depth_token_id")
_POOLING_HEAD = "head."
"""Beginning of the names of weights that summarize an image in one vector."""

_POSITIONS = "position_embedding"
"""In the names of embeddings of places."""

_QUIET = ("region_measures", "region_rays", "region_colors")
"""Fields of parts without effect at first, which can be added to a trained model."""

_LAYER = re.compile(r".*\blayers?\.\d+\.")
"""Beginning of the names of the weights of a layer."""

Processor = SmolRGPTProcessor | PointMapProcessor
Start = tuple[Model, Processor]


def make_start(start: StartConfig, seed: int, texts: Callable[[], Iterable[str]]) -> Start:
    """Model (float32, on the CPU) and processor.

    Args:
        start: where they come from.
        seed: of new weights; sets the generators of PyTorch, NumPy and Python.
        texts: for training a tokenizer, if needed.

    Raises:
        SpatialError: BAD_INPUT when there is no such checkpoint or backbone, when its weights do
            not fit, and for an override that is unknown or cannot work.
    """
    set_seed(seed)
    try:
        is_point_map = _is_point_map(start)
        _check_overrides(start, is_point_map)
        if start.checkpoint:
            load = _point_map_from_checkpoint if is_point_map else _from_checkpoint
            return load(start)
        if start.vlm:
            return _from_vlm(start)
        if start.vision_backbone:
            return _from_backbones(start)
        build = _point_map_from_scratch if is_point_map else _from_scratch
        return build(start, texts())
    except (OSError, StrictDataclassError, TypeError, ValueError) as error:
        raise bad_input(f"start: {error}") from error


def _is_point_map(start: StartConfig) -> bool:
    """Whether the model will be a point-map model.

    Raises:
        ValueError: for a plain vision-language model as a checkpoint, or the other way round; for
            an unknown preset.
    """
    presets = (*PRESETS, *nano.PRESETS)
    if start.preset and start.preset not in presets:
        raise ValueError(f"preset must be one of {', '.join(presets)}, got {start.preset!r}")
    if start.checkpoint:
        kind = model_type_of(start.checkpoint)
        if kind in FAMILIES:
            raise ValueError(
                f"{start.checkpoint} is a vision-language model without points ({kind}): name it "
                "as vlm, not as checkpoint"
            )
        return kind == PointMapConfig.model_type
    if start.vlm and model_type_of(start.vlm) == PointMapConfig.model_type:
        raise ValueError(
            f"{start.vlm} is a point-map model already: name it as checkpoint, not as vlm"
        )
    return bool(start.vlm) or start.preset in nano.PRESETS


def _check_overrides(start: StartConfig, is_point_map: bool) -> None:
    """Refuse unknown fields, which transformers would store without any effect."""
    known = set(_POINT_MAP_FIELDS) if is_point_map else set(_FIELDS)
    if start.preset in nano.PRESETS:
        known |= set(_NESTED)
    unknown = sorted(set(start.overrides) - known)
    if unknown:
        raise ValueError(
            f"unknown fields in overrides: {', '.join(unknown)}; known are "
            f"{', '.join(sorted(known))}"
        )


def _point_map_from_checkpoint(start: StartConfig) -> Start:
    config = PointMapConfig.from_pretrained(start.checkpoint)
    for name, value in start.overrides.items():
        setattr(config, name, value)
    model = PointMapForConditionalGeneration.from_pretrained(
        start.checkpoint, config=config, dtype=torch.float32
    )
    return model, PointMapProcessor.from_pretrained(start.checkpoint, model.config)


def _from_vlm(start: StartConfig) -> Start:
    plain = _load_backbone(AutoModelForImageTextToText, start.vlm)
    model = PointMapForConditionalGeneration.from_vlm(plain, start.point_code, **start.overrides)
    return model, PointMapProcessor.from_pretrained(start.vlm, model.config)


def _point_map_from_scratch(start: StartConfig, texts: Iterable[str]) -> Start:
    if start.tokenizer:
        raise ValueError(f"tokenizer is for presets of SmolRGPT, not for {start.preset}")
    added = nano.special_tokens()
    size = start.vocabulary_size - len(added) + PLACEHOLDERS
    tokenizer = train_tokenizer(map(with_box_colors, texts), size)
    tokenizer.add_special_tokens({"additional_special_tokens": added})
    model, processor = nano.build(start.preset, tokenizer, start.overrides)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor


def _from_checkpoint(start: StartConfig) -> Start:
    config = stored = SmolRGPTConfig.from_pretrained(start.checkpoint)
    if start.overrides:
        config = SmolRGPTConfig.from_dict(_merged(config.to_dict(), start.overrides))
    added = [name for name in _QUIET if getattr(config, name) and not getattr(stored, name)]
    if added:
        model = _with_new_parts(start.checkpoint, config, added)
    else:
        model = SmolRGPTForConditionalGeneration.from_pretrained(
            start.checkpoint, config=config, dtype=torch.float32
        )
    tokenizer = SmolRGPTProcessor.from_pretrained(start.checkpoint).tokenizer
    return model, SmolRGPTProcessor(tokenizer, model.config)


def _with_new_parts(
    checkpoint: str, config: SmolRGPTConfig, added: Iterable[str]
) -> SmolRGPTForConditionalGeneration:
    """The weights of a checkpoint in a model with additional parts, which are new.

    Args:
        checkpoint: folder or hub id.
        config: of the model.
        added: fields of it, of `_QUIET`, that the checkpoint does not have.
    """
    without = SmolRGPTConfig.from_dict({**config.to_dict(), **dict.fromkeys(added, False)})
    loaded = SmolRGPTForConditionalGeneration.from_pretrained(
        checkpoint, config=without, dtype=torch.float32
    )
    model = SmolRGPTForConditionalGeneration(config)
    known = model.state_dict()
    model.load_state_dict({**known, **loaded.state_dict()})
    model.generation_config = loaded.generation_config
    return model


def _from_scratch(start: StartConfig, texts: Iterable[str]) -> Start:
    size, tokenizer, placeholders = _tokenizer_for(start, texts)
    of_tokenizer = {
        "vocab_size": size,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    overrides = _merged({**placeholders, **start.overrides}, {"text_config": of_tokenizer})
    config = SmolRGPTConfig.preset(start.preset, **overrides)
    return _with_processor(SmolRGPTForConditionalGeneration(config), tokenizer)


def _tokenizer_for(start: StartConfig, texts: Iterable[str]) -> tuple[int, Any, dict[str, int]]:
    """Size of the vocabulary with the placeholders; the tokenizer; their ids where it has them."""
    if not start.tokenizer:
        tokenizer = train_tokenizer(texts, start.vocabulary_size)
        return len(tokenizer) + PLACEHOLDERS, tokenizer, {}
    processor = SmolRGPTProcessor.from_pretrained(start.tokenizer)
    config = processor.config
    ids = {name: getattr(config, name) for name in _PLACEHOLDER_IDS}
    return config.text_config.vocab_size, processor.tokenizer, ids


def _from_backbones(start: StartConfig) -> Start:
    text = AutoConfig.from_pretrained(start.language_backbone)
    tokenizer = AutoTokenizer.from_pretrained(start.language_backbone)
    # The placeholders come after all tokens and rows of the backbone.
    first = max(text.vocab_size, len(tokenizer))
    tokenizer.add_tokens([f"<|unused_{id}|>" for id in range(len(tokenizer), first)])
    text.vocab_size = first + PLACEHOLDERS
    values = {
        **_vision_values(start.vision_backbone),
        "text_config": text.to_dict(),
        "tie_word_embeddings": text.tie_word_embeddings,
    }
    if "rgb_range" not in {**values, **start.overrides}:
        values["rgb_range"] = _rgb_range(start.vision_backbone)
    config = SmolRGPTConfig(**_merged(values, start.overrides))
    model = SmolRGPTForConditionalGeneration(config)
    _load_vision(model.model.vision_model, start.vision_backbone)
    _load_language(model, start.language_backbone)
    return _with_processor(model, tokenizer)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes; of the configurations of encoder and language model single values."""
    merged = {**values, **changes}
    for name in _NESTED:
        if isinstance(values.get(name), Mapping) and isinstance(changes.get(name), Mapping):
            merged[name] = {**values[name], **changes[name]}
    return merged


def _vision_values(backbone: str) -> dict[str, Any]:
    """Fields about the encoder alone, where the backbone also has a language model.

    Without pooling head and without layers that serve the class token alone.
    """
    config = AutoConfig.from_pretrained(backbone)
    vision = getattr(config, "vision_config", config)
    if isinstance(config, SmolRGPTConfig):
        return {
            "vision_config": vision.to_dict(),
            "vision_norm": config.vision_norm,
            "rgb_range": config.rgb_range,
        }
    if hasattr(vision, "vision_use_head"):
        vision.vision_use_head = False
    encoder = encoder_of(vision)
    if encoder.unused_layers:
        vision.num_hidden_layers -= encoder.unused_layers
    return {"vision_config": vision.to_dict(), "vision_norm": not encoder.is_normed}


def _rgb_range(backbone: str) -> PixelRange:
    """The range of pixels that a vision encoder was trained with, as stated in its own files.

    Never that of its class in transformers, which differs from that of many checkpoints.

    Raises:
        ValueError: when they do not have it.
    """
    for name in (IMAGE_PROCESSOR_NAME, PROCESSOR_NAME):
        path = cached_file(
            backbone,
            name,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
        )
        content = read_json(Path(path)) if path else {}
        found = content.get("image_processor", {}) if name == PROCESSOR_NAME else content
        if found:
            return rgb_range_of(found)
    raise ValueError(
        f"{backbone} has no {IMAGE_PROCESSOR_NAME}, which says how its pixels are normalized; add "
        "it, or set start.overrides.rgb_range to the values of level 0 and 255"
    )


def _load_vision(encoder: nn.Module, backbone: str) -> None:
    """Weights of the encoder; positions are resampled where the image size is another."""
    loaded = _load_backbone(AutoModel, backbone)
    weights = getattr(loaded, "vision_model", loaded).state_dict()
    wanted = encoder.state_dict()
    encoder.load_state_dict(
        {
            name: _resampled(weight, wanted[name]) if _POSITIONS in name else weight
            for name, weight in weights.items()
            if name in wanted or not _is_left_out(name, wanted)
        }
    )


def _is_left_out(name: str, wanted: Mapping[str, torch.Tensor]) -> bool:
    """Whether a weight belongs to the pooling head, or to a layer behind those of the encoder."""
    layer = _LAYER.match(name)
    if layer is None:
        return name.startswith(_POOLING_HEAD)
    return not any(other.startswith(layer[0]) for other in wanted)


def _resampled(positions: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Position embeddings (..., N, D) of a square grid, resampled to another size.

    As the encoders themselves do it; what comes before the grid stays.
    """
    if positions.shape == wanted.shape:
        return positions
    old, new = (math.isqrt(item.shape[-2]) for item in (positions, wanted))
    before = positions.shape[-2] - old**2
    grid = positions.reshape(-1, positions.shape[-1])
    image = grid[before:].T.reshape(1, -1, old, old)
    resized = functional.interpolate(image, (new, new), mode="bicubic", align_corners=False)
    return torch.cat([grid[:before], resized[0].flatten(1).T]).reshape(wanted.shape)


def _load_language(model: SmolRGPTForConditionalGeneration, backbone: str) -> None:
    """Weights of the language model and its head; rows of new tokens stay random."""
    language = model.model.language_model
    embedding = language.get_input_embeddings()
    (name,) = (name for name, part in language.named_modules() if part is embedding)
    if model.config.tie_word_embeddings:
        weights = _load_backbone(AutoModel, backbone).state_dict()
    else:
        loaded = _load_backbone(AutoModelForCausalLM, backbone)
        head = loaded.get_output_embeddings().weight
        model.lm_head.load_state_dict({"weight": _with_new_rows(head, model.lm_head.weight)})
        weights = loaded.base_model.state_dict()
    key = f"{name}.weight"
    weights[key] = _with_new_rows(weights[key], embedding.weight)
    language.load_state_dict(weights)
    model.tie_weights()


def _with_new_rows(known: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows of known tokens, then those of new ones."""
    return torch.cat([known, rows[len(known) :]]).detach()


def _load_backbone(kind: Any, backbone: str) -> PreTrainedModel:
    """A transformers model; its loading alone would replace missing weights by random ones.

    Raises:
        ValueError: weights are missing or have the wrong shape.
    """
    loaded, info = kind.from_pretrained(backbone, dtype=torch.float32, output_loading_info=True)
    problems = [str(key) for key in (*info["missing_keys"], *info["mismatched_keys"])]
    if problems:
        raise ValueError(f"{backbone} lacks the weights {', '.join(sorted(problems))}")
    return loaded


def _with_processor(model: SmolRGPTForConditionalGeneration, tokenizer: Any) -> Start:
    """Generation ends at the token that ends a turn in chat tokenizers."""
    processor = SmolRGPTProcessor(tokenizer, model.config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor
