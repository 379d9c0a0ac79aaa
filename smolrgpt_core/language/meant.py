"""What words mean that stand for something else until a whole question is read: "other", "at"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smolrgpt_core.language.builders import (
    AMONG,
    AT,
    FULL,
    INSIDE,
    OTHER,
    PASSING_WIDTH,
    RELATIONS_TO_ONE,
    TIED,
    UNDER,
    WITH,
    both,
)
from smolrgpt_core.language.grammar import NoReadingError
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.object_classes import CARGO, CARRIER, ZONE, known_class
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import ANY_REGION


def classes_of(chosen: Program, regions: RegionSet) -> set[str]:
    """The classes, and the labels, of what a region or a set may be, as far as they are known."""
    found: set[str] = set()
    for part in chosen.walk():
        if part.operator is selections.All:
            found.add(part.arguments[0])
            break
        if part.operator in (selections.Camera, selections.Observer):
            break
        ids: Sequence[int] = ()
        if part.operator is selections.Region:
            ids = part.arguments
        elif part.operator is selections.Listed:
            ids = part.arguments[0]
        for id in ids:
            found |= {regions[id].label, known_class(regions[id].label)}
        if part.operator not in (selections.Either, selections.Listed, selections.Region):
            continue
    return found


def plain(program: Program) -> Program:
    """The program with lists of alternatives, and what is said of all of a list, as programs."""
    return program.replaced(
        lambda part: part if type(part) is Program else Program(part.operator, part.arguments)
    )


def placed(program: Program, regions: RegionSet) -> Program:
    """The program with what "at buffer 2", "under pallet 3", "full" and the like mean.

    Raises:
        NoReadingError: they are said of what nothing is in, or of what holds nothing.
    """
    for part in program.walk():
        if part.operator is AMONG:
            _check_members(part.parts[0], part.parts[1], regions)
        if part.operator is AT and not _may_be(ZONE, part.parts[0], regions):
            raise NoReadingError(
                "how near is meant? say, for example, within 2 m of it, or ask for the nearest"
            )
        if part.operator is INSIDE and CARGO in classes_of(part.parts[0], regions):
            raise NoReadingError("what is inside a pallet is not visible; ask what is on it")
        if part.operator is UNDER and not _may_be(CARGO, part.parts[0], regions):
            raise NoReadingError(
                "what lies directly under this is unknown; ask what is below it, which means lower"
            )
        if part.operator is questions.Measure and part.parts[1].operator is PASSING_WIDTH:
            _check_driving(part.parts[0], regions)
        if part.operator not in (questions.Whether, selections.Where):
            continue
        subject, predicate = part.parts
        has_with = any(condition.operator is WITH for condition in conjuncts(predicate))
        if has_with and CARGO in classes_of(subject, regions):
            raise NoReadingError(
                "a pallet has nothing with it; ask what stands on it, or where it is"
            )
    meant: dict[Operator, Callable[..., Program]] = {
        AMONG: lambda noun, listed: listed,
        AT: predicates.In,
        INSIDE: predicates.In,
        WITH: predicates.Holds,
        FULL: _no_room,
        UNDER: predicates.Holds,
        PASSING_WIDTH: attributes.Width,
    }

    def condition(part: Program) -> Program:
        if part.operator is selections.Where and part.parts[1].operator is TIED:
            chosen, tied = part.parts
            return _tied(chosen, tied, regions)
        if part.operator is predicates.Not and part.parts[0].operator is predicates.Not:
            return part.parts[0].parts[0]
        return meant[part.operator](*part.arguments) if part.operator in meant else part

    return program.replaced(lambda part: _of_carriers(part, regions)).replaced(condition)


def _check_members(noun: Program, listed: Program, regions: RegionSet) -> None:
    """That "the nearest pallet of transporters 5 and 6" is none of these transporters."""
    (name,) = noun.arguments
    classes = classes_of(listed, regions)
    if name not in ("", ANY_REGION) and classes and not {name, known_class(name)} & classes:
        raise NoReadingError(f"a {name} is asked for, but the regions are of another class")


def _check_driving(region: Program, regions: RegionSet) -> None:
    if CARRIER not in classes_of(region, regions):
        raise NoReadingError(
            "whether this fits between others is not computed; ask how large the gap is, or "
            "whether a transporter fits through it"
        )


def _no_room() -> Program:
    return predicates.Not(predicates.HasRoom())


def _of_carriers(part: Program, regions: RegionSet) -> Program:
    """With "full" as loaded where it is said of transporters."""
    if part.operator not in (questions.Whether, selections.Where, questions.Every):
        return part
    subject, predicate = part.parts
    if CARRIER not in classes_of(subject, regions):
        return part
    loaded = predicates.Not(predicates.Empty())
    changed = predicate.replaced(lambda one: loaded if one == FULL() else one)
    return Program(part.operator, (subject, changed))


def _tied(chosen: Program, tied: Program, regions: RegionSet) -> Program:
    """Those of a set that a region holds, or those that hold it, whichever can be."""
    (region,) = tied.parts
    size = [_size(one, regions) for one in (chosen, region)]
    holds = size[0] > size[1]
    return selections.Where(chosen, (predicates.Holds if holds else predicates.In)(region))


def _size(chosen: Program, regions: RegionSet) -> int:
    """Zones hold transporters, and these hold pallets."""
    classes = classes_of(chosen, regions)
    return max((rank for rank, name in enumerate((CARRIER, ZONE), 1) if name in classes), default=0)


def _may_be(name: str, place: Program, regions: RegionSet) -> bool:
    """Whether a place is of a class, or its class is not known."""
    classes = classes_of(place, regions)
    return name in classes or not classes - {"", ANY_REGION}


def without_other(program: Program, has_topics: bool, regions: RegionSet) -> Program:
    """The program with "other pallets" as those other than the only pallet that is named.

    Args:
        program: a question.
        has_topics: whether something was spoken of before it, which may also be meant.
        regions: of the frame.

    Raises:
        NoReadingError: none or several are named.
    """
    program = program.replaced(lambda part: _on_another(part, regions))
    if OTHER() not in program.walk():
        return program
    named = {part for part in program.walk() if part.operator is selections.Region}

    def others(part: Program) -> Program:
        if part.operator is selections.Extreme:
            return _from_itself(part)
        if part.operator is not selections.Where or OTHER() not in part.walk():
            return part
        base, predicate = part.parts
        noun = base.arguments[0] if base.operator is selections.All else None
        alike = [one for one in named if noun in {"", *classes_of(one, regions)}]
        if len(alike) != 1 or has_topics:
            raise NoReadingError("other than which? say, for example, other than pallet 3")
        return _without(base, alike[0], predicate)

    return program.replaced(others)


def _on_another(part: Program, regions: RegionSet) -> Program:
    """For "Pallets on another pallet": nothing is on itself, and nothing carries itself."""
    if part.operator not in (questions.Whether, selections.Where):
        return part
    subject, predicate = part.parts
    if CARGO not in classes_of(subject, regions):
        return part
    another = selections.Where(selections.All(CARGO), OTHER())
    held = (predicates.In, predicates.Holds)

    def any_of(condition: Program) -> Program:
        is_another = condition.operator in held and condition.parts[0] == another
        return condition.operator(another.parts[0]) if is_another else condition

    return Program(part.operator, (subject, predicate.replaced(any_of)))


def _from_itself(part: Program) -> Program:
    """For "The other pallet nearest to pallet 3", which is not near to itself."""
    chosen, attribute, end, rank = part.arguments
    inner = chosen.parts[0] if chosen.operator is selections.Where else chosen
    if inner.operator is not selections.Without or attribute.parts != inner.parts[1:]:
        return part
    chosen = chosen.replaced(lambda found: found.parts[0] if found == inner else found)
    return selections.Extreme(chosen, attribute, end, rank)


def _without(base: Program, left_out: Program, predicate: Program) -> Program:
    """A set without one and with the rest of what is said of it, which may leave that out."""
    rest = [condition for condition in conjuncts(predicate) if condition != OTHER()]
    chosen = base if any(_leaves_out(condition, left_out) for condition in rest) else (
        selections.Without(base, left_out)
    )  # fmt: skip
    if not rest:
        return chosen
    joined = rest[0]
    for condition in rest[1:]:
        joined = both(joined, condition)
    return selections.Where(chosen, joined)


def conjuncts(predicate: Program) -> list[Program]:
    """The predicates that are joined by `And`, however deep; it alone where it is none."""
    if predicate.operator is not predicates.And:
        return [predicate]
    return [inner for part in predicate.parts for inner in conjuncts(part)]


def _leaves_out(condition: Program, one: Program) -> bool:
    """Whether something is not said of a region by itself: "left of pallet 3", "taller than it"."""
    if condition == predicates.Not(predicates.Is(one)):
        return True
    if condition.operator is predicates.Measures:
        return any(one in part.parts for part in condition.parts)
    return (
        condition.operator in (*RELATIONS_TO_ONE, predicates.OnTopOf) and condition.parts[0] == one
    )
