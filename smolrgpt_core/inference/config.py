"""Configuration of the inference engine: how to answer, independent of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smolrgpt_core.answerer_settings import INT8, SENTENCE, SHORT, AnswerStyle, ComputeSettings

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class EngineConfig(ComputeSettings):
    """How the engine computes, see `ComputeSettings`, and what it caches.

    Attributes:
        cache_bytes: memory for encoded frames, images and masks included; the frames asked
            longest ago go first. The frame in use stays, even where it alone needs more.
        cache_frames: number of frames that are cached at most. A camera brings new ones all the
            time, and few are asked about again.
        max_batch: questions that are computed together; more of them take turns.
        pack_weights: on a CPU that gains from it, rewrite the linear layers of the engine's model
            in place in an order that is read faster. The model can then generate, but be neither
            trained nor saved.
        short: the style of that name.
        sentence: the style of that name.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    cache_bytes: int = 512 * 2**20
    cache_frames: int = 8
    max_batch: int = 16
    pack_weights: bool = True
    short: AnswerStyle = SHORT
    sentence: AnswerStyle = SENTENCE

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache_bytes < 0:
            raise ValueError(f"cache_bytes must not be negative, got {self.cache_bytes}")
        for name in ("cache_frames", "max_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def torch_device(self) -> torch.device:
        """The device that `device` names.

        Raises:
            ValueError: when there is no such device.
        """
        # PyTorch may not be there where ONNX Runtime computes.
        from smolrgpt_core.torch_device import torch_device

        return torch_device(self.device)

    def torch_dtype(self) -> torch.dtype:
        """The type of all tensors but the weights that `dtype` int8 is for."""
        import torch

        return torch.float32 if self.dtype == INT8 else getattr(torch, self.dtype)

    def style(self, name: str) -> AnswerStyle:
        """A style by its name.

        Raises:
            ValueError: for an unknown name.
        """
        styles = {"short": self.short, "sentence": self.sentence}
        if name not in styles:
            raise ValueError(f"style must be one of {', '.join(styles)}, got {name!r}")
        return styles[name]
