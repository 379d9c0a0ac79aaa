"""Kinds of questions that ask for metres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from smolrgpt_core.data.balance import distance_bin
from smolrgpt_core.data.drafts import Draft
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.kinds.registry import kind
from smolrgpt_core.data.kinds.selection import (
    CLASSES,
    OBJECTS,
    Criterion,
    named,
    outermost_of,
    outermost_words,
    pick,
    several,
    some,
    without,
)
from smolrgpt_core.language import Category


@kind
def distance(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Between two objects, or an object and a buffer."""
    clear = [id for id in facts.whole(*CLASSES) if facts.clear_of_edges([id])]
    pairs: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
    for pair in combinations(clear, 2):
        labels = tuple(sorted(facts[id].label for id in pair))
        if labels != ("buffer", "buffer"):
            pairs.setdefault(labels, []).append(pair)
    if not pairs:
        return None
    chosen = _any_distance(pairs[pick(sorted(pairs), rng)], facts, rng)
    first, second = some(chosen, 2, rng)
    return Draft(
        Category.DISTANCE,
        {"first": named([first]), "second": named([second])},
        value=facts.distance(first, second),
        answer="{first} is {value:.2f} meters from {second}.",
        answer_ids={"first": first, "second": second},
    )


@kind
def distance_to_camera(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """From an object to the camera."""
    objects = [(id, None) for id in facts.whole(*OBJECTS)]
    if not objects:
        return None
    first, _ = _any_distance(objects, facts, rng)
    return Draft(
        Category.DISTANCE,
        {"first": named([first])},
        value=facts.distance(first, None),
        answer="{first} is {value:.2f} meters away.",
        answer_ids={"first": first},
    )


@kind
def distance_of_outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """From the leftmost of some objects, the rightmost but one, ... to another one."""
    label = pick(OBJECTS, rng)
    targets = several(facts.whole(label), rng)
    second = some(without(facts.whole("shelf", "buffer"), targets), 1, rng)
    ordered = facts.by_column(targets) if targets else None
    if not second or ordered is None or not facts.clear_of_edges(targets):
        return None
    criterion, rank, chosen = outermost_of(ordered, rng, most=2)
    which = outermost_words(criterion, rank, rng, before_noun=True)
    return Draft(
        Category.DISTANCE,
        {"targets": named(targets), "second": named(second)},
        {"which": which, "noun": label},
        value=facts.distance(chosen, second[0]),
        answer="{chosen} is {value:.2f} meters from {second}.",
        answer_ids={"chosen": chosen, "second": second[0]},
    )


@kind
def distance_to_empty(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """From an object to the nearest or farthest empty one of some transporters."""
    transporters = several(facts.whole("transporter"), rng)
    first = some(facts.whole("pallet", "shelf"), 1, rng)
    empty = [id for id in transporters if not facts[id].loaded]
    if not first or not empty:
        return None
    criterion = pick([Criterion.NEAREST, Criterion.FARTHEST], rng)
    nearest = criterion is Criterion.NEAREST
    ordered = facts.by_distance(empty, first[0], 1 if nearest else len(empty))
    if ordered is None:
        return None
    chosen = ordered[0 if nearest else -1]
    which = pick(["nearest", "closest"] if nearest else ["farthest", "furthest"], rng)
    return Draft(
        Category.DISTANCE,
        {"first": named(first), "transporters": named(transporters)},
        {"which": which},
        value=facts.distance(first[0], chosen),
        answer=f"{{chosen}} is the {which} empty transporter. It is {{value:.2f}} meters from "
        "{first}.",
        answer_ids={"chosen": chosen, "first": first[0]},
    )  # fmt: skip


def _any_distance(
    pairs: Iterable[Sequence[int | None]], facts: SceneFacts, rng: np.random.Generator
) -> Sequence:
    """One of the pairs (id, other id or None for the camera); near and far ones equally likely."""
    by_bin: dict[int, list[Sequence[int | None]]] = {}
    for pair in pairs:
        first, second = pair
        if first is not None:
            by_bin.setdefault(distance_bin(facts.distance(first, second)), []).append(pair)
    return pick(by_bin[pick(sorted(by_bin), rng)], rng)
