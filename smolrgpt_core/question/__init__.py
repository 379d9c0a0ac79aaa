"""Questions about the regions of one frame: what they are, and how they are read from text."""

from smolrgpt_core.question.reading import read_question
from smolrgpt_core.question.spatial_question import (
    CATEGORIES,
    MASK,
    Category,
    Choice,
    Criterion,
    Load,
    SpatialQuestion,
    check_placeholders,
)
from smolrgpt_core.question.tokens import MAX_QUESTION_LENGTH

__all__ = [
    "CATEGORIES",
    "MASK",
    "MAX_QUESTION_LENGTH",
    "Category",
    "Choice",
    "Criterion",
    "Load",
    "SpatialQuestion",
    "check_placeholders",
    "read_question",
]
