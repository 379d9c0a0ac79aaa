"""Question forms: each drafts programs for a frame; the true answer is the value of the program.

A new form is a function with the decorator `form` in a module that is imported here, and wordings
below the same name in `wordings.txt`; nothing else needs to change. A form returns None when the
frame does not offer such a question. Whether its answer is clear is not its business
(`SceneView.truth`).

Answers must not follow from the words. What a form can settle itself, it settles exactly: it offers
a question only where every answer is possible for the same words, and draws the answer first.
Distances, where one frame offers few, are evened out over a data set by `data.balance`.
"""

from smolrgpt_core.synthesis.forms import (
    choice,
    comparisons,
    composed,
    counting,
    distance,
    left_right,
    measurements,
)
from smolrgpt_core.synthesis.forms.registry import FORMS, GUESSABLE, form

__all__ = [
    "FORMS",
    "GUESSABLE",
    "choice",
    "comparisons",
    "composed",
    "counting",
    "distance",
    "form",
    "left_right",
    "measurements",
]
