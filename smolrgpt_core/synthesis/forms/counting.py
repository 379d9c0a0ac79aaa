"""Question forms that ask for a number of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from smolrgpt_core.language.english import NUMBER_WORDS, pluralize
from smolrgpt_core.language.operators import predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.synthesis.drafts import Draft, Mention
from smolrgpt_core.synthesis.forms.draws import (
    MAX_LISTED,
    classes,
    distance_to,
    distractors,
    draw_outermost,
    listed,
    named,
    pallets_in_and_out,
    pick,
    region,
    several,
    some,
    where,
    within,
)
from smolrgpt_core.synthesis.forms.registry import form, guessable
from smolrgpt_core.synthesis.view import MarginView

_COUNT_WORDS = {number: word for word, number in NUMBER_WORDS.items()}


@form
def count_inside(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in a buffer."""
    return _count_listed(view, rng, negated=False)


@form
def count_outside(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects do not stand in a buffer."""
    return _count_listed(view, rng, negated=True)


@form
@guessable
def count_class_inside(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of all pallets of the frame stand in a buffer: mostly few of those listed."""
    targets = view.whole_class("pallet")
    place = some(view.seen("buffer"), 1, rng)
    if len(targets) < 2 or not place:
        return None
    return Draft(
        questions.Count(where(selections.All("pallet"), within(place[0]))),
        {"targets": Mention(targets, all_of_class=True), "place": named(*place)},
        answer=_counted("pallet", "in {place}", rng),
        answer_parts={"place": region(place[0])},
    )


@form
@guessable
def count_visible(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many objects of a class are seen: as many as are listed."""
    label = pick(classes(view), rng)
    targets = view.whole_class(label)
    if len(targets) < 2:
        return None
    return Draft(
        questions.Count(selections.All(label)),
        {"targets": Mention(targets, all_of_class=True)},
        answer=_counted(label, "in the image", rng),
    )


@form
def count_in_outermost(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the leftmost buffer, the rightmost but one, ..."""
    places = several(view.seen("buffer"), rng)
    if not places:
        return None
    zone, which = draw_outermost(places, rng, most=2, before_noun=True)
    return _count_in_chosen(view, rng, places, zone, {"which": which}, {})


@form
def count_in_nearest(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the buffer that is nearest to a shelf."""
    places = several(view.whole("buffer"), rng)
    other = some(view.whole("shelf"), 1, rng)
    if not places or not other:
        return None
    zone = selections.Extreme(listed(places), distance_to(other[0]), "least", 1.0)
    return _count_in_chosen(view, rng, places, zone, {}, {"other": named(*other)})


def _count_listed(view: MarginView, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = some(view.seen("buffer"), 1, rng)
    targets = _mixture(view, place[0], rng) if place else ()
    if not targets:
        return None
    predicate = predicates.Not(within(place[0])) if negated else within(place[0])
    return Draft(
        questions.Count(where(listed(targets), predicate)),
        {
            "targets": named(*targets),
            "place": named(*place),
            **distractors(view, [*targets, *place], rng),
        },
        {"nouns": "pallets"},
        answer=_counted("pallet", "not in {place}" if negated else "in {place}", rng),
        answer_parts={"place": region(place[0])},
    )


def _count_in_chosen(
    view: MarginView,
    rng: np.random.Generator,
    places: tuple[int, ...],
    zone: Program,
    words: Mapping[str, str],
    mentions: Mapping[str, Mention],
) -> Draft | None:
    chosen = view.truth(zone)
    targets = _mixture(view, chosen, rng) if chosen is not None else ()
    if not targets:
        return None
    return Draft(
        questions.Count(where(listed(targets), predicates.In(zone))),
        {"places": named(*places), "targets": named(*targets), **mentions},
        {"nouns": "pallets", **words},
        answer=_counted("pallet", "in {place}", rng),
        answer_parts={"place": zone},
    )


def _mixture(view: MarginView, place: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Pallets in and out of a buffer, so many that every answer from none to all is possible.

    The number of pallets is drawn first, then how many of them are inside: it is equally likely
    for each number that the text can list.
    """
    inside, outside = pallets_in_and_out(view, place)
    most = min(len(inside), len(outside), MAX_LISTED)
    if most < 2:
        return ()
    total = int(rng.integers(2, most + 1))
    held = int(rng.integers(0, total + 1))
    return some([*some(inside, held, rng), *some(outside, total - held, rng)], total, rng)


def _counted(label: str, place: str, rng: np.random.Generator) -> Callable[[Any], str]:
    """Words such as "There are three pallets in {place}.", in digits or words."""
    in_digits = bool(rng.integers(2))

    def sentence(value: Any) -> str:
        number = round(value)
        written = str(number) if in_digits else _COUNT_WORDS.get(number, str(number))
        noun, verb = (label, "is") if number == 1 else (pluralize(label), "are")
        return f"There {verb} {written} {noun} {place}."

    return sentence
