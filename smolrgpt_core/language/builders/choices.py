"""Builders of one region out of a set: superlatives, ranks, the middle one."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from smolrgpt_core.language.builders.conditions import distance_from_or_camera
from smolrgpt_core.language.builders.parts import (
    AMONG,
    SAME_NOUN,
    Bare,
    Nominal,
    Noun,
    Superlative,
    both,
    builder,
    predicate,
)
from smolrgpt_core.language.builders.sets import modified, several, where
from smolrgpt_core.language.grammar import Edge, NoReadingError
from smolrgpt_core.language.operators import (
    OPERATORS,
    attributes,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type


@builder
def the(given: Nominal) -> Program:
    """One region: the only one, or the one that a superlative singles out."""
    if given.plural or given.number > 1:
        raise NoReadingError
    if given.superlative is not None:
        return extreme(given, given.superlative)
    return selections.The(given.chosen)


@builder
def extreme(given: Any, found: Superlative) -> Program:
    """The one of a set that a superlative singles out."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal) and given.superlative not in (None, found):
        raise NoReadingError
    if found.of_two and _is_among_or_between(chosen):
        raise NoReadingError(
            "which of the two, or of what stands between them? ask for one of both"
        )
    if found.noun is not None:
        chosen = _of_same_class(chosen, found.noun)
    if found.among is not None:
        chosen = where(chosen, found.among)
    counted = (selections.Listed, selections.Exactly)
    if found.of_two and chosen.operator not in counted:
        chosen = selections.Exactly(chosen, 2.0)
    if found.attribute is None:
        if chosen.operator is selections.Listed and len(chosen.arguments[0]) == 2:
            raise NoReadingError("neither of two things is in the middle; ask what is between them")
        return selections.Middle(_listed_as(found.noun, chosen))
    chosen = _listed_as(found.noun, chosen)
    return selections.Extreme(chosen, found.attribute, found.end, float(found.rank))


def _is_among_or_between(chosen: Program) -> bool:
    """For "Which pallet between pallets 3 and 4 is taller?"."""
    return chosen.operator is selections.Where and (chosen.parts[1].operator is predicates.Between)


def _of_same_class(chosen: Program, noun: Program) -> Program:
    """A set with the noun of its member repeated: that noun may not contradict."""
    if chosen.operator is selections.Alike:
        return noun
    classes = [part for part in chosen.walk() if part.operator is selections.All]
    if classes and noun not in classes and noun != selections.All(""):
        raise NoReadingError
    return chosen


def _listed_as(noun: Program | None, chosen: Program) -> Program:
    """A list of regions whose class the reader has still to compare with a noun."""
    is_list = all(part.operator is not selections.All for part in chosen.walk())
    is_class = noun is not None and noun.operator is selections.All
    return AMONG(noun, chosen) if is_class and is_list else chosen


@builder
def sup(attribute: Program | None, end: str, rank: Any = None) -> Superlative:
    """A superlative."""
    return Superlative(attribute, end, rank or 1)


@builder
def ranked(found: Superlative, rank: Any) -> Superlative:
    """The second, third, ... of a superlative."""
    return replace(found, rank=rank) if rank else found


@builder
def next_but(found: Superlative, by: int) -> Superlative:
    """For "The rightmost but one" is the second from the right."""
    return replace(found, rank=found.rank + by)


@builder
def sup_among(found: Superlative, predicate: Program) -> Superlative:
    """For "Second from the left in buffer 1": what is singled out is also that."""
    # "Taller than pallet 5 and wider" is no choice between two.
    if found.among is not None or found.of_two:
        raise NoReadingError
    return replace(found, among=predicate)


@builder
def sup_of(found: Superlative, noun: Noun) -> Superlative:
    """For "The nearest pallet" behind "is"."""
    if noun.plural:
        raise NoReadingError
    return replace(found, noun=selections.All(noun.name))


@builder
def of_two(found: Superlative) -> Superlative:
    """A comparative used to single out."""
    return replace(found, of_two=True)


@builder
def bare(given: Nominal, end: str, rank: Any) -> Bare:
    """For "The second nearest pallet", without saying to what."""
    if given.superlative is not None or given.plural:
        raise NoReadingError
    return Bare(given, end, rank or 1)


@builder
def numbered(given: Nominal, rank: int) -> Program:
    """For "The second pallet from the left"; without an order, nobody knows which is the second."""
    if given.superlative is None:
        raise NoReadingError(
            f"number {rank} in what order? say, for example, second from the left or second nearest"
        )
    return extreme(replace(given, superlative=None), ranked(given.superlative, rank))


@builder
def extreme_among(given: Nominal, found: Superlative, after: Any = None) -> Program:
    """For "The nearest pallet to transporter 5 that is not in a buffer"."""
    if given.plural:
        raise NoReadingError
    return extreme(modified(given, after or ()), found)


@builder
def bare_to(found: Bare, place: Program) -> Program:
    """The nearest pallet, to a place."""
    return extreme(found.nominal, Superlative(attributes.Distance(place), found.end, found.rank))


@builder
def nearest_several(given: Nominal, number: int, end: str, place: Any) -> Program:
    """For "The two nearest pallets"."""
    attribute = distance_from_or_camera(place)
    return several(replace(given, superlative=Superlative(attribute, end), number=number))


@builder
def end_several(given: Nominal, number: int, found: Superlative) -> Program:
    """For "The two largest pallets"."""
    return several(replace(given, superlative=found, number=number))


@builder
def middle() -> Superlative:
    """The middle one."""
    return Superlative(None)


@builder
def listed_as(noun: Noun, chosen: Program) -> Program:
    """A list whose members are of the class of a noun: "pallet of 3 and 4"."""
    return _listed_as(None if noun.refers_back else selections.All(noun.name), chosen)


@builder
def extreme_of_class(noun: Noun, given: Any, found: Superlative) -> Program:
    """For "The tallest pallet of 3 and 4"."""
    program = extreme(given, found)
    chosen, *rest = program.arguments
    return Program(program.operator, (listed_as(noun, chosen), *rest))


@builder
def the_of(chosen: Program, after: Any) -> Any:
    """For "The one of pallets 3 and 4 in buffer 2"."""
    meant = the(modified(Nominal(chosen, plural=False), after or ()))
    return meant if after else Edge(meant, is_open=True)


@builder
def middle_of(chosen: Program) -> Program:
    """The middle one of a set."""
    return selections.Middle(chosen)


@builder
def more_sup(comparative: tuple[Program, str]) -> Superlative:
    """The wider one of two."""
    attribute, how = comparative
    return Superlative(attribute, "most" if how == "more" else "least")


@builder
def singled_out(region: Program) -> Program:
    """For "The nearest pallet" asks which one it is; "pallet 3" asks nothing."""
    bare = region.operator is selections.The and region.parts[0].operator is not selections.Where
    if bare or region.operator is selections.Region:
        raise NoReadingError
    return region


@builder
def sorted_by(chosen: Program, by: tuple[Program, str]) -> Program:
    """A set in order."""
    return selections.Sorted(chosen, *by)


@builder
def extreme_span(region: Program, given: Nominal, kind: str, end: str) -> Program:
    """For "The largest distance between pallet 3 and any shelf"."""
    if given.superlative is not None:
        raise NoReadingError
    attribute = OPERATORS[kind](region)
    if attribute.parts[0].type is not Type.REGION:
        raise NoReadingError
    other = selections.Extreme(given.chosen, attribute, end, 1.0)
    return questions.Measure(region, OPERATORS[kind](other))


@builder
def condition_of(modifiers: tuple[Any, ...]) -> Program:
    """The meaning of adjectives: "of the empty ones"."""
    conditions = [item for item in modifiers if isinstance(item, Program)]
    if len(conditions) < len(modifiers) or not conditions:
        raise NoReadingError
    return reduce(both, conditions)


@builder
def last_of(given: Nominal, found: Superlative) -> Program:
    """The one of a set of which something must be true to be true of all of it."""
    if given.superlative is not None:
        raise NoReadingError
    return selections.Extreme(given.chosen, found.attribute, found.end, 1.0)


@builder
def verbs(first: Any, second: Any) -> Any:
    """Two conditions on one: "has room for a pallet and is nearest to pallet 3"."""
    if isinstance(second, Superlative):
        return sup_among(second, predicate(first))
    if isinstance(first, Superlative):
        return sup_among(first, predicate(second))
    return both(predicate(first), predicate(second))


@builder
def with_noun(chosen: Program, given: Nominal) -> Program:
    """For "Which pallet ..., the one in buffer 1 or the one in buffer 2?": they are pallets."""
    noun = given.chosen
    while noun.operator is selections.Where:
        noun = noun.parts[0]
    return chosen.replaced(lambda part: noun if part.operator is SAME_NOUN else part)


@builder
def beyond_all_more(comparative: tuple[Program, str]) -> Superlative:
    """For "Taller than all other pallets" is the tallest."""
    return more_sup(comparative)


@builder
def chosen_of(chosen: Program, given: Nominal, found: Superlative) -> Program:
    """For "The pallet nearer to buffer 2: 3 or 4"."""
    if given.superlative is not None:
        raise NoReadingError
    return extreme(chosen, found)


@builder
def bare_to_other(found: Bare, other: Program) -> Program:
    """The nearest pallet to another region, which itself is not singled out by the camera."""
    nearest = attributes.Distance(selections.Camera())
    if other.operator is selections.Extreme and other.arguments[1] == nearest:
        raise NoReadingError
    return bare_to(found, other)


@builder
def two_ends(given: Nominal, first: Superlative, second: Superlative) -> Program:
    """For "The leftmost and the rightmost pallet"."""
    if given.plural or given.superlative is not None:
        raise NoReadingError
    return selections.Either(extreme(given, first), extreme(given, second))


@builder
def picked(region: Program) -> Program:
    """What "find ..." asks for; a region that is named is found already."""
    if region.operator is selections.Region:
        raise NoReadingError("this names a region and asks nothing about it; ask where it is")
    return region


@builder
def load_of(carrier: Program) -> Program:
    """What stands on a region."""
    return selections.The(selections.Where(selections.All(""), predicates.In(carrier)))
