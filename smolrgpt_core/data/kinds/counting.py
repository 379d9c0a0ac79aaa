"""Kinds of questions that ask for a number of objects."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.data.drafts import Draft, Mention
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.kinds.registry import guessable, kind
from smolrgpt_core.data.kinds.selection import (
    CLASSES,
    MAX_LISTED,
    distractors,
    named,
    outermost_of,
    outermost_words,
    pick,
    several,
    some,
    whole_class,
    without,
)
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS, pluralize

_COUNT_WORDS = {number: word for word, number in NUMBER_WORDS.items()}


@kind
def count_inside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in a buffer."""
    return _count_listed(facts, rng, negated=False)


@kind
def count_outside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects do not stand in a buffer."""
    return _count_listed(facts, rng, negated=True)


@kind
@guessable
def count_class_inside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of all pallets of the frame stand in a buffer: mostly few of those listed."""
    targets = whole_class("pallet", facts)
    place = some(facts.seen("buffer"), 1, rng)
    if not targets or not place or not facts.clear_of_edges(targets):
        return None
    number = sum(facts.inside(id, place[0]) for id in targets)
    return Draft(
        Category.COUNT,
        {"targets": Mention(targets, all_of_class=True), "place": named(place)},
        value=number,
        answer=_counted(number, "pallet", "in {place}", rng),
        answer_ids={"place": place[0]},
    )


@kind
@guessable
def count_visible(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many objects of a class are seen: as many as are listed."""
    label = pick(CLASSES, rng)
    targets = whole_class(label, facts)
    if not targets:
        return None
    return Draft(
        Category.COUNT,
        {"targets": Mention(targets, all_of_class=True)},
        value=len(targets),
        answer=_counted(len(targets), label, "in the image", rng),
    )


@kind
def count_in_outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the leftmost buffer, the rightmost but one, ..."""
    places = several(facts.seen("buffer"), rng)
    ordered = facts.by_column(places) if places else None
    if ordered is None:
        return None
    criterion, rank, chosen = outermost_of(ordered, rng, most=2)
    words = {"which": outermost_words(criterion, rank, rng, before_noun=True)}
    return _count_in_chosen(facts, rng, places, chosen, words, {})


@kind
def count_in_nearest(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the buffer that is nearest to a shelf."""
    places = several(facts.whole("buffer"), rng)
    other = some(facts.whole("shelf"), 1, rng)
    ordered = facts.by_distance(places, other[0], 1) if places and other else None
    if ordered is None:
        return None
    return _count_in_chosen(facts, rng, places, ordered[0], {}, {"other": named(other)})


def _count_listed(facts: SceneFacts, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = some(facts.seen("buffer"), 1, rng)
    targets = _mixture(facts, place, rng)
    if not targets:
        return None
    inside = sum(facts.inside(id, place[0]) for id in targets)
    number = len(targets) - inside if negated else inside
    state = "not in {place}" if negated else "in {place}"
    return Draft(
        Category.COUNT,
        {
            "targets": named(targets),
            "place": named(place),
            **distractors(facts, [*targets, *place], rng),
        },
        {"nouns": "pallets"},
        value=number,
        answer=_counted(number, "pallet", state, rng),
        answer_ids={"place": place[0]},
    )


def _count_in_chosen(
    facts: SceneFacts,
    rng: np.random.Generator,
    places: tuple[int, ...],
    chosen: int,
    words: dict[str, str],
    mentions: dict[str, Mention],
) -> Draft | None:
    targets = _mixture(facts, (chosen,), rng)
    if not targets:
        return None
    number = sum(facts.inside(id, chosen) for id in targets)
    return Draft(
        Category.COUNT,
        {"places": named(places), "targets": named(targets), **mentions},
        {"nouns": "pallets", **words},
        value=number,
        answer=_counted(number, "pallet", "in {place}", rng),
        answer_ids={"place": chosen},
    )


def _mixture(
    facts: SceneFacts, place: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, ...]:
    """Pallets in and out of a buffer, so many that every answer from none to all is possible.

    The number of pallets is drawn first, then how many of them are inside: it is equally likely
    for each number that the text can list.
    """
    pallets = [id for id in facts.seen("pallet") if place and facts.clear_of_edges([id])]
    inside = [id for id in pallets if facts.inside(id, place[0])]
    outside = without(pallets, inside)
    most = min(len(inside), len(outside), MAX_LISTED)
    if most < 2:
        return ()
    total = int(rng.integers(2, most + 1))
    within = int(rng.integers(0, total + 1))
    return some([*some(inside, within, rng), *some(outside, total - within, rng)], total, rng)


def _counted(number: int, label: str, place: str, rng: np.random.Generator) -> str:
    """Words such as "There are three pallets in {place}.", in digits or words."""
    written = pick([str(number), _COUNT_WORDS.get(number, str(number))], rng)
    noun, verb = (label, "is") if number == 1 else (pluralize(label), "are")
    return f"There {verb} {written} {noun} {place}."
