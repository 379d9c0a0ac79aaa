"""What an image shows of a measurement: lines, arrows, parts of the floor, as plain data.

    marks_of(evaluate(program, copies), copies)  ->  Mark(LINE, two centers, "5.88 m"), ...

`MARKS` lists by operator what is visible; an operator without an entry, such as a count or
a side, is shown by its regions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.interpreter import Finding, ordered_ids
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.operators.registry import Standpoint, as_mask
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import Unit, quantity
from smolrgpt_core.scene.copies import SceneCopies, Values
from smolrgpt_core.scene.footprints import corners, nearest_points
from smolrgpt_core.scene.free_space import (
    FOOTPRINT_M,
    MARGIN_M,
    free_floor,
    free_rectangle,
    packed_rectangles,
)

CIRCLE_POINTS = 65
"""Of a circle, the first again at its end."""

_FUNCTIONS = (Type.PREDICATE, Type.ATTRIBUTE)


class MarkKind(Enum):
    """What the points of a mark are."""

    LINE = "line"
    """Joined in their order."""
    AREA = "area"
    """The outline of a part of the floor, closed. Of several areas of one answer, what lies inside
    of an odd number is meant: a hole is an area as well."""
    ARROW = "arrow"
    """From the first point to the second."""
    POINT = "point"
    """A place."""
    NUMBER = "number"
    """A place with its number in an order, which is the label."""


@dataclass(frozen=True, eq=False)
class Mark:
    """One thing to draw.

    Attributes:
        kind: what the points are.
        points: float64 (N, 3), meters, optical frame; the camera is (0, 0, 0); NaN where a center
            is not known.
        label: what is written beside it, such as "3.42 m"; may be empty.
        region_ids: for each point the region whose center it is, or None, so that a center that is
            not known can be drawn in the middle of the mask; empty where all points are known.
    """

    kind: MarkKind
    points: NDArray[np.float64]
    label: str = ""
    region_ids: tuple[int | None, ...] = ()


def marks_of(finding: Finding, copies: SceneCopies, unit: Unit | None = None) -> tuple[Mark, ...]:
    """What to draw for an answer: what was measured, by the undisturbed copy of the scene.

    Args:
        finding: the answer.
        copies: on which it was found.
        unit: name and size in SI units of the unit that was asked for; None = SI.
    """
    found = _walk(_View(copies, finding, unit), finding.program, ())
    # The distance of "the nearest" is measured twice, to find it and to report it.
    different = {(mark.kind, mark.label, mark.points.tobytes()): mark for mark in found}
    return tuple(different.values())


@dataclass(frozen=True, eq=False)
class _View:
    """The undisturbed copy of a scene, and what the parts of a program stand for in it."""

    copies: SceneCopies
    finding: Finding
    unit: Unit | None

    @cached_property
    def known(self) -> dict[tuple[Program, int], float]:
        """Attributes of regions, by index, that were evaluated on the way to the answer."""
        values = {}
        for program in self.finding.program.walk():
            for part in program.parts if program.type is Type.QUANTITY else ():
                if part.type is Type.ATTRIBUTE:
                    (index,) = self.members(program.parts[0])
                    values[part, index] = float(self.finding.found[program][0])
        for step in self.finding.steps:
            for part in step.program.parts if step.value is not None else ():
                if part.type is Type.ATTRIBUTE:
                    values[part, self.copies.index(step.ids[0])] = float(step.value or 0.0)
        return values

    def members(self, program: Program) -> tuple[int, ...]:
        """Indices of the region, or of the regions in order, that an expression stands for."""
        value = self.finding.found[program]
        if program.type is Type.REGION:
            return (int(value[0]),)
        return tuple(self.copies.index(id) for id in ordered_ids(self.copies, value))

    def center(self, index: int) -> Values:
        """(3,) floor frame; NaN where it cannot be measured."""
        try:
            self.copies.measure(np.arange(self.copies.number) == index)
        except SpatialError:
            return np.full(3, np.nan)
        return np.asarray(self.copies.center[0, index])

    def place(self, program: Program) -> Values:
        """(3,) center of a region, the camera, or where an observer stands; floor frame."""
        if program.type is Type.REGION:
            return self.center(*self.members(program))
        standpoint: Standpoint = self.finding.found[program]
        return np.asarray(standpoint.center()[0])

    def value(self, attribute: Program, index: int) -> float:
        """An attribute of a region."""
        if (attribute, index) in self.known:
            return self.known[attribute, index]
        function = self.finding.found[attribute]
        alone = as_mask(self.copies, np.full(self.copies.count, index))
        return float(function(alone)[0, index])

    def footprint(self, index: int, height: float) -> Values:
        """(4, 3) corners of a footprint in order, at a height above the floor."""
        flat = corners(self.copies, np.full(self.copies.count, index))[0]
        return np.column_stack([flat, np.full(4, height)])

    def heights(self, index: int) -> tuple[float, float]:
        """Lower and upper face of a box above the floor."""
        middle, half = self.copies.center[0, index, 2], self.copies.size[0, index, 2] / 2
        return float(middle - half), float(middle + half)

    def words(self, value: float, unit: str) -> str:
        """A quantity, in the unit that was asked for where it is one of that kind."""
        asked = self.finding.program.unit or "m"
        return quantity(value, unit, self.unit if unit == asked else None)

    def mark(self, kind: MarkKind, points: Sequence[Values] | Values, label: str = "") -> Mark:
        """A mark of points (N, 3) in the floor frame."""
        return Mark(kind, self.copies.to_optical(np.asarray(points, dtype=np.float64)), label)

    def length(self, start: Values, end: Values) -> Mark:
        """A line with its length."""
        meters = float(np.linalg.norm(end - start))
        return self.mark(MarkKind.LINE, [start, end], self.words(meters, "m"))


def _walk(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    """Marks of an expression and of all within; functions are drawn for the regions `given`."""
    draw = MARKS.get(program.operator)
    if draw is not None:
        yield from draw(view, program, subjects)
    for part in program.parts:
        given = _subjects(view, program, subjects) if part.type in _FUNCTIONS else ()
        if part.type is Type.ATTRIBUTE and len(given) > 1:
            given = ()  # a line to each of many would hide them
        yield from _walk(view, part, given)


def _subjects(view: _View, program: Program, given: tuple[int, ...]) -> tuple[int, ...]:
    """Of what regions the functions among the arguments of an expression are measured."""
    if program.type in _FUNCTIONS:
        return given
    chosen = program if program.type in (Type.REGION, Type.REGIONS) else program.parts[0]
    return view.members(chosen)


def _on_floor(point: Values) -> Values:
    return point * [1.0, 1.0, 0.0]


def _distance(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        center, place = view.center(index), view.place(program.arguments[0])
        if view.value(program, index) == 0:  # it stands in the zone
            yield view.mark(MarkKind.POINT, [center], view.words(0.0, "m"))
        else:
            yield view.length(center, place)


def _component(turned_off: Sequence[bool]) -> Callable[..., Iterator[Mark]]:
    """Draws a distance along some of right, forward, up; the others are those of the subject."""

    def draw(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
        for index in subjects:
            center, place = view.center(index), view.place(program.arguments[0])
            yield view.length(center, np.where(turned_off, center, place))

    return draw


def _horizontal(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        ends = view.center(index), view.place(program.arguments[0])
        yield view.length(*(_on_floor(end) for end in ends))


def _clearance(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    (other,) = view.members(program.arguments[0])
    for index in subjects:
        start, end = np.pad(nearest_points(view.copies, index, other), ((0, 0), (0, 1)))
        if np.array_equal(start, end):
            yield view.mark(MarkKind.POINT, [start], view.words(0.0, "m"))
        else:
            yield view.length(start, end)


def _upright(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    """The vertical edge nearest to the camera: from the floor, or of the box."""
    for index in subjects:
        bottom, top = view.heights(index)
        low = bottom if program.operator is attributes.Height else 0.0
        yield _edge(view, index, low, top)


def _edge(view: _View, index: int, low: float, high: float) -> Mark:
    ends = view.footprint(index, low)
    corner = ends[np.argmin(np.linalg.norm(ends[:, :2], axis=1))]
    return view.length(corner, corner + np.array([0.0, 0.0, high - low]))


def _center_height(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        center = view.center(index)
        yield view.length(_on_floor(center), center)


def _side(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        yield _floor_side(view, index, program.operator is attributes.Length)


def _floor_side(view: _View, index: int, longer: bool) -> Mark:
    """The nearer of the two longer, or shorter, sides of the lower face of a box."""
    starts = view.footprint(index, view.heights(index)[0])
    ends = np.roll(starts, -1, axis=0)
    length, width = view.copies.size[0, index, :2]
    first = int((length >= width) != longer)
    nearer = min(
        (first, first + 2), key=lambda side: float(np.linalg.norm((starts + ends)[side, :2]))
    )
    return view.length(starts[nearer], ends[nearer])


def _span(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        shape = view.footprint(index, view.heights(index)[0])
        left, right = shape[:, 0].min(), shape[:, 0].max()
        nearest, height = shape[:, 1].min(), shape[0, 2]
        ends = (np.array([side, nearest, height]) for side in (left, right))
        yield view.length(*ends)


def _area(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        area = float(view.copies.size[0, index, :2].prod())
        shape = view.footprint(index, view.heights(index)[0])
        yield view.mark(MarkKind.AREA, shape, view.words(area, "m2"))


def _volume(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        if view.copies.zones[index]:
            yield from _area(view, program, (index,))
            continue
        low, high = (view.footprint(index, height) for height in view.heights(index))
        label = view.words(float(view.copies.size[0, index].prod()), "m3")
        for shape, text in ((low, ""), (high, label)):
            yield view.mark(MarkKind.LINE, [*shape, shape[0]], text)
        for edge in zip(low, high, strict=True):
            yield view.mark(MarkKind.LINE, edge)


def _dimensions(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    (index,) = view.members(program.arguments[0])
    yield _floor_side(view, index, longer=True)
    yield _floor_side(view, index, longer=False)
    if not view.copies.zones[index]:
        yield _edge(view, index, *view.heights(index))


def _free_part(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        outlines, area = free_floor(view.copies, index)
        value, unit = area, "m2"
        if program.operator is attributes.FreeShare:
            value, unit = area / float(view.copies.size[0, index, :2].prod()), "share"
        yield from _outlined(view, outlines, view.words(value, unit))


def _room(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    """The place that fits, or what is free where none fits."""
    for index in subjects:
        place = free_rectangle(view.copies, index)
        yield from _fitted(view, index, [] if place is None else [place])


def _capacity(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        yield from _fitted(view, index, packed_rectangles(view.copies, index))


def _fitted(view: _View, index: int, places: Sequence[Values]) -> Iterator[Mark]:
    """The places (4, 2) for pallets in a zone; without one, what is free."""
    if not places:
        yield from _outlined(view, free_floor(view.copies, index, MARGIN_M)[0], "")
    label = "{} x {} m".format(*FOOTPRINT_M)
    for number, place in enumerate(places):
        shape = np.pad(place, ((0, 0), (0, 1)))
        yield view.mark(MarkKind.AREA, shape, "" if number else label)


def _outlined(view: _View, outlines: Sequence[Values], label: str) -> Iterator[Mark]:
    """Areas (M, 2) on the floor; the label stands in the largest."""
    largest = max(outlines, key=lambda ring: float(np.ptp(ring, axis=0).prod()), default=None)
    for ring in outlines:
        text = label if ring is largest else ""
        yield view.mark(MarkKind.AREA, np.pad(ring, ((0, 0), (0, 1))), text)


def _bearing(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for index in subjects:
        label = view.words(view.value(program, index), program.unit)
        ends = [view.place(program.arguments[0]), view.center(index)]
        yield view.mark(MarkKind.ARROW, ends, label)


def _direction(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    region, place = program.arguments
    yield view.mark(MarkKind.ARROW, [view.place(place), view.place(region)])


def _observer(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    yield view.mark(MarkKind.ARROW, [view.place(end) for end in program.arguments])


def _position(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    yield view.mark(MarkKind.POINT, [view.place(program.arguments[0])])


def _pixel(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    (pixel,) = program.arguments
    label = view.words(float(view.finding.found[program][0]), program.unit)
    yield Mark(MarkKind.POINT, view.copies.scene.point_at(*pixel)[None], label)


def _reach(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    """The circle on the floor within or outside of which objects are asked for.

    The distance is one between centers. Those of two objects are about as high; the camera is not.
    """
    attribute, _, limit = program.arguments
    if attribute.operator not in (attributes.Distance, attributes.HorizontalDistance):
        return
    meters, place = float(view.finding.found[limit][0]), view.place(attribute.arguments[0])
    slanted = attribute == attributes.Distance(selections.Camera())
    radius = np.sqrt(max(meters**2 - place[2] ** 2, 0.0)) if slanted else meters
    angles = np.linspace(0.0, 2 * np.pi, CIRCLE_POINTS)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    yield view.mark(MarkKind.LINE, _on_floor(place) + radius * ring, view.words(meters, "m"))


def _between(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    ends = [_on_floor(view.place(end)) for end in program.arguments]
    yield view.mark(MarkKind.LINE, ends)


def _numbers(view: _View, program: Program, subjects: tuple[int, ...]) -> Iterator[Mark]:
    for number, index in enumerate(view.members(program), start=1):
        points = view.copies.to_optical(view.center(index)[None])
        yield Mark(MarkKind.NUMBER, points, str(number), (view.copies.ids[index],))


MARKS: Mapping[Operator, Callable[[_View, Program, tuple[int, ...]], Iterator[Mark]]] = {
    attributes.Distance: _distance,
    attributes.HorizontalDistance: _horizontal,
    attributes.VerticalDistance: _component((True, True, False)),
    attributes.SidewaysDistance: _component((False, True, True)),
    attributes.ForwardDistance: _component((True, False, True)),
    attributes.Clearance: _clearance,
    attributes.CenterHeight: _center_height,
    attributes.Top: _upright,
    attributes.Height: _upright,
    attributes.Length: _side,
    attributes.Width: _side,
    attributes.Span: _span,
    attributes.FootprintArea: _area,
    attributes.Volume: _volume,
    attributes.Bigness: _volume,
    attributes.FreeArea: _free_part,
    attributes.FreeShare: _free_part,
    attributes.Capacity: _capacity,
    attributes.Bearing: _bearing,
    attributes.ClockHour: _bearing,
    predicates.Between: _between,
    predicates.HasRoom: _room,
    predicates.Measures: _reach,
    questions.Direction: _direction,
    questions.DepthAt: _pixel,
    questions.Dimensions: _dimensions,
    questions.Position: _position,
    selections.First: _numbers,
    selections.Observer: _observer,
    selections.Sorted: _numbers,
}
"""What each operator draws, of the regions of which a function is measured."""
