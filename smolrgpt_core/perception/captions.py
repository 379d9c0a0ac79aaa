"""Words about images: from a model of transformers, or from a server.

Both answer the same question in the same way: one image, one prompt, the most likely answer.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from smolrgpt_core.errors import SpatialError, Status, UnansweredError, bad_input
from smolrgpt_core.extras import require
from smolrgpt_core.perception.images import check_rgb
from smolrgpt_core.perception.loading import load_config, load_model, wrong_kind
from smolrgpt_core.perception.stages import ImageTextModel

if TYPE_CHECKING:
    import openai

_WHAT = "an image-text model"

_SEED = 0
"""Of the server's sampling, which at temperature 0 only breaks ties."""


@dataclass(frozen=True)
class ServerSettings:
    """A server that speaks the OpenAI chat protocol, such as vLLM, llama.cpp or Ollama.

    Attributes:
        url: of its API, such as "http://localhost:8000/v1".
        model: name of the model there; empty: the only one that it has.
        api_key: if it wants one.
        timeout_s: for one answer, seconds.
        retries: after a lost connection or an overloaded server.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    url: str
    model: str = ""
    api_key: str = "none"
    timeout_s: float = 60.0
    retries: int = 2

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, got {self.url!r}")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, got {self.timeout_s}")
        if self.retries < 0:
            raise ValueError(f"retries must not be negative, got {self.retries}")


def load_image_text_model(
    checkpoint_or_url: str | Path | ServerSettings, device: str = "cpu"
) -> ImageTextModel:
    """What writes about images.

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
class LocalImageTextModel:
    """An image-text model of transformers.

    Attributes:
        model: that generates.
        processor: of its images and texts, with a chat template.
    """

    model: Any
    processor: Any

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path, device: str = "cpu") -> LocalImageTextModel:
        """From a folder or a hub id; see `load_image_text_model`."""
        kind = str(load_config(checkpoint, _WHAT).model_type)
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise wrong_kind(checkpoint, kind, _WHAT, ["smolvlm", "qwen2_5_vl", "internvl", "..."])
        processor = AutoProcessor.from_pretrained(checkpoint, backend="pil")
        if not getattr(processor, "chat_template", None):
            raise ValueError(
                f"{_WHAT} must have a chat template, {str(checkpoint)!r} has none; take the "
                "version that was trained on instructions"
            )
        model = load_model(AutoModelForImageTextToText, checkpoint, device, _WHAT)
        return cls(model, processor)

    @torch.inference_mode()
    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer in words; see `ImageTextModel`.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the prompt is empty.
        """
        _check(rgb, prompt)
        image = [] if rgb is None else [{"type": "image"}]
        content = [*image, {"type": "text", "text": prompt}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        images = {} if rgb is None else {"images": [rgb]}
        inputs = self.processor(**images, text=[text], return_tensors="pt")
        inputs = inputs.to(self.model.device)
        written = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        answer = written[0, inputs["input_ids"].shape[1] :]
        return self.processor.tokenizer.decode(answer, skip_special_tokens=True).strip()


@dataclass(frozen=True, eq=False)
class ImageTextServer:
    """An image-text model behind the OpenAI chat protocol.

    Attributes:
        client: of the server.
        model: name of the model there.
        url: of its API, for messages.
    """

    client: openai.OpenAI
    model: str
    url: str

    @classmethod
    def connect(cls, settings: ServerSettings) -> ImageTextServer:
        """The server of these settings; see `load_image_text_model`."""
        package = require("openai", "server", "a server that writes about images needs openai")
        client = package.OpenAI(
            base_url=settings.url,
            api_key=settings.api_key,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )
        return cls(client, settings.model or _only_model(client, settings.url), settings.url)

    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer in words; see `ImageTextModel`.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the prompt is empty;
                MODEL_ERROR when the server does not answer; as `UnansweredError` when it refuses
                this request, or writes nothing.
        """
        import openai

        _check(rgb, prompt)
        content: list[Any] = [{"type": "text", "text": prompt}]
        if rgb is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": _data_url(rgb)}})
        try:
            answer = self.client.chat.completions.create(
                model=self.model,
                messages=[{"role": "user", "content": content}],
                max_tokens=max_new_tokens,
                temperature=0,
                seed=_SEED,
            )
        except openai.BadRequestError as error:
            refusal = _server_error(self.url, error)
            raise UnansweredError(refusal.status, refusal.message) from error
        except (openai.OpenAIError, json.JSONDecodeError) as error:
            raise _server_error(self.url, error) from error
        text = _text_of(answer, self.url)
        if not text or not text.strip():
            raise UnansweredError(
                Status.MODEL_ERROR,
                f"the server {self.url} answered with no text; does {self.model} take images?",
            )
        return text.strip()


def _only_model(client: openai.OpenAI, url: str) -> str:
    """The name of the only model that a server has."""
    import openai

    try:
        names = [model.id for model in client.models.list()]
    except openai.OpenAIError as error:
        raise _server_error(url, error) from error
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise ValueError(f"model must name one of the models of {url}, which has: {listed}")
    return names[0]


def _text_of(answer: Any, url: str) -> str | None:
    """What a completion says; the client does not check its form."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list):
        raise SpatialError(
            Status.MODEL_ERROR,
            f"the server {url} must answer with a completion of the OpenAI protocol, got "
            f"{answer!r:.120}; is the URL that of its API, such as http://HOST:PORT/v1?",
        )
    return choices[0].message.content if choices and choices[0].message else None


def _server_error(url: str, error: Exception) -> SpatialError:
    reason = f"{type(error).__name__}: {error}"
    return SpatialError(
        Status.MODEL_ERROR,
        f"the server {url} gave no answer, is it running and reachable? {reason}",
    )


def _check(rgb: NDArray[np.uint8] | None, prompt: str) -> None:
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
