"""Operators about where the front of a region points.

Only some things have a front. What has none faces nothing; a question about it alone is refused.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.language.operators.attributes import HERE_M
from smolrgpt_core.language.operators.registry import (
    Indices,
    Standpoint,
    a,
    as_mask,
    gather,
    operator,
    standpoint_of,
)
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import Mask, SceneCopies, Values

FACING_DEG = 45.0
"""Something faces what is less far off straight ahead of its front than this: the next side would
begin there."""

SIDE_DEG = {"left": -90.0, "right": 90.0}
"""Bearings from the viewing direction of the camera."""


@operator(
    "Heading", [], Type.ATTRIBUTE,
    "Direction in which its front points: degrees from the viewing direction of the camera, along "
    "the floor, positive to the right, -180 to 180; 0 is away from the camera, as it looks.",
    unit="deg",
)  # fmt: skip
def Heading(copies: SceneCopies, subjects: Mask) -> Values:
    copies.face(subjects)
    return np.where(subjects, _wrapped(90 - np.rad2deg(copies.heading)), np.nan)


@operator(
    "Facing", [a(Type.PLACE)], Type.PREDICATE,
    "Its front points at a place, from center to center along the floor, by less than 45 degrees "
    "off.",
)  # fmt: skip
def Facing(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (_off_front(copies, subjects, place) < FACING_DEG)


@operator(
    "FacingAway", [a(Type.PLACE)], Type.PREDICATE,
    "Its front points away from a place, by less than 45 degrees off.",
)  # fmt: skip
def FacingAway(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Mask:
    return subjects & (_off_front(copies, subjects, place) > 180 - FACING_DEG)


@operator(
    "FacingSide", [a(Type.WORD, "side", tuple(SIDE_DEG))], Type.PREDICATE,
    "Its front points to the left or right, as the camera sees it, by less than 45 degrees off.",
)  # fmt: skip
def FacingSide(copies: SceneCopies, subjects: Mask, side: str) -> Mask:
    off = _wrapped(Heading.evaluate(copies, subjects) - SIDE_DEG[side])
    return subjects & (np.abs(off) < FACING_DEG)


@operator(
    "Aboard", [a(Type.REGION)], Type.PLACE,
    "Somebody on a region who looks where its front points.",
)  # fmt: skip
def Aboard(copies: SceneCopies, region: Indices) -> Standpoint:
    copies.face(as_mask(copies, region))
    heading = gather(copies.heading, region)
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return Standpoint(standpoint_of(copies, region).center, None, forward)


@operator(
    "HeadingAngle", [a(Type.REGION), a(Type.REGION)], Type.QUANTITY,
    "Angle along the floor between the directions in which the fronts of two regions point, 0 to "
    "180 degrees.",
    unit="deg",
)  # fmt: skip
def HeadingAngle(copies: SceneCopies, first: Indices, second: Indices) -> Values:
    headings = []
    for region in (first, second):
        copies.face(as_mask(copies, region))
        headings.append(np.rad2deg(gather(copies.heading, region)))
    return np.asarray(np.abs(_wrapped(headings[0] - headings[1])))


def _off_front(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    """(K, N) degrees, 0 to 180, from where a front points to where a place is; NaN at it."""
    copies.face(subjects)
    copies.measure(subjects)
    right, forward, _ = np.moveaxis(place.center()[:, None] - copies.center, 2, 0)
    off = np.abs(_wrapped(np.rad2deg(np.arctan2(forward, right) - copies.heading)))
    return np.where(np.hypot(right, forward) < HERE_M, np.nan, off)


def _wrapped(degrees: Values) -> Values:
    """The same angles from -180 to 180 degrees."""
    return np.asarray((degrees + 180) % 360 - 180)
