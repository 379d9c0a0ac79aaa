"""The table of all question forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.view import MarginView

MakeDraft = Callable[[MarginView, np.random.Generator], "Draft | None"]

FORMS: dict[str, MakeDraft] = {}
"""Every question form by name: makes a draft, or None where a frame does not offer one."""

GUESSABLE: set[str] = set()
"""Names of forms whose answer follows from the words once regions are listed: plain style only."""


def form(make: MakeDraft) -> MakeDraft:
    """Register a question form under the name of its function."""
    return named_form(make.__name__, make)


def named_form(name: str, make: MakeDraft) -> MakeDraft:
    """Register a question form.

    Raises:
        ValueError: there is a form with this name.
    """
    if name in FORMS:
        raise ValueError(f"there is already a question form {name}")
    FORMS[name] = make
    return make


def guessable(make: MakeDraft) -> MakeDraft:
    """Mark a form for people only: "how many pallets <mask> <mask> do you see?" answers itself."""
    GUESSABLE.add(make.__name__)
    return make
