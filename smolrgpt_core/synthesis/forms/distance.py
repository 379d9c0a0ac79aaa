"""Question forms that ask for the distance between centers in meters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeVar

import numpy as np

from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.synthesis.balance import distance_bin
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import (
    classes,
    distance_to,
    draw_outermost,
    empty_ones,
    listed,
    named,
    objects,
    pick,
    region,
    several,
    some,
    where,
    without,
)
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import MarginView

_Ids = TypeVar("_Ids")


@form
def distance(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Between two objects, or an object and a buffer."""
    pairs = view.cached("pairs of classes", lambda: _pairs(view))
    if not pairs:
        return None
    pair = _any_distance(pairs[pick(sorted(pairs), rng)], rng)
    first, second = pair if rng.integers(2) else pair[::-1]
    return Draft(
        questions.Measure(region(first), distance_to(second)),
        {"first": named(first), "second": named(second)},
        answer="{first} is {value:.2f} meters from {second}.",
        answer_parts={"first": region(first), "second": region(second)},
    )


@form
def distance_to_camera(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """From an object to the camera."""
    ids = view.whole(*objects(view))
    if not ids:
        return None
    meters = view.cached("to the camera", lambda: view.values(distance_to(None), ids))
    (first,) = _any_distance([((id,), value) for id, value in meters.items()], rng)
    return Draft(
        questions.Measure(region(first), distance_to(None)),
        {"first": named(first)},
        answer="{first} is {value:.2f} meters away.",
        answer_parts={"first": region(first)},
    )


@form
def distance_of_outermost(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """From the leftmost of some objects, the rightmost but one, ... to another one."""
    label = pick(objects(view), rng)
    targets = several(view.whole(label), rng)
    second = some(without(view.whole("shelf", "buffer"), targets), 1, rng)
    if not targets or not second:
        return None
    chosen, which = draw_outermost(targets, rng, most=2, before_noun=True)
    return Draft(
        questions.Measure(chosen, distance_to(second[0])),
        {"targets": named(*targets), "second": named(*second)},
        {"which": which, "noun": label},
        answer="{chosen} is {value:.2f} meters from {second}.",
        answer_parts={"chosen": chosen, "second": region(second[0])},
    )


@form
def distance_to_empty(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """From an object to the nearest or farthest empty one of some transporters."""
    transporters = several(view.whole("transporter"), rng)
    first = some(view.whole("pallet", "shelf"), 1, rng)
    if not first or not transporters or not empty_ones(transporters, view):
        return None
    end = pick(["least", "most"], rng)
    which = pick(["nearest", "closest"] if end == "least" else ["farthest", "furthest"], rng)
    empty = where(listed(transporters), predicates.Empty())
    chosen = selections.Extreme(empty, distance_to(first[0]), end, 1.0)
    return Draft(
        questions.Measure(region(first[0]), attributes.Distance(chosen)),
        {"first": named(*first), "transporters": named(*transporters)},
        {"which": which},
        answer=f"{{chosen}} is the {which} empty transporter. It is {{value:.2f}} meters from "
        "{first}.",
        answer_parts={"chosen": chosen, "first": region(first[0])},
    )  # fmt: skip


def _pairs(view: MarginView) -> dict[tuple[str, ...], list[tuple[tuple[int, int], float]]]:
    """Pairs of regions with their distance, by their labels."""
    whole = view.whole(*classes(view))
    meters = {id: view.values(distance_to(id), whole) for id in whole}
    found: dict[tuple[str, ...], list[tuple[tuple[int, int], float]]] = {}
    for first, second in combinations(whole, 2):
        labels = tuple(sorted((view.label(first), view.label(second))))
        if labels != ("buffer", "buffer"):
            found.setdefault(labels, []).append(((first, second), meters[first][second]))
    return found


def _any_distance(pairs: Sequence[tuple[_Ids, float]], rng: np.random.Generator) -> _Ids:
    """One of the pairs (or single regions) by their distance; near and far ones equally likely."""
    by_bin: dict[int, list[_Ids]] = {}
    for pair, meters in pairs:
        by_bin.setdefault(distance_bin(meters), []).append(pair)
    return pick(by_bin[pick(sorted(by_bin), rng)], rng)
