"""How each family of vision-language models takes its image: all that the point map must know.

A family's projector begins with one linear layer over patches, or over blocks of patches that
become one token. Points join there. An entry states where that layer is, how many patches it sees
at once, and in which order its rows come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from transformers import PreTrainedConfig

Marks = Literal["answer", "image"]
"""Which tokens an input marks with 1: those of the answer, or those of the image."""


@dataclass(frozen=True)
class VlmFamily:
    """One family of vision-language models.

    Attributes:
        projection: path of the projector's first linear layer, from the model with its head, as
            are the other paths.
        projector: path of the projector.
        vision_encoder: path of the vision encoder; the projector may lie within.
        language_model: path of the language model without its head.
        patch_size: pixels of the side of a vision patch.
        block_size: patches of the side of the block that becomes one token.
        token_order: where the rows of the layer do not come row by row of the image: for grids
            (N, 3) of frames, patch rows and patch columns, which token each row is, (T,).
        image_token: placeholder of an image in a prompt.
        image_text: what the model reads in its place, with {tokens} for the image tokens.
        chat: whether a prompt is written by the tokenizer's chat template; otherwise it is the
            image and the question, ended by a line break.
        image_options: for the image processor, so that an image is seen once and as a whole.
        per_token: inputs beside the ids, one number for each token.
    """

    projection: str
    projector: str
    vision_encoder: str
    language_model: str
    patch_size: Callable[[PreTrainedConfig], int]
    block_size: Callable[[PreTrainedConfig], int]
    image_token: str
    image_text: str
    token_order: Callable[[PreTrainedConfig, torch.Tensor], torch.Tensor] | None = None
    chat: bool = True
    image_options: Mapping[str, Any] = field(default_factory=dict)
    per_token: Mapping[str, Marks] = field(default_factory=dict)


def family_of(config: PreTrainedConfig) -> VlmFamily:
    """The entry of a model.

    Raises:
        ValueError: for a family without one; the message lists those that have one.
    """
    if config.model_type not in FAMILIES:
        raise ValueError(
            f"no point map for models of type {config.model_type!r}: expected one of "
            f"{', '.join(FAMILIES)}; docs/model.md says how to add a family"
        )
    return FAMILIES[config.model_type]


def _vision_patch(config: PreTrainedConfig) -> int:
    return _side(config.vision_config.patch_size)


def _side(size: int | tuple[int, int] | list[int]) -> int:
    return size if isinstance(size, int) else size[0]


# Not lambdas: processes that read data are started with a copy of the processor, which names these.
def _one_patch(config: PreTrainedConfig) -> int:
    return 1


def _scale_factor(config: PreTrainedConfig) -> int:
    return config.scale_factor


def _spatial_merge_size(config: PreTrainedConfig) -> int:
    return config.vision_config.spatial_merge_size


def _pixel_shuffle_side(config: PreTrainedConfig) -> int:
    return round(1 / config.downsample_ratio)


def _windows(config: PreTrainedConfig, grids: torch.Tensor) -> torch.Tensor:
    """The order of Qwen2.5-VL, whose vision encoder attends within windows: window by window."""
    vision = config.vision_config
    merge = vision.spatial_merge_size
    side = vision.window_size // merge // vision.patch_size
    orders, first = [], 0
    blocks = grids.cpu() // torch.tensor([1, merge, merge])
    for frames, height, width in blocks.tolist():
        tokens = torch.arange(frames * height * width).view(frames, height, width) + first
        orders += [
            window.flatten()
            for frame in tokens
            for band in frame.split(side, dim=0)
            for window in band.split(side, dim=1)
        ]
        first += tokens.numel()
    return torch.cat(orders)


_IDEFICS = VlmFamily(
    projection="model.connector.modality_projection.proj",
    projector="model.connector",
    vision_encoder="model.vision_model",
    language_model="model.text_model",
    patch_size=_vision_patch,
    block_size=_scale_factor,
    image_token="<image>",
    image_text="<fake_token_around_image><global-img>{tokens}<fake_token_around_image>",
    image_options={"do_image_splitting": False},
)
_QWEN2 = VlmFamily(
    projection="model.visual.merger.mlp.0",
    projector="model.visual.merger",
    vision_encoder="model.visual",
    language_model="model.language_model",
    patch_size=_vision_patch,
    block_size=_spatial_merge_size,
    image_token="<|image_pad|>",
    image_text="{tokens}",
    per_token={"mm_token_type_ids": "image"},
)
FAMILIES: dict[str, VlmFamily] = {
    "paligemma": VlmFamily(
        projection="model.multi_modal_projector.linear",
        projector="model.multi_modal_projector",
        vision_encoder="model.vision_tower",
        language_model="model.language_model",
        patch_size=_vision_patch,
        block_size=_one_patch,
        image_token="<image>",
        image_text="{tokens}<bos>",
        chat=False,
        # All before the answer sees all before the answer.
        per_token={"token_type_ids": "answer"},
    ),
    "idefics3": _IDEFICS,
    "smolvlm": _IDEFICS,
    "internvl": VlmFamily(
        projection="model.multi_modal_projector.linear_1",
        projector="model.multi_modal_projector",
        vision_encoder="model.vision_tower",
        language_model="model.language_model",
        patch_size=_vision_patch,
        block_size=_pixel_shuffle_side,
        image_token="<IMG_CONTEXT>",
        image_text="<img>{tokens}</img>",
        image_options={"crop_to_patches": False},
    ),
    "qwen2_vl": _QWEN2,
    "qwen2_5_vl": replace(_QWEN2, token_order=_windows),
    "qwen3_vl": replace(_QWEN2, projection="model.visual.merger.linear_fc1"),
}
"""By `model_type`."""
