"""Garbage collections that do not hold up answers.

A full collection goes through all that is loaded, 400,000 objects with PyTorch and a model, and
stops everything for tenths of a second, now and then beside an answer.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """Leave what has been loaded so far out of all later collections, until `gc.unfreeze`."""
    gc.collect()
    gc.freeze()
