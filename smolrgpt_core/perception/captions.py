"""Text about images, from a model of transformers or from a server.

Both have the same interface: one image, one prompt, the most likely answer.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.errors import Status, UnansweredError, bad_input
from smolrgpt_core.perception.candidates import log_likelihoods
from smolrgpt_core.perception.images import check_rgb
from smolrgpt_core.perception.loading import load_config, load_model, wrong_kind
from smolrgpt_core.perception.stages import ImageTextModel

_WHAT = "an image-text model"


def load_image_text_model(
    checkpoint_or_url: str | Path | ServerSettings, device: str = "cpu"
) -> ImageTextModel:
    """Load a model that writes about images.

    Args:
        checkpoint_or_url: folder or hub id of any image-text model of transformers with a chat
            template; or the URL or settings of a server.
        device: "auto", or a device of PyTorch; a server has its own.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when it is of another kind, has no chat template, its weights are incomplete, or
            there is no such device.
        ImportError: when the package `openai` is needed and missing.
        SpatialError: MODEL_ERROR when the server cannot be asked for its models.
    """
    if isinstance(checkpoint_or_url, ServerSettings):
        return ImageTextServer.connect(checkpoint_or_url)
    if str(checkpoint_or_url).startswith(("http://", "https://")):
        return ImageTextServer.connect(ServerSettings(str(checkpoint_or_url)))
    return LocalImageTextModel.from_pretrained(checkpoint_or_url, device)


@dataclass(frozen=True, eq=False)
class LoadedImageTextModel(ABC):
    """An image-text model of transformers in this process.

    Attributes:
        model: the generating model.
        processor: of its images and texts, with a tokenizer.
    """

    model: Any
    processor: Any

    @torch.inference_mode()
    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer in words; see `ImageTextModel`.

        Args:
            rgb: uint8 (H, W, 3); None: no image.
            prompt: what to write.
            max_new_tokens: of the answer, at most.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the prompt is empty.
        """
        inputs = self._inputs(rgb, prompt)
        written = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        answer = written[0, inputs["input_ids"].shape[1] :]
        return self.processor.tokenizer.decode(answer, skip_special_tokens=True).strip()

    def log_likelihoods(
        self, rgb: NDArray[np.uint8] | None, prompt: str, answers: Sequence[str]
    ) -> list[float]:
        """Log-likelihood of each answer; see `perception.candidates.log_likelihoods`.

        Args:
            rgb: uint8 (H, W, 3); None: no image.
            prompt: the question.
            answers: candidates.

        Raises:
            SpatialError: as of `ask`.
        """
        inputs = self._inputs(rgb, prompt)
        return log_likelihoods(self.model, self.processor.tokenizer, inputs, answers)

    @abstractmethod
    def _inputs(self, rgb: NDArray[np.uint8] | None, prompt: str) -> Any:
        """Inputs of the model, on its device; errors as of `ask`."""


class LocalImageTextModel(LoadedImageTextModel):
    """An image-text model with its own processor and a chat template."""

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path, device: str = "cpu") -> LocalImageTextModel:
        """From a folder or a hub id; see `load_image_text_model`.

        Raises:
            OSError, ValueError: as of `load_image_text_model`.
        """
        kind = str(load_config(checkpoint, _WHAT).model_type)
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise wrong_kind(checkpoint, kind, _WHAT, ["smolvlm", "qwen2_5_vl", "internvl", "..."])
        processor = AutoProcessor.from_pretrained(checkpoint, backend="pil")
        if not getattr(processor, "chat_template", None):
            raise ValueError(
                f"{_WHAT} must have a chat template, but {str(checkpoint)!r} has none; use the "
                "instruction-tuned version"
            )
        model = load_model(AutoModelForImageTextToText, checkpoint, device, _WHAT)
        return cls(model, processor)

    def _inputs(self, rgb: NDArray[np.uint8] | None, prompt: str) -> Any:
        check_asked(rgb, prompt)
        image = [] if rgb is None else [{"type": "image"}]
        content = [*image, {"type": "text", "text": prompt}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        images = {} if rgb is None else {"images": [rgb]}
        inputs = self.processor(**images, text=[text], return_tensors="pt")
        return inputs.to(self.model.device)


@dataclass(frozen=True, eq=False)
class ImageTextServer:
    """An image-text model behind the OpenAI chat protocol.

    Attributes:
        server: with the model.
    """

    server: ChatServer

    @classmethod
    def connect(cls, settings: ServerSettings) -> ImageTextServer:
        """Connect to a server; see `load_image_text_model`."""
        return cls(ChatServer.connect(settings))

    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer in words; see `ImageTextModel`.

        Args:
            rgb: uint8 (H, W, 3); None: no image.
            prompt: what to write.
            max_new_tokens: of the answer, at most.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the prompt is empty;
                MODEL_ERROR when the server does not answer; as `UnansweredError` when it refuses
                this request, or writes nothing.
        """
        check_asked(rgb, prompt)
        content: list[Any] = [{"type": "text", "text": prompt}]
        if rgb is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": _data_url(rgb)}})
        text = self.server.complete([{"role": "user", "content": content}], max_new_tokens)
        if not text:
            raise UnansweredError(
                Status.MODEL_ERROR,
                f"the server {self.server.settings.url} answered with no text; does "
                f"{self.server.model} take images?",
            )
        return text


def check_asked(rgb: NDArray[np.uint8] | None, prompt: str) -> None:
    """Check image and prompt.

    Raises:
        SpatialError: BAD_INPUT for an image that is not uint8 (H, W, 3), or an empty prompt.
    """
    if rgb is not None:
        check_rgb(rgb)
    if not prompt.strip():
        raise bad_input("the prompt must say what to write about the image, got an empty one")


def _data_url(rgb: NDArray[np.uint8]) -> str:
    """The image as a PNG in a URL: what the server sees is exactly what was given."""
    done, png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise bad_input(f"an image of shape {rgb.shape} cannot be written as PNG")
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode("ascii")
