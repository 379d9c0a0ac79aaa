"""Tiny vision-language models of every family, with their processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    Idefics3Config,
    InternVLConfig,
    PaliGemmaConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.model.point_map.processing import PointMapProcessor

WIDTH = 32
_TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 160,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_ROPE = {
    "rope_type": "default",
    "type": "default",
    "mrope_section": [1, 1, 2],
    "rope_theta": 10000.0,
}
_CHAT = (
    "{% for message in messages %}{{ message['role'] + ': ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
PALIGEMMA = {"paligemma": "gemma2", "paligemma1": "gemma"}
"""Language models of PaliGemma 2 and of the first PaliGemma."""
INTERNVL = {"internvl": "qwen2", "internvl3_5": "qwen3"}
"""Language models of InternVL 3 and 3.5."""

SPECIAL_TOKENS = {
    "paligemma": ["<image>"],
    "paligemma1": ["<image>"],
    "idefics3": ["<image>", "<fake_token_around_image>", "<global-img>"],
    "smolvlm": ["<image>", "<fake_token_around_image>", "<global-img>"],
    "internvl": ["<IMG_CONTEXT>", "<img>", "</img>"],
    "internvl3_5": ["<IMG_CONTEXT>", "<img>", "</img>"],
    "qwen2_vl": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"],
    "qwen2_5_vl": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"],
    "qwen3_vl": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"],
}


def make_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A token for each character, and the family's own special tokens."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>"]
    characters = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: place for place, token in enumerate([*names, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    )
    special = SPECIAL_TOKENS[family]
    fast.add_special_tokens({"additional_special_tokens": special})
    if family not in PALIGEMMA:
        image = f"{special[1]}{special[0]}{special[2]}" if "qwen" in family else special[0]
        fast.chat_template = _CHAT.replace("IMAGE", image)
    return fast


def make_config(family: str):
    """Configuration of a tiny model."""
    image_id = make_tokenizer(family).convert_tokens_to_ids(SPECIAL_TOKENS[family][0])
    assert isinstance(image_id, int)
    if family in PALIGEMMA:
        return PaliGemmaConfig(
            vision_config=_VISION
            | {
                "model_type": "siglip_vision_model",
                "image_size": 56,
                "patch_size": 14,
                "vision_use_head": False,
                "projection_dim": WIDTH,
            },
            text_config=_TEXT | {"model_type": PALIGEMMA[family], "head_dim": 8},
            projection_dim=WIDTH,
            hidden_size=WIDTH,
            image_token_index=image_id,
        )
    if family in ("idefics3", "smolvlm"):
        kind = Idefics3Config if family == "idefics3" else SmolVLMConfig
        tokens: dict[str, Any] = {"image_token_id": image_id, "pad_token_id": 0}
        return kind(
            vision_config=_VISION | {"image_size": 64, "patch_size": 8},
            text_config=_TEXT | {"model_type": "llama"},
            scale_factor=2,
            **tokens,
        )
    if family in INTERNVL:
        return InternVLConfig(
            vision_config=_VISION | {"image_size": [64, 64], "patch_size": [8, 8]},
            text_config=_TEXT | {"model_type": INTERNVL[family], "head_dim": 8},
            downsample_ratio=0.5,
            image_token_id=image_id,
        )
    return _qwen_config(family, image_id)


def _qwen_config(family: str, image_id: int):
    text = _TEXT | {"rope_parameters": _ROPE}
    ids: dict[str, Any] = {
        "image_token_id": image_id,
        "vision_start_token_id": image_id + 1,
        "vision_end_token_id": image_id + 2,
        "video_token_id": image_id + 3,
    }
    if family == "qwen2_vl":
        vision = {"depth": 2, "embed_dim": 16, "hidden_size": WIDTH, "num_heads": 2, "mlp_ratio": 2}
        return Qwen2VLConfig(vision_config=vision | {"patch_size": 14}, text_config=text, **ids)
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": WIDTH,
        "num_heads": 2,
    }
    if family == "qwen2_5_vl":
        windows = {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
        return Qwen2_5_VLConfig(vision_config=vision | windows, text_config=text, **ids)
    stacked = {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return Qwen3VLConfig(vision_config=vision | stacked, text_config=text | {"head_dim": 8}, **ids)


def make_image_processor(family: str):
    """The family's own, for the sizes of `make_config`."""
    if family in PALIGEMMA:
        return SiglipImageProcessorPil(size={"height": 56, "width": 56})
    if family in ("idefics3", "smolvlm"):
        return Idefics3ImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 64}
        )
    if family in INTERNVL:
        return GotOcr2ImageProcessorPil(size={"height": 64, "width": 64})
    patch = 16 if family == "qwen3_vl" else 14
    pixels = (patch * 2) ** 2 * 24
    return Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": pixels // 2, "longest_edge": pixels}
    )


def make_vlm(family: str):
    """A model with random weights; the same for the same family."""
    torch.manual_seed(0)
    return AutoModelForImageTextToText.from_config(make_config(family)).eval()


def make_processor(family: str, preset: str = "warehouse", **overrides) -> PointMapProcessor:
    """The processor of a point-map model over `make_vlm`."""
    config = PointMapConfig.preset(preset, make_config(family), **overrides)
    return PointMapProcessor(config, make_image_processor(family), make_tokenizer(family))


def save_vlm(family: str, folder: Path) -> Path:
    """A plain vision-language model on disk, with the files of its processor."""
    make_vlm(family).save_pretrained(folder)
    make_image_processor(family).save_pretrained(folder)
    make_tokenizer(family).save_pretrained(folder)
    return folder
