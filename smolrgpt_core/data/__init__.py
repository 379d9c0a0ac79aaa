"""Questions with known answers, for training and for checking answerers."""

from smolrgpt_core.data.balance import Balancer
from smolrgpt_core.data.drafts import Style
from smolrgpt_core.data.facts import AmbiguityMargins, SceneFacts
from smolrgpt_core.data.kinds import KINDS, data_set_kinds
from smolrgpt_core.data.synthesis import QuestionWithTruth, generate_questions

__all__ = [
    "KINDS",
    "AmbiguityMargins",
    "Balancer",
    "QuestionWithTruth",
    "SceneFacts",
    "Style",
    "data_set_kinds",
    "generate_questions",
]
