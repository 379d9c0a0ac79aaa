"""Sizes of the objects of one's own hall, in place of the standard ones.

Written as "pallet:1.219x1.016,pallet:0.8x0.6,carton:0.6x0.4": labels or classes, each with the
footprints that its objects have, in meters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from smolrgpt_core.geometry.size_priors import SIZE_PRIORS, SizePrior
from smolrgpt_core.object_classes import ZONE, label_words, size_class

LONGEST_M = 20.0

_TOLERANCE_M = 0.03
"""Standard deviation of the footprint of an object without a standard size, as of pallets."""

_ENTRY = re.compile(
    r"(?P<label>[^:]+?)\s*:\s*(?P<length>\d*\.?\d+)\s*[xX*\u00d7]\s*(?P<width>\d*\.?\d+)"
)


def size_priors(text: str) -> Mapping[str, SizePrior]:
    """Sizes by class: the standard ones, and in their place those of a text.

    Args:
        text: such as "pallet:1.219x1.016"; a class may have several entries, and has the sizes of
            its own entries only. Empty: the standard sizes.

    Raises:
        ValueError: an entry cannot be used; the message quotes it.
    """
    footprints: dict[str, list[tuple[float, float]]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, footprint = _parse(entry)
        footprints.setdefault(name, []).append(footprint)
    own = {name: _with_footprints(name, tuple(pairs)) for name, pairs in footprints.items()}
    return {**SIZE_PRIORS, **own}


def _parse(entry: str) -> tuple[str, tuple[float, float]]:
    found = _ENTRY.fullmatch(entry)
    if not found or not label_words(found["label"]):
        raise ValueError(f"expected object sizes such as pallet:1.2x0.8 in meters, got {entry!r}")
    name = size_class(found["label"])
    if name == ZONE:
        raise ValueError(f"a painted zone is measured and has no standard size, got {entry!r}")
    pair = float(found["length"]), float(found["width"])
    if not 0 < min(pair) <= max(pair) <= LONGEST_M:
        raise ValueError(
            f"object sizes are more than 0 and at most {LONGEST_M:g} meters, got {entry!r}"
        )
    return name, (max(pair), min(pair))


def _with_footprints(name: str, footprints: tuple[tuple[float, float], ...]) -> SizePrior:
    """What is known of the class otherwise holds for its own sizes too."""
    standard = SIZE_PRIORS.get(name)
    if standard is None:
        return SizePrior(footprints, _TOLERANCE_M, on_floor=False)
    return replace(standard, footprints=footprints, tall=None, tall_m=math.inf)
