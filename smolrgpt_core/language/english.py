"""English words that others need: numbers, ordinals, plurals."""

from __future__ import annotations

from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.language.words import plural_of

NUMBER_WORDS = dict(load_lexicon("english").numbers)
"""Numbers by their words."""

ORDINALS = dict(load_lexicon("english").ordinals)
"""Ranks by their words."""


def pluralize(words: str) -> str:
    """The plural of a noun or of the last word of a compound noun."""
    return " ".join(plural_of(tuple(words.split()))) if words else ""
