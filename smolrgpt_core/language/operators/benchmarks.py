"""Attributes as public benchmarks define them, for `conventions`; nobody asks for them in words.

SpatialRGPT-Bench (NeurIPS 2024) measures boxes along the axes of the camera, distances between the
points of two objects, and who is in front by the nearest points; so does HiSpatial
(arXiv 2603.25411).
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.language.operators.attributes import Span, bearings
from smolrgpt_core.language.operators.registry import Indices, Standpoint, a, as_mask, operator
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import Mask, SceneCopies, Values
from smolrgpt_core.scene.surfaces import mean_nearest_distances


@operator(
    "SurfaceDistance", [a(Type.REGION)], Type.ATTRIBUTE,
    "Mean of the distances from each point on the box of one to the nearest on the other's, both "
    "ways.",
    unit="m",
)  # fmt: skip
def SurfaceDistance(copies: SceneCopies, subjects: Mask, other: Indices) -> Values:
    others = as_mask(copies, other)
    copies.measure_sizes(subjects | others)
    return np.where(subjects & ~others, mean_nearest_distances(copies, subjects, other), np.nan)


@operator(
    "Rightward", [], Type.ATTRIBUTE,
    "How far to the right of the camera the center is; negative to the left.", unit="m",
)  # fmt: skip
def Rightward(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure(subjects)
    return np.where(subjects, copies.center[..., 0], np.nan)


@operator(
    "NearestForward", [], Type.ATTRIBUTE,
    "How far in front of the camera the nearest point of the footprint is.", unit="m",
)  # fmt: skip
def NearestForward(copies: SceneCopies, subjects: Mask) -> Values:
    copies.measure_sizes(subjects)
    return np.where(subjects, copies.center[..., 1] - _depth(copies) / 2, np.nan)


@operator(
    "AlignedVolume", [], Type.ATTRIBUTE,
    "Of the upright box along the axes of the camera around its own box; of a zone the area.",
    unit="",
)  # fmt: skip
def AlignedVolume(copies: SceneCopies, subjects: Mask) -> Values:
    area = Span.evaluate(copies, subjects) * _depth(copies)
    return np.asarray(np.where(copies.zones, area, area * copies.size[..., 2]))


@operator(
    "ClockSector", [a(Type.PLACE)], Type.ATTRIBUTE,
    "The bearing in whole steps of 30 degrees, rounded down, as an hour: 12 is up to 30 degrees to "
    "the right of straight ahead.",
    unit="h",
)  # fmt: skip
def ClockSector(copies: SceneCopies, subjects: Mask, place: Standpoint) -> Values:
    copies.measure(subjects)
    hours = np.floor(np.rad2deg(bearings(copies, place)) % 360 / 30) % 12
    return np.where(subjects, np.where(hours == 0, 12, hours), np.nan)


def _depth(copies: SceneCopies) -> Values:
    """(K, N) extent along the viewing direction."""
    cosine, sine = np.abs(np.cos(copies.yaw)), np.abs(np.sin(copies.yaw))
    return np.asarray(copies.size[..., 0] * sine + copies.size[..., 1] * cosine)
