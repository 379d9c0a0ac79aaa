"""Question forms: each drafts programs for a frame; the true answer is the value of the program.

A new form is a function with the decorator `form` in a module that is imported here, and wordings
below the same name in `wordings.txt`; nothing else needs to change. A form returns None when the
frame does not offer such a question. It does not check whether the answer is clear;
`SceneView.truth` does.

Answers must not be guessable from the words. Where a form can ensure this itself, it does so
exactly: it offers a question only if every answer is possible with the same words, and draws the
answer first. Distances, of which one frame offers few, are balanced over a data set by `balance`.
"""

from smolrgpt_core.synthesis.forms import (
    choice,
    comparisons,
    composed,
    counting,
    distance,
    left_right,
    looks,
    measurements,
)
from smolrgpt_core.synthesis.forms.looks import COLOR_FORMS
from smolrgpt_core.synthesis.forms.registry import FORMS, GUESSABLE, form

__all__ = [
    "COLOR_FORMS",
    "FORMS",
    "GUESSABLE",
    "choice",
    "comparisons",
    "composed",
    "counting",
    "distance",
    "form",
    "left_right",
    "looks",
    "measurements",
]
