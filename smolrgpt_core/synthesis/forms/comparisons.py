"""Question forms that compare: larger, nearer, higher, in front of; seen by camera or observer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from smolrgpt_core.language.english import pluralize
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import (
    listed,
    named,
    objects,
    pick,
    region,
    several,
    solid,
    some,
    where,
)
from smolrgpt_core.synthesis.forms.measurements import two_regions
from smolrgpt_core.synthesis.forms.registry import form, named_form
from smolrgpt_core.synthesis.view import MarginView

SIZES: dict[str, tuple[Operator, str, str, str]] = {
    "tall": (attributes.Height, "more", "taller", "tallest"),
    "short": (attributes.Height, "less", "shorter", "shortest"),
    "wide": (attributes.Width, "more", "wider", "widest"),
    "thin": (attributes.Width, "less", "narrower", "narrowest"),
    "big": (attributes.Bigness, "more", "larger", "largest"),
    "small": (attributes.Bigness, "less", "smaller", "smallest"),
}
"""Sizes that are compared: attribute, which way, comparative, superlative."""

PLACES: dict[str, tuple[Operator, str, str]] = {
    "left": (attributes.Column, "least", "leftmost"),
    "right": (attributes.Column, "most", "rightmost"),
    "above": (attributes.CenterHeight, "most", "highest"),
    "below": (attributes.CenterHeight, "least", "lowest"),
    "front": (attributes.Forward, "least", "frontmost"),
    "behind": (attributes.Forward, "most", "backmost"),
}
"""Places that single out one of several: attribute, end, superlative."""

RELATIONS: dict[str, Operator] = {
    "above": predicates.Above,
    "below": predicates.Below,
    "front": predicates.InFrontOf,
    "behind": predicates.Behind,
}
"""What is asked of two regions, other than left and right."""

RELATION_WORDS = {
    "above": "above",
    "below": "below",
    "front": "in front of",
    "behind": "behind",
    "left": "left of",
    "right": "right of",
}


def _is_larger(size: str, view: MarginView, rng: np.random.Generator) -> Draft | None:
    attribute, how, comparative, _ = SIZES[size]

    def compared(first: Program, second: Program) -> Program:
        limit = questions.Measure(second, attribute())
        return questions.Whether(first, predicates.Measures(attribute(), how, limit))

    draft = _balanced(compared, view, rng)
    if draft is None:
        return None
    return Draft(
        draft.program,
        draft.mentions,
        {"comparative": comparative},
        answer=partial(_agreement, f"{comparative} than"),
        answer_parts=_first_and_second(draft),
    )


def _largest(size: str, view: MarginView, rng: np.random.Generator) -> Draft | None:
    attribute, how, _, superlative = SIZES[size]
    end = "most" if how == "more" else "least"
    return _superlative(
        attribute(), end, superlative, view.whole(pick(solid(view), rng)), view, rng
    )


def _endmost(place: str, view: MarginView, rng: np.random.Generator) -> Draft | None:
    attribute, end, superlative = PLACES[place]
    return _superlative(
        attribute(), end, superlative, view.whole(pick(solid(view), rng)), view, rng
    )


def _superlative(
    attribute: Program,
    end: str,
    superlative: str,
    ids: list[int],
    view: MarginView,
    rng: np.random.Generator,
) -> Draft | None:
    targets = several(ids, rng)
    if not targets:
        return None
    return Draft(
        selections.Extreme(listed(targets), attribute, end, 1.0),
        {"targets": named(*targets)},
        {"most": superlative, "noun": view.label(targets[0])},
    )


def _is_related(relation: str, view: MarginView, rng: np.random.Generator) -> Draft | None:
    predicate = RELATIONS[relation]
    draft = _balanced(lambda first, second: questions.Whether(first, predicate(second)), view, rng)
    if draft is None:
        return None
    return Draft(draft.program, draft.mentions, {"relation": RELATION_WORDS[relation]})


def _balanced(
    make: Callable[[Program, Program], Program], view: MarginView, rng: np.random.Generator
) -> Draft | None:
    """A yes or no question about two regions, turned round half of the time to be true."""
    wanted = bool(rng.integers(2))
    draft = two_regions(make, solid, view, rng)
    if draft is None or view.truth(draft.program) is wanted:
        return draft
    first, second = draft.mentions["second"], draft.mentions["first"]
    program = make(region(first.ids[0]), region(second.ids[0]))
    return Draft(program, {"first": first, "second": second})


def _agreement(relation: str, value: bool) -> str:
    """The answer as a template, such as "Yes, {first} is wider than {second}."."""
    agreed, verb = ("Yes", "is") if value else ("No", "is not")
    return f"{agreed}, {{first}} {verb} {relation} {{second}}."


def _first_and_second(draft: Draft) -> dict[str, Program]:
    return {name: region(draft.mentions[name].ids[0]) for name in ("first", "second")}


for _size in SIZES:
    named_form(f"is_{_size}", partial(_is_larger, _size))
    named_form(f"{_size}_choice", partial(_largest, _size))
for _place in PLACES:
    named_form(f"{_place}_choice", partial(_endmost, _place))
for _relation in RELATIONS:
    named_form(f"is_{_relation}", partial(_is_related, _relation))


@form
def front_or_behind(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether an object is in front of another one or behind it."""
    return two_regions(
        lambda first, second: questions.Side(first, second, "front_behind"), solid, view, rng
    )


@form
def above_or_below(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether an object is above another one or below it, by centers."""
    return two_regions(
        lambda first, second: questions.Side(first, second, "above_below"), solid, view, rng
    )


@form
def is_nearer(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether one region is nearer to a third than another one."""
    ids = some(view.whole(*solid(view)), 3, rng)
    if not ids:
        return None
    first, second, third = ids
    place = attributes.Distance(region(third))
    limit = questions.Measure(region(second), place)
    return Draft(
        questions.Whether(region(first), predicates.Measures(place, "less", limit)),
        {"first": named(first), "second": named(second), "third": named(third)},
        answer=partial(_agreement, "closer to {third} than"),
        answer_parts={"first": region(first), "second": region(second), "third": region(third)},
    )


@form
def ordered(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Some objects in order: from left to right, by distance, by height."""
    targets = some(view.whole(pick(objects(view), rng)), int(rng.integers(3, 5)), rng)
    if not targets:
        return None
    attribute, start, words = pick(_ORDERS, rng)
    return Draft(
        selections.Sorted(listed(targets), attribute, start),
        {"targets": named(*targets)},
        {"order": words},
    )


_ORDERS = (
    (attributes.Column(), "least", "from left to right"),
    (attributes.Column(), "most", "from right to left"),
    (attributes.Forward(), "least", "from front to back"),
    (attributes.Height(), "most", "from tallest to shortest"),
)


@form
def observer_side(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """On which side something is for somebody who stands at one region and looks at another."""
    ids = some(view.whole(*solid(view)), 3, rng)
    if not ids:
        return None
    target, stands, looks = ids
    observer = selections.Observer(region(stands), region(looks))
    return Draft(
        questions.Side(region(target), observer, "left_right"),
        {"target": named(target), "stands": named(stands), "looks": named(looks)},
    )


@form
def count_related(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in some relation to another region."""
    label = pick(objects(view), rng)
    targets = several(view.whole(label), rng)
    anchor = some([id for id in view.whole(*solid(view)) if id not in targets], 1, rng)
    if not targets or not anchor:
        return None
    predicate, words = _related(anchor[0], view, rng)
    return Draft(
        questions.Count(where(listed(targets), predicate)),
        {"targets": named(*targets), "anchor": named(*anchor)},
        {"relation": words, "nouns": pluralize(label)},
    )


def _related(anchor: int, view: MarginView, rng: np.random.Generator) -> tuple[Program, str]:
    """A relation to a region, and the words before its name."""
    relation = pick(["left", "right", "front", "behind", "within"], rng)
    if relation == "within":
        meters = float(rng.integers(2, 7))
        limit = questions.Amount(meters, "m")
        near = predicates.Measures(attributes.Distance(region(anchor)), "at_most", limit)
        return near, f"within {meters:g} m of"
    table = {**RELATIONS, "left": predicates.LeftOf, "right": predicates.RightOf}
    return table[relation](region(anchor)), RELATION_WORDS[relation]
