"""Builders that the grammars of all languages use: noun phrases, superlatives, lists.

A builder raises `NoReadingError` for words that match a rule but make no sense, and `SpatialError`
for words with a clear meaning that cannot be answered.
"""

from smolrgpt_core.language.builders import (
    choices,
    conditions,
    quantities,
    sets,
    whole_questions,
)
from smolrgpt_core.language.builders.conditions import negated
from smolrgpt_core.language.builders.parts import (
    AMONG,
    AT,
    BUILDERS,
    FULL,
    HOW_LARGE,
    INSIDE,
    MENTIONED,
    OTHER,
    PASSING_WIDTH,
    RELATIONS_TO_ONE,
    SAME_NOUN,
    TIED,
    TOP_OF_LOAD,
    UNDER,
    WITH,
    Alternatives,
    Asked,
    Nominal,
    Noun,
    OnTopic,
    both,
    either,
)
from smolrgpt_core.language.builders.quantities import ask
from smolrgpt_core.language.builders.sets import nominal

__all__ = [
    "AMONG",
    "AT",
    "BUILDERS",
    "FULL",
    "HOW_LARGE",
    "INSIDE",
    "MENTIONED",
    "OTHER",
    "PASSING_WIDTH",
    "RELATIONS_TO_ONE",
    "SAME_NOUN",
    "TIED",
    "TOP_OF_LOAD",
    "UNDER",
    "WITH",
    "Alternatives",
    "Asked",
    "Nominal",
    "Noun",
    "OnTopic",
    "ask",
    "both",
    "choices",
    "conditions",
    "either",
    "negated",
    "nominal",
    "quantities",
    "sets",
    "whole_questions",
]
