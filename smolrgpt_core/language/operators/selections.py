"""Operators that select regions, one or several, and what things are measured from."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.label_map import doubt_of_class
from smolrgpt_core.language.operators.registry import (
    Attribute,
    Chosen,
    Indices,
    Predicate,
    Standpoint,
    a,
    operator,
    standpoint_of,
)
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import names_of
from smolrgpt_core.scene.copies import ANY_REGION, SceneCopies, Values
from smolrgpt_core.scene.spatial_scene import cannot_tell

SAME = 1e-9
"""Values that differ by less are equal."""


@operator("Region", [a(Type.ID)], Type.REGION, "The region with an id.")
def Region(copies: SceneCopies, id: int) -> Indices:
    return np.full(copies.count, copies.index(id))


@operator("Listed", [a(Type.IDS)], Type.REGIONS, "Regions by their ids, in the order given.")
def Listed(copies: SceneCopies, ids: tuple[int, ...]) -> Chosen:
    order = np.full(copies.number, np.inf)
    for position, id in enumerate(ids):
        order[copies.index(id)] = position
    return Chosen(np.tile(np.isfinite(order), (copies.count, 1)), np.tile(order, (copies.count, 1)))


@operator(
    "All", [a(Type.CLASS)], Type.REGIONS,
    "All regions of a class; of no class: all objects, zones not counted.",
)  # fmt: skip
def All(copies: SceneCopies, name: str) -> Chosen:
    found = copies.of_class(name)
    labels = {region.label for region, is_one in zip(copies.regions, found, strict=True) if is_one}
    doubt = doubt_of_class(labels, copies.regions) if name not in ("", ANY_REGION) else ""
    if doubt and not found.any():
        known = names_of(copies.regions.regions) or "none"
        raise bad_question(f"there is no {name} in this frame; its regions are: {known}; {doubt}")
    if doubt:
        raise bad_question(f'"{name}" may be more than {copies.names(found)}: there are {doubt}')
    return Chosen(np.tile(found, (copies.count, 1)))


@operator(
    "Where", [a(Type.REGIONS), a(Type.PREDICATE)], Type.REGIONS,
    "Those of which something is true.",
)  # fmt: skip
def Where(copies: SceneCopies, chosen: Chosen, predicate: Predicate) -> Chosen:
    return Chosen(chosen.mask & predicate(chosen.mask), chosen.order)


@operator("Either", [a(Type.REGIONS), a(Type.REGIONS)], Type.REGIONS, "Two sets together.")
def Either(copies: SceneCopies, first: Chosen, second: Chosen) -> Chosen:
    return Chosen(first.mask | second.mask)


@operator(
    "Without", [a(Type.REGIONS), a(Type.REGIONS)], Type.REGIONS,
    "The first set less what is in the second.",
)  # fmt: skip
def Without(copies: SceneCopies, chosen: Chosen, left_out: Chosen) -> Chosen:
    return Chosen(chosen.mask & ~left_out.mask, chosen.order)


@operator(
    "Exactly", [a(Type.REGIONS), a(Type.NUMBER, "number")], Type.REGIONS,
    "A set that must have so many members.",
)  # fmt: skip
def Exactly(copies: SceneCopies, chosen: Chosen, number: float) -> Chosen:
    found = int(chosen.mask[0].sum())
    if found != round(number):
        raise bad_question(
            f"there should be {number:.0f}, but there are {found}: {copies.names(chosen.mask[0])}"
        )
    return chosen


@operator(
    "Member", [a(Type.REGIONS), a(Type.NUMBER, "number")], Type.REGION,
    "The first, second, ... member of a set, in its order or in that of the frame.",
)  # fmt: skip
def Member(copies: SceneCopies, chosen: Chosen, number: float) -> Indices:
    frame_order = np.tile(np.arange(copies.number, dtype=np.float64), (copies.count, 1))
    order = chosen.order if chosen.order is not None else frame_order
    return _at_rank(copies, np.where(chosen.mask, order, np.inf), round(number))


@operator(
    "Alike", [a(Type.REGION)], Type.REGIONS, "All regions with the label of one.",
)  # fmt: skip
def Alike(copies: SceneCopies, region: Indices) -> Chosen:
    label = copies.regions.regions[int(region[0])].label
    found = np.array([item.label == label for item in copies.regions], dtype=bool)
    return Chosen(np.tile(found, (copies.count, 1)))


MIN_PRESUMED = 0.2
"""Fraction of the copies in which there is one region of a kind, from which "the" only one of it is
believed to be there."""


@operator("The", [a(Type.REGIONS)], Type.REGION, "The only one of a set.")
def The(copies: SceneCopies, chosen: Chosen) -> Indices:
    numbers = chosen.mask.sum(axis=1)
    only = np.where(numbers == 1, chosen.mask.argmax(axis=1), -1)
    if numbers[0] != 1:
        if np.mean(only >= 0) < MIN_PRESUMED:
            fitting = [copies.regions.regions[place] for place in np.flatnonzero(chosen.mask[0])]
            which = "; name one, or say which one, such as the nearest" if fitting else ""
            raise cannot_tell(
                f"one region is meant, but {numbers[0]} fit: {names_of(fitting) or 'none'}{which}"
            )
        # Whoever asks for the only one knows of one: the likeliest is meant.
        only[0] = np.bincount(only[only >= 0]).argmax()
    return only


@operator(
    "Extreme",
    [a(Type.REGIONS), a(Type.ATTRIBUTE), a(Type.WORD, "end", ("least", "most")),
     a(Type.NUMBER, "rank")],
    Type.REGION,
    "The one with the least or most of something; rank 2 is the second.",
)  # fmt: skip
def Extreme(
    copies: SceneCopies, chosen: Chosen, attribute: Attribute, end: str, rank: float
) -> Indices:
    return _at_rank(copies, _ranked(chosen, attribute, end), round(rank))


@operator(
    "First",
    [a(Type.REGIONS), a(Type.ATTRIBUTE), a(Type.WORD, "end", ("least", "most")),
     a(Type.NUMBER, "number")],
    Type.REGIONS,
    "So many with the least or most of something, in order.",
)  # fmt: skip
def First(
    copies: SceneCopies, chosen: Chosen, attribute: Attribute, end: str, number: float
) -> Chosen:
    count, ranked = round(number), _ranked(chosen, attribute, end)
    _check_rank(copies, Chosen(np.isfinite(ranked)), count)
    ordered = np.sort(ranked, axis=1)
    if count < copies.number and ordered[0, count] - ordered[0, count - 1] < SAME:
        raise cannot_tell(f"numbers {count} and {count + 1} in this order are equal")
    last = ordered[:, count - 1 : count]
    kept = chosen.mask & (ranked <= last) & np.isfinite(last)
    return Chosen(kept, np.where(kept, ranked, np.inf))


@operator(
    "Sorted",
    [a(Type.REGIONS), a(Type.ATTRIBUTE), a(Type.WORD, "start", ("least", "most"))],
    Type.REGIONS,
    "A set in the order of an attribute.",
)  # fmt: skip
def Sorted(copies: SceneCopies, chosen: Chosen, attribute: Attribute, start: str) -> Chosen:
    ranked = _ranked(chosen, attribute, start)
    nominal = np.sort(ranked[0][chosen.mask[0]])
    if np.any(np.diff(nominal) < SAME):
        raise cannot_tell("two of them are equal, so they have no order")
    return Chosen(chosen.mask, ranked)


@operator(
    "Middle", [a(Type.REGIONS)], Type.REGION,
    "The middle one from left to right in the image, of an odd number.",
)  # fmt: skip
def Middle(copies: SceneCopies, chosen: Chosen) -> Indices:
    number = int(chosen.mask[0].sum())
    if number % 2 == 0:
        raise bad_question(f"there are {number}, so none is in the middle")
    copies.see(chosen.mask)
    ranked = np.where(chosen.mask, copies.column, np.inf)
    return _at_rank(copies, ranked, number // 2 + 1)


@operator("Camera", [], Type.PLACE, "The camera.")
def Camera(copies: SceneCopies) -> Standpoint:
    center = np.tile(copies.camera, (copies.count, 1))
    forward = np.tile([0.0, 1.0], (copies.count, 1))
    return Standpoint(lambda: center, None, forward, is_camera=True)


@operator(
    "Observer", [a(Type.REGION, "stands at"), a(Type.REGION, "looks at")], Type.PLACE,
    "Somebody who stands at one region and looks at another.",
)  # fmt: skip
def Observer(copies: SceneCopies, stands: Indices, looks: Indices) -> Standpoint:
    if stands[0] == looks[0]:
        raise bad_question("an observer cannot look at the region where they stand")
    own, other = standpoint_of(copies, stands).center(), standpoint_of(copies, looks).center()
    along = (other - own)[:, :2]
    forward = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), SAME)
    return Standpoint(lambda: own, None, forward)


def _ranked(chosen: Chosen, attribute: Attribute, end: str) -> Values:
    """(K, N) values that grow from the first to the last; infinite for what does not count."""
    values = attribute(chosen.mask)
    signed = -values if end == "most" else values
    return np.where(chosen.mask & ~np.isnan(signed), signed, np.inf)


def _at_rank(copies: SceneCopies, ranked: Values, rank: int) -> Indices:
    """The region with a rank in each copy, -1 where there is none.

    Raises:
        SpatialError: BAD_QUESTION when there are too few; CANNOT_TELL for a tie.
    """
    _check_rank(copies, Chosen(np.isfinite(ranked)), rank)
    order = np.argsort(ranked, axis=1, kind="stable")
    values = np.take_along_axis(ranked, order, axis=1)
    for other in (rank - 2, rank):
        if 0 <= other < copies.number and abs(values[0, other] - values[0, rank - 1]) < SAME:
            tied = [int(order[0, place]) for place in sorted((rank - 1, other))]
            raise cannot_tell(
                f"{' and '.join(copies.name(index) for index in tied)} are equal in this, so "
                "neither comes first"
            )
    return np.where(np.isfinite(values[:, rank - 1]), order[:, rank - 1], -1)


def _check_rank(copies: SceneCopies, chosen: Chosen, rank: int) -> None:
    number = int(chosen.mask[0].sum())
    if number == 0:
        raise SpatialError(Status.CANNOT_TELL, "there is none to choose from")
    if not 1 <= rank <= number:
        raise bad_question(
            f"number {rank} of {number} was asked for; to choose from there "
            f"{'is' if number == 1 else 'are'} {copies.names(chosen.mask[0])}"
        )
