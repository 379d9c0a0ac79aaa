"""The table of all kinds of questions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smolrgpt_core.data.drafts import Draft
from smolrgpt_core.data.facts import SceneFacts

MakeDraft = Callable[[SceneFacts, np.random.Generator], "Draft | None"]

KINDS: dict[str, MakeDraft] = {}
"""Every kind of question, by name."""

GUESSABLE_KINDS: set[str] = set()
"""Names of kinds whose answer follows from the words once regions are listed."""


def kind(make: MakeDraft) -> MakeDraft:
    """Register a kind of question under the name of its function."""
    KINDS[make.__name__] = make
    return make


def guessable(make: MakeDraft) -> MakeDraft:
    """Mark a kind for people only: "how many pallets <mask> <mask> do you see?" answers itself."""
    GUESSABLE_KINDS.add(make.__name__)
    return make


def data_set_kinds() -> list[str]:
    """The kinds for training and evaluation, whose answer does not follow from the words."""
    return [name for name in KINDS if name not in GUESSABLE_KINDS]
