"""Draws regions for questions: some of many, in random order, and words for their places."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

import numpy as np

from smolrgpt_core.data.drafts import Mention
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.language.english import ORDINALS


class Criterion(Enum):
    """What singles out one of several, by the word for it."""

    NEAREST = "nearest"
    FARTHEST = "farthest"
    LEFTMOST = "leftmost"
    RIGHTMOST = "rightmost"


OBJECTS = ("pallet", "transporter")
"""What stands on the floor, in a buffer or not."""

CLASSES = (*OBJECTS, "shelf", "buffer")

MAX_LISTED = 8
"""More regions than this are not listed in one question."""

RANK_WORDS = {rank: word for word, rank in ORDINALS.items()}

_SIDES = {Criterion.LEFTMOST: "left", Criterion.RIGHTMOST: "right"}
_T = TypeVar("_T")


def pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def some(ids: Sequence[int], number: int, rng: np.random.Generator) -> tuple[int, ...]:
    """So many of the ids in random order, or none at all if there are fewer."""
    if len(ids) < number:
        return ()
    return tuple(ids[int(index)] for index in rng.permutation(len(ids))[:number])


def several(ids: Sequence[int], rng: np.random.Generator, least: int = 2) -> tuple[int, ...]:
    """At least so many of the ids in random order, or none at all."""
    if len(ids) < least:
        return ()
    number = int(rng.integers(least, min(len(ids), MAX_LISTED) + 1))
    return some(ids, number, rng)


def without(ids: Sequence[int], excluded: Sequence[int]) -> list[int]:
    """The ids that are not excluded, in their order."""
    return [id for id in ids if id not in excluded]


def named(ids: Sequence[int]) -> Mention:
    """Regions that the text lists one by one."""
    return Mention(tuple(ids))


def whole_class(label: str, facts: SceneFacts) -> tuple[int, ...]:
    """All regions of a class, in the order of the frame; none if one is too hidden to count."""
    ids = tuple(region.id for region in facts.regions.with_label(label))
    return ids if ids and set(ids) <= set(facts.seen(label)) else ()


def distractors(
    facts: SceneFacts, used: Sequence[int], rng: np.random.Generator
) -> dict[str, Mention]:
    """Half of the time: a mention of regions of a class that the question does not use."""
    classes = {facts[id].label for id in used}
    free = [label for label in CLASSES if label not in classes]
    if not free or rng.random() < 0.5:
        return {}
    ids = several(facts.seen(pick(free, rng)), rng)
    return {"distractors": named(ids)} if ids else {}


def outermost_of(
    from_left: Sequence[int], rng: np.random.Generator, most: int = 3
) -> tuple[Criterion, int, int]:
    """A criterion, a rank of at most `most`, and the id that they single out."""
    criterion = pick([Criterion.LEFTMOST, Criterion.RIGHTMOST], rng)
    rank = int(rng.integers(1, min(most, len(from_left)) + 1))
    chosen = from_left[rank - 1] if criterion is Criterion.LEFTMOST else from_left[-rank]
    return criterion, rank, chosen


def outermost_words(
    criterion: Criterion, rank: int, rng: np.random.Generator, before_noun: bool = False
) -> str:
    """Words such as "rightmost", "rightmost but one" and "second rightmost".

    Those that cannot stand before a noun are of the form "second from the right".
    """
    if rank == 1:
        return criterion.value
    choices = [f"{RANK_WORDS[rank]} {criterion.value}"]
    if rank == 2:
        choices.append(f"{criterion.value} but one")
    if not before_noun:
        choices.append(f"{RANK_WORDS[rank]} from the {_SIDES[criterion]}")
    return pick(choices, rng)
