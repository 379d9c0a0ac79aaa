"""Builders of what is measured: distances, sizes, directions, sums and differences."""

from __future__ import annotations

from typing import Any

from smolrgpt_core.language.builders.parts import (
    HOW_LARGE,
    TOP_OF_LOAD,
    AnyOf,
    Asked,
    builder,
)
from smolrgpt_core.language.builders.sets import pair
from smolrgpt_core.language.grammar import Costly, NoReadingError
from smolrgpt_core.language.operators import (
    OPERATORS,
    arrangements,
    attributes,
    fronts,
    questions,
    selections,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type


@builder
def distance(region: Program, place: Program) -> Any:
    """How far one is from the other."""
    if region == place:
        raise NoReadingError("both sides of the distance are the same region")
    if region.type is not Type.REGION:
        region, place = place, region
    measured = questions.Measure(region, attributes.Distance(place))
    other = place.type is Type.REGION and _near_the_camera(place, region)
    return Costly(measured, 1) if other or _near_the_camera(region, place) else measured


def compare_distances(region: Program, first: Program, how: str, second: Program) -> Any:
    """Whether a region is nearer to one place than to another, or farther."""
    distances = [distance(region, place) for place in (first, second)]
    cost = sum(item.cost for item in distances if isinstance(item, Costly))
    nearer, farther = (item.value if isinstance(item, Costly) else item for item in distances)
    compared = questions.Compare(nearer, how, farther)
    return Costly(compared, cost) if cost else compared


def _near_the_camera(region: Program, place: Program) -> bool:
    """For "From the nearest buffer" is said of the other object rather than of the camera."""
    nearest = attributes.Distance(selections.Camera())
    return place.type is Type.REGION and any(
        part.operator is selections.Extreme and part.arguments[1] == nearest for part in (place,)
    )


@builder
def distance_of_pair(chosen: Program) -> Any:
    """How far two regions are apart."""
    return distance(*pair(chosen))


@builder
def span_of(ends: tuple[Program, Program], kind: Any, manner: Any = None) -> Any:
    """A distance, a clearance, ... between two ends.

    Args:
        ends: from `two` or `pair_of`.
        kind: the operator that measures it; None = the distance.
        manner: the operator of an adverb, such as "horizontally", which makes a distance more
            precise.
    """
    kind = kind or "Distance"
    if manner not in (None, kind):
        if kind != "Distance":
            raise NoReadingError
        kind = manner
    if kind == "Distance":
        return distance(*ends)
    first, second = ends if ends[0].type is Type.REGION else ends[::-1]
    measured = questions.Measure(first, OPERATORS[kind](second))
    return Costly(measured, 1) if _near_the_camera(first, second) else measured


@builder
def separating(chosen: Any, first: Any, second: Any) -> Any:
    """For "What separates pallets 3 and 4", "what separates pallet 3 from pallet 4"."""
    return distance_of_pair(chosen) if first is None else distance(first, second)


@builder
def pair_measure(kind: str, chosen: Program) -> Any:
    """As `span_of`, between the two of a set."""
    return span_of(pair(chosen), kind)


@builder
def span_from(kind: str, place: Program) -> Program:
    """A distance, a clearance, ... to a place as an attribute."""
    return OPERATORS[kind](place)


@builder
def described(region: Program, by: str) -> Program:
    """The size, the dimensions, the position, the direction or the color of a region."""
    if by == "direction":
        return questions.Direction(region, selections.Camera())
    operators = {
        "size": HOW_LARGE,
        "dimensions": questions.Dimensions,
        "position": questions.Position,
        "color": questions.Color,
    }
    return operators[by](region)


@builder
def area_or_volume(region: Program, unit: tuple[str, float, str]) -> Asked:
    """For "How many square meters is buffer 2?"."""
    sizes = {"m2": attributes.FootprintArea, "m3": attributes.Volume}
    if unit[0] not in sizes:
        raise NoReadingError
    return ask(questions.Measure(region, sizes[unit[0]]()), unit)


@builder
def difference(attribute: Program, first: Program, second: Program) -> Program:
    """By how much an attribute of two regions differs."""
    return questions.Difference(
        questions.Measure(first, attribute), questions.Measure(second, attribute)
    )


@builder
def compare(first: Program, how: str, second: Program) -> Program:
    """Two quantities compared."""
    if first.unit != second.unit:
        raise NoReadingError
    return questions.Compare(first, how, second)


@builder
def ask(program: Program | Asked, unit: Any = None) -> Asked:
    """A program and the unit of its answer."""
    if isinstance(program, Asked):
        return program if unit is None else _in_one_unit(program, ask(program.program, unit))
    if unit is None:
        return Asked(program)
    si_unit, size, word = unit
    if si_unit == "deg" and program.operator is questions.Direction:
        return ask(questions.Measure(program.parts[0], attributes.Bearing(program.parts[1])), unit)
    if si_unit == "share":
        program = _as_share(program)
    if program.type is Type.POINT and si_unit == "m" and size == 1:
        return Asked(program)
    if program.unit != si_unit and program.type is not Type.SIZE:
        raise NoReadingError(f"the answer is no quantity in {word}")
    return Asked(program, (word, size))


def _as_share(program: Program) -> Program:
    """What is free or taken of a zone, as a fraction of its area."""
    if program.operator is questions.Measure and program.parts[1] == attributes.FreeArea():
        return measure(program.parts[0], attributes.FreeShare())
    if program.operator is not questions.Difference:
        return program
    whole = program.parts[0]
    is_taken = whole.operator is questions.Measure and program == taken_area(whole.parts[0])
    return taken_share(whole.parts[0]) if is_taken else program


def _in_one_unit(given: Asked, wanted: Asked) -> Asked:
    if given.unit not in (None, wanted.unit):
        raise NoReadingError("the answer is asked for in two units; name one")
    return wanted


@builder
def measure(region: Program, attribute: Program) -> Program:
    """An attribute of a region."""
    return questions.Measure(region, attribute)


@builder
def sum_of(first: Program, second: Program) -> Program:
    """Two quantities together."""
    _same_unit(first, second)
    return questions.Sum(first, second)


@builder
def difference_of(first: Program, second: Program) -> Program:
    """By how much two quantities differ."""
    _same_unit(first, second)
    return questions.Difference(first, second)


def _same_unit(first: Program, second: Program) -> None:
    if first.unit != second.unit:
        raise NoReadingError


@builder
def difference_more(comparative: tuple[Program, str], first: Program, second: Program) -> Program:
    """How much wider one region is than another."""
    return difference(comparative[0], first, second)


@builder
def direction_or_camera(region: Program, place: Any) -> Program:
    """Direction to a region."""
    return questions.Direction(region, place or selections.Camera())


@builder
def bearing_or_camera(region: Program, place: Any) -> Program:
    """Bearing of a region."""
    return measure(region, attributes.Bearing(place or selections.Camera()))


@builder
def in_degrees(region: Program, unit: tuple[str, float, str]) -> Asked:
    """For "At how many degrees is pallet 3?"."""
    return ask(bearing_or_camera(region, None), unit)


@builder
def clock_or_camera(region: Program, place: Any) -> Program:
    """Clock hour of a region."""
    return measure(region, attributes.ClockHour(place or selections.Camera()))


@builder
def depth_at(pixel: tuple[int, int]) -> Program:
    """Depth at a pixel."""
    return questions.DepthAt(pixel)


@builder
def how_large(region: Program) -> Program:
    """How large a region is; the reader puts in what that means."""
    return HOW_LARGE(region)


@builder
def attributes_of_pair(attribute: Program, chosen: Program, how: str) -> Program:
    """Sum or difference of an attribute of two regions."""
    first, second = pair(_all_of(chosen))
    both_measured = measure(first, attribute), measure(second, attribute)
    return sum_of(*both_measured) if how == "sum" else difference_of(*both_measured)


ADDED = ("m", "m2", "m3", "objects")
"""Units of what may be added up."""


@builder
def total(attribute: Program, chosen: Program) -> Program:
    """An attribute of all of a set together."""
    if attribute.unit not in ADDED or chosen.type is not Type.REGIONS:
        raise NoReadingError
    attribute = attributes.Height() if attribute == attributes.Top() else attribute
    return questions.Total(_all_of(chosen), attribute)


@builder
def average(attribute: Program, chosen: Program) -> Program:
    """The mean of an attribute of a set."""
    if attribute.unit not in (*ADDED, "share") or chosen.type is not Type.REGIONS:
        raise NoReadingError
    return questions.Average(_all_of(chosen), attribute)


def _all_of(chosen: Program) -> Program:
    if isinstance(chosen, AnyOf):
        raise NoReadingError('with this "or" one of them is meant; ask about one, or say "and"')
    return chosen


@builder
def total_in_unit(chosen: Program, unit: tuple[str, float, str]) -> Asked:
    """For "How many cubic meters do pallets 3 and 4 have together?"."""
    sizes = {"m2": attributes.FootprintArea, "m3": attributes.Volume}
    if unit[0] not in sizes:
        raise NoReadingError
    return ask(total(sizes[unit[0]](), chosen), unit)


@builder
def ratio(first: Program, second: Program) -> Program:
    """How many times one quantity another of its unit is."""
    how_large = [part.parts[1:] == (attributes.Bigness(),) for part in (first, second)]
    if first.unit != second.unit or (first.unit in ("deg", "h", "px", "") and not all(how_large)):
        raise NoReadingError
    return questions.Ratio(first, second)


@builder
def ratio_of(attribute: Program, first: Program, second: Program) -> Program:
    """How many times an attribute of one region that of another is."""
    return ratio(measure(first, attribute), measure(second, attribute))


@builder
def ratio_more(comparative: tuple[Program, str], first: Program, second: Program) -> Program:
    """How many times wider one region is than another."""
    attribute, how = comparative
    if how != "more":
        raise NoReadingError("how many times less is not defined; ask how many times more")
    return ratio_of(attribute, first, second)


@builder
def times_as(attribute: Program, first: Program, times: float, second: Program) -> Program:
    """Whether an attribute of one region is at least so many times that of another."""
    limit = questions.Amount(float(times), "share")
    return questions.Compare(ratio_of(attribute, first, second), "at_least", limit)


@builder
def angle(first: Program, second: Program, place: Program) -> Program:
    """Between the directions to two regions."""
    if place in (first, second) or first == second:
        raise NoReadingError("an angle is between the directions to two others; name three places")
    return questions.Angle(first, second, place)


@builder
def angle_of_pair(chosen: Program, place: Program) -> Program:
    """Between the directions to the two of a list."""
    return angle(*pair(chosen), place)


@builder
def heading_angle(chosen: Program) -> Program:
    """Between the directions in which the two of a set face."""
    first, second = pair(chosen)
    return fronts.HeadingAngle(first, second)


@builder
def same_heading(first: Program, second: Program) -> Program:
    """Whether two face the same way: by less than what they may be off where they face."""
    if first == second:
        raise NoReadingError("both are the same region; name two")
    limit = questions.Amount(fronts.FACING_DEG, "deg")
    return questions.Compare(fronts.HeadingAngle(first, second), "less", limit)


@builder
def same_heading_of_pair(chosen: Program) -> Program:
    """The same of the two of a set."""
    return same_heading(*pair(chosen))


@builder
def all_alike(attribute: Program, chosen: Program) -> Program:
    """Whether an attribute of all of a set is the same."""
    if attribute.unit not in ("m", "m2", "m3"):
        raise NoReadingError("whether this is equal is not defined; ask which is larger")
    return arrangements.AllAlike(_all_of(chosen), attribute)


@builder
def in_line(chosen: Program) -> Program:
    """Whether a set stands in a line."""
    return arrangements.InLine(_all_of(chosen))


@builder
def top_of_load() -> Program:
    """How high the load reaches; the reader puts in of what that is the top."""
    return TOP_OF_LOAD()


@builder
def taken_area(zone: Program) -> Program:
    """What is not free of a zone."""
    return difference_of(
        measure(zone, attributes.FootprintArea()), measure(zone, attributes.FreeArea())
    )


@builder
def taken_share(zone: Program) -> Program:
    """What is not free of a zone, as a fraction of its area."""
    return difference_of(questions.Amount(1.0, "share"), measure(zone, attributes.FreeShare()))


@builder
def difference_of_pair(attribute: Program, chosen: Program) -> Program:
    """By how much an attribute of the two of a list differs."""
    return difference(attribute, *pair(chosen))
