"""What the class of a region means to geometry."""

from __future__ import annotations

from smolrgpt_core.question.vocabulary import concept_of
from smolrgpt_core.regions import Region


def is_zone(region: Region) -> bool:
    """Whether it is painted on the floor, and objects stand in it."""
    return concept_of(region.label) == "buffer"


def is_carrier(region: Region) -> bool:
    """Whether it may carry cargo."""
    return concept_of(region.label) == "transporter"


def is_cargo(region: Region) -> bool:
    """Whether it makes a carrier loaded."""
    return concept_of(region.label) == "pallet"
