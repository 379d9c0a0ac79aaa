"""Draws regions for questions, in random order, and words for their positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from smolrgpt_core.language.english import ORDINALS
from smolrgpt_core.language.operators import attributes, predicates, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.object_classes import ZONE, known_class
from smolrgpt_core.synthesis.drafts import Mention
from smolrgpt_core.synthesis.view import MarginView

OBJECTS = ("pallet", "transporter")
"""What stands on the floor of a warehouse, in a buffer or not."""

SOLID = (*OBJECTS, "shelf")
"""Classes of a warehouse with a height."""

CLASSES = (*SOLID, "buffer")

MAX_LISTED = 8
"""More regions than this are not listed in one question."""

RANK_WORDS = {rank: word for word, rank in ORDINALS.items()}

_T = TypeVar("_T")


def objects(view: MarginView) -> tuple[str, ...]:
    """Classes of objects on the floor: those of a warehouse, or the others in a frame."""
    return _in_frame(OBJECTS, view)


def solid(view: MarginView) -> tuple[str, ...]:
    """Classes with a height: those of a warehouse, or the others in a frame."""
    return _in_frame(SOLID, view)


def classes(view: MarginView) -> tuple[str, ...]:
    """Classes of all regions: those of a warehouse, or the others in a frame."""
    return _in_frame(CLASSES, view)


def _in_frame(known: tuple[str, ...], view: MarginView) -> tuple[str, ...]:
    """The known classes; of a frame with others, all that it shows: its labels are its own."""
    labels = {region.label for region in view.regions if region.label}
    others = tuple(sorted(labels - {*CLASSES}))
    if not others:
        return known
    zones = tuple(label for label in others if known_class(label) == ZONE)
    things = tuple(label for label in others if label not in zones)
    shown = tuple(label for label in known if label in labels) + things
    return (shown + zones if known == CLASSES else shown) or known


def pick(choices: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def some(ids: Sequence[int], number: int, rng: np.random.Generator) -> tuple[int, ...]:
    """`number` of the ids in random order, or none at all if there are fewer.

    Args:
        ids: to draw from.
        number: of ids.
        rng: random numbers.
    """
    if len(ids) < number:
        return ()
    return tuple(ids[int(index)] for index in rng.permutation(len(ids))[:number])


def several(ids: Sequence[int], rng: np.random.Generator, least: int = 2) -> tuple[int, ...]:
    """Some of the ids in random order, or none at all if there are too few.

    Args:
        ids: to draw from.
        rng: random numbers.
        least: smallest number of ids.
    """
    if len(ids) < least:
        return ()
    number = int(rng.integers(least, min(len(ids), MAX_LISTED) + 1))
    return some(ids, number, rng)


def without(ids: Sequence[int], excluded: Sequence[int]) -> list[int]:
    """The ids that are not excluded, in their order."""
    return [id for id in ids if id not in excluded]


def named(*ids: int) -> Mention:
    """Regions that the text lists one by one."""
    return Mention(ids)


def region(id: int) -> Program:
    """A region by its id."""
    return selections.Region(id)


def listed(ids: Sequence[int]) -> Program:
    """Regions by their ids."""
    return selections.Listed(tuple(ids))


def distance_to(id: int | None) -> Program:
    """The distance to a region, or to the camera."""
    return attributes.Distance(selections.Camera() if id is None else region(id))


def where(chosen: Program, predicate: Program) -> Program:
    """The regions for which a predicate is true."""
    return selections.Where(chosen, predicate)


def within(id: int) -> Program:
    """The predicate of being in a zone."""
    return predicates.In(region(id))


def pallets_in_and_out(view: MarginView, place: int) -> tuple[list[int], list[int]]:
    """The visible pallets that clearly stand in a zone, and those that clearly do not."""
    return view.cached(("in", place), lambda: view.split(within(place), view.seen("pallet")))


def empty_ones(ids: Sequence[int], view: MarginView) -> list[int]:
    """The empty transporters."""
    return view.split(predicates.Empty(), ids)[0]


def distractors(
    view: MarginView, used: Sequence[int], rng: np.random.Generator
) -> dict[str, Mention]:
    """Half of the time: a mention of regions of a class that the question does not use.

    Args:
        view: of the scene.
        used: ids that the question is about.
        rng: random numbers.
    """
    used_classes = {view.label(id) for id in used}
    free = [label for label in classes(view) if label not in used_classes]
    if not free or rng.random() < 0.5:
        return {}
    ids = several(view.seen(pick(free, rng)), rng)
    return {"distractors": named(*ids)} if ids else {}


def draw_outermost(
    ids: Sequence[int], rng: np.random.Generator, most: int = 3, before_noun: bool = False
) -> tuple[Program, str]:
    """The leftmost, second from the right, ... of some regions: the program and the words.

    Words that cannot stand before a noun are of the form "second from the right".

    Args:
        ids: to choose from.
        rng: random numbers.
        most: highest rank from a side.
        before_noun: whether the words must be able to stand before a noun.
    """
    end = pick(["least", "most"], rng)
    rank = int(rng.integers(1, min(most, len(ids)) + 1))
    program = selections.Extreme(listed(ids), attributes.Column(), end, float(rank))
    side = "left" if end == "least" else "right"
    if rank == 1:
        return program, f"{side}most"
    choices = [f"{RANK_WORDS[rank]} {side}most"]
    if rank == 2:
        choices.append(f"{side}most but one")
    if not before_noun:
        choices.append(f"{RANK_WORDS[rank]} from the {side}")
    return program, pick(choices, rng)
