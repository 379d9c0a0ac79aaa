"""What the class of a region means to geometry."""

from __future__ import annotations

from smolrgpt_core.object_classes import CARGO, CARRIER, ZONE, known_class
from smolrgpt_core.regions import Region


def is_zone(region: Region) -> bool:
    """Whether it is painted on the floor, and objects stand in it."""
    return known_class(region.label) == ZONE


def is_carrier(region: Region) -> bool:
    """Whether it may carry cargo."""
    return known_class(region.label) == CARRIER


def is_cargo(region: Region) -> bool:
    """Whether it makes a carrier loaded."""
    return known_class(region.label) == CARGO
