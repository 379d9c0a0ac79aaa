"""Question forms that ask for one of several regions.

The candidates are in random order, so the index of the correct one is uniform whatever the words.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smolrgpt_core.language.operators import attributes, predicates, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.synthesis.drafts import Draft, Mention
from smolrgpt_core.synthesis.forms.draws import (
    RANK_WORDS,
    classes,
    distance_to,
    distractors,
    draw_outermost,
    empty_ones,
    listed,
    named,
    objects,
    pallets_in_and_out,
    pick,
    region,
    several,
    some,
    where,
    within,
    without,
)
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import MarginView


@form
def nearest(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to, second nearest to, or farthest from another one."""
    label = pick([*objects(view), "buffer"], rng)
    targets = several(view.whole(label), rng)
    anchor = some(without(view.whole(*classes(view)), targets), 1, rng)
    if not targets or not anchor:
        return None
    mentions = {
        "targets": named(*targets),
        "anchor": named(*anchor),
        **distractors(view, [*targets, *anchor], rng),
    }
    words = {"noun": label, "anchor_noun": view.label(anchor[0])}
    if view.label(anchor[0]) == label:
        # "Given pallets 3 and 4 and pallet 5" would make pallet 5 one of the candidates.
        words.pop("anchor_noun")
    return _by_distance(listed(targets), anchor[0], len(targets), mentions, words, rng)


@form
def nearest_to_camera(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to or farthest from the camera."""
    targets = several(view.whole(pick(objects(view), rng)), rng)
    if not targets:
        return None
    words = {"noun": view.label(targets[0])}
    mentions = {"targets": named(*targets)}
    return _by_distance(listed(targets), None, len(targets), mentions, words, rng)


@form
def nearest_of_class(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which of all pallets of the frame is nearest to something else."""
    anchor = some(view.whole("transporter", "shelf", "buffer"), 1, rng)
    targets = view.whole_class("pallet")
    if not anchor or len(targets) < 2 or not set(targets) <= set(view.whole("pallet")):
        return None
    mentions = {
        "targets": Mention(targets, all_of_class=True, plural=False),
        "anchor": named(*anchor),
    }
    chosen = selections.All("pallet")
    return _by_distance(chosen, anchor[0], len(targets), mentions, {}, rng)


@form
def nearest_empty(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which empty one of some transporters is nearest to something else."""
    transporters = several(view.whole("transporter"), rng)
    anchor = some(view.whole("pallet", "shelf", "buffer"), 1, rng)
    if len(empty_ones(transporters, view)) < 2 or not anchor:
        return None
    word = pick(["nearest", "closest"], rng)
    empty = where(listed(transporters), predicates.Empty())
    return Draft(
        selections.Extreme(empty, distance_to(anchor[0]), "least", 1.0),
        {"transporters": named(*transporters), "anchor": named(*anchor)},
        {"most": word},
        answer=f"{{answer}} is the {word} empty transporter to {{anchor}}.",
        answer_parts={"anchor": region(anchor[0])},
    )  # fmt: skip


@form
def outermost(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is leftmost, second from the right, ..."""
    label = pick(classes(view), rng)
    targets = several(view.seen(label), rng)
    if not targets:
        return None
    program, most = draw_outermost(targets, rng)
    return Draft(
        program,
        {"targets": named(*targets), **distractors(view, targets, rng)},
        {"noun": label, "most": most},
        answer="{answer} is the " + most + ".",
    )


@form
def which_inside(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which one of some objects stands in a buffer."""
    return _which_in_place(view, rng, negated=False)


@form
def which_outside(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which one of some objects does not stand in a buffer."""
    return _which_in_place(view, rng, negated=True)


@form
def which_holds(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which one of some buffers an object stands in."""
    places = several(view.seen("buffer"), rng)
    standing = view.seen(*objects(view))
    held = [id for place in places for id in view.split(within(place), standing)[0]]
    target = some(held, 1, rng)
    if not target:
        return None
    return Draft(
        selections.The(where(listed(places), predicates.Holds(region(target[0])))),
        {"places": named(*places), "target": named(*target)},
        answer="It is {answer}.",
    )


@form
def pickup(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which pallet is nearest to the only empty transporter of some."""
    transporters = several(view.whole("transporter"), rng)
    targets = several(view.whole("pallet"), rng)
    if len(empty_ones(transporters, view)) != 1 or not targets:
        return None
    empty = selections.The(where(listed(transporters), predicates.Empty()))
    return Draft(
        selections.Extreme(listed(targets), attributes.Distance(empty), "least", 1.0),
        {"transporters": named(*transporters), "targets": named(*targets)},
        {"noun": "pallet"},
        answer="{empty} is empty. {answer} is the closest to {empty}.",
        answer_parts={"empty": empty},
    )


def _by_distance(
    chosen: Program,
    anchor: int | None,
    number: int,
    mentions: Mapping[str, Mention],
    words: Mapping[str, str],
    rng: np.random.Generator,
) -> Draft:
    end = pick(["least", "least", "most"], rng)
    rank = int(rng.integers(1, 3)) if number > 2 else 1
    word = pick(["nearest", "closest"] if end == "least" else ["farthest", "furthest"], rng)
    most = word if rank == 1 else f"{RANK_WORDS[rank]} {word}"
    than = "to" if end == "least" else "from"
    whom = "the camera" if anchor is None else "{anchor}"
    return Draft(
        selections.Extreme(chosen, distance_to(anchor), end, float(rank)),
        mentions,
        {**words, "most": most, "than": than},
        answer=f"{{answer}} is the {most} {than} {whom}.",
        answer_parts={} if anchor is None else {"anchor": region(anchor)},
    )


def _which_in_place(view: MarginView, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = some(view.seen("buffer"), 1, rng)
    if not place:
        return None
    inside, outside = pallets_in_and_out(view, place[0])
    fitting, rest = (outside, inside) if negated else (inside, outside)
    chosen = some(fitting, 1, rng)
    others = several(rest, rng, least=1)
    if not chosen or not others:
        return None
    targets = some([*chosen, *others], len(others) + 1, rng)
    predicate = predicates.Not(within(place[0])) if negated else within(place[0])
    return Draft(
        selections.The(where(listed(targets), predicate)),
        {"targets": named(*targets), "place": named(*place)},
        {"noun": "pallet"},
        answer=f"{{answer}} is {'not in' if negated else 'in'} {{place}}.",
        answer_parts={"place": region(place[0])},
    )  # fmt: skip
