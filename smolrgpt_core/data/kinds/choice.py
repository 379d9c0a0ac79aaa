"""Kinds of questions that ask which one of several regions it is.

The regions to choose from stand in random order, so the index of the right one is uniform whatever
the words are.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.data.drafts import Draft, Mention
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.kinds.registry import kind
from smolrgpt_core.data.kinds.selection import (
    CLASSES,
    OBJECTS,
    RANK_WORDS,
    Criterion,
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


@kind
def nearest(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to, second nearest to, or farthest from another one."""
    label = pick([*OBJECTS, "buffer"], rng)
    targets = several(facts.whole(label), rng)
    anchor = some(without(facts.whole(*CLASSES), targets), 1, rng)
    if not targets or not anchor or not facts.clear_of_edges([*targets, *anchor]):
        return None
    mentions = {
        "targets": named(targets),
        "anchor": named(anchor),
        **distractors(facts, [*targets, *anchor], rng),
    }
    words = {"noun": label, "anchor_noun": facts[anchor[0]].label}
    if facts[anchor[0]].label == label:
        # "Given pallets 3 and 4 and pallet 5" would make pallet 5 one of the candidates.
        words.pop("anchor_noun")
    return _choice_by_distance(facts, rng, targets, anchor, mentions, words)


@kind
def nearest_to_camera(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to or farthest from the camera."""
    targets = several(facts.whole(pick(OBJECTS, rng)), rng)
    if not targets:
        return None
    words = {"noun": facts[targets[0]].label}
    return _choice_by_distance(facts, rng, targets, (), {"targets": named(targets)}, words)


@kind
def nearest_of_class(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of all pallets of the frame is nearest to something else."""
    anchor = some(facts.whole("transporter", "shelf", "buffer"), 1, rng)
    targets = whole_class("pallet", facts)
    if not anchor or len(targets) < 2 or not set(targets) <= set(facts.whole("pallet")):
        return None
    if not facts.clear_of_edges(targets):
        return None
    mentions = {
        "targets": Mention(targets, all_of_class=True, plural=False),
        "anchor": named(anchor),
    }
    return _choice_by_distance(facts, rng, targets, anchor, mentions, {})


@kind
def nearest_empty(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which empty one of some transporters is nearest to something else."""
    transporters = several(facts.whole("transporter"), rng)
    empty = [id for id in transporters if not facts[id].loaded]
    anchor = some(facts.whole("pallet", "shelf", "buffer"), 1, rng)
    if len(empty) < 2 or not anchor or not facts.clear_of_edges([*empty, *anchor]):
        return None
    ordered = facts.by_distance(empty, anchor[0], 1)
    if ordered is None:
        return None
    word = pick(["nearest", "closest"], rng)
    return Draft(
        Category.MCQ,
        {"transporters": named(transporters), "anchor": named(anchor)},
        {"most": word},
        region_id=ordered[0],
        answer=f"{{chosen}} is the {word} empty transporter to {{anchor}}.",
        answer_ids={"chosen": ordered[0], "anchor": anchor[0]},
    )  # fmt: skip


@kind
def outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is leftmost, second from the right, ..."""
    label = pick(CLASSES, rng)
    targets = several(facts.seen(label), rng)
    ordered = facts.by_column(targets) if targets else None
    if ordered is None:
        return None
    criterion, rank, chosen = outermost_of(ordered, rng)
    most = outermost_words(criterion, rank, rng)
    return Draft(
        Category.MCQ,
        {"targets": named(targets), **distractors(facts, targets, rng)},
        {"noun": label, "most": most},
        region_id=chosen,
        answer="{chosen} is the " + most + ".",
        answer_ids={"chosen": chosen},
    )


@kind
def which_inside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which one of some objects stands in a buffer."""
    return _which_in_place(facts, rng, negated=False)


@kind
def which_outside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which one of some objects does not stand in a buffer."""
    return _which_in_place(facts, rng, negated=True)


@kind
def which_holds(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which one of some buffers an object stands in."""
    places = several(facts.seen("buffer"), rng)
    held = [id for id in facts.seen(*OBJECTS) if any(facts.inside(id, place) for place in places)]
    target = some(held, 1, rng)
    if not places or not target or not facts.clear_of_edges(target):
        return None
    chosen = next(place for place in places if facts.inside(target[0], place))
    return Draft(
        Category.MCQ,
        {"places": named(places), "target": named(target)},
        region_id=chosen,
        answer="It is {chosen}.",
        answer_ids={"chosen": chosen},
    )


@kind
def pickup(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which pallet is nearest to the only empty transporter of some."""
    transporters = several(facts.whole("transporter"), rng)
    empty = [id for id in transporters if not facts[id].loaded]
    targets = several(facts.whole("pallet"), rng)
    if len(empty) != 1 or not targets:
        return None
    ordered = facts.by_distance(targets, empty[0], 1)
    if ordered is None:
        return None
    return Draft(
        Category.MCQ,
        {"transporters": named(transporters), "targets": named(targets)},
        {"noun": "pallet"},
        region_id=ordered[0],
        answer="{empty} is empty. {chosen} is the closest to {empty}.",
        answer_ids={"empty": empty[0], "chosen": ordered[0]},
    )  # fmt: skip


def _choice_by_distance(
    facts: SceneFacts,
    rng: np.random.Generator,
    targets: tuple[int, ...],
    anchor: tuple[int, ...],
    mentions: dict[str, Mention],
    words: dict[str, str],
) -> Draft | None:
    criterion = pick([Criterion.NEAREST, Criterion.NEAREST, Criterion.FARTHEST], rng)
    rank = int(rng.integers(1, 3)) if len(targets) > 2 else 1
    from_near = rank if criterion is Criterion.NEAREST else len(targets) - rank + 1
    ordered = facts.by_distance(targets, anchor[0] if anchor else None, from_near)
    if ordered is None:
        return None
    chosen = ordered[from_near - 1]
    word = pick(["nearest", "closest"] if criterion is Criterion.NEAREST
                else ["farthest", "furthest"], rng)  # fmt: skip
    most = word if rank == 1 else f"{RANK_WORDS[rank]} {word}"
    than = "to" if criterion is Criterion.NEAREST else "from"
    whom = "{anchor}" if anchor else "the camera"
    return Draft(
        Category.MCQ,
        mentions,
        {**words, "most": most, "than": than},
        region_id=chosen,
        answer=f"{{chosen}} is the {most} {than} {whom}.",
        answer_ids={"chosen": chosen, **({"anchor": anchor[0]} if anchor else {})},
    )


def _which_in_place(facts: SceneFacts, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = some(facts.seen("buffer"), 1, rng)
    if not place:
        return None
    pallets = [id for id in facts.seen("pallet") if facts.clear_of_edges([id])]
    fitting = [id for id in pallets if facts.inside(id, place[0]) is not negated]
    chosen = some(fitting, 1, rng)
    others = several(without(pallets, fitting), rng, least=1)
    if not chosen or not others:
        return None
    targets = some([*chosen, *others], len(others) + 1, rng)
    state = "not in" if negated else "in"
    return Draft(
        Category.MCQ,
        {"targets": named(targets), "place": named(place)},
        {"noun": "pallet"},
        region_id=chosen[0],
        answer=f"{{chosen}} is {state} {{place}}.",
        answer_ids={"chosen": chosen[0], "place": place[0]},
    )  # fmt: skip
