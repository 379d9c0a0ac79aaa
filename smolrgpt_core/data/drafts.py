"""A question before it has words: who plays which role, and what the answer is.

A `Draft` and a template give a text, either with `<mask>` placeholders or with plain names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from string import Formatter

import numpy as np

from smolrgpt_core.answer import Side
from smolrgpt_core.language import MASK, Category
from smolrgpt_core.language.english import pluralize
from smolrgpt_core.regions import RegionSet

NOUNS = {
    "buffer": ("buffer", "buffer region", "buffer zone", "buffer area"),
    "pallet": ("pallet",),
    "transporter": ("transporter",),
    "shelf": ("shelf",),
}
"""Words for the classes of a warehouse; any other label is used as it is."""


class Style(Enum):
    """How a text names regions."""

    MASK = "mask"
    """Words such as "the pallet <mask>", like the warehouse data set."""
    PLAIN = "plain"
    """Words such as "pallet 7", like a person."""


@dataclass(frozen=True)
class Mention:
    """Regions that a template names in one place.

    Attributes:
        ids: in the order of the text.
        all_of_class: a person would not list them, as in "how many pallets do you see?".
        plural: whether the noun of such a class is in the plural; "which pallet" is not.
    """

    ids: tuple[int, ...]
    all_of_class: bool = False
    plural: bool = True


@dataclass(frozen=True)
class Draft:
    """A question without words.

    Attributes:
        category: of the question.
        mentions: what the fields of a template stand for.
        words: further fields, plain text.
        value, region_id, side: the true answer; the field of the category.
        answer: the answer as a template, with fields `value` and those of `answer_ids`.
        answer_ids: regions that the answer names.
    """

    category: Category
    mentions: Mapping[str, Mention]
    words: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    region_id: int | None = None
    side: Side = Side.NONE
    answer: str = ""
    answer_ids: Mapping[str, int] = field(default_factory=dict)


def fits(draft: Draft, template: str) -> bool:
    """Whether a template uses exactly the mentions of a draft, and has the words for the rest."""
    names = {name for _, name, _, _ in Formatter().parse(template) if name}
    return set(draft.mentions) <= names <= set(draft.mentions) | set(draft.words)


def write(
    draft: Draft, template: str, regions: RegionSet, rng: np.random.Generator
) -> dict[Style, tuple[str, tuple[int, ...]]]:
    """The text in every style, and the ids that it names, in order."""
    texts = dict.fromkeys(Style, "")
    ids: list[int] = []
    for literal, name, _, _ in Formatter().parse(template):
        mention = draft.mentions.get(name or "")
        ids.extend(mention.ids if mention else ())
        noun = _noun(mention.ids, regions, rng) if mention else ""
        for style in Style:
            words = draft.words.get(name or "", "")
            texts[style] += literal + (_named(mention, noun, style) if mention else words)
    return {style: (text[0].upper() + text[1:], tuple(ids)) for style, text in texts.items()}


def _noun(ids: Sequence[int], regions: RegionSet, rng: np.random.Generator) -> str:
    labels = {regions[id].label for id in ids}
    label = labels.pop() if len(labels) == 1 else ""
    choices = NOUNS.get(label, (label or "region",))
    return str(rng.choice(choices))


def _named(mention: Mention, noun: str, style: Style) -> str:
    """Words such as "the pallets <mask> <mask>", "pallets 3 and 4", or only "pallets"."""
    several = mention.plural if mention.all_of_class else len(mention.ids) > 1
    noun = pluralize(noun) if several else noun
    if style is Style.MASK:
        masks = " ".join([MASK] * len(mention.ids))
        return f"{noun} {masks}" if mention.all_of_class else f"the {noun} {masks}"
    if mention.all_of_class:
        return noun
    *head, last = map(str, mention.ids)
    return f"{noun} {', '.join(head)} and {last}" if head else f"{noun} {last}"
