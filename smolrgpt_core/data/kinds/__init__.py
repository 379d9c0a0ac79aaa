"""Kinds of questions: each makes drafts with a true answer from the facts of a frame.

A new kind is a function with the decorator `kind` in a module that is imported here, and phrasings
of the same name in `phrasings`; nothing else needs to change. A kind returns None when the frame
does not offer an unambiguous question of it.

Answers must not follow from the words. What a kind can settle itself, it settles exactly: it offers
a question only where every answer is possible for the same words, and draws the answer first.
Distances, where one frame offers few, are evened out over a data set by `balance`.
"""

from smolrgpt_core.data.kinds import choice, counting, distance, left_right
from smolrgpt_core.data.kinds.registry import GUESSABLE_KINDS, KINDS, data_set_kinds, kind

__all__ = [
    "GUESSABLE_KINDS",
    "KINDS",
    "choice",
    "counting",
    "data_set_kinds",
    "distance",
    "kind",
    "left_right",
]
