"""Classes of objects: which labels belong to one.

A label of a frame is a class of its own ("rack") and belongs to a known class if its words do
("shelf"). English names; other languages map their nouns to these.
"""

from __future__ import annotations

from collections.abc import Iterable

from smolrgpt_core.regions import Region

LABEL_SYNONYMS: dict[str, tuple[str, ...]] = {
    "pallet": ("pallet", "box pallet", "skid"),
    "buffer": ("buffer", "buffer zone", "buffer area", "zone", "area"),
    "transporter": ("transporter", "agv", "amr", "robot", "forklift", "fork lift", "vehicle"),
    "shelf": ("shelf", "rack", "shelving"),
}
"""Words for each known class."""

SIZED_APART = {"forklift": "forklift", "fork lift": "forklift"}
"""Words of a known class for objects whose sizes are others than those of the rest of it."""

ZONE, CARRIER, CARGO, RACK = "buffer", "transporter", "pallet", "shelf"
"""What objects stand in, what carries them, what makes a carrier loaded, and what cargo lies in."""

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


def size_class(label: str) -> str:
    """What the standard sizes of a label or noun go by: its known class, or a kind within it."""
    return SIZED_APART.get(label_noun(label)) or known_class(label)


def is_known(label: str) -> bool:
    """Whether a label belongs to a known class."""
    return known_class(label) in LABEL_SYNONYMS


def is_zone(region: Region) -> bool:
    """Whether a region is painted on the floor, and objects stand in it."""
    return known_class(region.label) == ZONE


def is_carrier(region: Region) -> bool:
    """Whether a region may carry cargo."""
    return known_class(region.label) == CARRIER


def is_cargo(region: Region) -> bool:
    """Whether a region makes a carrier loaded."""
    return known_class(region.label) == CARGO


def named_labels(noun: str, labels: Iterable[str]) -> frozenset[str]:
    """The labels that a noun means.

    The name of a known class means all of the class: a "skid" is a pallet too. Any other noun means
    the label that is spelled so, for a detector that has "racks" knows them from its "shelves";
    without such a label, all of its class.

    Args:
        noun: in the singular.
        labels: of a frame.
    """
    labels = frozenset(labels)
    spelled = frozenset(label for label in labels if label_noun(label) == noun)
    if spelled and noun not in LABEL_SYNONYMS:
        return spelled
    return frozenset(label for label in labels if known_class(label) == known_class(noun))
