"""Answerers by name, as chosen by the `answerer` parameter and the `--answerer` option."""

from __future__ import annotations

from collections.abc import Callable

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer

ANSWERERS: dict[str, Callable[[], Answerer]] = {"geometric": GeometricAnswerer}

DEFAULT_ANSWERER = "geometric"


def make_answerer(name: str = DEFAULT_ANSWERER) -> Answerer:
    """Build an answerer.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    if name not in ANSWERERS:
        raise ValueError(f"answerer must be one of {sorted(ANSWERERS)}, got {name!r}")
    return ANSWERERS[name]()
