"""Generates questions with known answers, for training and for testing answerers."""

from smolrgpt_core.synthesis.drafts import RegionStyle
from smolrgpt_core.synthesis.forms import COLOR_FORMS, FORMS
from smolrgpt_core.synthesis.generator import (
    QuestionGenerator,
    QuestionWithTruth,
    generate_questions,
)
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.mixing import generate_mixture
from smolrgpt_core.synthesis.mixtures import (
    ALL_WAREHOUSE_FORMS,
    MIXTURES,
    WAREHOUSE_FORMS,
    Format,
)

__all__ = [
    "ALL_WAREHOUSE_FORMS",
    "COLOR_FORMS",
    "FORMS",
    "MIXTURES",
    "WAREHOUSE_FORMS",
    "AmbiguityMargins",
    "Format",
    "QuestionGenerator",
    "QuestionWithTruth",
    "RegionStyle",
    "generate_mixture",
    "generate_questions",
]
