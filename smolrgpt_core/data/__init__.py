"""Questions with known answers, for training and for checking answerers."""

from smolrgpt_core.data.drafts import Style
from smolrgpt_core.data.facts import AmbiguityMargins, SceneFacts
from smolrgpt_core.data.synthesis import KINDS, QuestionWithTruth, generate_questions

__all__ = [
    "KINDS",
    "AmbiguityMargins",
    "QuestionWithTruth",
    "SceneFacts",
    "Style",
    "generate_questions",
]
