"""Vision-language models that see each image once and as a whole, without tiles.

For checkpoints whose own processor cannot be used: that of SmolVLM, InternVL and Qwen needs
torchvision for videos, and PaliGemma has no chat template. Words and image tokens are written as
for a point-map model of the same family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.model.point_map.families import FAMILIES, VlmFamily
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.perception.captions import (
    LoadedImageTextModel,
    LocalImageTextModel,
    check_asked,
)
from smolrgpt_core.perception.loading import load_config, load_model
from smolrgpt_core.perception.stages import ImageTextModel

_WHAT = "an image-text model"

_WITH_VIDEOS = frozenset({"smolvlm", "internvl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"})
"""Families whose own processor needs torchvision."""


@dataclass(frozen=True, eq=False)
class WholeImageModel(LoadedImageTextModel):
    """An image-text model of a known family, whose processor is that of a point-map model.

    A prompt with a control token is refused as BAD_QUESTION.

    Attributes:
        family: how it takes its image.
    """

    family: VlmFamily

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path, device: str = "cpu") -> WholeImageModel:
        """From a folder or a hub id; errors as of `load_image_text_model`."""
        vlm = load_config(checkpoint, _WHAT)
        processor = PointMapProcessor(
            PointMapConfig.preset("warehouse", vlm, points="none"),
            AutoImageProcessor.from_pretrained(checkpoint, backend="pil"),
            AutoTokenizer.from_pretrained(checkpoint),
        )
        model = load_model(AutoModelForImageTextToText, checkpoint, device, _WHAT)
        return cls(model, processor, FAMILIES[vlm.model_type])

    def _inputs(self, rgb: NDArray[np.uint8] | None, prompt: str) -> dict[str, torch.Tensor]:
        check_asked(rgb, prompt)
        inputs = self._of_words(prompt) if rgb is None else self.processor([rgb], [prompt])
        return {name: value.to(self.model.device) for name, value in inputs.items()}

    def _of_words(self, prompt: str) -> Mapping[str, torch.Tensor]:
        """Inputs (1, T) of a prompt without an image."""
        self.processor.check_text(prompt)
        if self.family.chat:
            turn = {"role": "user", "content": [{"type": "text", "text": prompt}]}
            text = self.processor.tokenizer.apply_chat_template(
                [turn], tokenize=False, add_generation_prompt=True
            )
        else:
            text = f"{self.family.image_text.format(tokens='')}{prompt}\n"
        encoded = self.processor.tokenizer(text, add_special_tokens=False, return_tensors="pt")
        ids = encoded["input_ids"]
        marks = {name: torch.zeros_like(ids) for name in self.family.per_token}
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **marks}


def load_zoo_model(checkpoint: str | Path, device: str = "cpu") -> ImageTextModel:
    """A model of transformers, asked by its own processor wherever that can be used.

    Args:
        checkpoint: folder or hub id.
        device: "auto", or a device of PyTorch.

    Raises:
        OSError, ValueError: as `perception.captions.load_image_text_model`.
    """
    kind = load_config(checkpoint, _WHAT).model_type
    lacks_torchvision = kind in _WITH_VIDEOS and find_spec("torchvision") is None
    if lacks_torchvision or (kind in FAMILIES and not FAMILIES[kind].chat):
        return WholeImageModel.from_pretrained(checkpoint, device)
    return LocalImageTextModel.from_pretrained(checkpoint, device)
