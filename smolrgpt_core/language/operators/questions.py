"""Operators that are asked for: how many, how far, whether, on which side, where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language.operators.attributes import HERE_M, bearings, held_by
from smolrgpt_core.language.operators.predicates import COMPARISONS, closer, higher, sideways
from smolrgpt_core.language.operators.registry import (
    Attribute,
    Chosen,
    Indices,
    Predicate,
    Standpoint,
    a,
    as_mask,
    gather,
    of_region,
    operator,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import SceneCopies, Values
from smolrgpt_core.scene.spatial_scene import COLORS, cannot_tell

AXES = ("left_right", "front_behind", "above_below", "inside_outside")

UNITS_OF_LITERALS = ("m", "m2", "m3", "deg", "h", "objects", "share")


def _unit_of_literal(number: float, unit: str) -> str:
    return unit


def _unit_of_attribute(region: Program, attribute: Program) -> str:
    return attribute.unit


def _unit_of_each(chosen: Program, attribute: Program) -> str:
    return attribute.unit


def _unit_of_first(first: Program, *others: Program) -> str:
    return first.unit


@operator(
    "Amount", [a(Type.NUMBER), a(Type.WORD, "unit", UNITS_OF_LITERALS)], Type.QUANTITY,
    "A number with a unit.", unit=_unit_of_literal,
)  # fmt: skip
def Amount(copies: SceneCopies, number: float, unit: str) -> Values:
    return np.full(copies.count, number)


@operator("Count", [a(Type.REGIONS)], Type.QUANTITY, "How many there are.", unit="objects")
def Count(copies: SceneCopies, chosen: Chosen) -> Values:
    return np.asarray(chosen.mask.sum(axis=1).astype(np.float64))


@operator(
    "Measure", [a(Type.REGION), a(Type.ATTRIBUTE)], Type.QUANTITY,
    "An attribute of one region.", unit=_unit_of_attribute,
)  # fmt: skip
def Measure(copies: SceneCopies, region: Indices, attribute: Attribute) -> Values:
    values = of_region(copies, attribute, region)
    if np.isnan(values[0]):
        raise bad_question(f"{copies.name(int(region[0]))} cannot be measured from itself")
    return values


@operator(
    "Difference", [a(Type.QUANTITY), a(Type.QUANTITY)], Type.QUANTITY,
    "How much more the first is than the second; never less than 0.", unit=_unit_of_first,
)  # fmt: skip
def Difference(copies: SceneCopies, first: Values, second: Values) -> Values:
    return np.abs(first - second)


@operator(
    "Sum", [a(Type.QUANTITY), a(Type.QUANTITY)], Type.QUANTITY,
    "Both together.", unit=_unit_of_first,
)  # fmt: skip
def Sum(copies: SceneCopies, first: Values, second: Values) -> Values:
    return first + second


@operator(
    "Total", [a(Type.REGIONS), a(Type.ATTRIBUTE)], Type.QUANTITY,
    "An attribute of all of a set, which has at least one, added up.", unit=_unit_of_each,
)  # fmt: skip
def Total(copies: SceneCopies, chosen: Chosen, attribute: Attribute) -> Values:
    return _of_all(chosen, attribute)[0]


@operator(
    "Average", [a(Type.REGIONS), a(Type.ATTRIBUTE)], Type.QUANTITY,
    "The mean of an attribute of all of a set, which has at least one.", unit=_unit_of_each,
)  # fmt: skip
def Average(copies: SceneCopies, chosen: Chosen, attribute: Attribute) -> Values:
    total, number = _of_all(chosen, attribute)
    return total / number


def _of_all(chosen: Chosen, attribute: Attribute) -> tuple[Values, Values]:
    """(K,) sum of an attribute of a set, and of how many; what has none by itself is not in it."""
    values = attribute(chosen.mask)
    counted = chosen.mask & ~np.isnan(values)
    if not counted[0].any():
        raise cannot_tell("there is nothing to measure")
    number = counted.sum(axis=1).astype(np.float64)
    total = np.where(counted, values, 0.0).sum(axis=1)
    return np.where(number > 0, total, np.nan), np.where(number > 0, number, np.nan)


@operator(
    "Ratio", [a(Type.QUANTITY), a(Type.QUANTITY)], Type.QUANTITY,
    "How many times the second the first is, as a share.", unit="share",
)  # fmt: skip
def Ratio(copies: SceneCopies, first: Values, second: Values) -> Values:
    if second[0] == 0:
        raise cannot_tell("what it would be divided by is 0")
    return np.where(second == 0, np.nan, first / np.where(second == 0, np.nan, second))


@operator(
    "Angle", [a(Type.REGION), a(Type.REGION), a(Type.PLACE)], Type.QUANTITY,
    "Angle along the floor between the directions to two regions, 0 to 180 degrees.", unit="deg",
)  # fmt: skip
def Angle(copies: SceneCopies, first: Indices, second: Indices, place: Standpoint) -> Values:
    sides = []
    for region in (first, second):
        copies.measure(as_mask(copies, region))
        sides.append(np.rad2deg(gather(bearings(copies, place), region)))
        if np.isnan(sides[-1][0]):
            raise bad_question(f"{copies.name(int(region[0]))} has no direction from where it is")
    turned = np.abs(sides[0] - sides[1]) % 360
    return np.asarray(np.minimum(turned, 360 - turned))


@operator(
    "Compare",
    [a(Type.QUANTITY), a(Type.WORD, "how", tuple(COMPARISONS)),
     a(Type.QUANTITY)],
    Type.TRUTH,
    "Whether one quantity is more, less, ... than another of the same unit.",
)  # fmt: skip
def Compare(copies: SceneCopies, first: Values, how: str, second: Values) -> Values:
    return _truth(COMPARISONS[how](first, second), np.isnan(first) | np.isnan(second))


@operator("Exists", [a(Type.REGIONS)], Type.TRUTH, "Whether there is any.")
def Exists(copies: SceneCopies, chosen: Chosen) -> Values:
    return np.asarray(chosen.mask.any(axis=1), dtype=np.float64)


@operator(
    "Whether", [a(Type.REGION), a(Type.PREDICATE)], Type.TRUTH,
    "Whether something is true of one region.",
)  # fmt: skip
def Whether(copies: SceneCopies, region: Indices, predicate: Predicate) -> Values:
    return _truth(predicate(as_mask(copies, region)).any(axis=1), region < 0)


@operator(
    "Every", [a(Type.REGIONS), a(Type.PREDICATE)], Type.TRUTH,
    "Whether something is true of all of a set, which has at least one.",
)  # fmt: skip
def Every(copies: SceneCopies, chosen: Chosen, predicate: Predicate) -> Values:
    if not chosen.mask[0].any():
        raise cannot_tell("there is nothing of which it could be true")
    failing = (chosen.mask & ~predicate(chosen.mask)).any(axis=1)
    return _truth(~failing, ~chosen.mask.any(axis=1))


@operator(
    "Share", [a(Type.REGIONS), a(Type.PREDICATE)], Type.QUANTITY,
    "Of how many of a set, which has at least one, something is true, as a share of all of them.",
    unit="share",
)  # fmt: skip
def Share(copies: SceneCopies, chosen: Chosen, predicate: Predicate) -> Values:
    total = chosen.mask.sum(axis=1)
    if not total[0]:
        raise cannot_tell("there is nothing of which it could be true")
    fitting = (chosen.mask & predicate(chosen.mask)).sum(axis=1)
    return np.where(total > 0, fitting / np.maximum(total, 1), np.nan)


@operator("Negation", [a(Type.TRUTH)], Type.TRUTH, "Whether it is not so.")
def Negation(copies: SceneCopies, truth: Values) -> Values:
    return 1.0 - truth


@operator(
    "Side", [a(Type.REGION), a(Type.PLACE), a(Type.WORD, "axis", AXES)], Type.RELATION,
    "Which of two opposites holds: left or right, in front or behind, above or below, inside or "
    "outside.",
)  # fmt: skip
def Side(copies: SceneCopies, region: Indices, place: Standpoint, axis: str) -> NDArray[np.str_]:
    if place.region is not None and region[0] == place.region[0]:
        raise bad_question(f"{copies.name(int(region[0]))} cannot be related to itself")
    subject = as_mask(copies, region)
    if axis == "inside_outside":
        return _inside_or_outside(copies, region, place)
    measure, negative, positive = {
        "left_right": (sideways, "left", "right"),
        "front_behind": (closer, "behind", "front"),
        "above_below": (higher, "below", "above"),
    }[axis]
    values = gather(measure(copies, subject, place), region)
    if not abs(values[0]) > 0:
        raise cannot_tell(f"{copies.name(int(region[0]))} is neither {negative} nor {positive}")
    return np.select([values < 0, values > 0], [negative, positive], "")


def _inside_or_outside(copies: SceneCopies, region: Indices, place: Standpoint) -> NDArray[np.str_]:
    if place.region is None:
        raise bad_question("only a zone has an inside")
    held = held_by(copies, int(place.region[0]), as_mask(copies, region))
    return np.where(held.any(axis=1), "inside", "outside")


@operator(
    "Color", [a(Type.REGION)], Type.COLOR,
    "The name of the color that most of what is seen of an object has; black and gray may count "
    "less, as shadow, rubber and steel are part of much.",
)  # fmt: skip
def Color(copies: SceneCopies, region: Indices) -> NDArray[np.str_]:
    copies.look(as_mask(copies, region[:1]))
    copies.look(as_mask(copies, region))
    places = gather(copies.color, region, missing=-1)
    return np.array([COLORS[place] if place >= 0 else "" for place in places.astype(int)])


@operator(
    "OfColor", [a(Type.REGION), a(Type.WORD, "color", COLORS)], Type.REGION,
    "A region that is said to have a color; refused where it has another one.",
)  # fmt: skip
def OfColor(copies: SceneCopies, region: Indices, color: str) -> Indices:
    own = Color.evaluate(copies, region)
    if own[0] != color:
        raise bad_question(f"{copies.name(int(region[0]))} is {own[0]}, not {color}")
    return np.asarray(np.where(own == color, region, -1))


@operator("Position", [a(Type.REGION)], Type.POINT, "Where the center of a region is.")
def Position(copies: SceneCopies, region: Indices) -> Values:
    copies.measure(as_mask(copies, region))
    return gather(copies.center, region)


@operator(
    "Direction", [a(Type.REGION), a(Type.PLACE)], Type.VECTOR,
    "Unit vector from a place to the center of a region.",
)  # fmt: skip
def Direction(copies: SceneCopies, region: Indices, place: Standpoint) -> Values:
    if place.region is not None and region[0] == place.region[0]:
        raise bad_question(f"{copies.name(int(region[0]))} has no direction from itself")
    copies.measure(as_mask(copies, region))
    offset = gather(copies.center, region) - place.center()
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    if length[0] < HERE_M:
        raise bad_question(f"{copies.name(int(region[0]))} has no direction from where it is")
    return np.asarray(offset / np.maximum(length, HERE_M))


@operator(
    "Dimensions", [a(Type.REGION)], Type.SIZE, "Length, width and height of its own box."
)  # fmt: skip
def Dimensions(copies: SceneCopies, region: Indices) -> Values:
    copies.measure_sizes(as_mask(copies, region))
    size = gather(copies.size, region)
    return np.stack([size[:, :2].max(axis=1), size[:, :2].min(axis=1), size[:, 2]], axis=1)


@operator(
    "DepthAt", [a(Type.PIXEL)], Type.QUANTITY,
    "Depth along the optical axis at a pixel.", unit="m",
)  # fmt: skip
def DepthAt(copies: SceneCopies, pixel: tuple[int, int]) -> Values:
    column, row = pixel
    height, width = copies.regions.image_size
    if not (0 <= column < width and 0 <= row < height):
        raise bad_question(f"pixel {pixel} lies outside of the image of {width} x {height}")
    depth = copies.depth_at(column, row)
    if np.isnan(depth[0]):
        raise cannot_tell(f"the depth image has no reading at pixel {pixel}")
    return depth


def _truth(values: Any, unknown: Any) -> Values:
    return np.where(unknown, np.nan, np.asarray(values, dtype=np.float64))
