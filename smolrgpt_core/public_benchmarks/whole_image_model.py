"""Vision-language models that see each image once and as a whole, without tiles.

For checkpoints whose own processor cannot be used: that of SmolVLM, InternVL and Qwen needs
torchvision for videos, and PaliGemma has no chat template. Words and image tokens are written as
for a point-map model of the same family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.model.point_map.families import FAMILIES, Family
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.perception.candidates import log_likelihoods
from smolrgpt_core.perception.captions import LocalImageTextModel
from smolrgpt_core.perception.images import check_rgb
from smolrgpt_core.perception.loading import load_config, load_model
from smolrgpt_core.perception.stages import ImageTextModel

_WHAT = "an image-text model"

_WITH_VIDEOS = frozenset({"smolvlm", "internvl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"})
"""Families whose own processor needs torchvision."""


@dataclass(frozen=True, eq=False)
class WholeImageModel:
    """An image-text model of a known family.

    Attributes:
        model: that generates.
        processor: of its family, without points.
        family: how it takes its image.
    """

    model: Any
    processor: PointMapProcessor
    family: Family

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

    @torch.inference_mode()
    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer in words; see `ImageTextModel`.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the prompt is empty;
                BAD_QUESTION when it holds a control token.
        """
        inputs = self._inputs(rgb, prompt)
        written = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        return self.processor.decode(written[0, inputs["input_ids"].shape[1] :])

    def log_likelihoods(
        self, rgb: NDArray[np.uint8] | None, prompt: str, answers: Sequence[str]
    ) -> list[float]:
        """How likely each answer is; see `perception.candidates.log_likelihoods`.

        Raises:
            SpatialError: as of `ask`.
        """
        inputs = self._inputs(rgb, prompt)
        return log_likelihoods(self.model, self.processor.tokenizer, inputs, answers)

    def _inputs(self, rgb: NDArray[np.uint8] | None, prompt: str) -> dict[str, torch.Tensor]:
        if not prompt.strip():
            raise bad_input("the prompt must say what to write about the image, got an empty one")
        if rgb is not None:
            check_rgb(rgb)
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
