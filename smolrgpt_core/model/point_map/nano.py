"""A point-map model of a few million weights, built from configuration: for a CPU.

A PaliGemma of the smallest useful sizes, with a tokenizer trained on the texts of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PaliGemmaConfig, PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from smolrgpt_core.model.point_map.configuration import PointMapConfig
from smolrgpt_core.model.point_map.families import FAMILIES
from smolrgpt_core.model.point_map.modeling import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.processing import PointMapProcessor

FAMILY = "paligemma"
BEGIN = "<bos>"

_VISION = {
    "model_type": "siglip_vision_model",
    "image_size": 96,
    "patch_size": 12,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vision_use_head": False,
}
_TEXT = {
    "model_type": "gemma2",
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "max_position_embeddings": 1024,
    # Fused attention has no soft cap: with one, training and answering would differ.
    "attn_logit_softcapping": None,
}
PRESETS: dict[str, dict[str, Any]] = {
    "point-map-nano": {
        "axis_channels": 16,
        # At 96 pixels a box of 2 pixels must be drawn after the image is resized.
        "image_resampling": "opencv_bilinear",
        "vision_config": _VISION,
        "text_config": _TEXT,
    }
}
"""Fields of `PointMapConfig`, and of the encoder and language model in it, by name."""


def special_tokens() -> list[str]:
    """Tokens that the tokenizer needs beside its own."""
    return [FAMILIES[FAMILY].image_token, BEGIN]


def build(
    preset: str, tokenizer: PreTrainedTokenizerFast, overrides: Mapping[str, Any]
) -> tuple[PointMapForConditionalGeneration, PointMapProcessor]:
    """A model with random weights, and its processor.

    Args:
        preset: name in `PRESETS`.
        tokenizer: with `special_tokens`.
        overrides: fields as in `PRESETS`; single ones of `vision_config` and `text_config`.

    Raises:
        ValueError: a value that cannot work.
    """
    values = {**PRESETS[preset], **overrides}
    text = PRESETS[preset]["text_config"] | values.pop("text_config", {})
    vision = PRESETS[preset]["vision_config"] | values.pop("vision_config", {})
    ids = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    width = text["hidden_size"]
    vlm = PaliGemmaConfig(
        vision_config=vision | {"projection_dim": width},
        text_config=text | ids,
        projection_dim=width,
        hidden_size=width,
        image_token_index=tokenizer.get_vocab()[special_tokens()[0]],
        **{name: ids[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    config = PointMapConfig(vlm_config=vlm, **values)
    side = vision["image_size"]
    images = SiglipImageProcessorPil(size={"height": side, "width": side})
    model = PointMapForConditionalGeneration(config)
    return model, PointMapProcessor(config, images, tokenizer)
