"""A language for space: questions as typed programs, parsed from text, worded, and answered."""

from smolrgpt_core.language.lexicon import load_languages
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.question import (
    CATEGORIES,
    LOOKS,
    Category,
    SpatialQuestion,
    is_about_looks,
    measure_of,
    measures_of,
    question_of,
    read_question,
)
from smolrgpt_core.language.reader import check_placeholders
from smolrgpt_core.language.words import MAX_QUESTION_LENGTH

__all__ = [
    "CATEGORIES",
    "LOOKS",
    "MASK",
    "MAX_QUESTION_LENGTH",
    "Category",
    "SpatialQuestion",
    "check_placeholders",
    "is_about_looks",
    "load_languages",
    "measure_of",
    "measures_of",
    "question_of",
    "read_question",
]
