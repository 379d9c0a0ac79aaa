"""English words that others need: numbers, ordinals, plurals."""

from __future__ import annotations

from smolrgpt_core.language.lexicon import read_numbers, read_ordinals
from smolrgpt_core.language.words import plural_of

NUMBER_WORDS = read_numbers("english")
"""Numbers by their words."""

ORDINALS = read_ordinals("english")
"""Ranks by their words."""


def pluralize(words: str) -> str:
    """The plural of a noun or of the last word of a compound noun."""
    return " ".join(plural_of(tuple(words.split()))) if words else ""
