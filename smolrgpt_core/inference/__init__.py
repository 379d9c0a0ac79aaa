"""The inference engine: encode a frame once, ask it many questions."""

from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.engine import EngineAnswer, EngineQuestion, InferenceEngine

__all__ = ["AnswerStyle", "EngineAnswer", "EngineConfig", "EngineQuestion", "InferenceEngine"]
