"""One program for what can be asked in several: "Does buffer 1 hold pallet 3?", "Is 3 in 1?"."""

from __future__ import annotations

from smolrgpt_core.language.meant import classes_of
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.object_classes import CARRIER, ZONE
from smolrgpt_core.regions import RegionSet


def normal_form(program: Program, regions: RegionSet) -> Program:
    """A yes-or-no question in the one form that all questions of its meaning have.

    Args:
        program: a question.
        regions: of the frame.
    """
    if program.operator is questions.Difference:
        first, second = (_of_kind(part, regions) for part in program.parts)
        return questions.Difference(first, second) if first.unit == second.unit else program
    if program.operator is questions.Whether:
        region, predicate = program.parts
        return _of_one(program, region, predicate, regions)
    if program.operator is questions.Compare:
        return _of_two(program, *program.arguments)
    if program.operator is questions.Exists:
        holder = _holder_of_objects(program, regions)
        return program if holder is None else questions.Whether(holder, _loaded())
    if program.operator is questions.Negation:
        holder = _holder_of_objects(program.parts[0], regions)
        return program if holder is None else questions.Whether(holder, predicates.Empty())
    return program


def _of_kind(part: Program, regions: RegionSet) -> Program:
    """How large one thing is: the area of a zone, the volume of anything else."""
    if part.operator is not questions.Measure or part.parts[1] != attributes.Bigness():
        return part
    classes = classes_of(part.parts[0], regions)
    if not classes - {""}:
        return part
    kind = attributes.FootprintArea if ZONE in classes else attributes.Volume
    return questions.Measure(part.parts[0], kind())


def _of_one(program: Program, region: Program, predicate: Program, regions: RegionSet) -> Program:
    """What is said of one region: held things are in what holds them, sizes are compared."""
    if predicate.operator is predicates.Holds and region.operator is selections.Region:
        (held,) = predicate.parts
        if held.operator is selections.Region and ZONE not in classes_of(held, regions):
            return questions.Whether(held, predicates.In(region))
    if predicate.operator is not predicates.Measures:
        return program
    attribute, how, limit = predicate.arguments
    own = _counted(region, attribute)
    if own is not None:
        other = limit
        if limit.operator is questions.Measure:
            other = _counted(*limit.parts) if limit.parts[1] == attribute else None
        return program if other is None else questions.Compare(own, how, other)
    if limit.operator is questions.Amount and not attribute.parts:
        return questions.Compare(questions.Measure(region, attribute), how, limit)
    return program


def _of_two(program: Program, first: Program, how: str, second: Program) -> Program:
    """The same attribute of two regions: the first one has more of it than the second."""
    if not first.operator is second.operator is questions.Measure:
        return program
    (region, attribute), (_, other) = first.parts, second.parts
    if attribute != other or attribute.operator is attributes.Holding or region in attribute.parts:
        return program
    return questions.Whether(region, predicates.Measures(attribute, how, second))


def _counted(region: Program, attribute: Program) -> Program | None:
    """How many of a class a region holds; None for another attribute."""
    if attribute.operator is not attributes.Holding:
        return None
    (chosen,) = attribute.parts
    if chosen.operator is not selections.All or region.operator is not selections.Region:
        return None
    return questions.Count(selections.Where(chosen, predicates.In(region)))


def _holder_of_objects(program: Program, regions: RegionSet) -> Program | None:
    """The zone or transporter that is asked whether anything is in or on it."""
    if program.operator is not questions.Exists:
        return None
    (chosen,) = program.parts
    if chosen.operator is not selections.Where or chosen.parts[0] != selections.All(""):
        return None
    predicate = chosen.parts[1]
    if (
        predicate.operator is not predicates.In
        or predicate.parts[0].operator is not selections.Region
    ):
        return None
    is_holder = classes_of(predicate.parts[0], regions) & {ZONE, CARRIER}
    return predicate.parts[0] if is_holder else None


def _loaded() -> Program:
    return predicates.Not(predicates.Empty())
