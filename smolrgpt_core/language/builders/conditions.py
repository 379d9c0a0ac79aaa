"""Builders of what may be true of a region: places, comparisons, what it holds."""

from __future__ import annotations

from functools import reduce
from typing import Any

from smolrgpt_core.language.builders.parts import (
    AT,
    FULL,
    INSIDE,
    OTHER,
    OTHERWISE,
    RELATIONS_TO_ONE,
    TIED,
    UNDER,
    WITH,
    AllOf,
    AnyOf,
    Beside,
    Exclusion,
    Nominal,
    Noun,
    Superlative,
    Together,
    both,
    builder,
    predicate,
)
from smolrgpt_core.language.builders.sets import any_nominal, pair
from smolrgpt_core.language.grammar import Costly, Edge, NoReadingError, RefusedError
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARGO, known_class
from smolrgpt_core.scene.copies import ANY_REGION


def one_or_which(alternatives: Program) -> NoReadingError:
    """For "Is it in buffer 1 or 2?", to which "yes" may be no answer."""
    ids = " and ".join(map(str, alternatives.arguments[0]))
    return NoReadingError(
        f'this "or" may ask whether it is true of any of them, or of which; say '
        f'"one of {ids}" with their class, or "which of {ids}"'
    )


@builder
def between(chosen: Program) -> Program:
    """Between the two of a list."""
    return predicates.Between(*pair(chosen))


@builder
def to_both(condition: Program, chosen: Program) -> Program:
    """A condition on two places at once: "within 2 m of both pallet 3 and pallet 4".

    Args:
        condition: with the camera in the place of either.
        chosen: the two.
    """

    def applied_to(place: Program) -> Program:
        return condition.replaced(
            lambda part: place if part.operator is selections.Camera else part
        )

    return both(*map(applied_to, pair(chosen)))


@builder
def compared_to(attribute: Program, how: str, other: Program) -> Program:
    """For "Wider than pallet 3": an attribute compared with the same of another region."""
    return predicates.Measures(attribute, how, questions.Measure(other, attribute))


@builder
def at_place(attribute: Program, place: Any) -> Program:
    """A distance that is worded as from a place, unless it was from another."""
    if place is None:
        return attribute
    if attribute != attributes.Distance(selections.Camera()):
        raise NoReadingError
    return attributes.Distance(place)


@builder
def two_distances(first: Program, how: str, second: Program) -> tuple[Program, str, Program]:
    """For "Nearer to buffer 1 than to buffer 2"."""
    return attributes.Distance(first), how, attributes.Distance(second)


@builder
def holding(chosen: Program) -> Program:
    """With something in it or on it; with all of a list."""
    several_meant = (selections.Exactly, selections.First, selections.Either)
    if chosen.operator in several_meant or isinstance(chosen, AllOf):
        raise NoReadingError("is one of these meant, or all of them together? ask about one")
    if chosen.operator is not selections.Listed or isinstance(chosen, AnyOf):
        return predicates.Holds(chosen)
    each = [predicates.Holds(selections.Region(id)) for id in chosen.arguments[0]]
    all_of_them = reduce(predicates.And, each)
    if len(each) == 1:
        return all_of_them
    return Together(all_of_them.operator, all_of_them.arguments)


@builder
def with_it(verb: Any) -> Program:
    """For "With pallet 3" or "with a load"."""
    held = predicate(verb)
    return WITH(held.parts[0]) if held.operator is predicates.Holds else held


@builder
def tied(region: Program) -> Program:
    """For "Buffer 1, which pallets?"."""
    return TIED(region)


@builder
def inside(holders: Program) -> Program:
    """For "Inside buffer 2"."""
    return INSIDE(holders)


@builder
def under(region: Program) -> Program:
    """For "Under pallet 3"."""
    return UNDER(region)


@builder
def at(holders: Program) -> Program:
    """For "At buffer 2"."""
    return AT(holders)


@builder
def other() -> Program:
    """For "Other" before a noun."""
    return OTHER()


@builder
def negated(given: Superlative | Beside | Together | Program) -> Program:
    """Not so."""
    if isinstance(given, Superlative):
        raise NoReadingError(
            "what is not the nearest, leftmost, ... has no single answer; ask for what is"
        )
    if isinstance(given, Beside):
        given = given.predicate
    if isinstance(given, Together):
        raise NoReadingError("is it untrue of some of these, or of all? ask about one")
    if given.operator is predicates.Not:
        return given.parts[0]
    if given.operator is predicates.Measures and given.arguments[1] in OTHERWISE:
        attribute, how, limit = given.arguments
        return predicates.Measures(attribute, OTHERWISE[how], limit)
    if given.operator is predicates.And and _is_with(*given.arguments):
        return predicates.Not(given.arguments[0])
    if given.operator in RELATIONS_TO_ONE and given.parts[0].type is Type.REGION:
        # "Not left of pallet 10" is not said of pallet 10.
        return predicates.And(predicates.Not(given), predicates.Not(predicates.Is(given.parts[0])))
    return predicates.Not(given)


def _is_with(place: Program, other: Program) -> bool:
    """Whether predicates are "in the zone of X" and "not X": what is not there may be X no more."""
    if place.operator is not predicates.In or other.operator is not predicates.Not:
        return False
    left_out = other.arguments[0]
    zone = place.parts[0]
    return left_out.operator is predicates.Is and predicates.Holds(left_out.parts[0]) in zone.walk()


@builder
def loaded() -> Program:
    """Not empty."""
    return predicates.Not(predicates.Empty())


@builder
def full() -> Program:
    """No room for another pallet in it; loaded."""
    return FULL()


@builder
def within(amount: Program, place: Program) -> Program:
    """Not farther than an amount from a place."""
    return predicates.Measures(attributes.Distance(place), "at_most", amount)


@builder
def measured(attribute: Program, how: str, amount: Program) -> Program:
    """An attribute compared with an amount."""
    if attribute.unit != amount.unit:
        raise NoReadingError
    return predicates.Measures(attribute, how, amount)


@builder
def count_number(number: int) -> Program:
    """A number of objects."""
    return questions.Amount(float(number), "objects")


@builder
def amount(number: float, unit: tuple[str, float, str]) -> Program:
    """A number with a unit, in SI."""
    name, factor, _ = unit
    # 70 cm and 0.7 m are one length.
    return questions.Amount(round(float(number) * factor, 12), name)


@builder
def limits(low: Program, high: Program) -> tuple[Program, Program]:
    """The smallest and the largest of a range of amounts."""
    (least, unit), (most, other_unit) = low.arguments, high.arguments
    if unit != other_unit:
        raise NoReadingError
    if not least < most:
        raise NoReadingError("a range begins with its smaller end: between 1 and 2 m")
    return low, high


@builder
def in_range(attribute: Program, ends: tuple[Program, Program]) -> Program:
    """An attribute that is not outside of a range, its ends included."""
    low, high = ends
    return predicates.And(
        measured(attribute, "at_least", low), measured(attribute, "at_most", high)
    )


@builder
def closed(value: Any) -> Any:
    """Words to which nothing can be attached, as those in parentheses."""
    return Edge(value, is_open=False)


@builder
def open(value: Any) -> Any:
    """Words to which something can be attached."""
    return Edge(value, is_open=True)


@builder
def costly(value: Any) -> Any:
    """A reading that counts only where there is no other."""
    return value if isinstance(value, Costly) else Costly(value, 2)


@builder
def less_likely(value: Any) -> Any:
    """A reading that counts only where there is none as likely."""
    return Costly(value, 1)


@builder
def refuse(reason: str) -> Any:
    """Words that are understood and cannot be answered."""
    raise RefusedError(reason)


@builder
def on_side(side: str) -> Beside:
    """On the left or right of the image."""
    make, end = (predicates.LeftOf, "least") if side == "left" else (predicates.RightOf, "most")
    return Beside(make(selections.Camera()), Superlative(attributes.Column(), end))


@builder
def camera() -> Program:
    """What "me", "us" and "the robot" mean."""
    return selections.Camera()


@builder
def distance_from(place: Program) -> Program:
    """The distance attribute."""
    return attributes.Distance(place)


@builder
def distance_from_or_camera(place: Any) -> Program:
    """The distance attribute, from the camera by default."""
    return attributes.Distance(place or selections.Camera())


@builder
def nothing() -> None:
    """A word that restricts nothing."""
    return


@builder
def exclusion(left_out: Program) -> Exclusion:
    """For "Other than pallet 3"."""
    return Exclusion(left_out)


@builder
def most_holding(given: Nominal, end: str) -> Superlative:
    """The zone with the most pallets."""
    return Superlative(attributes.Holding(given.chosen), end)


@builder
def holding_attribute(given: Any) -> Program:
    """The number of pallets in a zone."""
    return attributes.Holding(given.chosen if isinstance(given, Nominal) else given)


@builder
def float_of(number: int) -> float:
    """A rank as programs have it."""
    return float(number)


@builder
def holding_any(given: Nominal) -> Program:
    """Holding at least one of a set."""
    return predicates.Holds(any_nominal(given))


@builder
def in_any(given: Nominal) -> Program:
    """In one of a set of zones."""
    return predicates.In(any_nominal(given))


@builder
def holding_number(given: Nominal, how: str, number: int) -> Program:
    """Holding so many."""
    if how == "at_least" and number == 1:
        return holding_any(given)
    return predicates.Measures(holding_attribute(given), how, count_number(number))


@builder
def holding_more(given: Nominal, other: Program) -> Program:
    """Holding more than another zone."""
    return compared_to(holding_attribute(given), "more", other)


@builder
def holding_fewer(given: Nominal, other: Program) -> Program:
    """Holding fewer than another zone."""
    return compared_to(holding_attribute(given), "less", other)


@builder
def closed_value(value: Any) -> Any:
    """The value itself."""
    return value


@builder
def of_class(noun: Noun) -> Program:
    """Of a class."""
    if noun.plural or noun.refers_back:
        raise NoReadingError
    return predicates.OfClass(noun.name)


@builder
def in_another(noun: Noun, region: Program) -> Program:
    """For "In a different buffer than pallet 3": in one, but not in that one."""
    every = selections.All(noun.name)
    zone = selections.The(selections.Where(every, predicates.Holds(region)))
    return predicates.And(predicates.In(every), predicates.Not(predicates.In(zone)))


@builder
def of_classes(noun: Noun) -> Program:
    """For "How many of the objects are pallets?"."""
    if not noun.plural or noun.refers_back:
        raise NoReadingError
    return predicates.OfClass(noun.name)


@builder
def near(place: Program, limit: Program) -> Program:
    """Not farther from a place than an amount."""
    return measured(distance_from(place), "at_most", limit)


@builder
def within_any(chosen: Program, limit: Program) -> Program:
    """Not farther from the nearest of a set than an amount."""
    return measured(attributes.DistanceToAny(chosen), "at_most", limit)


@builder
def more(attribute: Program, how: str) -> tuple[Program, str]:
    """A comparative: "wider" is more width."""
    return attribute, how


@builder
def compared_more(comparative: tuple[Program, str], other: Program) -> Program:
    """Wider than another region."""
    return compared_to(*comparative, other)


@builder
def compared_to_both(comparative: tuple[Program, str], chosen: Program) -> Program:
    """Wider than each of two regions."""
    if isinstance(chosen, AnyOf):
        raise one_or_which(chosen)
    first, second = pair(chosen)
    return both(compared_more(comparative, first), compared_more(comparative, second))


@builder
def measured_more(comparative: tuple[Program, str], limit: Program) -> Program:
    """Wider than an amount."""
    return measured(*comparative, limit)


@builder
def order(attribute: Program, start: str) -> tuple[Program, str]:
    """By what to sort."""
    return attribute, start


@builder
def order_of(found: Superlative) -> tuple[Program, str]:
    """For "Widest first"; in an order "highest" is tallest."""
    if found.attribute is None or found.rank != 1:
        raise NoReadingError
    is_height = found.attribute.operator is attributes.CenterHeight
    return attributes.Height() if is_height else found.attribute, found.end


@builder
def order_of_ends(first: Superlative, last: Superlative) -> tuple[Program, str]:
    """For "Widest to narrowest"; "shortest" is least tall, and least long beside "longest"."""
    attribute, start = order_of(first)
    other, end = order_of(last)
    lengths = {attributes.Height(), attributes.Length()}
    if {attribute, other} == lengths and start != end:
        attribute = other = attributes.Length()
    if attribute != other or start == end:
        raise NoReadingError
    return attribute, start


@builder
def pixel(column: int, row: int) -> tuple[int, int]:
    """For "Column 320, row 240"."""
    return column, row


@builder
def in_same(noun: Noun, region: Program) -> Program:
    """In the zone in which another region stands; that one does not count itself."""
    zone = selections.The(selections.Where(selections.All(noun.name), predicates.Holds(region)))
    return both(predicates.In(zone), predicates.Not(predicates.Is(region)))


@builder
def a_pallet(noun: Noun) -> None:
    """What room may be looked for, where it need not be room that is spoken of."""
    if known_class(noun.name) != CARGO:
        raise NoReadingError


@builder
def room_of_others(noun: Noun) -> Any:
    """Refuse to look for room for anything but a pallet."""
    pallet_alone(noun)
    raise NoReadingError


@builder
def pallet_alone(noun: Noun) -> None:
    """What room is looked for: for nothing but a pallet."""
    if known_class(noun.name) != CARGO:
        raise NoReadingError("room is computed for single pallets of 1.2 x 0.8 m only")


@builder
def standard_room(length: float, width: float) -> Program:
    """Room for a pallet of the size that is looked for."""
    if {round(length, 3), round(width, 3)} != {1.2, 0.8}:
        raise NoReadingError("room is computed for single pallets of 1.2 x 0.8 m only")
    return predicates.HasRoom()


@builder
def room_for_more(number: int, how: str | None = None) -> Program:
    """Room for so many more pallets, or for more than so many."""
    if how not in (None, "at_least", "more"):
        raise NoReadingError("is there room for at least that many, or for more than that many?")
    if number == 1 and how != "more":
        return predicates.HasRoom()
    return predicates.Measures(attributes.Capacity(), how or "at_least", count_number(number))


@builder
def amount_and_half(number: float, unit: tuple[str, float, str]) -> Program:
    """For "Two and a half meters"."""
    return amount(number + 0.5, unit)


@builder
def bigger_than(limit: Program, how: str) -> Program:
    """Larger than an area or a volume."""
    sizes = {"m2": attributes.FootprintArea, "m3": attributes.Volume}
    if limit.unit not in sizes:
        raise NoReadingError("larger in which direction? say wider, longer or taller than that")
    return measured(sizes[limit.unit](), how, limit)


@builder
def half() -> Program:
    """Half of something."""
    return questions.Amount(0.5, "share")


@builder
def at_clock(limit: Program, place: Any) -> Program:
    """For "At 3 o'clock"."""
    if limit.unit != "h":
        raise NoReadingError
    hour = attributes.ClockHour(place or selections.Camera())
    return predicates.Measures(hour, "equal", limit)


@builder
def among_regions() -> Program:
    """For "Visible": a region of the frame is seen."""
    return predicates.IsAmong(selections.All(ANY_REGION))


@builder
def order_of_direction(attribute: Program, falling: Any) -> tuple[Program, str]:
    """For "Descending by height"."""
    return order(attribute, "most" if falling else "least")
