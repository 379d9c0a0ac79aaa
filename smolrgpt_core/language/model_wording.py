"""Programs in the words that models are trained on, with a `<mask>` for each region.

A model is asked in these words however the user worded it: in those of the warehouse data set,
where it has words for a program, else in the canonical sentence or one close to it. Only models
that were trained on the whole language know the latter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.language.english import pluralize
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import TrainedWriter
from smolrgpt_core.language.words import plural_of
from smolrgpt_core.object_classes import CARRIER, ZONE, known_class, label_noun, named_labels
from smolrgpt_core.regions import RegionSet

_COLUMN_WORDS = {"least": ("leftmost", "left"), "most": ("rightmost", "right")}
_RANKS = ("", "", "second ", "third ", "fourth ", "fifth ")
_MOST_LISTED = 12
"""Longer lists of regions are not asked of a model, which has seen none."""


@dataclass(frozen=True)
class MaskedWording:
    """How a model is asked.

    Attributes:
        text: with one `<mask>` for each of `region_ids`.
        region_ids: in order.
        candidate_ids: of a choice, the regions that it is among.
    """

    text: str
    region_ids: tuple[int, ...]
    candidate_ids: tuple[int, ...] = ()


class _UnsayableError(Exception):
    """The data set has no words for this."""


def masked_wording(program: Program, regions: RegionSet) -> MaskedWording | None:
    """The question for a model, or None where models have no words for it."""
    writer = _Writer(regions)
    try:
        text = writer.question(program)
    except _UnsayableError:
        return None
    return MaskedWording(text[0].upper() + text[1:], tuple(writer.ids), tuple(writer.candidates))


def masked_question(
    program: Program, regions: RegionSet, looks: bool = False
) -> MaskedWording | None:
    """The question for a model that was trained on the whole language.

    A class of objects is written as the list of its regions, for a model sees masks alone.

    Args:
        program: of the question.
        regions: of the frame.
        looks: whether the model was trained on colors.

    Returns:
        None where a class has more regions than models have seen listed, or only one, where it is
        about colors and the model knows none, and where it is about fractions of a set, which no
        model was trained on.
    """
    if (asks_for_color(program) and not looks) or _asks_for_fraction(program):
        return None
    listed = with_lists(program, regions)
    lists = [part.arguments[0] for part in listed.walk() if part.operator is selections.Listed]
    if not all(1 < len(ids) <= _MOST_LISTED for ids in lists):
        return None
    known = masked_wording(program, regions)
    if known is not None:
        return known
    text = TrainedWriter(regions).question(listed)
    text, ids = with_placeholders(text[0].upper() + text[1:], regions)
    return MaskedWording(text, ids, _candidates(listed))


def asks_for_color(program: Program) -> bool:
    """Whether an answer depends on the color of anything."""
    colors = (questions.Color, questions.OfColor, predicates.Colored)
    return any(part.operator in colors for part in program.walk())


def _asks_for_fraction(program: Program) -> bool:
    return any(part.operator is questions.Share for part in program.walk())


def with_lists(program: Program, regions: RegionSet) -> Program:
    """A program in which the list of its regions stands for each class of objects."""
    return program.replaced(lambda part: _as_list(part, regions))


def with_placeholders(text: str, regions: RegionSet) -> tuple[str, tuple[int, ...]]:
    """A text in plain style with `<mask>` in the place of ids, and the ids in order."""
    nouns = {noun for label in regions.labels for noun in (label, pluralize(label))} | {"region"}
    names = "|".join(sorted(map(re.escape, filter(None, nouns)), key=len, reverse=True))
    ids: list[int] = []

    def masked(match: re.Match[str]) -> str:
        found = [int(number) for number in re.findall("[0-9]+", match.group(2))]
        ids.extend(found)
        return f"{match.group(1)} {' '.join([MASK] * len(found))}"

    listed = r"[0-9]+(?:, [0-9]+)*(?: and [0-9]+)?"
    text = re.sub(rf"\b({names}) ({listed})\b(?!\.[0-9])", masked, text, flags=re.IGNORECASE)
    return text, tuple(ids)


def _as_list(part: Program, regions: RegionSet) -> Program:
    if part.operator is not selections.All:
        return part
    noun = part.arguments[0]
    labels = named_labels(noun, regions.labels) if noun else regions.labels
    ids = tuple(region.id for region in regions if region.label in labels)
    return selections.Listed(ids) if ids else part


def _candidates(program: Program) -> tuple[int, ...]:
    """The regions that the answer to a program is among; none where it is no region."""
    if program.type not in (Type.REGION, Type.REGIONS):
        return ()
    while program.operator is not selections.Listed and program.parts:
        program = program.parts[0]
    return tuple(program.arguments[0]) if program.operator is selections.Listed else ()


class _Writer:
    """Writes one question; the ids of the masks are collected on the way."""

    def __init__(self, regions: RegionSet) -> None:
        self._regions = regions
        self.ids: list[int] = []
        self.candidates: tuple[int, ...] = ()

    def question(self, program: Program) -> str:
        """The sentence.

        Raises:
            _UnsayableError: there is none.
        """
        operator = program.operator
        if operator is questions.Measure:
            return self._distance(*program.arguments)
        if operator is questions.Count:
            return self._count(program.parts[0])
        if operator is questions.Side and program.arguments[2] == "left_right":
            region, place, _ = program.arguments
            return f"is {self._one(region)} left or right of {self._one(place)}?"
        if operator is questions.Whether:
            return self._is_on_side(*program.arguments)
        if operator is selections.Extreme:
            return self._which(*program.arguments)
        if operator is selections.The and program.parts[0].operator is selections.Where:
            return self._which_in(*program.parts[0].arguments)
        raise _UnsayableError

    def _distance(self, region: Program, attribute: Program) -> str:
        if attribute.operator is not attributes.Distance:
            raise _UnsayableError
        place = attribute.arguments[0]
        if region.operator is selections.Extreme:
            chosen, column, end, rank = region.arguments
            which = self._outermost(column, end, rank)
            targets = self._several(chosen)
            return (
                f"considering {targets}, how far is the {which} {self._noun(chosen)} from "
                f"{self._one(place)}?"
            )
        first = self._one(region)
        if place.operator is selections.Extreme:
            return f"how far is {first} from {self._nearest_empty(place, region)}?"
        return f"how far is {first} from {self._one(place)}?"

    def _nearest_empty(self, place: Program, region: Program) -> str:
        chosen, attribute, end, rank = place.arguments
        empty = chosen.operator is selections.Where and (
            chosen.arguments[1].operator is predicates.Empty
        )
        if not empty or attribute != attributes.Distance(region) or rank != 1:
            raise _UnsayableError
        which = "nearest" if end == "least" else "farthest"
        carriers = self._several(chosen.arguments[0])
        return f"the {which} empty transporter among {carriers}"

    def _count(self, chosen: Program) -> str:
        if chosen.operator is not selections.Where:
            return f"how many {self._several(chosen)[len('the ') :]} do you see?"
        base, predicate = chosen.arguments
        if predicate.operator is predicates.Not:
            zone = self._zone_of(predicate.arguments[0])
            return f"how many of {self._several(base)} are not in {self._one(zone)}?"
        zone = self._zone_of(predicate)
        if zone.operator is selections.Extreme:
            return self._count_in_chosen(base, zone)
        return f"how many of {self._several(base)} are in {self._one(zone)}?"

    def _count_in_chosen(self, base: Program, zone: Program) -> str:
        zones, attribute, end, rank = zone.arguments
        noun = " ".join(plural_of(tuple(self._noun(base).split())))
        lists = f"given {self._several(zones)} and {self._several(base)}"
        if attribute.operator is attributes.Column:
            which = self._outermost(attribute, end, rank)
            return f"{lists}, how many {noun} are in the {which} buffer?"
        if attribute.operator is attributes.Distance and (end, rank) == ("least", 1):
            other = self._one(attribute.arguments[0])
            return f"{lists}, how many {noun} stand in the buffer nearest to {other}?"
        raise _UnsayableError

    def _is_on_side(self, region: Program, predicate: Program) -> str:
        sides = {predicates.LeftOf: "left", predicates.RightOf: "right"}
        if predicate.operator not in sides:
            raise _UnsayableError
        side = sides[predicate.operator]
        return f"is {self._one(region)} to the {side} of {self._one(predicate.arguments[0])}?"

    def _which(self, chosen: Program, attribute: Program, end: str, rank: float) -> str:
        if attribute.operator is attributes.Column:
            targets = self._choice(chosen)
            return f"which of {targets} is the {self._outermost(attribute, end, rank)}?"
        if attribute.operator is not attributes.Distance or round(rank) >= len(_RANKS):
            raise _UnsayableError
        word = _RANKS[round(rank)] + ("closest" if end == "least" else "farthest")
        than = "to" if end == "least" else "from"
        place = attribute.arguments[0]
        if chosen.operator is selections.Where:
            carriers, predicate = chosen.arguments
            if predicate.operator is not predicates.Empty or not self._all_of(carriers, CARRIER):
                raise _UnsayableError
            targets = self._choice(carriers)
            return f"which of {targets} is the {word} empty transporter {than} {self._one(place)}?"
        if place.operator is selections.The:
            return self._pickup(chosen, place, word)
        return f"which of {self._choice(chosen)} is the {word} {than} {self._one(place)}?"

    def _pickup(self, chosen: Program, place: Program, word: str) -> str:
        carriers = place.parts[0]
        empty = carriers.operator is selections.Where and (
            carriers.arguments[1].operator is predicates.Empty
        )
        if not empty or word != "closest":
            raise _UnsayableError
        lists = f"{self._several(carriers.arguments[0])} and {self._choice(chosen)}"
        noun = self._noun(chosen)
        return f"considering {lists}, which {noun} is nearest to the empty transporter?"

    def _which_in(self, chosen: Program, predicate: Program) -> str:
        targets = self._choice(chosen)
        if predicate.operator is predicates.Holds and self._all_of(chosen, ZONE):
            return f"which of {targets} contains {self._one(predicate.arguments[0])}?"
        if predicate.operator is predicates.Not:
            zone = self._zone_of(predicate.arguments[0])
            return f"which of {targets} is not in {self._one(zone)}?"
        return f"which of {targets} is in {self._one(self._zone_of(predicate))}?"

    def _zone_of(self, predicate: Program) -> Program:
        if predicate.operator is not predicates.In:
            raise _UnsayableError
        (zone,) = predicate.parts
        if zone.operator is selections.Region:
            label = self._regions[zone.arguments[0]].label
            if label and known_class(label) != ZONE:
                raise _UnsayableError
        return zone

    def _outermost(self, attribute: Program, end: str, rank: float) -> str:
        if attribute.operator is not attributes.Column or round(rank) >= len(_RANKS):
            raise _UnsayableError
        return _RANKS[round(rank)] + _COLUMN_WORDS[end][0]

    def _one(self, program: Program) -> str:
        if program.operator is selections.Camera:
            return "the camera"
        id = self._only_member(program)
        self.ids.append(id)
        return f"the {self._common_noun([id])} {MASK}"

    def _only_member(self, program: Program) -> int:
        """The region that is meant, as far as labels identify it."""
        if program.operator is selections.Region:
            return int(program.arguments[0])
        if program.operator is selections.The:
            members = self._members(program.parts[0])
            if len(members) == 1:
                return members[0]
        if program.operator is selections.Member:
            chosen, rank = program.arguments
            members = self._members(chosen.parts[0] if chosen.parts else chosen)
            if round(rank) <= len(members) == 2:
                return int(members[round(rank) - 1])
        raise _UnsayableError

    def _choice(self, program: Program) -> str:
        words = self._several(program)
        self.candidates = tuple(self._members(program))
        return words

    def _several(self, program: Program) -> str:
        members = self._members(program)
        if not 0 < len(members) <= _MOST_LISTED:
            raise _UnsayableError
        self.ids.extend(members)
        noun = self._common_noun(members)
        if len(members) > 1:
            noun = " ".join(plural_of(tuple(noun.split())))
        return f"the {noun} {' '.join([MASK] * len(members))}"

    def _members(self, program: Program) -> Sequence[int]:
        """Ids of a list, or of all regions of a class."""
        if program.operator is selections.Listed:
            return list(program.arguments[0])
        if program.operator is selections.All and program.arguments[0]:
            labels = named_labels(program.arguments[0], self._regions.labels)
            return [region.id for region in self._regions if region.label in labels]
        raise _UnsayableError

    def _all_of(self, program: Program, name: str) -> bool:
        labels = {known_class(self._regions[id].label) for id in self._members(program)}
        return labels <= {name, ""}

    def _noun(self, program: Program) -> str:
        return self._common_noun(self._members(program))

    def _common_noun(self, ids: Sequence[int]) -> str:
        labels = {self._regions[id].label for id in ids}
        noun = label_noun(labels.pop()) if len(labels) == 1 else ""
        return noun if noun.replace(" ", "").isalpha() else "region"
