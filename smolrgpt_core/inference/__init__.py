"""The inference engine: encode a frame once, ask it many questions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.engine import EngineAnswer, EngineQuestion, InferenceEngine
from smolrgpt_core.inference.loading import Engine, load_engine

if TYPE_CHECKING:
    from smolrgpt_core.inference.point_map_engine import PointMapEngine
    from smolrgpt_core.inference.torch_steps import TorchSteps

__all__ = [
    "AnswerStyle",
    "Engine",
    "EngineAnswer",
    "EngineConfig",
    "EngineQuestion",
    "InferenceEngine",
    "PointMapEngine",
    "TorchSteps",
    "load_engine",
]

_WITH_TORCH = {"PointMapEngine": "point_map_engine", "TorchSteps": "torch_steps"}
"""Names that need PyTorch, which an engine with ONNX Runtime does without, and their modules."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
