"""Classes of objects: which labels belong to one.

A label of a frame is a class of its own ("rack") and belongs to a known class if its words do
("shelf"). English names; other languages map their nouns to these.
"""

from __future__ import annotations

LABEL_SYNONYMS: dict[str, tuple[str, ...]] = {
    "pallet": ("pallet", "box pallet", "skid"),
    "buffer": ("buffer", "buffer zone", "buffer area", "zone", "area"),
    "transporter": ("transporter", "agv", "amr", "robot", "forklift", "fork lift", "vehicle"),
    "shelf": ("shelf", "rack", "shelving"),
}
"""Words for each known class."""

_KNOWN = {word: name for name, words in LABEL_SYNONYMS.items() for word in words}


def label_words(label: str) -> tuple[str, ...]:
    """The words of a label: "Traffic_cone" has two."""
    return tuple(label.lower().replace("_", " ").replace("-", " ").split())


def known_class(label: str) -> str:
    """The known class of a label or noun: "rack" is a "shelf"; an unknown one is its own."""
    noun = " ".join(label_words(label))
    return _KNOWN.get(noun, noun)


def is_known(label: str) -> bool:
    """Whether a label belongs to a known class."""
    return known_class(label) in LABEL_SYNONYMS
