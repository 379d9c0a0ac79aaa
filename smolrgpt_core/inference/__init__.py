"""The inference engine: encode a frame once, ask it many questions."""

from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.engine import EngineAnswer, EngineQuestion, InferenceEngine
from smolrgpt_core.inference.loading import Engine, load_engine
from smolrgpt_core.inference.point_map_engine import PointMapEngine

__all__ = [
    "AnswerStyle",
    "Engine",
    "EngineAnswer",
    "EngineConfig",
    "EngineQuestion",
    "InferenceEngine",
    "PointMapEngine",
    "load_engine",
]
