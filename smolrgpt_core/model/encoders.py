"""How the vision encoders of transformers give a grid of patch features, in one table.

The model takes the last states of an encoder as a row-major grid, behind the class and register
tokens that come before it. An encoder that is not in the table, or has no such grid, is refused:
its features would silently land under the wrong regions. Independent of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smolrgpt_core.model_inputs.images import PixelRange


def _none(config: Any) -> int:
    return 0


def _class_token(config: Any) -> int:
    return 1


def _class_and_registers(config: Any) -> int:
    return 1 + int(config.num_register_tokens)


@dataclass(frozen=True)
class Encoder:
    """How an encoder gives its patches.

    Attributes:
        name: for people.
        before: number of tokens before the patches, of its configuration.
        is_normed: whether the last states of patches have passed the final norm.
        unused_layers: last layers that were trained for the class token alone; a model that begins
            with such a backbone does without them.
    """

    name: str
    before: Callable[[Any], int]
    is_normed: bool = True
    unused_layers: int = 0


ENCODERS = {
    "siglip_vision_model": Encoder("SigLIP, SigLIP2 of fixed size", _none),
    # LLaVA takes the last layer but one too: only the class token of the last has a loss.
    "clip_vision_model": Encoder("CLIP", _class_token, is_normed=False, unused_layers=1),
    "dinov2": Encoder("DINOv2", _class_token),
    "dinov2_with_registers": Encoder("DINOv2 with registers", _class_and_registers),
    "dinov3_vit": Encoder("DINOv3, ViT", _class_and_registers),
    "vit": Encoder("ViT", _class_token),
    "smolvlm_vision": Encoder("SmolVLM's SigLIP", _none),
    "idefics3_vision": Encoder("Idefics3's SigLIP", _none),
    "aimv2_vision_model": Encoder("AIMv2", _none),
    "pixtral": Encoder("Pixtral", _none, is_normed=False),
}
"""By `model_type`; the order of the patches of each is tested."""

_NO_GRID = {
    "siglip2_vision_model": "SigLIP2 NaFlex takes patches of any grid instead of pixels; use a "
    "SigLIP2 of fixed size",
    "dinov3_convnext": "DINOv3 ConvNeXt has no patches; use a DINOv3 ViT",
    "swin": "Swin merges patches from layer to layer; use a ViT",
    "swinv2": "Swin merges patches from layer to layer; use a ViT",
    "convnext": "ConvNeXt has no patches; use a ViT",
    "convnextv2": "ConvNeXt has no patches; use a ViT",
    "sam_vision_model": "the states of SAM are maps with channels first; use a ViT",
}
"""Why well-known encoders cannot be used."""


def encoder_of(vision_config: Any) -> Encoder:
    """How the encoder of a configuration gives its patches.

    Raises:
        ValueError: when it does not, or it is not known how.
    """
    kind = vision_config.model_type
    if kind in _NO_GRID:
        raise ValueError(f"vision_config.model_type {kind!r} cannot be used: {_NO_GRID[kind]}")
    if kind not in ENCODERS:
        raise ValueError(
            f"vision_config.model_type {kind!r} is none of those whose order of patches is known: "
            f"{', '.join(ENCODERS)}; add it to smolrgpt_core/model/encoders.py, whose tests check "
            "the order"
        )
    return ENCODERS[kind]


def rgb_range_of(preprocessing: Mapping[str, Any]) -> PixelRange:
    """The range of pixels that an encoder was trained with.

    Args:
        preprocessing: content of the `preprocessor_config.json` beside its weights.

    Raises:
        ValueError: when it does not say mean and standard deviation of each channel.
    """
    mean, std = ([0.0] * 3, [1.0] * 3)
    if preprocessing.get("do_normalize", True):
        mean, std = (preprocessing.get(name) for name in ("image_mean", "image_std"))  # type: ignore[assignment]
        for name, values in (("image_mean", mean), ("image_std", std)):
            if not isinstance(values, list) or len(values) != 3:
                raise ValueError(
                    f"its preprocessor_config.json has no {name} of three channels, but {values!r}"
                )
    highest = 255 * preprocessing.get("rescale_factor", 1 / 255)
    low = [-m / s for m, s in zip(mean, std, strict=True)]
    high = [(highest - m) / s for m, s in zip(mean, std, strict=True)]
    if len(set(low)) == len(set(high)) == 1:
        return low[0], high[0]
    return low, high
