"""Builders of sets of regions: nouns with what restricts them, lists, pronouns."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from smolrgpt_core.language.builders.parts import (
    AMONG,
    MENTIONED,
    OTHER,
    SAME_NOUN,
    AllOf,
    Alternatives,
    AnyOf,
    Beside,
    Domain,
    Exclusion,
    Modifier,
    Nominal,
    Noun,
    Numbered,
    OfRegion,
    PairMember,
    Relative,
    Superlative,
    Together,
    both,
    builder,
    predicate,
)
from smolrgpt_core.language.grammar import Costly, Edge, NoReadingError
from smolrgpt_core.language.operators import predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARRIER, ZONE

DISAGREEING = 2
"""Cost of a clause on a noun of the other number; that of one on a noun farther away is 1."""


@builder
def nominal(before: Any, noun: Noun, after: Any, number: Any = None) -> Any:
    """A noun with adjectives before it and phrases after it.

    "The pallets in the buffer that are empty" are empty pallets: a clause that does not agree with
    a noun in number is less likely one on it.
    """
    given = _nominal(noun, (*(before or ()), *(after or ())), number)
    disagree = any(
        isinstance(item, Numbered) and item.plural != noun.plural for item in after or ()
    )
    return Costly(given, DISAGREEING) if disagree else given


def _nominal(noun: Noun, modifiers: tuple[Any, ...], number: Any = None) -> Nominal:
    base = SAME_NOUN() if noun.refers_back else selections.All(noun.name)
    return modified(Nominal(base, noun.plural, number=number or 0), modifiers)


@builder
def listed_nouns(first: Noun, others: Any) -> tuple[Noun, ...]:
    """Several nouns: "pallets and transporters"."""
    nouns = (first, *(others if isinstance(others, tuple) else (others,)))
    if any(noun.refers_back or not noun.plural for noun in nouns):
        raise NoReadingError
    if len({noun.name for noun in nouns}) < len(nouns):
        raise NoReadingError
    return nouns


@builder
def its_holder(noun: Noun) -> Program:
    """For "Its buffer": the one with what was spoken of in it."""
    if noun.plural or noun.name not in (ZONE, CARRIER):
        raise NoReadingError
    return selections.The(selections.Where(selections.All(noun.name), predicates.Holds(pronoun())))


@builder
def narrowed(given: Nominal, condition: Program) -> Nominal:
    """For "Which transporter, of those in buffer 1, ..."."""
    return modified(given, (condition,))


@builder
def either_noun(first: Noun, second: Noun) -> tuple[Noun, ...]:
    """For "A pallet or a transporter"."""
    if first.plural or second.plural or first.refers_back or second.refers_back or first == second:
        raise NoReadingError
    return first, second


@builder
def union_nominal(nouns: tuple[Noun, ...], after: Any) -> Nominal:
    """Several nouns with what restricts all of them: "pallets and transporters in buffer 2"."""
    chosen = reduce(selections.Either, [selections.All(noun.name) for noun in nouns])
    return modified(Nominal(chosen, plural=True), after or ())


@builder
def listed_class(noun: Noun, after: Any) -> Program:
    """For "Pallet numbers in buffer 2": the pallets themselves."""
    if noun.refers_back or noun.plural:
        raise NoReadingError
    return several(modified(Nominal(selections.All(noun.name), plural=True), after or ()))


@builder
def set_or_class(chosen: Any, noun: Any) -> Program:
    """For "In neither of buffers 1 and 2", "in neither buffer"."""
    return any_nominal(noun) if chosen is None else chosen


@builder
def listed_nominal(before: Any, chosen: Program, after: Any) -> Nominal:
    """A list of regions as a noun: "the empty ones of pallets 3 and 4"."""
    return modified(Nominal(chosen, plural=False), (*(before or ()), *(after or ())))


def modified(given: Nominal, modifiers: tuple[Modifier, ...]) -> Nominal:
    """A noun with what restricts it or singles one out of it.

    Raises:
        NoReadingError: for two superlatives.
    """
    chosen, superlative = given.chosen, given.superlative
    modifiers = tuple(for_number(item, given.plural) for item in modifiers)
    modifiers = tuple(_of_noun(item, given.chosen) for item in modifiers)
    filters = [item for item in modifiers if isinstance(item, Program)]
    for item in modifiers:
        if isinstance(item, Superlative):
            if superlative is not None:
                raise NoReadingError
            superlative = item
        elif isinstance(item, Domain):
            chosen = _among(chosen, item.chosen)
        elif isinstance(item, Exclusion):
            chosen = selections.Without(chosen, item.left_out)
    if filters:
        chosen = where(chosen, reduce(both, filters))
    return replace(given, chosen=chosen, superlative=superlative)


def for_number(modifier: Any, plural: bool) -> Any:
    """What "on the left", or "holding pallets 3 and 4", means for one or for several.

    Raises:
        SpatialError: BAD_QUESTION when it may mean either.
    """
    if isinstance(modifier, Numbered):
        return for_number(modifier.modifier, plural)
    if plural and isinstance(modifier, Together):
        raise NoReadingError("is one of these meant, or all of them together? ask about one")
    if isinstance(modifier, Beside):
        return modifier.predicate if plural else modifier.superlative
    return modifier


def _of_noun(modifier: Any, chosen: Program) -> Any:
    """What "of pallet 3" means behind a noun."""
    if not isinstance(modifier, OfRegion):
        return modifier
    holders = (selections.All(ZONE), selections.All(CARRIER))
    return (predicates.Holds if chosen in holders else predicates.In)(modifier.region)


def _among(chosen: Program, domain: Program) -> Program:
    """A class among a list: the list itself, if its members are of that class."""
    if chosen.operator is selections.All:
        return AMONG(chosen, domain)
    if chosen.operator in (MENTIONED, SAME_NOUN):
        return domain
    raise NoReadingError


@builder
def where(chosen: Program, predicate: Program) -> Program:
    """Those of a set of which something is true; filters one after the other become one."""
    if chosen.operator is selections.Where:
        inner, first = chosen.arguments
        return selections.Where(inner, both(first, predicate))
    return selections.Where(chosen, predicate)


@builder
def several(given: Nominal) -> Program:
    """A set, from a noun in the plural or with "any"."""
    if not given.plural:
        raise NoReadingError
    if given.superlative is None:
        if given.number > 1:
            raise NoReadingError
        return given.chosen
    if given.superlative.attribute is None or given.superlative.rank != 1 or not given.number:
        raise NoReadingError
    found = given.superlative
    return selections.First(given.chosen, found.attribute, found.end, float(given.number))


@builder
def all_of(given: Nominal) -> Program:
    """A set, from a noun with "all"."""
    chosen = several(given)
    return AllOf(chosen.operator, chosen.arguments)


@builder
def all_of_number(number: int, given: Nominal) -> Program:
    """For "The two pallets": a set whose number is checked when it is known."""
    if not given.plural or number < 2:
        raise NoReadingError
    if given.superlative is not None:
        return several(replace(given, number=number))
    return selections.Exactly(given.chosen, float(number))


@builder
def any_of(given: Nominal) -> Program:
    """A set from "a pallet": any of them."""
    if given.superlative is not None or given.plural or given.number > 1:
        raise NoReadingError
    return given.chosen


@builder
def two(first: Program, second: Program) -> tuple[Program, Program]:
    """What a distance, a gap, ... is measured between."""
    return first, second


@builder
def two_or_camera(first: Program, second: Any) -> tuple[Program, Program]:
    """What is measured from, the camera by default."""
    return first, second or selections.Camera()


@builder
def pair_of(chosen: Program) -> tuple[Program, Program]:
    """The two of a set of two."""
    return pair(chosen)


def pair(chosen: Program) -> tuple[Program, Program]:
    """The two regions of a list of two.

    Raises:
        SpatialError: BAD_QUESTION for another number of regions.
    """
    if chosen.operator is selections.Listed:
        if len(chosen.arguments[0]) != 2:
            raise NoReadingError(f"two regions are needed here, got {len(chosen.arguments[0])}")
        first, second = chosen.arguments[0]
        return selections.Region(first), selections.Region(second)
    if chosen.operator is selections.Either:
        first, second = chosen.arguments
        if first.type is Type.REGION and second.type is Type.REGION:
            return first, second
    first_two = chosen.operator is selections.First and chosen.arguments[3] == 2
    if chosen.operator is MENTIONED:
        chosen = selections.Exactly(chosen, 2.0)
    if chosen.operator is selections.Exactly or first_two:
        return PairMember(chosen, 1.0), PairMember(chosen, 2.0)
    raise NoReadingError


@builder
def others(given: Nominal) -> Program:
    """For "Another pallet", "any other pallet"."""
    return where(any_nominal(given), OTHER())


@builder
def any_listed(chosen: Program) -> Program:
    """For "One of pallets 3 and 4"."""
    if chosen.operator is not selections.Listed:
        raise NoReadingError
    return AnyOf(chosen.operator, chosen.arguments)


@builder
def alternatives(first: Program, second: Program) -> Program:
    """For "Pallet 3 or pallet 4"."""
    chosen = listed(first, second)
    if chosen.operator is not selections.Listed:
        return chosen
    return Alternatives(chosen.operator, chosen.arguments)


@builder
def joined(first: Program, by: str, second: Program) -> Program:
    """Two lists, joined by "and" or by "or"."""
    return (alternatives if by == "or" else listed)(first, second)


@builder
def listed(*parts: Program) -> Program:
    """Regions together: a list of ids where all are named, else a union."""
    regions = [part for part in parts if part is not None]
    kinds = [type(part) for part in regions if isinstance(part, AnyOf)]
    ids: list[int] = []
    for part in regions:
        if part.operator is selections.Region:
            ids.append(part.arguments[0])
        elif part.operator is selections.Listed:
            ids.extend(part.arguments[0])
        else:
            break
    else:
        together = list_of(tuple(ids))
        return kinds[0](together.operator, together.arguments) if kinds else together
    return reduce(selections.Either, regions)


@builder
def list_of(ids: tuple[int, ...]) -> Program:
    """Regions by id, each once."""
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise NoReadingError(f"region {twice} is named twice")
    return selections.Listed(ids)


@builder
def pronoun() -> Program:
    """For "It": the one that was spoken of."""
    return selections.The(MENTIONED())


@builder
def pronoun_set() -> Program:
    """For "They": those that were spoken of."""
    return MENTIONED()


@builder
def pronoun_nominal(before: Any, after: Any) -> Nominal:
    """For "The one in buffer 2"."""
    return listed_nominal(before, SAME_NOUN(), after)


@builder
def pronoun_nominals(before: Any, after: Any) -> Nominal:
    """For "More loaded pallets than empty ones"."""
    return replace(pronoun_nominal(before, after), plural=True)


@builder
def topic(chosen: Program) -> tuple[Program, ...]:
    """What a question speaks of before it asks."""
    return (chosen,)


@builder
def topics(chosen: Program, others: tuple[Program, ...]) -> tuple[Program, ...]:
    """Several of these."""
    return (chosen, *others)


@builder
def any_nominal(given: Nominal) -> Program:
    """For "Any pallet", "any of the pallets"."""
    if given.superlative is not None:
        raise NoReadingError
    return given.chosen


@builder
def plural(given: Nominal) -> Nominal:
    """A noun that must be in the plural."""
    if not given.plural or given.superlative is not None:
        raise NoReadingError
    return given


@builder
def all_objects() -> Program:
    """Whatever is no zone."""
    return selections.All("")


@builder
def objects_with(modifiers: tuple[Any, ...]) -> Program:
    """Whatever is no zone and fits."""
    return several(modified(Nominal(selections.All(""), plural=True), modifiers))


@builder
def objects_where(verb: Any) -> Program:
    """All objects of which something is true."""
    return where(selections.All(""), predicate(verb))


@builder
def domain(chosen: Program) -> Edge:
    """For "Among pallets 3 and 4"."""
    return Edge(Domain(chosen), is_open=True)


@builder
def exactly(chosen: Program, number: int) -> Program:
    """A set of so many."""
    return selections.Exactly(chosen, float(number))


@builder
def first_of(chosen: Program, attribute: Program, end: str, number: int) -> Program:
    """So many of a set with the least or most of something."""
    return selections.First(chosen, attribute, end, float(number))


@builder
def where_set(chosen: Program, verb: Any) -> Program:
    """Those of a set of which something is true."""
    return where(chosen, predicate(verb))


@builder
def all_listed(number: int, chosen: Program) -> Program:
    """For "The two pallets 3 and 4"."""
    if len(chosen.arguments[0]) != number:
        raise NoReadingError(f"the question says {number}, but names {len(chosen.arguments[0])}")
    return chosen


@builder
def set_of(given: Nominal) -> Program:
    """For "Every pallet in buffer 2": all of them."""
    return any_nominal(given)


@builder
def relative(pronoun: str, modifier: Any) -> Relative:
    """A relative clause with its pronoun."""
    return Relative(pronoun, modifier)


@builder
def agreeing(before: Any, noun: Noun, after: Any) -> Nominal:
    """A noun whose relative clauses agree with it: "die Palette im Puffer, die leer ist"."""
    plain = []
    for item in after or ():
        if isinstance(item, Relative):
            if noun.pronouns and item.pronoun not in noun.pronouns:
                raise NoReadingError
            item = item.modifier
        plain.append(item)
    return _nominal(noun, (*(before or ()), *plain))


@builder
def agreeing_union(nouns: tuple[Noun, ...], after: Any) -> Nominal:
    """Several nouns with clauses on all of them."""
    plain = [item.modifier if isinstance(item, Relative) else item for item in after or ()]
    return union_nominal(nouns, tuple(plain))


@builder
def carriers() -> Nominal:
    """Any transporter."""
    return Nominal(selections.All(CARRIER), plural=False)


@builder
def of_region(region: Program) -> OfRegion:
    """For "Of buffer 2" behind a noun."""
    return OfRegion(region)


@builder
def of_number(given: Nominal, number: int) -> Nominal:
    """For "Which two pallets"."""
    return replace(given, number=number)


@builder
def several_in(given: Nominal, holder: Any) -> Program:
    """All of a noun, or those in a zone."""
    chosen = several(given)
    return chosen if holder is None else where(chosen, predicates.In(holder))


@builder
def single(given: Nominal) -> Nominal:
    """One of a noun in the plural: "which of the buffers"."""
    return replace(given, plural=False)


@builder
def of_color(region: Program, color: str) -> Program:
    """For "The blue pallet 3", which is to be blue."""
    return questions.OfColor(region, color)
