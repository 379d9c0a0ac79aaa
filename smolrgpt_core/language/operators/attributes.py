"""Operators that measure something of a region: how far, how wide, how many stand in it.

Definitions are those of docs/questions.md: distances are between centers of boxes, and 0 for what
stands in the zone it is asked about; sizes are those of an object's own upright box.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language.operators.registry import (
    Chosen,
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
from smolrgpt_core.scene.footprints import clearances, depth_inside, footprints_overlap
from smolrgpt_core.scene.free_space import capacities, free_areas

STACKING_TOLERANCE_M = 0.05
"""What stands on something may seem to reach into it by this much."""

HERE_M = 1e-6
"""What is nearer to a place than this has no direction from it."""


@operator(
    "Distance", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Between the centers of two boxes; 0 for an object in the zone it is asked about; to the "
    "camera: from the center.",
    unit="m",
)  # fmt: skip
def Distance(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    meters = np.linalg.norm(copies.center - place.center()[:, None], axis=2)
    if place.region is not None:
        meters = np.where(_together(copies, subjects, place.region), 0.0, meters)
    return _of_others(copies, subjects, place, meters)


def _of_others(copies: SceneCopies, subjects: Mask, place: Standpoint, values: Values) -> Values:
    """Values (K, N) of the subjects; what they are measured from does not count itself."""
    counted = subjects
    if place.region is not None:
        counted = subjects & ~as_mask(copies, place.region)
    return np.where(counted, values, np.nan)


def _together(copies: SceneCopies, subjects: Mask, other: Indices) -> Mask:
    """(K, N) pairs of a zone and an object that stands in it."""
    mask = as_mask(copies, other)
    zone_other = gather(copies.zones[None].repeat(copies.count, 0), other, missing=False)
    together = np.zeros_like(subjects)
    objects = subjects & ~copies.zones & zone_other[:, None].astype(bool)
    if objects.any():
        copies.measure_footprints(objects | mask)
        together |= objects & (depth_inside(copies, other) > 0)
    zones = subjects & copies.zones & ~zone_other[:, None].astype(bool) & (other >= 0)[:, None]
    for zone in np.flatnonzero(zones.any(axis=0)):
        copies.measure_footprints(as_mask(copies, np.full(copies.count, zone)) | mask)
        inside = gather(depth_inside(copies, np.full(copies.count, zone)), other) > 0
        together[:, zone] |= zones[:, zone] & inside
    return together


@operator(
    "DistanceToAny", [a(Type.REGIONS)], Type.ATTRIBUTE,
    "The distance to the nearest of a set, itself not counted.", unit="m",
)  # fmt: skip
def DistanceToAny(copies: SceneCopies, subjects: Mask, chosen: Chosen) -> Values:
    least = np.full((copies.count, copies.number), np.inf)
    for index in np.flatnonzero(chosen.any_copy):
        alone = np.where(chosen.mask[:, index], index, -1)
        meters = Distance.evaluate(copies, subjects, standpoint_of(copies, alone))
        least = np.fmin(least, meters)
    return np.where(subjects & np.isfinite(least), least, np.nan)


@operator(
    "HorizontalDistance", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Between centers, along the floor.", unit="m",
)  # fmt: skip
def HorizontalDistance(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure_footprints(subjects)
    offset = copies.center - place.center()[:, None]
    return _of_others(copies, subjects, place, np.linalg.norm(offset[..., :2], axis=2))


@operator(
    "VerticalDistance", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Difference of the heights of the centers.", unit="m",
)  # fmt: skip
def VerticalDistance(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure_footprints(subjects)
    offset = copies.center - place.center()[:, None]
    return _of_others(copies, subjects, place, np.abs(offset[..., 2]))


@operator(
    "SidewaysDistance", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Difference of the centers to the left or right, as the camera sees it.", unit="m",
)  # fmt: skip
def SidewaysDistance(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    offset = copies.center - place.center()[:, None]
    return _of_others(copies, subjects, place, np.abs(offset[..., 0]))


@operator(
    "ForwardDistance", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Difference of the centers along the viewing direction on the floor.", unit="m",
)  # fmt: skip
def ForwardDistance(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    offset = copies.center - place.center()[:, None]
    return _of_others(copies, subjects, place, np.abs(offset[..., 1]))


@operator(
    "Clearance", [a(Type.REGION)], Type.ATTRIBUTE,
    "Smallest distance between two footprints on the floor, 0 where they overlap.", unit="m",
)  # fmt: skip
def Clearance(copies: SceneCopies, subjects: Mask, other: Indices) -> Values:
    copies.measure_sizes(subjects | as_mask(copies, other))
    gaps = clearances(copies, subjects, other)
    return np.where(subjects & ~as_mask(copies, other), gaps, np.nan)


@operator(
    "Column", [], Type.ATTRIBUTE,
    "Middle of the mask in the image, from the left.", unit="px",
)  # fmt: skip
def Column(copies: SceneCopies, subjects: Mask) -> Values:
    copies.see(subjects)
    return np.where(subjects, copies.column, np.nan)


@operator(
    "Forward", [], Type.ATTRIBUTE,
    "How far in front of the camera, along the floor.", unit="m",
)  # fmt: skip
def Forward(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure(subjects)
    return np.where(subjects, copies.center[..., 1], np.nan)


@operator(
    "CenterHeight", [], Type.ATTRIBUTE, "Height of the center above the floor.", unit="m",
)  # fmt: skip
def CenterHeight(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_footprints(subjects)
    return np.where(subjects, copies.center[..., 2], np.nan)


@operator(
    "Top", [], Type.ATTRIBUTE, "Height of the upper face above the floor.", unit="m",
)  # fmt: skip
def Top(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    top = copies.center[..., 2] + copies.size[..., 2] / 2
    return np.where(subjects, top, np.nan)


@operator(
    "Length", [], Type.ATTRIBUTE, "The longer horizontal side of its own box.", unit="m",
)  # fmt: skip
def Length(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.size[..., :2].max(axis=2), np.nan)


@operator(
    "Width", [], Type.ATTRIBUTE, "The shorter horizontal side of its own box.", unit="m",
)  # fmt: skip
def Width(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.size[..., :2].min(axis=2), np.nan)


@operator("Height", [], Type.ATTRIBUTE, "The vertical extent of its own box.", unit="m")
def Height(copies: SceneCopies, subjects: Mask) -> Values:
    _refuse_flat(copies, subjects, "height")
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.size[..., 2], np.nan)


@operator(
    "Span", [], Type.ATTRIBUTE,
    "Extent to the left and right as the camera sees it.", unit="m",
)  # fmt: skip
def Span(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    cosine, sine = np.abs(np.cos(copies.yaw)), np.abs(np.sin(copies.yaw))
    span = copies.size[..., 0] * cosine + copies.size[..., 1] * sine
    return np.where(subjects, span, np.nan)


@operator("FootprintArea", [], Type.ATTRIBUTE, "Area of the footprint.", unit="m2")
def FootprintArea(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.size[..., 0] * copies.size[..., 1], np.nan)


@operator("Volume", [], Type.ATTRIBUTE, "Of its own box.", unit="m3")
def Volume(copies: SceneCopies, subjects: Mask) -> Values:
    _refuse_flat(copies, subjects, "volume")
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.size.prod(axis=2), np.nan)


@operator(
    "Bigness", [], Type.ATTRIBUTE,
    "How large: the volume of objects, the area of zones; both are not compared.", unit="",
)  # fmt: skip
def Bigness(copies: SceneCopies, subjects: Mask) -> Values:
    if (subjects & copies.zones).any() and (subjects & ~copies.zones).any():
        raise bad_question("a zone has an area and an object a volume, which cannot be compared")
    copies.measure_sizes(subjects)
    area = copies.size[..., 0] * copies.size[..., 1]
    return np.where(subjects, np.where(copies.zones, area, area * copies.size[..., 2]), np.nan)


@operator(
    "Holding", [a(Type.REGIONS)], Type.ATTRIBUTE,
    "How many of a set stand in a zone, on a transporter, or on something else.", unit="objects",
)  # fmt: skip
def Holding(copies: SceneCopies, subjects: Mask, chosen: Chosen) -> Values:
    counts = np.full((copies.count, copies.number), np.nan)
    for index in np.flatnonzero(subjects.any(axis=0)):
        held = held_by(copies, int(index), chosen.mask)
        counts[:, index] = held.sum(axis=1)
    return np.where(subjects, counts, np.nan)


def held_by(copies: SceneCopies, holder: int, candidates: Mask) -> Mask:
    """(K, N) which of the candidates stand in a zone, on a transporter, or on something else.

    Of a region without a known class it counts what has the middle of its footprint there.

    Args:
        copies: of the scene.
        holder: index of the region.
        candidates: bool (K, N).
    """
    alone = np.full(copies.count, holder)
    if copies.zones[holder]:
        candidates = candidates & ~copies.zones
    elif copies.carriers[holder]:
        copies.measure_footprints(as_mask(copies, alone))
        carried = copies.cargo[:, holder, None]
        return np.asarray(candidates & (np.arange(copies.number) == carried))
    elif copies.known[holder]:
        return stacked_on(copies, candidates, alone)
    candidates = candidates & ~as_mask(copies, alone)
    copies.measure_footprints(candidates | as_mask(copies, alone))
    return candidates & (depth_inside(copies, alone) > 0)


def stacked_on(copies: SceneCopies, subjects: Mask, other: Indices) -> Mask:
    """(K, N) what stands on top of a region (K,).

    Args:
        copies: of the scene.
        subjects: bool (K, N).
        other: (K,), index of the region in each copy.
    """
    subjects = subjects & ~as_mask(copies, other)
    copies.measure_footprints(subjects | as_mask(copies, other))
    bottom = copies.center[..., 2] - copies.size[..., 2] / 2
    top = gather(copies.center[..., 2] + copies.size[..., 2] / 2, other)
    overlap = footprints_overlap(copies, subjects, other)
    return subjects & overlap & (bottom >= top[:, None] - STACKING_TOLERANCE_M)


@operator(
    "FreeArea", [], Type.ATTRIBUTE,
    "Area of a zone that is not under a footprint.", unit="m2",
)  # fmt: skip
def FreeArea(copies: SceneCopies, subjects: Mask) -> Values:
    return _free(copies, subjects)[0]


@operator(
    "FreeShare", [], Type.ATTRIBUTE,
    "The free area of a zone as a share of its area.", unit="share",
)  # fmt: skip
def FreeShare(copies: SceneCopies, subjects: Mask) -> Values:
    free, area = _free(copies, subjects)
    return free / area


def _free(copies: SceneCopies, subjects: Mask) -> tuple[Values, Values]:
    _refuse_objects(copies, subjects, "free area")
    copies.measure_sizes(subjects)
    copies.measure_footprints(np.ones(copies.number, dtype=bool))
    free = np.full((copies.count, copies.number), np.nan)
    for index in np.flatnonzero(subjects.any(axis=0)):
        free[:, index] = free_areas(copies, int(index))
    area = copies.size[..., 0] * copies.size[..., 1]
    return np.where(subjects, free, np.nan), np.where(subjects, area, np.nan)


@operator(
    "Capacity", [], Type.ATTRIBUTE,
    "How many standard footprints of 1.2 x 0.8 m fit into the free part of a zone together, side "
    "by side on the floor in rows along its sides, lengthwise or crosswise, with 5 cm between them "
    "and to whatever stands there; 1 where one fits only turned otherwise.",
    unit="objects",
)  # fmt: skip
def Capacity(copies: SceneCopies, subjects: Mask) -> Values:
    _refuse_objects(copies, subjects, "room in it")
    copies.measure_sizes(subjects)
    copies.measure_footprints(np.ones(copies.number, dtype=bool))
    found = np.full((copies.count, copies.number), np.nan)
    for index in np.flatnonzero(subjects.any(axis=0)):
        found[:, index] = capacities(copies, int(index))
    return np.where(subjects, found, np.nan)


@operator(
    "Bearing", [a(Type.PLACE)], Type.ATTRIBUTE,
    "Angle from the viewing direction of the camera or an observer, along the floor, positive to "
    "the right, -180 to 180 degrees.",
    unit="deg",
)  # fmt: skip
def Bearing(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    return np.where(subjects, np.rad2deg(bearings(copies, place)), np.nan)


@operator(
    "ClockHour", [a(Type.PLACE)], Type.ATTRIBUTE,
    "The bearing as an hour: 12 straight ahead, 3 to the right.", unit="h",
)  # fmt: skip
def ClockHour(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    hours = np.round(np.rad2deg(bearings(copies, place)) / 30) % 12
    return np.where(subjects, np.where(hours == 0, 12, hours), np.nan)


def bearings(copies: SceneCopies, place: Standpoint) -> Values:
    """(K, N) radians right of the viewing direction of a place; NaN for what is there itself.

    From a region, which does not look anywhere, it is that of the camera.
    """
    offset = copies.center - place.center()[:, None]
    forward = place.forward if place.forward is not None else np.array([[0.0, 1.0]])
    ahead = offset[..., 0] * forward[:, None, 0] + offset[..., 1] * forward[:, None, 1]
    right = offset[..., 0] * forward[:, None, 1] - offset[..., 1] * forward[:, None, 0]
    right = np.where(np.abs(right) < HERE_M, 0.0, right)
    return np.where(np.hypot(right, ahead) < HERE_M, np.nan, np.arctan2(right, ahead))


def _refuse_flat(copies: SceneCopies, subjects: Mask, what: str) -> None:
    flat = subjects.any(axis=0) & copies.zones
    if flat.any():
        raise bad_question(f"{copies.names(flat)} is painted on the floor and has no {what}")


def _refuse_objects(copies: SceneCopies, subjects: Mask, what: str) -> None:
    objects = subjects.any(axis=0) & ~copies.zones
    if objects.any():
        raise bad_question(f"{copies.names(objects)} is no zone and has no {what}")
