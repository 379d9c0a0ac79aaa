"""Builders of whole questions: which, how many, whether, and what they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smolrgpt_core.language.builders.choices import extreme
from smolrgpt_core.language.builders.conditions import (
    count_number,
    in_another,
    negated,
    one_or_which,
)
from smolrgpt_core.language.builders.parts import (
    INSIDE,
    MENTIONED,
    PASSING_WIDTH,
    SAME_NOUN,
    AllOf,
    Alternatives,
    Nominal,
    Noun,
    OnTopic,
    Superlative,
    builder,
    predicate,
)
from smolrgpt_core.language.builders.quantities import ask, compare, compare_distances, measure
from smolrgpt_core.language.builders.sets import (
    for_number,
    modified,
    objects_where,
    pair,
    several,
    where,
)
from smolrgpt_core.language.grammar import NoReadingError
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARRIER, ZONE


@builder
def count_of(noun: Noun, after: Any) -> Program:
    """For "Pallet count in buffer 2"."""
    if noun.refers_back:
        raise NoReadingError
    return how_many(modified(Nominal(selections.All(noun.name), plural=True), after or ()))


@builder
def which(given: Nominal, verb: Any) -> Program:
    """For "Which pallet ..." asks for one, "which pallets ..." for all."""
    verb = for_number(verb, given.plural)
    if isinstance(verb, Superlative):
        if given.plural and not given.number:
            raise NoReadingError
        if given.plural:
            return several(replace(given, superlative=verb))
        return extreme(given, verb)
    if given.superlative is not None:
        raise NoReadingError
    chosen = where(given.chosen, verb)
    if given.number > 1:
        return selections.Exactly(chosen, float(given.number))
    return chosen if given.plural else selections.The(chosen)


@builder
def which_there(given: Nominal, region: Program) -> Program:
    """For "Pallet 3, which buffer?" (what holds it), "buffer 1, which pallets?" (what is in it)."""
    if given.chosen == selections.All(CARRIER):
        raise NoReadingError
    if given.chosen == selections.All(ZONE):
        return which(given, predicates.Holds(region))
    return which(given, predicates.In(region))


@builder
def which_of(chosen: Program, verb: Any) -> Program:
    """For "Which of pallets 3 and 4 ..." asks for one."""
    verb = for_number(verb, plural=False)
    if isinstance(verb, Superlative):
        return extreme(chosen, verb)
    return selections.The(where(chosen, verb))


@builder
def how_many(given: Any, verb: Any = None) -> Program:
    """How many of a set there are, or of how many something is true."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal):
        if given.superlative is not None or given.number:
            raise NoReadingError
        verb = for_number(verb, given.plural)
    return questions.Count(where(chosen, predicate(verb)) if verb is not None else chosen)


@builder
def whether(region: Program, verb: Any) -> Any:
    """Whether something is true of one region."""
    if isinstance(verb, Superlative):
        return questions.Whether(region, predicates.Is(extreme(selections.Alike(region), verb)))
    asked = predicate(verb)
    if asked.operator is predicates.Nearness:
        return compare_distances(region, *asked.arguments)
    if any(type(part) is Alternatives for part in asked.parts):
        raise one_or_which(asked.parts[0])
    if any(isinstance(part, AllOf) for part in asked.parts):
        raise NoReadingError("in all of these at once? ask about one, or about any of them")
    return questions.Whether(region, asked)


@builder
def whether_or_color(region: Program, verb: Any) -> Any:
    """As `whether`; "is it red or blue?" asks for the color."""
    return questions.Color(region) if _offers_colors(verb) else whether(region, verb)


def _offers_colors(verb: Any) -> bool:
    """Whether it is one of several colors."""
    return (
        isinstance(verb, Program)
        and verb.operator is predicates.Or
        and all(part.operator is predicates.Colored or _offers_colors(part) for part in verb.parts)
    )


@builder
def every(chosen: Program, verb: Any) -> Program:
    """Whether something is true of all of a set."""
    if type(chosen) is Alternatives:
        raise one_or_which(chosen)
    verb = for_number(verb, plural=True)
    return questions.Every(chosen, predicate(verb))


@builder
def share(chosen: Program, verb: Any) -> Program:
    """For "What share of the pallets is empty?"."""
    if chosen.type is Type.REGION or type(chosen) is Alternatives:
        raise NoReadingError
    return questions.Share(chosen, predicate(for_number(verb, plural=True)))


@builder
def share_of_part(part: Nominal, whole: Any) -> Program:
    """For "The percentage of empty pallets", "... of empty pallets among all pallets"."""
    chosen = several(part)
    if chosen.operator is not selections.Where:
        raise NoReadingError
    base, condition = chosen.parts
    if whole is not None and several(whole) != base:
        raise NoReadingError("a fraction needs a whole that contains the part, such as all pallets")
    return questions.Share(base, condition)


@builder
def exists(given: Any, verb: Any = None) -> Program:
    """Whether there is any of a set of which something is true."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal):
        if given.superlative is not None:
            raise NoReadingError
        verb = for_number(verb, given.plural)
    if type(chosen) is Alternatives and verb is not None:
        raise one_or_which(chosen)
    meant = where(chosen, predicate(verb)) if verb is not None else chosen
    within = (predicates.In, INSIDE)
    holders = [part.parts[0] for part in meant.walk() if part.operator in within]
    if any(isinstance(one, AllOf) or one.operator is selections.Exactly for one in holders):
        raise NoReadingError("in one of these, or in each of them? ask about one")
    return questions.Exists(meant)


@builder
def of_subject(region: Program, compared: tuple[Program, str, Program]) -> Program:
    """Whether two attributes of a region compare so."""
    first, how, second = compared
    return compare(measure(region, first), how, measure(region, second))


@builder
def with_topic(spoken_of: tuple[Program, ...], program: Any) -> OnTopic:
    """A question and what it is about, which is no pronoun."""
    if any(part.operator in (MENTIONED, SAME_NOUN) for topic in spoken_of for part in topic.walk()):
        raise NoReadingError
    return OnTopic(spoken_of, ask(program))


@builder
def how_many_objects(verb: Any) -> Program:
    """How many objects there are of which something is true."""
    return questions.Count(objects_where(verb))


@builder
def objects_exist(verb: Any) -> Program:
    """Whether there is anything."""
    return questions.Exists(objects_where(verb))


@builder
def nothing_exists(verb: Any) -> Program:
    """Whether there is nothing."""
    return questions.Negation(objects_exist(verb))


@builder
def not_exists(given: Nominal, verb: Any = None) -> Program:
    """Whether there is none."""
    return questions.Negation(exists(given, verb))


@builder
def exists_or_one(given: Nominal, verb: Any = None) -> Program:
    """For "Is there a pallet in buffer 2?"."""
    if given.number > 1:
        raise NoReadingError
    return exists(given, verb)


@builder
def every_nominal(given: Nominal, verb: Any) -> Program:
    """Whether something is true of all of a set."""
    if given.superlative is not None:
        raise NoReadingError
    return every(given.chosen, verb)


@builder
def each_holds(holders: Nominal, held: Nominal) -> Program:
    """For "Are there pallets in every buffer?"."""
    if held.superlative is not None or held.number:
        raise NoReadingError
    return every_nominal(holders, predicates.Holds(held.chosen))


@builder
def same(first: Program, second: Program) -> Program:
    """Whether two expressions mean the same region."""
    return questions.Whether(first, predicates.Is(second))


@builder
def difference_of_counts(given: Nominal, first: Any, second: Any) -> Program:
    """How many more there are of which one thing is true than of which another is."""
    return questions.Difference(how_many(given, first), how_many(given, second))


@builder
def compare_counts(
    given: Nominal, first: Any, how: str, second: Any, others: Nominal | None = None
) -> Program:
    """Whether there are more of which one thing is true than of which another is.

    Args:
        given: what is counted.
        first: what is true of it.
        how: how the numbers are compared.
        second: what is true of what it is compared with.
        others: what that is, where it is named again: "than pallets in buffer 2".
    """
    return questions.Compare(how_many(given, first), how, how_many(others or given, second))


@builder
def compare_sides(region: Program, comparative: tuple[Program, str], other: Program) -> Program:
    """For "Is pallet 3 wider than it is tall?"."""
    attribute, how = comparative
    if attribute.unit != other.unit or attribute == other:
        raise NoReadingError
    return compare(measure(region, attribute), how, measure(region, other))


@builder
def compare_sets(first: Nominal, second: Nominal, verb: Any, how: str) -> Program:
    """Whether there are more of one class than of another."""
    if verb is not None and _is_placed(first.chosen):
        # "More pallets left of shelf 6 than transporters in buffer 2": the pallets are elsewhere.
        raise NoReadingError
    return questions.Compare(how_many(first, verb), how, how_many(second, verb))


def _is_placed(chosen: Program) -> bool:
    """Whether a set has a condition other than to be empty or loaded."""
    loads = (predicates.Empty(), predicates.Not(predicates.Empty()))
    return chosen.operator is selections.Where and chosen.parts[1] not in loads


@builder
def compare_count(given: Nominal, verb: Any, how: str, number: int) -> Program:
    """Whether there are so many."""
    if how == "at_least" and number == 1:
        return exists(given, verb)
    return questions.Compare(how_many(given, verb), how, count_number(number))


@builder
def in_different(noun: Noun, chosen: Program) -> Program:
    """Whether two regions stand in two zones."""
    first, second = pair(chosen)
    return questions.Whether(first, in_another(noun, second))


@builder
def as_many_in(given: Nominal, chosen: Program) -> Program:
    """For "Are there equally many pallets in buffers 1 and 2?"."""
    first, second = (predicates.In(zone) for zone in pair(chosen))
    return compare_counts(given, first, "equal", second)


@builder
def compare_of_list(chosen: Program, verb: Any, how: Any, number: int) -> Program:
    """Whether something is true of so many of a list."""
    return questions.Compare(how_many(chosen, verb), how or "equal", count_number(number))


@builder
def most_of(given: Nominal, verb: Any, how: str) -> Program:
    """Whether something is true of more than half of a set: of more than it is not true of."""
    asked = predicate(for_number(verb, plural=True))
    return questions.Compare(how_many(given, asked), how, how_many(given, predicates.Not(asked)))


@builder
def compare_taken(zone: Program, how: str, share: Program) -> Program:
    """For "Is buffer 1 more than half full?": less than the rest of it is free."""
    opposite = {"more": "less", "less": "more", "at_least": "at_most", "at_most": "at_least"}
    if share.unit != "share":
        raise NoReadingError
    free = questions.Amount(1 - share.arguments[0], "share")
    return compare(measure(zone, attributes.FreeShare()), opposite.get(how, how), free)


@builder
def fits_between(width: Program, clearance: Program) -> Program:
    """Whether something of a width fits through a clearance."""
    return compare(clearance, "at_least", width)


@builder
def side_of(region: Program, place: Program, axis: str) -> Program:
    """Which of two opposites holds."""
    return questions.Side(region, place, axis)


@builder
def side_of_seen(region: Program, observer: Program, seen: Program) -> Program:
    """For "If I stand at A and look at B, is C to the left or right of B?"."""
    if observer.parts[1] != seen:
        raise NoReadingError("left or right of what the observer looks at? name one of the two")
    return side_of(region, observer, "left_right")


@builder
def side_of_same(region: Program, place: Any, other: Any, axis: str) -> Program:
    """For "Pallet 3 is left of pallet 4 or right of pallet 4"."""
    if place != other:
        raise NoReadingError
    return side_of(region, place, axis)


@builder
def only_one(region: Program, given: Nominal) -> Program:
    """Whether a region is the only one of a set."""
    if given.superlative is not None:
        raise NoReadingError
    return questions.Every(given.chosen, predicates.Is(region))


@builder
def located(place: Program, asked: Any) -> Any:
    """For "In buffer 2, which pallet is ...": what is asked for is in it."""
    given = ask(asked)
    return replace(given, program=_restricted(given.program, place))


@builder
def without_ones(condition: Program, asked: Any) -> Any:
    """For "Which pallet is the tallest, excluding the loaded ones?"."""
    parts = ask(asked).program.walk()
    if any(part.operator is attributes.Holding for part in parts):
        raise NoReadingError("which ones are left out, those that hold or those that are held?")
    return located(negated(condition), asked)


def _restricted(program: Program, place: Program) -> Program:
    """A question with its main set restricted, and any other that it is compared with."""
    nouns: list[Program] = []

    def restricted(chosen: Program) -> Program:
        nouns.append(chosen)
        return where(chosen, place)

    changed = _with_main_set(program, restricted)
    *others, last = program.arguments
    if others and program.type is not Type.REGIONS and isinstance(last, Program):
        if last.operator is questions.Count:
            # "More loaded pallets than transporters": both are counted there.
            last = _with_main_set(last, restricted)
        elif any(noun in last.walk() for noun in nouns):
            # "The leftmost and the rightmost pallet": both are meant.
            last = _with_place(last, restricted)
        return Program(changed.operator, (*changed.arguments[: len(others)], last))
    return changed


def _with_place(attribute: Program, change: Callable[[Program], Program]) -> Program:
    """A distance from one of a set, with the set changed."""
    if attribute.type is not Type.ATTRIBUTE or len(attribute.parts) != 1:
        raise NoReadingError
    return attribute.operator(_with_main_set(attribute.parts[0], change))


def _with_main_set(program: Program, change: Callable[[Program], Program]) -> Program:
    """A question with the set that it is about changed."""
    if program.operator in (selections.All, selections.Listed, selections.Either, SAME_NOUN):
        return change(program)
    if program.operator is selections.Where:
        inner, predicate = program.arguments
        return where(_with_main_set(inner, change), predicate)
    if not program.parts or program.type is Type.PLACE:
        raise NoReadingError
    first, *others = program.arguments
    if first.type not in (Type.REGIONS, Type.REGION, Type.QUANTITY, Type.TRUTH):
        raise NoReadingError
    return Program(program.operator, (_with_main_set(first, change), *others))


@builder
def same_as_extreme(region: Program, chosen: Program, found: Superlative) -> Program:
    """Whether a region is the tallest, nearest, ... of a set."""
    return same(region, extreme(chosen, found))


@builder
def passing(region: Program, clearance: Program) -> Program:
    """Whether a region gets through between two others."""
    return fits_between(measure(region, PASSING_WIDTH()), clearance)


@builder
def both_in_same(noun: Noun, chosen: Program) -> Program:
    """Whether two or more regions stand in the same zone."""
    several = chosen.operator is selections.Listed and len(chosen.arguments[0]) > 2
    if several:
        *ids, id = chosen.arguments[0]
        others, last = selections.Listed(tuple(ids)), selections.Region(id)
    else:
        others, last = pair(chosen)
    zone = selections.The(selections.Where(selections.All(noun.name), predicates.Holds(last)))
    return (questions.Every if several else questions.Whether)(others, predicates.In(zone))


@builder
def nearest_to_each_other(given: Nominal) -> Program:
    """The two of a set that are nearest to each other: no others have so near a neighbor."""
    if given.superlative is not None or not given.plural:
        raise NoReadingError
    chosen = given.chosen
    return selections.First(chosen, attributes.DistanceToAny(chosen), "least", 2.0)


@builder
def at_hour(region: Program, limit: Program) -> Program:
    """Whether a region is at an hour of the clock."""
    if limit.unit != "h":
        raise NoReadingError
    attribute = attributes.ClockHour(selections.Camera())
    return questions.Compare(measure(region, attribute), "equal", limit)


@builder
def left_out(excluded: Program, asked: Any) -> Any:
    """For "Apart from pallet 3, which pallet is ...": it does not count."""
    given = ask(asked)
    return replace(given, program=_reduced(given.program, excluded))


def _reduced(program: Program, excluded: Program) -> Program:
    """A question with its main set reduced."""
    return _with_main_set(program, lambda chosen: selections.Without(chosen, excluded))


@builder
def not_exists_of(chosen: Program, verb: Any) -> Program:
    """Whether something is true of none of a set."""
    return questions.Negation(exists(chosen, verb))
