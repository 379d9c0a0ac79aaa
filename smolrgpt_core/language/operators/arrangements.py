"""Operators about how things are arranged: how far to a side, alike, in a line, with which gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language.operators.attributes import Clearance
from smolrgpt_core.language.operators.predicates import closer, higher
from smolrgpt_core.language.operators.registry import (
    Attribute,
    Chosen,
    Standpoint,
    a,
    operator,
)
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import Mask, SceneCopies, Values
from smolrgpt_core.scene.spatial_scene import cannot_tell

ALIKE_M, ALIKE_FRACTION = 0.05, 0.05
"""Measures that differ by so many meters, or by this fraction of the larger, count as equal."""

LINE_M = 0.2
"""Half of the width of the band in which the centers of what stands in a line lie: a quarter of
the width of a pallet."""

DOUBTED_STDS = 3.0
"""What is off by fewer standard deviations may not be off at all."""


def _to_the_right(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    """(K, N) meters to the right of a place, as the camera or an observer sees it."""
    copies.measure(subjects)
    offset = copies.center - place.center()[:, None]
    forward = place.forward if place.forward is not None else np.array([[0.0, 1.0]])
    return np.asarray(offset[..., 0] * forward[:, None, 1] - offset[..., 1] * forward[:, None, 0])


OFFSETS: dict[str, tuple[Callable[[SceneCopies, Mask, Standpoint], Values], float]] = {
    "left": (_to_the_right, -1.0),
    "right": (_to_the_right, 1.0),
    "front": (closer, 1.0),
    "behind": (closer, -1.0),
    "above": (higher, 1.0),
    "below": (higher, -1.0),
}
"""How far something is to a side, by the word for it in programs: the measure and its sign."""


@operator(
    "Offset", [a(Type.PLACE), a(Type.WORD, "side", tuple(OFFSETS))], Type.ATTRIBUTE,
    "How far its center lies to a side of a place, that part of the way alone; negative on the "
    "other side. Left and right are the camera's, or an observer's; in front of a region is nearer "
    "to the camera, in front of the camera or an observer ahead of it.",
    unit="m",
)  # fmt: skip
def Offset(copies: SceneCopies, subjects: Mask, place: Standpoint, side: str) -> Values:
    measure, sign = OFFSETS[side]
    return np.where(subjects, sign * measure(copies, subjects, place), np.nan)


@operator(
    "AllAlike", [a(Type.REGIONS), a(Type.ATTRIBUTE)], Type.TRUTH,
    "Whether an attribute of all of a set, which has at least two, is the same: the largest and "
    "the smallest differ by 5 cm or 5 % of the largest at most; areas and volumes by 0.05 or 5 %.",
)  # fmt: skip
def AllAlike(copies: SceneCopies, chosen: Chosen, attribute: Attribute) -> Values:
    _at_least(copies, chosen, 2)
    values = attribute(chosen.mask)
    if np.isnan(values[0][chosen.mask[0]]).any():
        raise bad_question("one of them cannot be measured from itself")
    most = np.where(chosen.mask, values, -np.inf).max(axis=1)
    least = np.where(chosen.mask, values, np.inf).min(axis=1)
    allowed = np.maximum(ALIKE_M, ALIKE_FRACTION * np.abs(most))
    return _is_within(most - least, allowed, "whether they are equal")


@operator(
    "InLine", [a(Type.REGIONS)], Type.TRUTH,
    "Whether a set, which has at least three, stands in a line: no center is farther than 0.2 m "
    "from the line along the floor that fits them best.",
)  # fmt: skip
def InLine(copies: SceneCopies, chosen: Chosen) -> Values:
    _at_least(copies, chosen, 3)
    copies.measure_footprints(chosen.mask)
    counted = chosen.mask[..., None]
    number = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    places = np.where(counted, copies.center[..., :2], 0.0)
    offset = np.where(counted, places - places.sum(axis=1, keepdims=True) / number, 0.0)
    # Across the line is where the spread is least.
    _, axes = np.linalg.eigh(np.swapaxes(offset, 1, 2) @ offset)
    off = np.abs(offset @ axes[:, :, :1]).max(axis=(1, 2))
    return _is_within(off, np.full(copies.count, LINE_M), "whether they stand in a line")


@operator(
    "NeighborGap", [a(Type.REGIONS), a(Type.WORD, "end", ("least", "most"))], Type.QUANTITY,
    "The smallest or largest clearance between neighbors in a set, which has at least two. "
    "Neighbors are those that connect all of them over gaps that are in sum as small as can be.",
    unit="m",
)  # fmt: skip
def NeighborGap(copies: SceneCopies, chosen: Chosen, end: str) -> Values:
    _at_least(copies, chosen, 2)
    members = np.flatnonzero(chosen.any_copy)
    gaps = np.full((copies.count, len(members), len(members)), np.inf)
    for place, index in enumerate(members[:-1]):
        others = chosen.mask & (np.arange(copies.number) > index)
        alone = np.full(copies.count, index)
        if others.any():
            found = Clearance.evaluate(copies, others, alone)[:, members]
            found = np.where(np.isnan(found) | ~chosen.mask[:, index, None], np.inf, found)
            gaps[:, place] = gaps[:, :, place] = np.minimum(found, gaps[:, place])
    choose = np.min if end == "least" else np.max
    between = [_neighbor_gaps(gap[np.ix_(own, own)]) for gap, own in _of_copies(gaps, chosen)]
    return np.array([choose(item) if len(item) else np.nan for item in between])


def _of_copies(gaps: Values, chosen: Chosen) -> list[tuple[Values, Mask]]:
    """For each copy the gaps (M, M), and which (M,) of these members are in the set there."""
    members = np.flatnonzero(chosen.any_copy)
    return list(zip(gaps, chosen.mask[:, members], strict=True))


def _neighbor_gaps(gaps: Values) -> list[float]:
    """The gaps that connect all of M things with the least sum, of those between any (M, M)."""
    joined = np.zeros(len(gaps), dtype=bool)
    joined[:1] = True
    found = []
    while not joined.all():
        apart = np.where(joined[:, None] & ~joined, gaps, np.inf)
        nearest = np.unravel_index(int(np.argmin(apart)), apart.shape)
        found.append(float(apart[nearest]))
        joined[nearest[1]] = True
    return found


def _at_least(copies: SceneCopies, chosen: Chosen, number: int) -> None:
    found = int(chosen.mask[0].sum())
    if found < number:
        raise bad_question(
            f"at least {number} are needed, but there are {found}: {copies.names(chosen.mask[0])}"
        )


def _is_within(off: Values, allowed: Values, what: str) -> Values:
    """(K,) whether something is off by no more than is allowed.

    Args:
        off: (K,) by how much it is, meters or whatever `allowed` is in.
        allowed: (K,) the limit.
        what: is asked, to follow "cannot tell".

    Raises:
        SpatialError: CANNOT_TELL where it is measured less exactly than the limit, and may not be
            off at all.
    """
    std = float(np.sqrt(np.mean((off[1:] - off[0]) ** 2))) if len(off) > 1 else 0.0
    if std > allowed[0] and off[0] < allowed[0] + DOUBTED_STDS * std:
        raise cannot_tell(
            f"{what} cannot be seen: they may differ by {allowed[0]:.2f} at most, and are measured "
            f"with a standard deviation of {std:.2f}; ask again from closer up"
        )
    return np.asarray(off <= allowed, dtype=np.float64)
