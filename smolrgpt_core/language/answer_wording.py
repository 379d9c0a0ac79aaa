"""Answers in words, and how they were found.

answer_sentence(Count(Where(All("pallet"), In(Region(2)))), 3, regions)
->  "3 pallets are in buffer 2."
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from smolrgpt_core.language.interpreter import Finding, Step
from smolrgpt_core.language.operators import (
    arrangements,
    attributes,
    fronts,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.terms import COUNTED_HOW, OFFSET_SIDES, RELATIONS, SUPERLATIVES
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import (
    Unit,
    Writer,
    difference_word,
    is_list,
    is_room_for_several,
    is_union,
    quantity,
    taken_zone,
)
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import in_words
from smolrgpt_core.scene.free_space import FOOTPRINT_M

OPPOSITE_HOW = {
    "more": "at_most",
    "less": "at_least",
    "at_least": "less",
    "at_most": "more",
}
"""What is true of a number where a comparison is false."""

OTHER_SIDE = {
    "left": "right", "right": "left", "front": "behind", "behind": "front", "above": "below",
    "below": "above",
}  # fmt: skip
"""What something is if it is not to a side."""

OBSERVERS = (selections.Observer, fronts.Aboard)
"""Places of somebody who looks somewhere."""


def answer_sentence(
    program: Program, value: Any, regions: RegionSet, unit: Unit | None = None
) -> str:
    """The answer as a sentence, such as "Pallet 12 is 3.42 m from buffer 2.".

    Args:
        program: what was asked.
        value: the answer, as `Finding` has it.
        regions: of the frame.
        unit: name and size in SI units of the unit that was asked for; None = SI.
    """
    text = _Answer(regions, unit).sentence(program, value)
    return text[0].upper() + text[1:]


def steps_in_words(finding: Finding, regions: RegionSet) -> list[str]:
    """What the parts of a question stand for, such as "the empty transporter is transporter 60"."""
    writer = _Plain(regions)
    return [
        _step(step, writer)
        for step in finding.steps
        if step.program is not finding.program and step.program.operator is not selections.Exactly
    ]


def names_in_words(ids: Sequence[int], regions: RegionSet) -> str:
    """Regions by name: "pallets 3 and 5, and shelf 80"; "none" for none."""
    return _Plain(regions).listed(ids) if ids else "none"


def _step(step: Step, writer: Writer) -> str:
    number = ""
    if step.value is not None and step.unit not in ("", "px"):
        number = f" ({quantity(step.value, step.unit)})"
    if step.program.type is Type.REGION:
        return f"{writer.phrase(step.program)} is {writer.name(step.ids[0])}{number}"
    members = in_words([str(id) for id in step.ids]) or "none"
    return f"{writer.phrase(step.program)}: {members}"


class _Plain(Writer):
    """Writes for people alone: without parentheses, and lists class by class."""

    def closed(self, words: str) -> str:
        """The words as they are, for nobody reads them back."""
        return words

    def listed(self, ids: Sequence[int]) -> str:
        """Regions by name, in their order: "pallets 3 and 5, and shelf 80"."""
        nouns = [list(group) for _, group in groupby(ids, self._noun)]
        groups = [super(_Plain, self).listed(group) for group in nouns]
        if not any(" and " in words for words in groups[:-1]):
            return in_words(groups)
        return f"{', '.join(groups[:-1])}, and {groups[-1]}"


class _Answer:
    """Writes answers."""

    def __init__(self, regions: RegionSet, unit: Unit | None) -> None:
        self._writer = _Plain(regions)
        self._unit = unit

    def sentence(self, program: Program, value: Any) -> str:
        """The sentence of any answer."""
        write: dict[Type, Callable[[Program, Any], str]] = {
            Type.REGION: self._region,
            Type.REGIONS: self._set,
            Type.QUANTITY: self._quantity,
            Type.TRUTH: self._truth,
            Type.RELATION: self._relation,
            Type.COLOR: self._color,
            Type.POINT: self._point,
            Type.VECTOR: self._vector,
            Type.SIZE: self._size,
        }
        return write[program.type](program, value)

    def _region(self, program: Program, value: int) -> str:
        name = self._writer.name(value)
        if program.operator is selections.Extreme:
            return self._singled_out(name, *program.arguments)
        if program.operator is selections.The and program.parts[0].operator is selections.Where:
            base, predicate = program.parts[0].arguments
            return f"{name} {self._writer.clause(predicate, 'is', base)}."
        if program.operator in (selections.Middle, selections.Member):
            return f"{self._writer.phrase(program)} is {name}."
        return f"it is {name}."

    def _singled_out(
        self, name: str, chosen: Program, attribute: Program, end: str, rank: float
    ) -> str:
        words = self._writer.singles_out(attribute, end, rank)
        word = words.removeprefix("is ")
        if is_list(chosen) or (chosen.operator is selections.All and not word.startswith("the ")):
            return f"{name} {words}."
        if (attribute.operator, end) in SUPERLATIVES and " from the " not in word:
            return f"{name} is {word} {self._writer.singular(chosen)}."
        if chosen.operator is selections.All:
            return f"{name} {words}."
        return f"of {self._writer.all_of(chosen)}, {name} {words}."

    def _set(self, program: Program, value: tuple[int, ...]) -> str:
        names = self._writer.listed(value) if value else "none"
        if program.operator is selections.First and len(value) > 1:
            return f"{self._writer.plural(program)} are {names}."
        if program.operator is selections.Sorted and value:
            by = self._writer.in_order(program, "").removeprefix(" ")
            return f"{by}: {names}."
        if program.operator is not selections.Where:
            return f"{names}."
        base, predicate = program.arguments
        if not value:
            base, predicate = self._writer.noun_and_rest(program)
            none = f"none of {self._writer.plural(base)}" if is_list(base) else ""
            names = none or f"no {self._writer.plural(base)}"
            words = self._writer.clause(predicate, "is" if none else "are", base)
            return f"{names} {words}."
        words = self._writer.clause(predicate, "is" if len(value) < 2 else "are", base)
        return f"{names} {words}."

    def _quantity(self, program: Program, value: float) -> str:
        if program.operator is questions.Count:
            return self._count(program.parts[0], round(value))
        amount = quantity(value, program.unit, self._unit)
        if zone := taken_zone(program):
            return f"{amount} of {self._writer.phrase(zone)} is occupied."
        if program.operator is questions.Share:
            chosen, predicate = program.arguments
            words = self._writer.clause(predicate, "are", chosen)
            return f"{amount} of {self._writer.all_of(chosen)} {words}."
        if program.operator is questions.Measure:
            region, attribute = program.arguments
            return self._measure(region, attribute, value, amount)
        if difference_word(program, self._writer.is_zone):
            first, second = program.parts
            return self._difference(first, second, amount)
        if program.operator is questions.Ratio:
            more, less = (self._writer.phrase(part) for part in program.parts)
            return f"{more} is {value:.2f} times {less} ({amount})."
        return f"{self._writer.phrase(program, last=True)} is {amount}."

    def _measure(self, region: Program, attribute: Program, value: float, amount: str) -> str:
        name = self._writer.phrase(region)
        if attribute.operator is attributes.Distance:
            return self._distance(name, attribute.arguments[0], value, amount)
        if attribute.operator is attributes.Top:
            return f"the top of {name} is {amount} above the floor."
        if attribute.operator is attributes.Capacity:
            return _more_fit(round(value), name)
        if attribute.operator is arrangements.Offset:
            place, side = attribute.arguments
            return self._offset(name, place, side, value)
        if attribute.operator is fronts.Heading:
            return f"{name} is facing {self._off_viewing_direction(value)}."
        if attribute.operator is attributes.ClockHour:
            place = attribute.parts[0]
            by = "by" if place.operator in OBSERVERS else "from"
            return f"{name} is at {amount}, as seen {by} {self._writer.phrase(place)}."
        if attribute.operator is attributes.Bearing:
            return (
                f"the bearing of {name} from {self._writer.phrase(attribute.parts[0])} is {amount}."
            )
        program = questions.Measure(region, attribute)
        return f"{self._writer.phrase(program, last=True)} is {amount}."

    def _offset(self, name: str, place: Program, side: str, value: float) -> str:
        """Such as "shelf 14 is 2.31 m to the right of pallet 8", on whichever side it is."""
        shown = side if value >= 0 else OTHER_SIDE[side]
        amount = quantity(abs(value), "m", self._unit)
        return f"{name} is {amount} {OFFSET_SIDES[shown]} {self._writer.phrase(place)}."

    def _off_viewing_direction(self, degrees: float) -> str:
        """Such as "35 degrees to the left of where the camera looks"."""
        amount = quantity(abs(degrees), "deg", self._unit)
        side = "left" if degrees < 0 else "right"
        return f"{amount} to the {side} of where the camera looks"

    def _difference(self, first: Program, second: Program, amount: str) -> str:
        """By how much two differ; which has more of it, the amount does not say."""
        (region, attribute), (other, _) = first.parts, second.parts
        names = f"{self._writer.phrase(region)} and {self._writer.phrase(other)}"
        if attribute.operator is attributes.Distance:
            place = self._writer.phrase(attribute.parts[0])
            return f"the distances of {names} from {place} differ by {amount}."
        is_area = attribute.operator is attributes.FootprintArea
        noun = "area" if is_area else self._writer.attribute(attribute)
        return f"the {noun}s of {names} differ by {amount}."

    def _distance(self, name: str, place: Program, value: float, amount: str) -> str:
        other = self._writer.phrase(place).replace(f" nearest to {name}", " nearest to it")
        if value == 0 and self._writer.is_zone(place):
            return f"{name} stands in {other}, so the distance is 0 m."
        return f"{name} is {amount} from {other}."

    def _count(self, chosen: Program, number: int) -> str:
        verb = "is" if number == 1 else "are"
        if chosen.operator is selections.Where:
            base, predicate = self._writer.noun_and_rest(chosen)
            words = self._writer.clause(predicate, verb, base)
            if is_union(base) and base.operator is selections.Either:
                return f"{number} {self._writer.plural(base)} {words}."
            if is_list(base):
                return f"{number} of {self._writer.plural(base)} {words}."
            noun = self._writer.singular(base) if number == 1 else self._writer.plural(base)
            return f"{number} {noun} {words}."
        noun = self._writer.singular(chosen) if number == 1 else self._writer.plural(chosen)
        return f"there {verb} {number} {noun}."

    def _truth(self, program: Program, value: bool) -> str:
        if not value and program.operator is questions.Whether:
            program, value_of_it = _opposite(program)
            return f"no, {self._statement(program, negative=not value_of_it)}."
        return f"{'yes' if value else 'no'}, {self._statement(program, negative=not value)}."

    def _statement(self, program: Program, negative: bool) -> str:
        """As `Writer.statement`, in words that answer better than they read back."""
        operator, arguments = program.operator, program.arguments
        if operator is questions.Whether and arguments[1].operator is predicates.Measures:
            return self._measured(self._writer.phrase(arguments[0]), arguments[1], negative)
        if operator is questions.Exists:
            return self._exists(arguments[0], negative)
        if operator is questions.Whether and not negative and _is_joined(arguments[1]):
            words = self._writer.predicate(arguments[1], last=True)
            return f"{self._writer.phrase(arguments[0])} is {words}"
        if operator is questions.Compare and not is_room_for_several(program):
            number, how, limit = arguments
            if number.operator is questions.Count and limit.operator is questions.Amount:
                words = COUNTED_HOW[how]
                if negative:
                    words = "not exactly" if how == "equal" else COUNTED_HOW[OPPOSITE_HOW[how]]
                return self._counted(number.arguments[0], words, limit.arguments[0])
        return self._writer.statement(program, negative)

    def _exists(self, chosen: Program, negative: bool) -> str:
        """Such as "there are no empty pallets", "at least one of pallets 3 and 4 is empty"."""
        if chosen.operator is selections.Where and is_list(chosen.parts[0]):
            listed, predicate = chosen.parts
            some = "none" if negative else "at least one"
            words = self._writer.clause(predicate, "is", listed)
            return f"{some} of {self._writer.plural(listed)} {words}"
        if negative:
            return f"there are no {self._writer.plural(chosen)}"
        return f"there is at least one {self._writer.singular(chosen)}"

    def _counted(self, chosen: Program, how: str, number: float) -> str:
        if number == 1:
            return f"there is {how} 1 {self._writer.singular(chosen)}"
        return f"there are {how} {number:g} {self._writer.plural(chosen)}"

    def _measured(self, name: str, predicate: Program, negative: bool) -> str:
        words = self._writer.clause(predicate, "is")
        if words.startswith("has "):
            return f"{name} {'does not have' if negative else 'has'} {words.removeprefix('has ')}"
        return f"{name} is {'not ' if negative else ''}{words.removeprefix('is ')}"

    def _relation(self, program: Program, value: str) -> str:
        region, place, _ = program.arguments
        words = self._writer.phrase(place, last=True)
        if place.operator in OBSERVERS and value in ("left", "right"):
            return f"to {words}, {self._writer.phrase(region)} is on the {value}."
        return f"{self._writer.phrase(region)} is {RELATIONS[value]} {words}."

    def _color(self, program: Program, value: str) -> str:
        return f"{self._writer.phrase(program.parts[0], last=True)} is {value}."

    def _point(self, program: Program, value: Any) -> str:
        numbers = ", ".join(f"{number:.2f}" for number in value)
        return f"{self._writer.phrase(program.parts[0], last=True)} is at ({numbers}) m."

    def _vector(self, program: Program, value: Any) -> str:
        region, place = program.arguments
        numbers = ", ".join(f"{number:.2f}" for number in value)
        words = self._writer.phrase(place, last=True)
        return f"{self._writer.phrase(region)} is in direction ({numbers}) from {words}."

    def _size(self, program: Program, value: Any) -> str:
        length, width, height = (quantity(number, "m", self._unit) for number in value)
        name = self._writer.phrase(program.parts[0], last=True)
        return f"{name} is {length} long, {width} wide and {height} high."


def _is_joined(predicate: Program) -> bool:
    return predicate.operator in (predicates.And, predicates.Or)


def _more_fit(number: int, zone: str) -> str:
    pallets = f"{number or 'no'} more {'pallet fits' if number == 1 else 'pallets fit'}"
    return f"{pallets} into {zone}, of {{}} x {{}} m.".format(*FOOTPRINT_M)


def _opposite(program: Program) -> tuple[Program, bool]:
    """What is true where a statement is false: right for left, "in" for "not in"; else not so."""
    region, predicate = program.arguments
    if predicate.operator is predicates.Not:
        return questions.Whether(region, predicate.parts[0]), True
    sides = {predicates.LeftOf: predicates.RightOf, predicates.RightOf: predicates.LeftOf}
    if predicate.operator in sides:
        return questions.Whether(region, sides[predicate.operator](*predicate.arguments)), True
    return program, False
