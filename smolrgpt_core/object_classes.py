"""Classes of objects: which labels belong to one, and what a class can do.

A label of a frame is a class of its own ("rack") and belongs to a known class if its words do
("shelf"). English names; other languages map their nouns to these.
"""

from __future__ import annotations

from smolrgpt_core.regions import Region

LABEL_SYNONYMS: dict[str, tuple[str, ...]] = {
    "pallet": ("pallet", "box pallet", "skid"),
    "buffer": ("buffer", "buffer zone", "buffer area", "zone", "area"),
    "transporter": ("transporter", "agv", "amr", "robot", "forklift", "fork lift", "vehicle"),
    "shelf": ("shelf", "rack", "shelving"),
}
"""Words for each known class."""

ZONE, CARRIER, CARGO = "buffer", "transporter", "pallet"

_KNOWN = {word: name for name, words in LABEL_SYNONYMS.items() for word in words}


def label_words(label: str) -> tuple[str, ...]:
    """The words of a label: "Traffic_cone" has two."""
    return tuple(label.lower().replace("_", " ").replace("-", " ").split())


def label_noun(label: str) -> str:
    """The label as a noun: "Traffic_cone" is a "traffic cone"."""
    return " ".join(label_words(label))


def known_class(label: str) -> str:
    """The known class of a label or noun: "rack" is a "shelf"; an unknown one is its own."""
    noun = label_noun(label)
    return _KNOWN.get(noun, noun)


def is_zone(region: Region) -> bool:
    """Whether it is painted on the floor, and objects stand in it."""
    return known_class(region.label) == ZONE


def is_carrier(region: Region) -> bool:
    """Whether it may carry cargo."""
    return known_class(region.label) == CARRIER


def is_cargo(region: Region) -> bool:
    """Whether it makes a carrier loaded."""
    return known_class(region.label) == CARGO
