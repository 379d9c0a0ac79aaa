"""Operators that are true or false of a region: in a zone, empty, left of something, wider than."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smolrgpt_core.errors import bad_question
from smolrgpt_core.label_map import doubt_of_load
from smolrgpt_core.language.operators.attributes import Distance, bearings, held_by, stacked_on
from smolrgpt_core.language.operators.registry import (
    Attribute,
    Chosen,
    Indices,
    Predicate,
    Standpoint,
    a,
    as_mask,
    gather,
    operator,
)
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import NOTHING, Mask, SceneCopies, Values
from smolrgpt_core.scene.free_space import room_for, room_for_region
from smolrgpt_core.scene.spatial_scene import COLORS

BARE_PALLET_M = 0.144
"""Height of an empty EUR pallet (EN 13698-1)."""

BARE_TOLERANCE_M = 0.05
"""A pallet is empty when it is not higher than a bare one by more than this."""


COMPARISONS: dict[str, Callable[[Values, Values], Mask]] = {
    "more": np.greater,
    "less": np.less,
    "at_least": np.greater_equal,
    "at_most": np.less_equal,
    "equal": np.equal,
}
"""How two quantities are compared, by the word for it in programs."""


@operator("And", [a(Type.PREDICATE), a(Type.PREDICATE)], Type.PREDICATE, "Both are true.")
def And(copies: SceneCopies, subjects: Mask, first: Predicate, second: Predicate) -> Mask:
    return first(subjects) & second(subjects)


@operator("Or", [a(Type.PREDICATE), a(Type.PREDICATE)], Type.PREDICATE, "At least one is true.")
def Or(copies: SceneCopies, subjects: Mask, first: Predicate, second: Predicate) -> Mask:
    return first(subjects) | second(subjects)


@operator("Not", [a(Type.PREDICATE)], Type.PREDICATE, "It is not true.")
def Not(copies: SceneCopies, subjects: Mask, predicate: Predicate) -> Mask:
    return subjects & ~predicate(subjects)


@operator(
    "In", [a(Type.REGIONS, "holders")], Type.PREDICATE,
    "In a zone: the middle of its footprint lies in it. On a transporter: carried by it. On "
    "anything else: on top of it.",
)  # fmt: skip
def In(copies: SceneCopies, subjects: Mask, holders: Chosen) -> Mask:
    _refuse_zones(copies, subjects)
    inside = np.zeros_like(subjects)
    for holder in np.flatnonzero(holders.any_copy):
        inside |= held_by(copies, int(holder), subjects) & holders.mask[:, holder, None]
    return inside


def _refuse_zones(copies: SceneCopies, subjects: Mask) -> None:
    """For what is asked of zones alone is a question that was read wrong, or makes no sense."""
    asked: Mask = np.asarray(subjects.any(axis=0))
    if asked.any() and not (asked & ~copies.zones).any():
        raise bad_question(f"{copies.names(asked)} is a zone, and a zone stands in or on nothing")


@operator(
    "Holds", [a(Type.REGIONS)], Type.PREDICATE,
    "A zone in which one of a set stands, a transporter that carries one, or anything else on top "
    "of which one stands.",
)  # fmt: skip
def Holds(copies: SceneCopies, subjects: Mask, chosen: Chosen) -> Mask:
    holding = np.zeros_like(subjects)
    for holder in np.flatnonzero(subjects.any(axis=0)):
        holding[:, holder] = held_by(copies, int(holder), chosen.mask).any(axis=1)
    return subjects & holding


@operator(
    "Empty", [], Type.PREDICATE,
    "A zone in which nothing stands; a transporter that carries nothing; a pallet that is only its "
    "wood, not higher than 0.144 m by more than 5 cm.",
)  # fmt: skip
def Empty(copies: SceneCopies, subjects: Mask) -> Mask:
    empty = np.zeros_like(subjects)
    for index in np.flatnonzero(subjects.any(axis=0)):
        empty[:, index] = _is_empty(copies, int(index))
    return subjects & empty


def _is_empty(copies: SceneCopies, index: int) -> Mask:
    """(K,) whether nothing is in or on a region.

    Raises:
        SpatialError: BAD_QUESTION for a class that holds nothing.
    """
    alone = as_mask(copies, np.full(copies.count, index))
    if copies.zones[index]:
        objects = np.tile(~copies.zones, (copies.count, 1))
        return np.logical_not(held_by(copies, index, objects).any(axis=1))
    if copies.carriers[index]:
        copies.measure_footprints(alone)
        doubt = doubt_of_load(copies.regions) if copies.cargo[0, index] == NOTHING else ""
        if doubt:
            raise bad_question(
                f"whether {copies.name(index)} is loaded cannot be known: there are {doubt}"
            )
        return np.asarray(copies.cargo[:, index] == NOTHING)
    if copies.cargo_like[index]:
        copies.measure_footprints(alone)
        top = copies.center[:, index, 2] + copies.size[:, index, 2] / 2
        bottom = top - copies.size[:, index, 2]
        height = np.where(bottom < BARE_PALLET_M, top, copies.size[:, index, 2])
        return height <= BARE_PALLET_M + BARE_TOLERANCE_M
    raise bad_question(f"{copies.name(index)} is nothing that can be empty or loaded")


@operator(
    "LeftOf", [a(Type.PLACE)], Type.PREDICATE,
    "By the middle of the masks in the image; of the camera: left of the middle of the image; of "
    "an observer: to their left.",
)  # fmt: skip
def LeftOf(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (sideways(copies, subjects, place) < 0)


@operator("RightOf", [a(Type.PLACE)], Type.PREDICATE, "As LeftOf, to the right.")
def RightOf(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (sideways(copies, subjects, place) > 0)


def sideways(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    """(K, N) how far to the right of a place: pixels in the image, radians from an observer.

    Args:
        copies: of the scene.
        subjects: bool (K, N).
        place: where it is measured from.
    """
    if place.region is None and not place.is_camera:
        copies.measure(subjects)
        return np.where(subjects, bearings(copies, place), np.nan)
    copies.see(subjects)
    if place.region is None:
        return np.where(subjects, copies.column - copies.scene.middle_column, np.nan)
    copies.see(as_mask(copies, place.region))
    own = gather(copies.column, place.region)
    return np.where(subjects, copies.column - own[:, None], np.nan)


@operator(
    "InFrontOf", [a(Type.PLACE)], Type.PREDICATE,
    "Nearer to the camera along the floor, by centers; of the camera or an observer: ahead.",
)  # fmt: skip
def InFrontOf(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (closer(copies, subjects, place) > 0)


@operator("Behind", [a(Type.PLACE)], Type.PREDICATE, "As InFrontOf, the other way round.")
def Behind(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (closer(copies, subjects, place) < 0)


def closer(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    """(K, N) meters in front of a place: nearer to the camera, or ahead of an observer.

    Args:
        copies: of the scene.
        subjects: bool (K, N).
        place: where it is measured from.
    """
    copies.measure(subjects)
    offset = copies.center - place.center()[:, None]
    if place.forward is not None:
        ahead = (offset[..., :2] * place.forward[:, None]).sum(axis=2)
        return np.where(subjects, ahead, np.nan)
    return np.where(subjects, -offset[..., 1], np.nan)


@operator("Above", [a(Type.PLACE)], Type.PREDICATE, "Its center is higher.")
def Above(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (higher(copies, subjects, place) > 0)


@operator("Below", [a(Type.PLACE)], Type.PREDICATE, "Its center is lower.")
def Below(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (higher(copies, subjects, place) < 0)


def higher(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    """(K, N) meters by which centers are above a place.

    Args:
        copies: of the scene.
        subjects: bool (K, N).
        place: where it is measured from.
    """
    copies.measure_footprints(subjects)
    return np.where(subjects, (copies.center - place.center()[:, None])[..., 2], np.nan)


@operator(
    "OnTopOf", [a(Type.REGION)], Type.PREDICATE,
    "The footprints overlap, and its lower face lies at the other's upper face or above.",
)  # fmt: skip
def OnTopOf(copies: SceneCopies, subjects: Mask, other: Indices) -> Mask:
    return stacked_on(copies, subjects, other)


@operator(
    "Between", [a(Type.REGION), a(Type.REGION)], Type.PREDICATE,
    "The middle of its footprint lies beside the inner part of the line between two others, nearer "
    "to it than half of the larger shorter side of these.",
)  # fmt: skip
def Between(copies: SceneCopies, subjects: Mask, first: Indices, second: Indices) -> Mask:
    ends = as_mask(copies, first) | as_mask(copies, second)
    copies.measure_footprints(subjects | ends)
    start, end = gather(copies.center, first)[:, :2], gather(copies.center, second)[:, :2]
    along = end - start
    length = np.maximum(np.linalg.norm(along, axis=1), 1e-9)
    offset = copies.center[..., :2] - start[:, None]
    share = (offset * along[:, None]).sum(axis=2) / length[:, None] ** 2
    across = np.abs(offset[..., 0] * along[:, None, 1] - offset[..., 1] * along[:, None, 0])
    shorter = copies.size[..., :2].min(axis=2)
    reach = np.maximum(gather(shorter, first), gather(shorter, second)) / 2
    near = across / length[:, None] < reach[:, None]
    return np.asarray(subjects & ~ends & (share > 0) & (share < 1) & near)


@operator(
    "Measures",
    [a(Type.ATTRIBUTE), a(Type.WORD, "how", tuple(COMPARISONS)), a(Type.QUANTITY)],
    Type.PREDICATE,
    "An attribute of it is more, less, ... than a quantity; never so of what does not count, as "
    "the distance of a region from itself.",
)  # fmt: skip
def Measures(
    copies: SceneCopies, subjects: Mask, attribute: Attribute, how: str, limit: Values
) -> Mask:
    return subjects & COMPARISONS[how](attribute(subjects), limit[:, None])


@operator(
    "Nearness",
    [a(Type.PLACE), a(Type.WORD, "how", ("less", "more")), a(Type.PLACE)],
    Type.PREDICATE,
    "It is nearer to the first place than to the second, or farther; never so of one of these.",
)  # fmt: skip
def Nearness(
    copies: SceneCopies, subjects: Mask, first: Standpoint, how: str, second: Standpoint
) -> Mask:
    distances = [Distance.evaluate(copies, subjects, place) for place in (first, second)]
    return subjects & COMPARISONS[how](*distances)


@operator(
    "HasRoom", [], Type.PREDICATE,
    "A zone into which a standard footprint of 1.2 x 0.8 m fits, turned in any way, with 5 cm to "
    "whatever stands there.",
)  # fmt: skip
def HasRoom(copies: SceneCopies, subjects: Mask) -> Mask:
    objects = subjects.any(axis=0) & ~copies.zones
    if objects.any():
        raise bad_question(f"{copies.names(objects)} is no zone, so there is no room in it")
    copies.measure_sizes(subjects)
    copies.measure_footprints(np.ones(copies.number, dtype=bool))
    room = np.zeros_like(subjects)
    for index in np.flatnonzero(subjects.any(axis=0)):
        room[:, index] = room_for(copies, int(index)) > 0
    return subjects & room


@operator(
    "HasRoomFor", [a(Type.REGION)], Type.PREDICATE,
    "A zone into which the measured footprint of an object fits, turned in any way, with 5 cm to "
    "whatever else stands there.",
)  # fmt: skip
def HasRoomFor(copies: SceneCopies, subjects: Mask, guest: Indices) -> Mask:
    objects = subjects.any(axis=0) & ~copies.zones
    if objects.any():
        raise bad_question(f"{copies.names(objects)} is no zone, so there is no room in it")
    own = as_mask(copies, guest)
    if (own.any(axis=0) & copies.zones).any():
        raise bad_question(f"{copies.names(own[0])} is painted on the floor and cannot be moved")
    copies.measure_sizes(subjects | own)
    copies.measure_footprints(np.ones(copies.number, dtype=bool))
    room = np.zeros_like(subjects)
    for index in np.flatnonzero(subjects.any(axis=0)):
        room[:, index] = room_for_region(copies, int(index), guest) > 0
    return subjects & room


@operator(
    "Colored", [a(Type.WORD, "color", COLORS)], Type.PREDICATE,
    "An object that has this color, as Color says it.",
)  # fmt: skip
def Colored(copies: SceneCopies, subjects: Mask, color: str) -> Mask:
    copies.look(subjects)
    return subjects & copies.has_color(COLORS.index(color))


@operator("Is", [a(Type.REGION)], Type.PREDICATE, "It is this one.")
def Is(copies: SceneCopies, subjects: Mask, other: Indices) -> Mask:
    return subjects & as_mask(copies, other)


@operator("IsAmong", [a(Type.REGIONS)], Type.PREDICATE, "It is one of these.")
def IsAmong(copies: SceneCopies, subjects: Mask, chosen: Chosen) -> Mask:
    return subjects & chosen.mask


@operator("OfClass", [a(Type.CLASS)], Type.PREDICATE, "It is of a class.")
def OfClass(copies: SceneCopies, subjects: Mask, name: str) -> Mask:
    return subjects & copies.of_class(name)[None]
