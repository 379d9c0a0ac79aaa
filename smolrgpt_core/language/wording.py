"""Words out: a program as a sentence that reads back to it.

    say(Count(Where(All("pallet"), In(Region(2)))))  ->  "How many pallets are in buffer 2?"

A phrase that something could be attached to is put into parentheses unless nothing follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from smolrgpt_core.language.builders import RELATIONS_TO_ONE
from smolrgpt_core.language.meant import classes_of
from smolrgpt_core.language.operators import (
    arrangements,
    attributes,
    fronts,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.terms import (
    ATTRIBUTES,
    BETWEEN_TWO,
    COMPARATIVES,
    COUNTED_HOW,
    COUNTED_MORE,
    DIFFERENCES,
    FROM_SIDE,
    HOW_WORDS,
    NEARNESS,
    NEIGHBOR_GAPS,
    OFFSET_SIDES,
    ORDINALS,
    PREDICATES,
    REACHES,
    SEEN_FROM,
    SIDES,
    SIZE_ADJECTIVES,
    SUPERLATIVES,
    UNIT_WORDS,
)
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.words import plural_of
from smolrgpt_core.object_classes import ZONE, is_known, known_class, label_noun
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import in_words

Unit = tuple[str, float]
"""The word for a unit, and its size in SI units."""


def say(program: Program, regions: RegionSet) -> str:
    """The canonical sentence of a question; it reads back to the same program."""
    text = Writer(regions).question(program)
    return text[0].upper() + text[1:]


def say_statement(program: Program, regions: RegionSet) -> str:
    """A yes or no question as a statement, such as "pallet 12 is in buffer 2"."""
    return Writer(regions).statement(program)


def say_phrase(program: Program, regions: RegionSet) -> str:
    """A part of a question in words, such as "the empty transporter"."""
    return Writer(regions).phrase(program, last=True)


def quantity(value: float, unit: str, shown: Unit | None = None) -> str:
    """A quantity in words.

    Args:
        value: in `unit`.
        unit: of SI, or "share", "objects", "deg", "h".
        shown: word and size in SI units of the unit that was asked for; None: `unit`.
    """
    if shown is not None and unit != "share":
        word, size = shown
        return f"{value / size:.2f} {word}"
    if unit == "share":
        return f"{100 * value:.0f} %"
    if unit == "objects":
        return f"{value:.0f}"
    if unit == "h":
        return f"{value:.0f} o'clock"
    if unit == "deg":
        return f"{value:.0f} degrees"
    return f"{value:.2f} {unit}".strip()


class Writer:
    """Writes the expressions of a question about the regions of a frame."""

    def __init__(self, regions: RegionSet) -> None:
        self._regions = regions

    def name(self, id: int) -> str:
        """Such as "pallet 3"."""
        noun = label_noun(self._regions[id].label) if id in self._regions else ""
        return f"{noun if noun.replace(' ', '').isalpha() else 'region'} {id}"

    def _noun(self, id: int) -> str:
        return self.name(id).rsplit(" ", 1)[0]

    def is_zone(self, program: Program) -> bool:
        """Whether a place is a zone, judging by its name."""
        if program.operator is selections.Region:
            return known_class(self._regions[program.arguments[0]].label) == ZONE
        return any(self.is_zone(part) for part in program.parts[:1]) or (
            program.operator is selections.All and known_class(program.arguments[0]) == ZONE
        )

    def _stands_on(self, holder: Program) -> bool:
        """Whether things are on a place, not in it: on pallets, transporters and shelves."""
        classes = classes_of(holder, self._regions)
        known = {known_class(label) for label in classes}
        return bool(known) and all(map(is_known, known)) and ZONE not in known

    def question(self, program: Program) -> str:
        """The whole sentence."""
        writers: dict[Type, Callable[[Program], str]] = {
            Type.REGION: self._which,
            Type.REGIONS: self._list,
            Type.QUANTITY: self._how_much,
            Type.TRUTH: self._whether,
            Type.RELATION: self._which_side,
            Type.COLOR: lambda p: f"what color is {self.phrase(p.parts[0], last=True)}?",
            Type.POINT: lambda p: f"where is {self.phrase(p.parts[0], last=True)}?",
            Type.VECTOR: self._direction,
            Type.SIZE: lambda p: (
                f"what are the dimensions of {self.phrase(p.parts[0], last=True)}?"
            ),
        }
        return writers[program.type](program)

    def _which(self, program: Program) -> str:
        if program.operator is selections.Extreme and self._is_noun_or_names(program.parts[0]):
            chosen, *singled = program.arguments
            return f"which {self._one_asked_for(chosen)} {self.singles_out(*singled)}?"
        if program.operator is selections.The and program.parts[0].operator is selections.Where:
            base, predicate = self.noun_and_rest(program.parts[0])
            if self._is_noun_or_names(base):
                return f"which {self._one_asked_for(base)} {self.clause(predicate, 'is', base)}?"
        return f"which is {self.phrase(program, last=True)}?"

    def _one_asked_for(self, chosen: Program) -> str:
        """After "which": "pallet that is empty", "of pallets 3 and 4", "empty one of both"."""
        if chosen.operator is selections.Listed:
            return f"of {self.plural(chosen)}"
        if self._is_list_with_adjective(chosen):
            return f"{_adjective(chosen.arguments[1])} {self.singular(chosen.parts[0])}"
        return self.singular(chosen, last=False)

    def _is_noun_or_names(self, chosen: Program) -> bool:
        """Whether a set can stand behind "which": "pallet", "of pallets 3 and 4"."""
        listed = chosen.operator is selections.Listed or self._is_list_with_adjective(chosen)
        return listed or not is_list(chosen)

    def _is_list_with_adjective(self, chosen: Program) -> bool:
        """Whether a set is written "empty one of transporters 6 and 7"."""
        if chosen.operator is not selections.Where:
            return False
        base, predicate = chosen.arguments
        return bool(_adjective(predicate)) and self.lists_one_class(base)

    def lists_one_class(self, chosen: Program) -> bool:
        """Whether a set is written "pallets 3 and 4"."""
        if chosen.operator is not selections.Listed:
            return False
        nouns = {self._noun(id) for id in chosen.arguments[0]}
        return len(nouns) == 1 and len(chosen.arguments[0]) > 1

    def _list(self, program: Program) -> str:
        if program.operator is selections.Where and self._is_noun_or_names(program.arguments[0]):
            base, predicate = self.noun_and_rest(program)
            of = "of " if is_list(base) else ""
            return f"which {of}{self.plural(base)} {self.clause(predicate, 'are', base)}?"
        if program.operator is selections.Listed:
            return f"list {self.listed(program.arguments[0])}."
        if program.operator in (selections.Sorted, selections.First):
            ordered = program.operator is selections.Sorted
            the = "the " if ordered and _is_nominal(program.parts[0]) else ""
            words = self.in_order(program) if ordered else self.plural(program, last=True)
            return f"list {the}{words}."
        return f"list {self.phrase(program, last=True)}."

    def _how_much(self, program: Program) -> str:
        if program.operator is questions.Count:
            return self._how_many(program.parts[0])
        if program.operator is questions.Measure:
            region, attribute = program.arguments
            if attribute.operator is attributes.Distance:
                place = self.phrase(attribute.arguments[0], last=True)
                return f"how far is {self.phrase(region)} from {place}?"
            if attribute.operator is attributes.Capacity:
                return f"how many more pallets fit into {self.phrase(region, last=True)}?"
            if attribute.operator is attributes.Top:
                return f"how high is the top of {self.phrase(region, last=True)}?"
            if attribute.operator is arrangements.Offset:
                place, side = attribute.arguments
                beside = f"{OFFSET_SIDES[side]} {self.phrase(place)}"
                return f"how far {beside} is {self.phrase(region, last=True)}?"
            if attribute.operator is fronts.Heading:
                return f"in which direction is {self.phrase(region)} facing?"
            if attribute.operator in SEEN_FROM:
                noun, place = SEEN_FROM[attribute.operator], attribute.parts[0]
                return (
                    f"what is the {noun} of {self.phrase(region)} from {self.phrase(place, True)}?"
                )
        if zone := taken_zone(program):
            how = "what share" if program.unit == "share" else "how much"
            return f"{how} of {self.phrase(zone)} is occupied?"
        if program.operator is questions.Share:
            chosen, predicate = program.arguments
            return f"what share of {self.all_of(chosen)} {self.clause(predicate, 'is', chosen)}?"
        if more := self._how_much_more(program):
            return more
        if compared := self.times_as(program):
            subject, adjective, other = compared
            return f"how many times as {adjective} as {other} is {subject}?"
        return f"what is {self.phrase(program, last=True)}?"

    def _how_much_more(self, program: Program) -> str:
        """For "How much taller is pallet 3 than pallet 4?"; empty for any other question."""
        word = difference_word(program, self.is_zone)
        if not word:
            return ""
        (first, attribute), (second, _) = (part.arguments for part in program.parts)
        word = word.format(*(self.phrase(part) for part in attribute.parts))
        return f"how much {word} is {self.phrase(first)} than {self.phrase(second, last=True)}?"

    def _how_many(self, chosen: Program) -> str:
        if chosen.operator is selections.Where:
            base, predicate = self.noun_and_rest(chosen)
            of = "of " if is_list(base) and not is_union(base) else ""
            return f"how many {of}{self.plural(base)} {self.clause(predicate, 'are', base)}?"
        return f"how many {self.plural(chosen, last=True)} are there?"

    def _whether(self, program: Program) -> str:
        if program.operator is questions.Whether:
            region, predicate = program.arguments
            if predicate.operator in ROOM:
                return f"is there {self._room_in(region, predicate)}?"
            if _is_one_of_several(predicate):
                # "Is it in buffer 1 or in buffer 2?" may ask in which, "red or blue?" does.
                return f"is it true that {self.statement(program)}?"
            return f"is {self.phrase(region)} {self.complement(region, predicate)}?"
        if program.operator is questions.Exists:
            if some := self._some_of_list(program.parts[0]):
                return "are {} {}?".format(*some)
            return f"are there any {self.plural(program.parts[0], last=True)}?"
        if program.operator is questions.Every:
            if is_only_one(program):
                return "is {} {}?".format(*self.only_one(program))
            return "are {} {}?".format(*self._claim(program))
        if program.operator is arrangements.AllAlike:
            return "do {} {}?".format(*self._alike(program))
        if program.operator is arrangements.InLine:
            return f"are {self.all_of(program.parts[0])} in a line?"
        if program.operator is questions.Compare:
            if is_room_for_several(program):
                return f"is there {self._room_for_several_in(program)}?"
            if counts_objects(program):
                return f"{self._counted(program)}?"
            if more := self.more_of_them(program):
                return f"are there {more}?"
            claim = self.nearer_of_two(program) or self._times(program) or self._claim(program)
            return "is {} {}?".format(*claim)
        return f"is it false that {self.statement(program.parts[0])}?"

    def complement(self, subject: Program, predicate: Program) -> str:
        """What stands behind "pallet 3 is": "loaded", "the tallest pallet in buffer 2"."""
        if predicate == predicates.Not(predicates.Empty()) and not self.is_zone(subject):
            return "loaded"
        if predicate == predicates.Not(predicates.HasRoom()) and self.is_zone(subject):
            return "full"
        if predicate.operator is predicates.Not and _is_room_for_region(predicate.parts[0]):
            return f"without {self.predicate(predicate.parts[0], last=True).removeprefix('with ')}"
        chosen = predicate.parts[0] if predicate.operator is predicates.Is else subject
        is_one = subject.type is Type.REGION and chosen is not subject
        if is_one and chosen.operator is selections.Extreme and not is_list(chosen.parts[0]):
            return self._region(chosen)
        return self.predicate(predicate, last=True)

    def only_one(self, program: Program) -> tuple[str, str]:
        """For "Pallet 3" is "the only pallet in buffer 2"."""
        chosen, predicate = program.arguments
        only = f"the only {self.singular(chosen)}"
        return self.phrase(predicate.parts[0]), only

    def _some_of_list(self, chosen: Program) -> tuple[str, str] | None:
        """For "any of pallets 3 and 4" are "empty"; None for what is no list."""
        if chosen.operator is not selections.Where or (
            chosen.parts[0].operator is not selections.Listed
        ):
            return None
        listed, predicate = chosen.arguments
        return f"any of {self.plural(listed)}", self.complement(listed, predicate)

    def _alike(self, program: Program) -> tuple[str, str]:
        """For "pallets 3 and 4" that "have the same height"."""
        chosen, attribute = program.arguments
        return self.all_of(chosen), f"have the same {self.attribute(attribute, last=True)}"

    def more_of_them(self, program: Program) -> str:
        """For "more pallets in buffer 1 than empty pallets"; empty for any other comparison."""
        first, how, second = program.arguments
        if how not in COUNTED_MORE or not (first.operator is second.operator is questions.Count):
            return ""
        kinds = first.parts[0], second.parts[0]
        if not all(map(_is_nominal, kinds)):
            return ""
        return COUNTED_MORE[how].format(*map(self.plural, kinds))

    def nearer_of_two(self, program: Program) -> tuple[str, str] | None:
        """For "pallet 3" is "nearer to buffer 1 than to buffer 2"; None for any other."""
        first, how, second = program.arguments
        if how not in NEARNESS or not first.operator is second.operator is questions.Measure:
            return None
        (region, attribute), (other, limit) = first.parts, second.parts
        if region != other or not (attribute.operator is limit.operator is attributes.Distance):
            return None
        nearness = predicates.Nearness(attribute.parts[0], how, limit.parts[0])
        return self.phrase(region), self.predicate(nearness, last=True)

    def times_as(self, program: Program) -> tuple[str, str, str] | None:
        """For "Pallet 3", "tall" and "pallet 4": how many times as tall; None for any other."""
        if program.operator is not questions.Ratio:
            return None
        first, second = program.parts
        if not first.operator is second.operator is questions.Measure:
            return None
        attribute = first.parts[1]
        if attribute != second.parts[1] or attribute.operator not in SIZE_ADJECTIVES:
            return None
        names = self.phrase(first.parts[0]), self.phrase(second.parts[0])
        return names[0], SIZE_ADJECTIVES[attribute.operator], names[1]

    def _times(self, program: Program) -> tuple[str, str] | None:
        """For "Pallet 3" is "at least 2 times as tall as pallet 4"; None for any other."""
        ratio, how, limit = program.arguments
        compared = self.times_as(ratio)
        if compared is None or how != "at_least" or limit.operator is not questions.Amount:
            return None
        subject, adjective, other = compared
        return subject, f"at least {limit.arguments[0]:.10g} times as {adjective} as {other}"

    def _room_in(self, zone: Program, predicate: Program) -> str:
        room = self.predicate(predicate).removeprefix("with ")
        return f"{room} in {self.phrase(zone, last=True)}"

    def _room_for_several_in(self, program: Program) -> str:
        measured, how, amount = program.arguments
        zone = self.phrase(measured.parts[0], last=True)
        return f"{_room_for_several(how, amount)} in {zone}"

    def _counted(self, program: Program) -> str:
        """Such as "are there at least 2 pallets that are in buffer 1"."""
        counted, how, amount = program.arguments
        chosen, number = counted.arguments[0], round(amount.arguments[0])
        if number == 1:
            return f"is there {COUNTED_HOW[how]} 1 {self.singular(chosen)}"
        return f"are there {COUNTED_HOW[how]} {number} {self.plural(chosen, last=True)}"

    def _claim(self, program: Program) -> tuple[str, str]:
        """The subject of `Every` or `Compare`, and its predicate."""
        if program.operator is questions.Compare:
            first, how, second = program.arguments
            return self.phrase(first), f"{HOW_WORDS[how]} {self.phrase(second, last=True)}"
        chosen, predicate = program.arguments
        words = self.complement(chosen, predicate)
        subject = self.plural(chosen)
        if self.lists_one_class(chosen):
            return subject, f"{'both' if len(chosen.arguments[0]) == 2 else 'all'} {words}"
        bare = _is_nominal(chosen) or chosen.operator is not selections.Where
        return f"all {subject if bare else self.closed(subject)}", words

    def statement(self, program: Program, negative: bool = False) -> str:
        """A truth as a statement."""
        no = "not " if negative else ""
        if program.operator is questions.Whether:
            region, predicate = program.arguments
            if predicate.operator in ROOM:
                return f"there is {'no ' if negative else ''}{self._room_in(region, predicate)}"
            joined = predicate.operator in (predicates.And, predicates.Or)
            words = self._operand(predicate, True) if joined else self.complement(region, predicate)
            return f"{self.phrase(region)} is {no}{words}"
        if program.operator is questions.Exists:
            some = "no" if negative else "some"
            return f"there are {some} {self.plural(program.parts[0], last=True)}"
        if is_room_for_several(program):
            return f"there is {'no ' if negative else ''}{self._room_for_several_in(program)}"
        if is_only_one(program):
            subject, words = self.only_one(program)
            return f"{subject} is {no}{words}"
        if program.operator is arrangements.AllAlike:
            return (" do not " if negative else " ").join(self._alike(program))
        if program.operator is arrangements.InLine:
            return f"{self.all_of(program.parts[0])} are {no}in a line"
        if program.operator is questions.Every:
            subject, words = self._claim(program)
            if self.lists_one_class(program.parts[0]):
                return f"{subject} are {no}{words}"
            return f"{no}{subject} are {words}"
        if program.operator is questions.Compare:
            if more := self.more_of_them(program):
                return f"there are {no}{more}"
            claim = self.nearer_of_two(program) or self._times(program)
            subject, words = claim or self._claim(program)
            return f"{subject} is {no}{words}"
        return self.statement(program.parts[0], not negative)

    def _which_side(self, program: Program) -> str:
        region, place, axis = program.arguments
        return f"is {self.phrase(region)} {SIDES[axis]} {self.phrase(place, last=True)}?"

    def _direction(self, program: Program) -> str:
        region, place = program.arguments
        return f"in which direction is {self.phrase(region)} from {self.phrase(place, last=True)}?"

    def phrase(self, program: Program, last: bool = False) -> str:
        """A region, a set, a place or a quantity; in parentheses where that is needed."""
        if program.type is Type.QUANTITY:
            return self._quantity(program, last)
        words = self._region(program) if program.type is not Type.REGIONS else self.plural(program)
        alone = last and not _is_long(program)
        closed = alone or _is_closed(program) or _is_short(program)
        return words if closed else self.closed(words)

    def closed(self, words: str) -> str:
        """Words to which nothing behind them can be attached."""
        return f"({words})"

    def all_of(self, chosen: Program) -> str:
        """A set with its article: "the pallets in buffer 2", "pallets 3 and 4"."""
        words = self.phrase(chosen)
        return f"the {words}" if _is_nominal(chosen) else words

    def _region(self, program: Program) -> str:
        operator, arguments = program.operator, program.arguments
        if operator is selections.Region:
            return self.name(arguments[0])
        if operator is selections.Camera:
            return "the camera"
        if operator is selections.Observer:
            first, second = (self.phrase(part) for part in arguments)
            return f"somebody who stands at {first} and looks at {second}"
        if operator is fronts.Aboard:
            return f"somebody who looks ahead from {self.phrase(arguments[0], last=True)}"
        if operator is questions.OfColor:
            return f"the {arguments[1]} {self.phrase(arguments[0])}"
        if operator is selections.The:
            return f"the {self.singular(arguments[0])}"
        if operator is selections.Middle:
            return f"the middle one of {self.phrase(arguments[0], last=True)}"
        if operator is selections.Member:
            rank = ORDINALS[round(arguments[1]) - 1]
            return f"the {rank} member of {self.phrase(arguments[0], last=True)}"
        return f"the {self._singled_out(*arguments)}"

    def _singled_out(self, chosen: Program, attribute: Program, end: str, rank: float) -> str:
        """For "Second leftmost pallet", "pallet nearest to buffer 2"."""
        word = SUPERLATIVES.get((attribute.operator, end))
        side = FROM_SIDE.get((attribute.operator, end))
        if side and rank > 1 and _is_bare(chosen):
            return f"{_nth(rank)}{self.singular(chosen)} from the {side}"
        if word and not is_list(chosen):
            return f"{_nth(rank)}{word} {self.singular(chosen)}"
        if word and rank == 1 and self.lists_one_class(chosen):
            return f"{word} of {self.plural(chosen)}"
        noun = self.singular(chosen, last=False)
        if attribute.operator in REACHING and _is_bare(chosen):
            return f"{noun} {self.superlative(attribute, end, rank, last=True)}"
        return f"{noun} that {self.singles_out(attribute, end, rank)}"

    def singles_out(self, attribute: Program, end: str, rank: float) -> str:
        """What singles out one, with its verb: "is the tallest", "holds the most pallets".

        Args:
            attribute: in which it is the first.
            end: "most" or "least".
            rank: from 1, counted from that end.
        """
        if rank == 1 and attribute.operator is attributes.Holding:
            (held,) = attribute.parts
            if held.operator is selections.All:
                return f"holds the {'most' if end == 'most' else 'fewest'} {self.plural(held)}"
        words = self.superlative(attribute, end, rank, last=True)
        if attribute.operator in HAD and rank == 1 and words.startswith("the one with "):
            return f"has {words.removeprefix('the one with ')}"
        return f"is {words}"

    def superlative(self, attribute: Program, end: str, rank: float, last: bool) -> str:
        """The most or least of an attribute: "the second nearest to buffer 2".

        Args:
            attribute: what is compared.
            end: "least" or "most".
            rank: from that end, 1 for the first.
            last: whether nothing follows in the sentence.
        """
        word = SUPERLATIVES.get((attribute.operator, end))
        nth = _nth(rank)
        side = FROM_SIDE.get((attribute.operator, end))
        if side and rank > 1:
            return f"the {nth.strip()} from the {side}"
        if word:
            return f"the {nth}{word}"
        if attribute.operator in REACHING:
            relation = "nearest to" if end == "least" else "farthest from"
            return f"{nth}{relation} {self._places(attribute, last)[0]}"
        least = "smallest" if end == "least" else "largest"
        return f"the one with the {nth}{least} {self.attribute(attribute, last=last)}"

    def singular(self, program: Program, last: bool = True) -> str:
        """A set as the noun for one of it: "pallet that is empty", "one of pallets 3 and 4"."""
        if program.operator is selections.Where:
            base, predicate = self.noun_and_rest(program)
            adjective = _adjective(predicate)
            if adjective and base.operator is selections.All:
                return f"{adjective} {self.singular(base)}"
            words = self._relative(base, predicate, "is")
            if not last and _ends_open(predicate):
                words = f"that is {self.closed(self.predicate(predicate, last=True))}"
            return f"{self.singular(base)} {words}"
        if program.operator is selections.All:
            return program.arguments[0] or "object"
        exact = program.operator is selections.Exactly
        return f"one of {self.phrase(program, last=not exact)}"

    def plural(self, program: Program, last: bool = False) -> str:
        """A set in the plural."""
        operator, arguments = program.operator, program.arguments
        if program.type is Type.REGION:
            return self.phrase(program, last)
        if operator is selections.All:
            return " ".join(plural_of(tuple((arguments[0] or "object").split())))
        if operator is selections.Listed:
            return self._closed_list(arguments[0])
        if operator is selections.Where:
            base, predicate = self.noun_and_rest(program)
            adjective = _adjective(predicate)
            if adjective and base.operator is selections.All:
                return f"{adjective} {self.plural(base)}"
            return f"{self.plural(base)} {self._relative(base, predicate, 'are')}"
        if operator is selections.Either:
            first, second = (self._in_list(part, last) for part in arguments)
            return f"{first} and {second}"
        if operator is selections.Without:
            return f"{self._base(arguments[0])} other than {self.phrase(arguments[1], last=True)}"
        if operator is selections.Exactly:
            return f"the {round(arguments[1])} {self._base(arguments[0])}"
        if operator is selections.Alike:
            words = self._region(arguments[0])
            return f"regions like {words if _is_closed(arguments[0]) else self.closed(words)}"
        if operator is selections.Sorted:
            chosen = arguments[0]
            is_filtered = chosen.operator is selections.Where
            return self.in_order(program, self.closed(self.plural(chosen)) if is_filtered else None)
        return self._first(*arguments)

    def in_order(self, program: Program, words: str | None = None) -> str:
        """A sorted set, of which there may be words already."""
        chosen, attribute, start = program.arguments
        falling = "decreasing " if start == "most" else ""
        by = self.attribute(attribute, last=True)
        return f"{self.phrase(chosen) if words is None else words} in order of {falling}{by}"

    def _first(self, chosen: Program, attribute: Program, end: str, number: float) -> str:
        """For "the 2 tallest pallets in buffer 1", "the 2 pallets nearest to shelf 3"."""
        word = SUPERLATIVES.get((attribute.operator, end))
        if word and not is_list(chosen):
            return f"the {round(number)} {word} {self.plural(chosen)}"
        words = self._places(attribute, last=True)
        if attribute.operator is attributes.Distance and _is_bare(chosen):
            near = "nearest to" if end == "least" else "farthest from"
            return f"the {round(number)} {self.plural(chosen)} {near} {words[0]}"
        least = "smallest" if end == "least" else "largest"
        name = self.attribute(attribute, last=True)
        return f"the {round(number)} of {self.phrase(chosen)} with the {least} {name}"

    def noun_and_rest(self, chosen: Program) -> tuple[Program, Program]:
        """A filtered set as what has an adjective, and what else is true: "empty pallets", "in X".

        Of one condition, of a list and of what no adjective is said of: the set, its condition.
        """
        base, predicate = chosen.arguments
        first = _conjuncts(predicate)
        if base.operator is not selections.All or len(first) == 1 or not _adjective(first[0]):
            return base, predicate
        return selections.Where(base, first[0]), reduce(predicates.And, first[1:])

    def _relative(self, base: Program, predicate: Program, verb: str) -> str:
        """A condition behind a noun: "in buffer 2", "that is above the empty shelf"."""
        if is_list(base):
            return f"that {verb} {self.predicate(predicate, last=True)}"
        if _stands_alone(predicate):
            return self.predicate(predicate, last=True)
        return f"that {self.clause(predicate, verb)}"

    def _in_list(self, chosen: Program, last: bool) -> str:
        """In parentheses where its clause could be taken for one on the whole list."""
        if chosen.operator is selections.Where and not _is_bare(chosen):
            return self.closed(self.plural(chosen))
        if chosen.type is Type.REGION and not _is_closed(chosen):
            return self.closed(self._region(chosen))
        return self.phrase(chosen, last)

    def _closed_list(self, ids: Sequence[int]) -> str:
        """For "Pallets 3 and 4", "(pallet 3 and buffer 2)"."""
        nouns = {self._noun(id) for id in ids}
        return self.closed(self.listed(ids)) if len(nouns) > 1 else self.listed(ids)

    def _base(self, program: Program) -> str:
        words = self.plural(program)
        return words if program.operator is selections.All else self.closed(words)

    def listed(self, ids: Sequence[int]) -> str:
        """Regions by name: "pallets 3 and 5"."""
        nouns = {self._noun(id) for id in ids}
        if len(nouns) > 1 or len(ids) == 1:
            return in_words([self.name(id) for id in ids])
        noun = " ".join(plural_of(tuple(nouns.pop().split())))
        return f"{noun} {in_words([str(id) for id in ids])}"

    def predicate(self, program: Program, last: bool = False) -> str:
        """What stands behind "is"."""
        operator, arguments = program.operator, program.arguments
        if operator is predicates.Not:
            (denied,) = arguments
            if denied.operator is predicates.In and denied.parts[0].operator is selections.All:
                return f"not {self._at_one_of(denied.parts[0], 'any')}"
            return f"not {self._operand(denied, last)}"
        if operator is predicates.And:
            return self._range(program, last) or self._conjunction(program, last)
        if operator is predicates.Or:
            second = self._second_operand(arguments[1], last)
            return f"{self._or_operand(arguments[0])} or {second}"
        if operator is predicates.Measures:
            return self._measuring(program, last)
        if operator is predicates.Nearness:
            first, how, second = arguments
            return NEARNESS[how].format(self.phrase(first), self.phrase(second, last))
        if operator is predicates.Colored:
            return str(arguments[0])
        if operator is fronts.FacingSide:
            return f"facing {arguments[0]}"
        if operator is predicates.OfClass:
            return _with_article(arguments[0] or "object")
        if operator is predicates.In and arguments[0].operator is selections.All:
            return self._at_one_of(arguments[0])
        if operator is predicates.Holds and arguments[0].operator is selections.All:
            return f"holding {_with_article(self.singular(arguments[0]))}"
        if operator is predicates.Holds and arguments[0].operator is selections.Listed:
            return f"holding one of {self.phrase(arguments[0], last)}"
        *others, final = [self.phrase(part) for part in program.parts] or [""]
        if program.parts:
            final = self.phrase(program.parts[-1], last)
        if operator is predicates.IsAmong:
            final = self._in_list(arguments[0], last)
        if operator is predicates.In and self._stands_on(arguments[0]):
            return f"on {final}"
        return PREDICATES[operator].format(*others, final)

    def _measuring(self, program: Program, last: bool) -> str:
        """For "within 3 m of pallet 7", "taller than pallet 7", "with a height of at most 1 m"."""
        attribute, how, limit = program.arguments
        if _counts_room(attribute, how, limit):
            return f"with {_room_for_several(how, limit)}"
        is_amount = limit.operator is questions.Amount
        if attribute.operator in REACHING and is_amount and how in REACHES:
            (place,) = self._places(attribute, last)
            return REACHES[how].format(self.phrase(limit), place)
        if comparative := self._comparative(program, last):
            return comparative
        if is_amount and attribute.operator in SIZE_ADJECTIVES and how != "equal":
            adjective = SIZE_ADJECTIVES[attribute.operator]
            return f"{HOW_WORDS[how]} {self.phrase(limit)} {adjective}"
        of = "" if how == "equal" else "of "
        words = f"{of}{HOW_WORDS[how]} {self.phrase(limit, last=last)}"
        return f"with a {self.attribute(attribute)} {words}"

    def _at_one_of(self, holders: Program, article: str = "") -> str:
        """For "in a buffer", "on a transporter", "in any buffer"."""
        noun = self.singular(holders)
        words = f"{article} {noun}" if article else _with_article(noun)
        return f"{'on' if self._stands_on(holders) else 'in'} {words}"

    def _range(self, program: Program, last: bool) -> str:
        """Such as "between 1 m and 2 m tall"; empty for all that is no range."""
        if not _is_range(program):
            return ""
        low, high = program.parts
        attribute = low.arguments[0]
        limits = " and ".join(self.phrase(part.arguments[2]) for part in (low, high))
        if attribute.operator in REACHING:
            (place,) = self._places(attribute, last)
            return f"between {limits} from {place}"
        if attribute.operator in SIZE_ADJECTIVES:
            return f"between {limits} {SIZE_ADJECTIVES[attribute.operator]}"
        return f"with a {self.attribute(attribute)} between {limits}"

    def _comparative(self, program: Program, last: bool) -> str:
        """Such as "taller than pallet 3", "wider than 1.2 m"; empty where there is no such word."""
        attribute, how, limit = program.arguments
        word = COMPARATIVES.get((attribute.operator, how), "")
        if not word:
            return ""
        if limit.operator is questions.Amount:
            return "" if attribute.parts else f"{word} than {self.phrase(limit)}"
        if limit.operator is not questions.Measure or limit.arguments[1] != attribute:
            return ""
        word = word.format(*(self.phrase(part) for part in attribute.parts))
        verb = " is" if attribute.parts else ""
        return f"{word} than {self.phrase(limit.arguments[0], last and not verb)}{verb}"

    def clause(self, predicate: Program, verb: str, subject: Program | None = None) -> str:
        """A predicate with its verb: "is in buffer 2", "have a volume of more than 1 m3".

        Args:
            predicate: that of the sentence.
            verb: "is" or "are".
            subject: of which it is said; None for one that need not be known.
        """
        one = verb == "is"
        if predicate.operator is predicates.Holds:
            held = self.predicate(predicate, last=True).removeprefix("holding ")
            return f"{'holds' if one else 'hold'} {held}"
        words = self.predicate(predicate, last=True)
        if subject is not None and predicate.operator is predicates.Not:
            words = self.complement(subject, predicate)
        has = (predicates.Measures, *ROOM)
        if words.startswith("with ") and (predicate.operator in has or _is_range(predicate)):
            return f"{'has' if one else 'have'} {words.removeprefix('with ')}"
        return f"{verb} {words}"

    def _conjunction(self, program: Program, last: bool) -> str:
        """Predicates with "and"; "not left of X" implies that X does not count."""
        first, second = program.arguments
        before = first.arguments[1] if first.operator is predicates.And else first
        if _is_not_itself(before, second):
            return (
                self.predicate(first, last) if first is not before else self._operand(first, last)
            )
        words = (
            self.predicate(first)
            if first.operator is predicates.And
            else self._operand(first, last=False)
        )
        return f"{words} and {self._second_operand(second, last)}"

    def _second_operand(self, program: Program, last: bool) -> str:
        """After "and" or "or": "a pallet" alone could be one more of what was listed before."""
        if program.operator is predicates.OfClass:
            return f"of type {program.arguments[0] or 'object'}"
        return self._operand(program, last)

    def _operand(self, program: Program, last: bool) -> str:
        words = self.predicate(program, last=last)
        joined = program.operator in (predicates.And, predicates.Or)
        pair = program.operator is predicates.And and _is_not_itself(*program.arguments)
        return f"({self.predicate(program, last=True)})" if joined and not pair else words

    def _or_operand(self, program: Program) -> str:
        if program.operator is predicates.Or:
            return self.predicate(program)
        return self._operand(program, last=False)

    def attribute(self, program: Program, last: bool = False) -> str:
        """As a noun: "distance to pallet 3"."""
        if program.operator is arrangements.Offset:
            place, side = program.arguments
            return f"displacement {OFFSET_SIDES[side]} {self.phrase(place, last)}"
        return ATTRIBUTES[program.operator].format(*self._places(program, last))

    def _places(self, attribute: Program, last: bool) -> list[str]:
        """What an attribute is measured from, or what it counts."""
        if attribute.operator is attributes.DistanceToAny:
            return [f"any {self._any_of(attribute.parts[0], last)}"]
        return [self.phrase(part, last) for part in attribute.parts]

    def _any_of(self, chosen: Program, last: bool) -> str:
        """After "any": "empty pallet", "(pallet that is in buffer 2)", "of pallets 3 and 4"."""
        if is_list(chosen) or chosen.type is Type.REGION:
            return f"of {self.phrase(chosen, last)}"
        closed = _is_bare(chosen) or (last and not _is_long(chosen))
        return self.singular(chosen) if closed else self.closed(self.singular(chosen))

    def _quantity(self, program: Program, last: bool) -> str:
        operator, arguments = program.operator, program.arguments
        if operator is questions.Amount:
            number, unit = arguments
            return f"{100 * number if unit == 'share' else number:.10g} {UNIT_WORDS[unit]}"
        if operator is questions.Count:
            return f"the number of {self.phrase(arguments[0], last)}"
        if operator is questions.Measure:
            region, attribute = arguments
            return f"the {self._measured(region, attribute, last)}"
        if operator is questions.Share:
            chosen, predicate = arguments
            words = f"share of {self.phrase(chosen)} that is {self._operand(predicate, last)}"
            return f"the {words}" if last else f"(the {words})"
        if operator is questions.DepthAt:
            column, row = arguments[0]
            return f"the depth at pixel ({column}, {row})"
        text = self._joined(program, last)
        return text if last else f"({text})"

    def _joined(self, program: Program, last: bool) -> str:
        """A quantity that is computed of several: "the sum of ... and ..."."""
        operator, arguments = program.operator, program.arguments
        if operator in (questions.Total, questions.Average):
            chosen, attribute = arguments
            words = "total" if operator is questions.Total else "average"
            return f"the {words} {self.attribute(attribute)} of {self.all_of(chosen)}"
        if operator is questions.Angle:
            first, second, place = (self.phrase(part) for part in arguments)
            return f"the angle between {first} and {second} from {place}"
        if operator is arrangements.NeighborGap:
            chosen, end = arguments
            words = self.all_of(chosen)
            return f"the {NEIGHBOR_GAPS[end]} gap between neighbors of {words}"
        if operator is fronts.HeadingAngle:
            first, second = self.phrase(arguments[0]), self.phrase(arguments[1], last)
            return f"the angle between the facing directions of {first} and {second}"
        words, join = {
            questions.Difference: ("difference between", "and"),
            questions.Sum: ("sum of", "and"),
            questions.Ratio: ("ratio of", "to"),
        }[operator]
        return f"the {words} {self.phrase(arguments[0])} {join} {self.phrase(arguments[1], last)}"

    def _measured(self, region: Program, attribute: Program, last: bool) -> str:
        """Such as "clearance between pallet 3 and pallet 4", "height of pallet 3"."""
        if attribute.operator in BETWEEN_TWO:
            ends = self.phrase(region), self.phrase(attribute.parts[0], last)
            return BETWEEN_TWO[attribute.operator].format(*ends)
        if attribute.operator is attributes.FootprintArea and self.is_zone(region):
            return f"area of {self.phrase(region, last)}"
        return f"{self.attribute(attribute)} of {self.phrase(region, last)}"


class TrainedWriter(Writer):
    """Writes questions as those that models were trained on, where people read better ones."""

    def _how_much_more(self, program: Program) -> str:
        return ""

    def _some_of_list(self, chosen: Program) -> None:
        return None

    def _measured(self, region: Program, attribute: Program, last: bool) -> str:
        if attribute.operator is attributes.FootprintArea:
            return f"{self.attribute(attribute)} of {self.phrase(region, last)}"
        return super()._measured(region, attribute, last)


def taken_zone(program: Program) -> Program | None:
    """The zone of which it is asked how much is occupied; None for any other question."""
    if program.operator is not questions.Difference:
        return None
    whole, free = program.parts
    if free.operator is not questions.Measure:
        return None
    zone, attribute = free.parts
    wholes = {
        attributes.FreeShare: questions.Amount(1.0, "share"),
        attributes.FreeArea: questions.Measure(zone, attributes.FootprintArea()),
    }
    return zone if wholes.get(attribute.operator) == whole else None


def _is_room_for_region(predicate: Program) -> bool:
    return predicate.operator is predicates.HasRoomFor


def _room_for_several(how: str, amount: Program) -> str:
    return f"room for {HOW_WORDS[how]} {round(amount.arguments[0])} more pallets"


def is_room_for_several(program: Program) -> bool:
    """Whether it is compared how many more pallets fit into a zone."""
    if program.operator is not questions.Compare:
        return False
    measured, how, amount = program.arguments
    return measured.operator is questions.Measure and _counts_room(measured.parts[1], how, amount)


def is_only_one(program: Program) -> bool:
    """Whether it is asked if a region is the only one of a kind."""
    if program.operator is not questions.Every:
        return False
    chosen, predicate = program.parts
    is_one = predicate.operator is predicates.Is and _is_closed(predicate.parts[0])
    return is_one and not is_list(chosen)


def difference_word(program: Program, is_zone: Callable[[Program], bool]) -> str:
    """How much more of what one has than another, as "taller"; empty where there is no word."""
    if program.operator is not questions.Difference:
        return ""
    first, second = program.parts
    if not first.operator is second.operator is questions.Measure:
        return ""
    attribute = first.parts[1]
    if attribute != second.parts[1] or attribute.operator not in DIFFERENCES:
        return ""
    zones = {is_zone(part.parts[0]) for part in (first, second)}
    if attribute.operator is attributes.FootprintArea and zones != {True}:
        return ""
    return DIFFERENCES[attribute.operator]


def counts_objects(program: Program) -> bool:
    """Whether it is compared how many objects of a kind there are, with more than "any"."""
    counted, how, amount = program.arguments
    if counted.operator is not questions.Count or amount.operator is not questions.Amount:
        return False
    is_any = amount.arguments[0] == 1 and how in ("at_least", "less")
    return not (is_any or is_list(counted.arguments[0]))


def _counts_room(attribute: Program, how: str, limit: Program) -> bool:
    capacity = attribute.operator is attributes.Capacity
    return capacity and limit.operator is questions.Amount and how in ("at_least", "more")


def _is_one_of_several(predicate: Program) -> bool:
    """Whether it is in one of several places, or of one of several colors."""
    kinds = (predicates.In, predicates.OnTopOf, predicates.Colored)
    return predicate.operator is predicates.Or and all(
        part.operator in kinds or _is_one_of_several(part) for part in predicate.parts
    )


def _is_range(predicate: Program) -> bool:
    """Whether an attribute is at least one amount and at most a larger one."""
    if predicate.operator is not predicates.And:
        return False
    if any(part.operator is not predicates.Measures for part in predicate.parts):
        return False
    (attribute, how, low), (other, other_how, high) = (part.arguments for part in predicate.parts)
    if (how, other_how) != ("at_least", "at_most") or attribute != other:
        return False
    if low.operator is not questions.Amount or high.operator is not questions.Amount:
        return False
    return bool(low.unit == high.unit and low.arguments[0] < high.arguments[0])


def _is_not_itself(first: Program, second: Program) -> bool:
    """Whether predicates are "not left of X" and "not X", which is what "not left of X" means."""
    return (
        first.operator is predicates.Not
        and first.arguments[0].operator in RELATIONS_TO_ONE
        and first.arguments[0].parts[0].type is Type.REGION
        and second == predicates.Not(predicates.Is(first.arguments[0].parts[0]))
    )


def _is_long(program: Program) -> bool:
    """Whether an "and" in the words of a region or set could also belong to what is around it."""
    if program.type not in (Type.REGION, Type.REGIONS, Type.PLACE):
        return False
    joined = (predicates.And, predicates.Or)
    lists = program.type is not Type.REGION or program.operator in LISTING
    filtered = any(part.operator is selections.Where for part in program.parts)
    singled = program.operator is selections.Extreme and filtered
    return (
        program.depth > LONGEST_WITHOUT_PARENTHESES
        or (singled and not _is_bare(program.parts[0]))
        or (program.operator is selections.Where and is_list(program.parts[0]))
        or (lists and filtered and program.operator is not selections.Where)
        or any(part.operator in joined for part in program.walk())
    )


HAD = (attributes.FootprintArea, attributes.Volume, attributes.Span, attributes.FreeShare)
"""Attributes of which something "has the largest"."""

REACHING = (attributes.Distance, attributes.DistanceToAny)
"""Attributes worded as how far something is from there: "within 2 m of"."""

LISTING = (selections.Middle, selections.Member)
"""Operators that are written "... one of pallets that are ..."."""

LONGEST_WITHOUT_PARENTHESES = 5
"""Depth of an expression."""


def _ends_open(predicate: Program) -> bool:
    """Whether a relative clause after a predicate would be taken for a part of it."""
    reached = predicate.operator is predicates.Measures and predicate.parts[0].operator in REACHING
    if reached and predicate.parts[0].parts[-1].operator not in NAMING:
        return True
    if not predicate.parts or predicate.parts[-1].operator in (
        selections.Region, selections.Camera, selections.Listed, questions.Amount,
    ):  # fmt: skip
        return False
    final = predicate.parts[-1]
    return final.type is not Type.PREDICATE or _ends_open(final)


def is_list(program: Program) -> bool:
    """Whether a set is written as a list, not as a noun."""
    return program.operator not in (selections.All, selections.Where) or (
        program.operator is selections.Where and is_list(program.arguments[0])
    )


def is_union(program: Program) -> bool:
    """Whether a set is written as nouns with "and"."""
    if program.operator is selections.Either:
        return all(is_union(part) for part in program.parts)
    return program.operator is selections.All


def _is_closed(program: Program) -> bool:
    """Whether nothing can be attached to its words."""
    if program.operator is selections.Extreme:
        chosen, attribute, end, _ = program.arguments
        has_word = (attribute.operator, end) in SUPERLATIVES
        return has_word and chosen.operator is selections.All
    closed = (
        selections.Region, selections.Camera, selections.All, selections.Listed, questions.OfColor,
    )  # fmt: skip
    return program.operator in closed


def _conjuncts(predicate: Program) -> list[Program]:
    """What is joined by "and", in its order."""
    if predicate.operator is not predicates.And or _is_range(predicate):
        return [predicate]
    if _is_not_itself(*predicate.parts):
        return [predicate]
    return [*_conjuncts(predicate.parts[0]), *_conjuncts(predicate.parts[1])]


NAMING = (selections.Region, selections.Camera)
"""Operators that are written as a name."""

ROOM = (predicates.HasRoom, predicates.HasRoomFor)
"""What it is to have room in it."""

BESIDE = (
    predicates.In, predicates.LeftOf, predicates.RightOf, predicates.InFrontOf, predicates.Behind,
    predicates.Above, predicates.Below, predicates.OnTopOf, fronts.Facing, fronts.FacingAway,
)  # fmt: skip
"""Where something is, as a preposition says it."""


def _is_nominal(chosen: Program) -> bool:
    """Whether a set is written as a noun without parentheses, so that "the" may stand before it."""
    return _is_bare(chosen) or _is_short(chosen)


def _stands_alone(predicate: Program) -> bool:
    """Whether it can stand behind a noun without "that is": "in buffer 2", "within 2 m of me"."""
    if predicate.operator in BESIDE:
        return predicate.parts[0].operator in NAMING
    if predicate.operator is predicates.HasRoomFor:
        return predicate.parts[0].operator in NAMING
    if predicate.operator is predicates.HasRoom:
        return True
    if predicate.operator is not predicates.Measures:
        return False
    attribute, how, limit = predicate.arguments
    if attribute.operator is not attributes.Distance or how not in REACHES:
        return False
    return attribute.parts[0].operator in NAMING and limit.operator is questions.Amount


def _is_short(program: Program) -> bool:
    """Whether nothing is attached to its words by mistake: "the tallest pallet in buffer 2"."""
    if program.operator is selections.The:
        return _is_short(program.parts[0])
    if program.operator is selections.Extreme:
        chosen, attribute, _, _ = program.arguments
        if attribute.operator is attributes.Distance:
            return _is_bare(chosen) and attribute.parts[0].operator in NAMING
        has_word = (attribute.operator, program.arguments[2]) in SUPERLATIVES
        return has_word and (_is_nominal(chosen))
    if program.operator is not selections.Where:
        return False
    base, predicate = program.parts
    holds = predicate.operator is predicates.Holds and predicate.parts[0].operator in NAMING
    first, *rest = _conjuncts(predicate)
    if len(rest) == 1 and base.operator is selections.All and _adjective(first):
        return _stands_alone(rest[0])
    return _is_bare(base) and (bool(_adjective(predicate)) or holds or _stands_alone(predicate))


def _is_bare(program: Program) -> bool:
    """Whether a set is nothing but a noun, with an adjective at most."""
    if program.operator is selections.Where:
        return _is_bare(program.arguments[0]) and bool(_adjective(program.arguments[1]))
    return program.operator is selections.All


def _adjective(predicate: Program) -> str:
    """What stands before a noun for a predicate; "" where nothing does."""
    if predicate.operator is predicates.Empty:
        return "empty"
    if predicate.operator is predicates.Colored:
        return str(predicate.arguments[0])
    is_not = predicate.operator is predicates.Not
    return "loaded" if is_not and predicate.arguments[0].operator is predicates.Empty else ""


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _nth(rank: float) -> str:
    """For "Second " and so on; nothing for the first."""
    return "" if rank == 1 else f"{_ordinal(round(rank))} "


def _ordinal(rank: int) -> str:
    return ORDINALS[rank - 1] if rank <= len(ORDINALS) else f"{rank}th"
