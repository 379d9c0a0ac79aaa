"""A question before wording: a program, and the role of each region in the text.

A `Draft` and a template give a text, either with `<mask>` placeholders or with plain names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from string import Formatter
from typing import Any

import numpy as np

from smolrgpt_core.language import MASK
from smolrgpt_core.language.english import pluralize
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.regions import RegionSet

NOUNS = {
    "buffer": ("buffer", "buffer region", "buffer zone", "buffer area"),
    "pallet": ("pallet",),
    "transporter": ("transporter",),
    "shelf": ("shelf",),
}
"""Words for the classes of a warehouse; any other label is used as it is."""


class RegionStyle(Enum):
    """How a text refers to regions."""

    MASK = "mask"
    """Words such as "the pallet <mask>", like the warehouse data set."""
    PLAIN = "plain"
    """Words such as "pallet 7", like a person."""


@dataclass(frozen=True)
class Mention:
    """Regions that a template mentions in one place.

    Attributes:
        ids: in the order of the text.
        all_of_class: whether a person would not list them, as in "how many pallets do you see?".
        plural: whether the noun of such a class is in the plural; "which pallet" is not.
    """

    ids: tuple[int, ...]
    all_of_class: bool = False
    plural: bool = True


@dataclass(frozen=True)
class Draft:
    """A question without wording and without an answer.

    Attributes:
        program: what is asked, in the plain style; where a class is listed with placeholders, the
            list takes its place.
        mentions: values of a template's fields.
        words: further fields, plain text.
        answer: the answer as a template, or how one is made from the value; with the fields
            `value`, `answer` (the chosen region) and those of `answer_parts`. "" = that of
            `language.wording`.
        answer_parts: further regions that the answer mentions.
        text: the whole question in the plain style, instead of a template.
    """

    program: Program
    mentions: Mapping[str, Mention] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    answer: str | Callable[[Any], str] = ""
    answer_parts: Mapping[str, Program] = field(default_factory=dict)
    text: str = ""

    def program_in(self, style: RegionStyle, regions: RegionSet) -> Program:
        """The program of a text in a style."""
        if style is RegionStyle.PLAIN:
            return self.program
        listed = {
            selections.All(regions[mention.ids[0]].label): selections.Listed(mention.ids)
            for mention in self.mentions.values()
            if mention.all_of_class
        }
        return self.program.replaced(lambda part: listed.get(part, part))


def fits(draft: Draft, template: str) -> bool:
    """Whether a template uses exactly the mentions of a draft and has words for everything else."""
    names = {name for _, name, _, _ in Formatter().parse(template) if name}
    return set(draft.mentions) <= names <= set(draft.mentions) | set(draft.words)


def write(
    draft: Draft, template: str, regions: RegionSet, rng: np.random.Generator
) -> dict[RegionStyle, tuple[str, tuple[int, ...]]]:
    """Write the text in every style, with the ids of its placeholders in order.

    Args:
        draft: fills the template.
        template: wording with names in braces.
        regions: of the frame.
        rng: draws synonyms.
    """
    texts = dict.fromkeys(RegionStyle, "")
    ids: list[int] = []
    for literal, name, _, _ in Formatter().parse(template):
        mention = draft.mentions.get(name or "")
        ids.extend(mention.ids if mention else ())
        noun = _noun(mention.ids, regions, rng) if mention else ""
        for style in RegionStyle:
            words = draft.words.get(name or "", "")
            texts[style] += literal + (_named(mention, noun, style) if mention else words)
    capital = {style: text[0].upper() + text[1:] for style, text in texts.items()}
    return {
        RegionStyle.MASK: (capital[RegionStyle.MASK], tuple(ids)),
        RegionStyle.PLAIN: (capital[RegionStyle.PLAIN], ()),
    }


def _noun(ids: Sequence[int], regions: RegionSet, rng: np.random.Generator) -> str:
    labels = {regions[id].label for id in ids}
    label = labels.pop() if len(labels) == 1 else ""
    choices = NOUNS.get(label, (label or "region",))
    return str(rng.choice(choices))


def _named(mention: Mention, noun: str, style: RegionStyle) -> str:
    """Words such as "the pallets <mask> <mask>", "pallets 3 and 4", or only "pallets"."""
    several = mention.plural if mention.all_of_class else len(mention.ids) > 1
    noun = pluralize(noun) if several else noun
    if style is RegionStyle.MASK:
        masks = " ".join([MASK] * len(mention.ids))
        return f"{noun} {masks}" if mention.all_of_class else f"the {noun} {masks}"
    if mention.all_of_class:
        return noun
    *head, last = map(str, mention.ids)
    return f"{noun} {', '.join(head)} and {last}" if head else f"{noun} {last}"
