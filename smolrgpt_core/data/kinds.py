"""Kinds of questions: each makes drafts with a true answer from the facts of a frame.

A new kind is a function with the decorator `kind` here and phrasings of the same name in
`phrasings`; nothing else needs to change. A kind returns None when the frame does not offer an
unambiguous question of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from smolrgpt_core.answer import Side
from smolrgpt_core.data.drafts import Draft, Mention
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.question import Category, Choice, Criterion, Load
from smolrgpt_core.question.vocabulary import NUMBER_WORDS, ORDINALS, pluralise

MakeDraft = Callable[[SceneFacts, np.random.Generator], "Draft | None"]

KINDS: dict[str, MakeDraft] = {}
"""Every kind of question, by name."""

OBJECTS = ("pallet", "transporter")
"""What stands on the floor, in a buffer or not."""

MAX_LISTED = 8
"""More regions than this are not listed in one question."""

_RANK_WORDS = {rank: word for word, rank in ORDINALS.items()}
_COUNT_WORDS = {number: word for word, number in NUMBER_WORDS.items()}
_SIDES = {Criterion.LEFTMOST: "left", Criterion.RIGHTMOST: "right"}
_T = TypeVar("_T")


def kind(make: MakeDraft) -> MakeDraft:
    """Register a kind of question under the name of its function."""
    KINDS[make.__name__] = make
    return make


@kind
def distance(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Between two objects, or an object and a buffer."""
    first = _some(facts.whole(*OBJECTS, "shelf"), 1, rng)
    if not first or not facts.clear_of_edges(first):
        return None
    second = _some(_without(facts.whole(*OBJECTS, "shelf", "buffer"), first), 1, rng)
    if not second or not facts.clear_of_edges(second):
        return None
    named = [*first, *second]
    rng.shuffle(named)
    return Draft(
        Category.DISTANCE,
        {"first": _named(named[:1]), "second": _named(named[1:])},
        roles={"target_ids": _target_first(named, second, facts)[:1],
               "anchor_ids": _target_first(named, second, facts)[1:]},
        value=facts.distance(*named),
        answer="{first} is {value:.2f} meters from {second}.",
        answer_ids={"first": named[0], "second": named[1]},
    )  # fmt: skip


@kind
def distance_to_camera(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """From an object to the camera."""
    first = _some(facts.whole(*OBJECTS), 1, rng)
    if not first:
        return None
    return Draft(
        Category.DISTANCE,
        {"first": _named(first)},
        roles={"target_ids": first},
        value=facts.distance(first[0], None),
        answer="{first} is {value:.2f} meters away.",
        answer_ids={"first": first[0]},
    )


@kind
def distance_of_outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """From the leftmost or rightmost of some objects to another one."""
    label = str(rng.choice(OBJECTS))
    targets = _several(facts.whole(label), rng)
    second = _some(_without(facts.whole("shelf", "buffer"), targets), 1, rng)
    ordered = facts.by_column(targets) if targets else None
    if not second or ordered is None or not facts.clear_of_edges(targets):
        return None
    criterion, chosen = _outermost(ordered, rng)
    return Draft(
        Category.DISTANCE,
        {"targets": _named(targets), "second": _named(second)},
        {"which": criterion.value, "noun": label},
        {"target_ids": targets, "anchor_ids": second, "target_choice": Choice(criterion)},
        value=facts.distance(chosen, second[0]),
        answer=f"{{chosen}} is the {criterion.value} {label}. It is {{value:.2f}} meters from "
        "{second}.",
        answer_ids={"chosen": chosen, "second": second[0]},
    )


@kind
def count_inside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in a buffer."""
    return _count_listed(facts, rng, negated=False)


@kind
def count_outside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects do not stand in a buffer."""
    return _count_listed(facts, rng, negated=True)


@kind
def count_class_inside(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of all pallets of the frame stand in a buffer."""
    targets = _whole_class("pallet", facts)
    place = _some(facts.seen("buffer"), 1, rng)
    if not targets or not place or not facts.clear_of_edges(targets):
        return None
    number = sum(facts.inside(id, place[0]) for id in targets)
    return Draft(
        Category.COUNT,
        {"targets": Mention(targets, all_of_class=True), "place": _named(place)},
        roles={"target_ids": targets, "anchor_ids": place},
        value=number,
        answer=_counted(number, "pallet", "in {place}", rng),
        answer_ids={"place": place[0]},
    )


@kind
def count_visible(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many objects of a class are seen."""
    label = str(rng.choice([*OBJECTS, "shelf", "buffer"]))
    targets = _whole_class(label, facts)
    if not targets:
        return None
    return Draft(
        Category.COUNT,
        {"targets": Mention(targets, all_of_class=True)},
        roles={"target_ids": targets},
        value=len(targets),
        answer=_counted(len(targets), label, "in the image", rng),
    )


@kind
def count_in_outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the leftmost or rightmost buffer."""
    places = _several(facts.seen("buffer"), rng)
    ordered = facts.by_column(places) if places else None
    if ordered is None:
        return None
    criterion, chosen = _outermost(ordered, rng)
    words = {"which": criterion.value}
    return _count_in_chosen(facts, rng, places, chosen, Choice(criterion), words, {})


@kind
def count_in_nearest(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """How many of some objects stand in the buffer that is nearest to a shelf."""
    places = _several(facts.whole("buffer"), rng)
    other = _some(facts.whole("shelf"), 1, rng)
    ordered = facts.by_distance(places, other[0], 1) if places and other else None
    if ordered is None:
        return None
    choice = Choice(Criterion.NEAREST, 1, other)
    return _count_in_chosen(facts, rng, places, ordered[0], choice, {}, {"other": _named(other)})


@kind
def left_or_right(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """On which side of another object an object is."""
    return _sides(facts, rng, asked="")


@kind
def is_on_side(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Whether an object is on a given side of another one."""
    return _sides(facts, rng, asked=str(rng.choice(["left", "right"])))


@kind
def nearest(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to, second nearest to, or farthest from another one."""
    label = str(rng.choice([*OBJECTS, "buffer"]))
    targets = _several(facts.whole(label), rng)
    anchor = _some(_without(facts.whole(*OBJECTS, "shelf", "buffer"), targets), 1, rng)
    if not targets or not anchor or not facts.clear_of_edges([*targets, *anchor]):
        return None
    mentions = {"targets": _named(targets), "anchor": _named(anchor)}
    words = {"noun": label, "anchor_noun": facts[anchor[0]].label}
    distractors = _distractors(facts, [*targets, *anchor], rng)
    if facts[anchor[0]].label == label:
        # "Given pallets 3 and 4 and pallet 5" would make pallet 5 one of the candidates.
        words.pop("anchor_noun")
    if distractors:
        mentions["distractors"] = _named(distractors)
    return _choice_by_distance(facts, rng, targets, anchor, mentions, words)


@kind
def nearest_to_camera(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is nearest to or farthest from the camera."""
    targets = _several(facts.whole(str(rng.choice(OBJECTS))), rng)
    if not targets:
        return None
    words = {"noun": facts[targets[0]].label}
    return _choice_by_distance(facts, rng, targets, (), {"targets": _named(targets)}, words)


@kind
def nearest_of_class(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of all pallets of the frame is nearest to something else."""
    anchor = _some(facts.whole("transporter", "shelf", "buffer"), 1, rng)
    targets = _whole_class("pallet", facts)
    if not anchor or len(targets) < 2 or not set(targets) <= set(facts.whole("pallet")):
        return None
    if not facts.clear_of_edges(targets):
        return None
    mentions = {
        "targets": Mention(targets, all_of_class=True, plural=False),
        "anchor": _named(anchor),
    }
    return _choice_by_distance(facts, rng, targets, anchor, mentions, {})


@kind
def outermost(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which of some objects is leftmost, second from the right, ..."""
    label = str(rng.choice([*OBJECTS, "shelf", "buffer"]))
    targets = _several(facts.seen(label), rng)
    ordered = facts.by_column(targets) if targets else None
    if ordered is None:
        return None
    rank = int(rng.integers(1, min(3, len(targets)) + 1))
    criterion = _pick([Criterion.LEFTMOST, Criterion.RIGHTMOST], rng)
    chosen = ordered[rank - 1] if criterion is Criterion.LEFTMOST else ordered[-rank]
    mentions = {"targets": _named(targets)}
    distractors = _distractors(facts, targets, rng)
    if distractors:
        mentions["distractors"] = _named(distractors)
    most = _outermost_words(criterion, rank, rng)
    return Draft(
        Category.MCQ,
        mentions,
        {"noun": label, "most": most},
        {"target_ids": targets, "criterion": criterion, "rank": rank},
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
    places = _several(facts.seen("buffer"), rng)
    held = [id for id in facts.seen(*OBJECTS) if any(facts.inside(id, place) for place in places)]
    target = _some(held, 1, rng)
    if not places or not target or not facts.clear_of_edges(target):
        return None
    chosen = next(place for place in places if facts.inside(target[0], place))
    return Draft(
        Category.MCQ,
        {"places": _named(places), "target": _named(target)},
        roles={"target_ids": places, "anchor_ids": target, "criterion": Criterion.CONTAINING},
        region_id=chosen,
        answer="It is {chosen}.",
        answer_ids={"chosen": chosen},
    )


@kind
def pickup(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Which pallet is nearest to the only empty transporter of some."""
    transporters = _several(facts.whole("transporter"), rng)
    empty = [id for id in transporters if not facts[id].loaded]
    targets = _several(facts.whole("pallet"), rng)
    if len(empty) != 1 or not targets:
        return None
    ordered = facts.by_distance(targets, empty[0], 1)
    if ordered is None:
        return None
    return Draft(
        Category.MCQ,
        {"transporters": _named(transporters), "targets": _named(targets)},
        {"noun": "pallet"},
        {"target_ids": targets, "anchor_ids": transporters, "anchor_load": Load.EMPTY,
         "criterion": Criterion.NEAREST},
        region_id=ordered[0],
        answer="{empty} is empty. {chosen} is the closest to {empty}.",
        answer_ids={"empty": empty[0], "chosen": ordered[0]},
    )  # fmt: skip


def _count_listed(facts: SceneFacts, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = _some(facts.seen("buffer"), 1, rng)
    targets = _mixture(facts, place, rng)
    if not targets:
        return None
    inside = sum(facts.inside(id, place[0]) for id in targets)
    number = len(targets) - inside if negated else inside
    state = "not in {place}" if negated else "in {place}"
    return Draft(
        Category.COUNT,
        {"targets": _named(targets), "place": _named(place)},
        {"nouns": "pallets"},
        {"target_ids": targets, "anchor_ids": place, "negated": negated},
        value=number,
        answer=_counted(number, "pallet", state, rng),
        answer_ids={"place": place[0]},
    )


def _count_in_chosen(
    facts: SceneFacts,
    rng: np.random.Generator,
    places: tuple[int, ...],
    chosen: int,
    choice: Choice,
    words: dict[str, str],
    mentions: dict[str, Mention],
) -> Draft | None:
    targets = _mixture(facts, (chosen,), rng)
    if not targets:
        return None
    number = sum(facts.inside(id, chosen) for id in targets)
    return Draft(
        Category.COUNT,
        {"places": _named(places), "targets": _named(targets), **mentions},
        {"nouns": "pallets", **words},
        {"target_ids": targets, "anchor_ids": places, "anchor_choice": choice},
        value=number,
        answer=_counted(number, "pallet", "in {place}", rng),
        answer_ids={"place": chosen},
    )


def _sides(facts: SceneFacts, rng: np.random.Generator, asked: str) -> Draft | None:
    pair = _some(facts.seen(*OBJECTS, "shelf", "buffer"), 2, rng)
    side = facts.side(*pair) if pair else None
    if side is None:
        return None
    agreed = {"": "", side: "Yes, "}.get(asked, "No, ")
    return Draft(
        Category.LEFT_RIGHT,
        {"target": _named(pair[:1]), "anchor": _named(pair[1:])},
        {"side": asked} if asked else {},
        {"target_ids": pair[:1], "anchor_ids": pair[1:], "asked_side": asked},
        side=Side[side.upper()],
        answer=f"{agreed}{{target}} is to the {side} of {{anchor}}.",
        answer_ids={"target": pair[0], "anchor": pair[1]},
    )


def _choice_by_distance(
    facts: SceneFacts,
    rng: np.random.Generator,
    targets: tuple[int, ...],
    anchor: tuple[int, ...],
    mentions: dict[str, Mention],
    words: dict[str, str],
) -> Draft | None:
    criterion = _pick([Criterion.NEAREST, Criterion.NEAREST, Criterion.FARTHEST], rng)
    rank = int(rng.integers(1, 3)) if len(targets) > 2 else 1
    from_near = rank if criterion is Criterion.NEAREST else len(targets) - rank + 1
    ordered = facts.by_distance(targets, anchor[0] if anchor else None, from_near)
    if ordered is None:
        return None
    chosen = ordered[from_near - 1]
    word = _pick(["nearest", "closest"] if criterion is Criterion.NEAREST
                 else ["farthest", "furthest"], rng)  # fmt: skip
    most = word if rank == 1 else f"{_RANK_WORDS[rank]} {word}"
    than = "to" if criterion is Criterion.NEAREST else "from"
    whom = "{anchor}" if anchor else "the camera"
    return Draft(
        Category.MCQ,
        mentions,
        {**words, "most": most, "than": than},
        {"target_ids": targets, "anchor_ids": anchor, "criterion": criterion, "rank": rank},
        region_id=chosen,
        answer=f"{{chosen}} is the {most} {than} {whom}.",
        answer_ids={"chosen": chosen, **({"anchor": anchor[0]} if anchor else {})},
    )


def _which_in_place(facts: SceneFacts, rng: np.random.Generator, negated: bool) -> Draft | None:
    place = _some(facts.seen("buffer"), 1, rng)
    if not place:
        return None
    pallets = [id for id in facts.seen("pallet") if facts.clear_of_edges([id])]
    fitting = [id for id in pallets if facts.inside(id, place[0]) is not negated]
    chosen = _some(fitting, 1, rng)
    others = _several(_without(pallets, fitting), rng, least=1)
    if not chosen or not others:
        return None
    targets = _some([*chosen, *others], len(others) + 1, rng)
    state = "not in" if negated else "in"
    return Draft(
        Category.MCQ,
        {"targets": _named(targets), "place": _named(place)},
        {"noun": "pallet"},
        {"target_ids": targets, "anchor_ids": place, "criterion": Criterion.INSIDE,
         "negated": negated},
        region_id=chosen[0],
        answer=f"{{chosen}} is {state} {{place}}.",
        answer_ids={"chosen": chosen[0], "place": place[0]},
    )  # fmt: skip


def _mixture(
    facts: SceneFacts, place: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, ...]:
    """Pallets in and out of a buffer, as many of each as chance wants, so that no number rules."""
    pallets = [id for id in facts.seen("pallet") if place and facts.clear_of_edges([id])]
    inside = [id for id in pallets if facts.inside(id, place[0])]
    outside = _without(pallets, inside)
    taken = _some(inside, int(rng.integers(0, min(len(inside), 4) + 1)), rng)
    others = _some(outside, int(rng.integers(0, min(len(outside), 4) + 1)), rng)
    together = [*taken, *others]
    return _some(together, len(together), rng) if len(together) > 1 else ()


def _whole_class(label: str, facts: SceneFacts) -> tuple[int, ...]:
    """All regions of a class, in the order of the frame; none if one is too hidden to count."""
    ids = tuple(region.id for region in facts.regions.with_label(label))
    return ids if ids and set(ids) <= set(facts.seen(label)) else ()


def _distractors(
    facts: SceneFacts, used: Sequence[int], rng: np.random.Generator
) -> tuple[int, ...]:
    """Regions of a class that the question does not use, half of the time."""
    classes = {facts[id].label for id in used}
    free = [label for label in (*OBJECTS, "shelf", "buffer") if label not in classes]
    if not free or rng.random() < 0.5:
        return ()
    return _several(facts.seen(str(rng.choice(free))), rng)


def _counted(number: int, label: str, place: str, rng: np.random.Generator) -> str:
    """Words such as "There are three pallets in {place}.", in digits or words."""
    written = _pick([str(number), _COUNT_WORDS.get(number, str(number))], rng)
    noun, verb = (label, "is") if number == 1 else (pluralise(label), "are")
    return f"There {verb} {written} {noun} {place}."


def _outermost(from_left: Sequence[int], rng: np.random.Generator) -> tuple[Criterion, int]:
    criterion = _pick([Criterion.LEFTMOST, Criterion.RIGHTMOST], rng)
    return criterion, from_left[0 if criterion is Criterion.LEFTMOST else -1]


def _outermost_words(criterion: Criterion, rank: int, rng: np.random.Generator) -> str:
    if rank == 1:
        return criterion.value
    choices = [f"{_RANK_WORDS[rank]} from the {_SIDES[criterion]}"]
    if rank == 2:
        choices.append(f"{criterion.value} but one")
    return _pick(choices, rng)


def _target_first(
    named: Sequence[int], second: Sequence[int], facts: SceneFacts
) -> tuple[int, ...]:
    """Target and anchor of a distance: a buffer is the anchor, else the one named last."""
    if facts[second[0]].label == "buffer":
        return (*_without(named, second), *second)
    return tuple(named)


def _named(ids: Sequence[int]) -> Mention:
    return Mention(tuple(ids))


def _without(ids: Sequence[int], excluded: Sequence[int]) -> list[int]:
    return [id for id in ids if id not in excluded]


def _pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _some(ids: Sequence[int], number: int, rng: np.random.Generator) -> tuple[int, ...]:
    """So many of the ids in random order, or none at all if there are fewer."""
    if len(ids) < number:
        return ()
    return tuple(ids[int(index)] for index in rng.permutation(len(ids))[:number])


def _several(ids: Sequence[int], rng: np.random.Generator, least: int = 2) -> tuple[int, ...]:
    """At least so many of the ids in random order, or none at all."""
    if len(ids) < least:
        return ()
    number = int(rng.integers(least, min(len(ids), MAX_LISTED) + 1))
    return _some(ids, number, rng)
