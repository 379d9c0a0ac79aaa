"""One program for what can be asked in several: "Does buffer 1 hold pallet 3?", "Is 3 in 1?"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from smolrgpt_core.language.builders import RELATIONS_TO_ONE, both, negated
from smolrgpt_core.language.meant import classes_of, conjuncts
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARRIER, ZONE, known_class
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import ANY_REGION

KINDS: tuple[Operator, ...] = (
    predicates.Empty, predicates.Colored, predicates.OfClass, predicates.HasRoom,
    predicates.In, predicates.Holds, predicates.OnTopOf, *RELATIONS_TO_ONE, predicates.Between,
    predicates.Nearness, predicates.Measures, predicates.IsAmong, predicates.Is,
)  # fmt: skip
"""In which order conditions on one thing are worded; all others come behind these."""

LIMITED = (attributes.Distance, attributes.Bearing, attributes.ClockHour)
"""What is worded with a limit rather than compared with it: "within 2 m of it"."""

LIMITS = ("more", "at_least", "equal", "at_most", "less")
"""In which order limits of one attribute are worded."""


def normal_form(program: Program, regions: RegionSet) -> Program:
    """A question in the one form that all questions of its meaning have.

    Args:
        program: a question.
        regions: of the frame.
    """
    return _asked(program.replaced(lambda part: _of_part(part, regions)), regions)


def _of_part(part: Program, regions: RegionSet) -> Program:
    """A part, with its own parts done."""
    change = _CHANGES.get(part.operator)
    return part if change is None else change(part, regions)


def _joined(part: Program, regions: RegionSet) -> Program:
    return _in_order(conjuncts(part))


def _within(part: Program, regions: RegionSet) -> Program:
    """For "Less than 2 m from it": within 2 m of it."""
    attribute, how, limit = part.arguments
    is_distance = attribute.operator in (attributes.Distance, attributes.DistanceToAny)
    if not is_distance or how != "less" or limit.operator is not questions.Amount:
        return part
    return predicates.Measures(attribute, "at_most", limit)


def _carried(part: Program, regions: RegionSet) -> Program:
    """What is on top of a transporter is what it carries, whose forks are not its upper face."""
    classes = classes_of(part.parts[0], regions) - {"", ANY_REGION}
    return predicates.In(part.parts[0]) if classes and ZONE not in classes else part


def _filtered(part: Program, regions: RegionSet) -> Program:
    """Filters of filters as one."""
    inner, predicate = part.parts
    if inner.operator is not selections.Where:
        return part
    conditions = [*conjuncts(inner.parts[1]), *conjuncts(predicate)]
    return selections.Where(inner.parts[0], _in_order(conditions))


def _all_of_them(part: Program, regions: RegionSet) -> Program:
    """For "The two buffers" of a frame with two, and two that are named one by one."""
    chosen, number = part.arguments
    if chosen.operator is selections.Either and number == 2:
        return chosen if {one.type for one in chosen.parts} == {Type.REGION} else part
    if chosen.operator is not selections.All:
        return part
    return chosen if _number_of(chosen.arguments[0], regions) == round(number) else part


def _to_the_nearest(part: Program, regions: RegionSet) -> Program:
    """How far a place is from the one that is nearest to it; of a zone, how far that one is."""
    region, attribute = part.parts
    if attribute.operator is not attributes.Distance:
        return part
    place = attribute.parts[0]
    is_zone = {end: ZONE in classes_of(end, regions) for end in (region, place)}
    is_nearest = region.operator is selections.Extreme and region.parts[1] == attribute
    to_nearest = place.operator is selections.Extreme and (
        place.parts[1] == attributes.Distance(region)
    )
    away = is_nearest and place.type is Type.REGION and not is_zone[place]
    if away or (to_nearest and is_zone[region]):
        return questions.Measure(place, attributes.Distance(region))
    return part


def _added_up(part: Program, regions: RegionSet) -> Program:
    """A sum with one attribute of several regions as their total."""
    measured = [_each_measured(term) for term in part.parts]
    if not all(measured):
        return part
    (first, attribute), (second, other) = measured  # type: ignore[misc]
    if attribute != other or set(first) & set(second):
        return part
    return questions.Total(selections.Listed((*first, *second)), attribute)


def _each_measured(term: Program) -> tuple[tuple[int, ...], Program] | None:
    """The regions of which a term of a sum measures an attribute."""
    chosen = term.parts[0] if term.parts else term
    if term.operator is questions.Measure and chosen.operator is selections.Region:
        return chosen.arguments, term.parts[1]
    if term.operator is questions.Total and chosen.operator is selections.Listed:
        return chosen.arguments[0], term.parts[1]
    return None


def _alike(part: Program, regions: RegionSet) -> Program:
    """Those with the label of a region that is the only one for its class."""
    (region,) = part.parts
    if region.operator is not selections.Region:
        return part
    label = regions[region.arguments[0]].label
    name = known_class(label)
    labels = {other for other in regions.labels if known_class(other) == name}
    return selections.All(name) if label and labels == {label} and name == label else part


_CHANGES: dict[Operator, Callable[[Program, RegionSet], Program]] = {
    predicates.And: _joined,
    predicates.Measures: _within,
    predicates.OnTopOf: _carried,
    selections.Where: _filtered,
    selections.Exactly: _all_of_them,
    selections.Alike: _alike,
    questions.Measure: _to_the_nearest,
    questions.Sum: _added_up,
}
"""What is done to the expressions of an operator."""


def _number_of(name: str, regions: RegionSet) -> int | None:
    """How many regions of a class there are; None where that is not sure."""
    labels = [region.label for region in regions]
    if name in ("", ANY_REGION) or not all(labels):
        return None
    return sum(name in (label, known_class(label)) for label in labels)


def _in_order(conditions: Sequence[Program]) -> Program:
    """Conditions on one thing, joined in one order, each once."""
    ordered = sorted(dict.fromkeys(conditions), key=_place)
    for itself in [one for one in ordered if _is_none_but(one)]:
        # "Not left of pallet 3" says that it is not pallet 3, either: the two stay together.
        beside = [one for one in ordered if _is_not_beside(one, itself.parts[0].parts[0])]
        if beside:
            ordered.remove(itself)
            ordered.insert(ordered.index(beside[-1]) + 1, itself)
    return reduce(both, ordered)


def _is_none_but(condition: Program) -> bool:
    is_not = condition.operator is predicates.Not
    return is_not and condition.parts[0].operator is predicates.Is


def _is_not_beside(condition: Program, place: Program) -> bool:
    """Whether a condition is not to be left of a place, right of it, ..."""
    if condition.operator is not predicates.Not:
        return False
    (relation,) = condition.parts
    return relation.operator in RELATIONS_TO_ONE and relation.parts[0] == place


def _place(condition: Program) -> tuple[int, str, int, bool, str]:
    """Where a condition stands among others."""
    is_not = condition.operator is predicates.Not
    bare = condition.parts[0] if is_not else condition
    kind = KINDS.index(bare.operator) if bare.operator in KINDS else len(KINDS)
    if bare.operator is predicates.Measures:
        attribute, how, limit = bare.arguments
        return kind, str(attribute), LIMITS.index(how), is_not, str(limit)
    return kind, str(bare), 0, is_not, ""


def _asked(program: Program, regions: RegionSet) -> Program:
    """A whole question, with its parts done."""
    if program.operator is questions.Compare and program.parts[0].operator is questions.Ratio:
        ratio, how, limit = program.arguments
        return questions.Compare(_asked(ratio, regions), how, limit)
    if program.operator in (questions.Difference, questions.Ratio):
        first, second = (_of_kind(part, regions) for part in program.parts)
        return program.operator(first, second) if first.unit == second.unit else program
    if program.operator is questions.Whether:
        region, predicate = program.parts
        return _of_one(program, region, predicate, regions)
    if program.operator is questions.Compare:
        first, how, second = program.arguments
        return _of_two(program, first, how, second, regions)
    if program.operator is questions.Exists:
        holder = _holder_of_objects(program, regions)
        return program if holder is None else questions.Whether(holder, _loaded())
    if program.operator is questions.Negation:
        return _denied(program, regions)
    return program


def _denied(program: Program, regions: RegionSet) -> Program:
    """Whether something is not so."""
    (truth,) = program.parts
    if truth.operator is questions.Whether:
        region, predicate = truth.parts
        return _asked(questions.Whether(region, negated(predicate)), regions)
    holder = _holder_of_objects(truth, regions)
    return program if holder is None else questions.Whether(holder, predicates.Empty())


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
    """Conditions on one region: held things are in what holds them, sizes are compared."""
    if predicate.operator is predicates.Holds and region.operator is selections.Region:
        (held,) = predicate.parts
        if held.operator is selections.Region and ZONE not in classes_of(held, regions):
            return questions.Whether(held, predicates.In(region))
        if held.type is Type.REGIONS and ZONE not in classes_of(held, regions):
            chosen = selections.Where(held, predicates.In(region))
            return _asked(questions.Exists(_of_part(chosen, regions)), regions)
    if predicate.operator is predicates.And and region.operator is selections.Region:
        predicate = _without_others(region, predicate)
        program = questions.Whether(region, predicate)
    if predicate.operator is predicates.IsAmong:
        return _among(program, region, predicate.parts[0], regions)
    if predicate.operator is predicates.Is:
        return _first_of_two(program, region, predicate.parts[0])
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


def _without_others(region: Program, predicate: Program) -> Program:
    """What is said of a region, without that it is not another one: "in the same buffer as X"."""
    conditions = conjuncts(predicate)
    needed = [
        one for one in conditions
        if not _is_none_but(one)
        or one.parts[0].parts[0].operator is not selections.Region
        or one.parts[0].parts[0] == region
        or any(_is_not_beside(other, one.parts[0].parts[0]) for other in conditions)
    ]  # fmt: skip
    return reduce(both, needed or conditions)


def _first_of_two(program: Program, region: Program, chosen: Program) -> Program:
    """Whether one of two regions is the taller one: taller than the other."""
    if chosen.operator is not selections.Extreme or chosen.parts[0].operator is not (
        selections.Listed
    ):
        return program
    listed, attribute, end, rank = chosen.arguments
    others = [selections.Region(id) for id in listed.arguments[0]]
    if len(others) != 2 or region not in others or rank != 1 or attribute.unit in ("px", ""):
        return program
    others.remove(region)
    if others[0] in attribute.parts or region in attribute.parts:
        return program
    how = "more" if end == "most" else "less"
    limit = questions.Measure(others[0], attribute)
    return questions.Whether(region, predicates.Measures(attribute, how, limit))


def _among(program: Program, region: Program, chosen: Program, regions: RegionSet) -> Program:
    """Whether a region is among those of its own class that something is true of."""
    if chosen.operator is not selections.Where or chosen.parts[0].operator is not selections.All:
        return program
    name, classes = chosen.parts[0].arguments[0], classes_of(region, regions)
    is_one = name in classes or (name == "" and classes - {"", ZONE} and ZONE not in classes)
    return _asked(questions.Whether(region, chosen.parts[1]), regions) if is_one else program


def _of_two(
    program: Program, first: Program, how: str, second: Program, regions: RegionSet
) -> Program:
    """The same attribute of two regions: the first one has more of it than the second."""
    is_limit = second.operator is questions.Amount and first.operator is questions.Measure
    if is_limit and first.parts[1].operator in LIMITED:
        measured = predicates.Measures(first.parts[1], how, second)
        return questions.Whether(first.parts[0], _of_part(measured, regions))
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
