"""Marks have the metric ends of what was measured, by arithmetic of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.geometry.fronts import Front
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.marks import Mark, MarkKind, marks_of
from smolrgpt_core.language.operators import (
    OPERATORS,
    attributes,
    predicates,
    questions,
)
from smolrgpt_core.language.operators.selections import (
    All,
    Camera,
    Extreme,
    Listed,
    Observer,
    Sorted,
    Where,
)
from smolrgpt_core.language.operators.selections import Region as Named
from smolrgpt_core.language.program import Program
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene import Placed, SceneCopies
from smolrgpt_core.scene.spatial_scene import SeenColors

PITCH = np.deg2rad(25)
CAMERA_HEIGHT = 2.0
BOXES = {
    10: ("pallet", (-1.0, 5.0, 0.5), (1.2, 0.8, 1.0), 0.0),
    11: ("pallet", (1.0, 5.0, 0.4), (1.2, 0.8, 0.8), 0.0),
    12: ("pallet", (0.5, 9.0, 0.6), (1.2, 0.8, 1.2), 0.0),
    1: ("buffer", (0.0, 9.0, 0.0), (4.0, 3.0, 0.0), 0.0),
    13: ("pallet", (4.0, 6.0, 0.5), (0.8, 1.2, 1.0), np.deg2rad(30)),
    60: ("transporter", (3.0, 3.0, 0.2), (1.3, 0.9, 0.4), np.deg2rad(90)),
}


@dataclass
class ExactScene:
    """Boxes that are known exactly, seen by a camera that looks down."""

    regions: RegionSet = field(
        default_factory=lambda: RegionSet(
            (100, 100),
            tuple(
                Region.from_box(id, label, Box(10 * place + 5, 40, 8, 8))
                for place, (id, (label, *_)) in enumerate(BOXES.items())
            ),
        )
    )
    camera_height: float = CAMERA_HEIGHT
    middle_column: float = 50.0
    column_std: float = 0.0

    @property
    def axes(self) -> np.ndarray:
        sine, cosine = np.sin(PITCH), np.cos(PITCH)
        return np.array([[1, 0, 0], [0, -sine, cosine], [0, -cosine, -sine]])

    def point_at(self, column: int, row: int) -> np.ndarray:
        return np.array([column / 100, row / 100, 1.0]) * 4.0

    def depth_std(self, column: int, row: int) -> float:
        return 0.0

    def colors(self, id: int) -> SeenColors:
        return SeenColors.only("white")

    def front(self, id: int) -> Front:
        return Front(BOXES[id][3])

    def expect(self, ids: Sequence[int]) -> None:
        pass

    def place(self, id: int) -> Placed:
        _, center, size, yaw = BOXES[id]
        return Placed(np.array(center), yaw, np.array(size), np.zeros(3), np.zeros((3, 2)))


def marks(program: Program, unit: tuple[str, float] | None = None) -> tuple[Mark, ...]:
    copies = SceneCopies(ExactScene(), 3)
    return marks_of(evaluate(program, copies), copies, unit)


def on_floor(mark: Mark) -> np.ndarray:
    """Points right, forward, above the floor, rotated back by hand."""
    x, y, z = mark.points.T
    forward = np.cos(PITCH) * z - np.sin(PITCH) * y
    up = -np.cos(PITCH) * y - np.sin(PITCH) * z
    return np.stack([x, forward, up + CAMERA_HEIGHT], axis=1)


def measure(id: int, attribute: Program) -> Program:
    return questions.Measure(Named(id), attribute)


@pytest.mark.parametrize(
    ("program", "start", "end", "label"),
    [
        (measure(10, attributes.Distance(Named(11))), (-1, 5, 0.5), (1, 5, 0.4), "2.00 m"),
        (measure(10, attributes.Distance(Camera())), (-1, 5, 0.5), (0, 0, 2), "5.32 m"),
        (measure(10, attributes.HorizontalDistance(Named(11))), (-1, 5, 0), (1, 5, 0), "2.00 m"),
        (measure(10, attributes.VerticalDistance(Named(12))),
         (-1, 5, 0.5), (-1, 5, 0.6), "0.10 m"),
        (measure(10, attributes.SidewaysDistance(Named(12))),
         (-1, 5, 0.5), (0.5, 5, 0.5), "1.50 m"),
        (measure(10, attributes.ForwardDistance(Named(12))), (-1, 5, 0.5), (-1, 9, 0.5), "4.00 m"),
        (measure(10, attributes.Clearance(Named(12))), (-0.4, 5.4, 0), (-0.1, 8.6, 0), "3.21 m"),
        (measure(10, attributes.Height()), (-0.4, 4.6, 0), (-0.4, 4.6, 1), "1.00 m"),
        (measure(12, attributes.Top()), (-0.1, 8.6, 0), (-0.1, 8.6, 1.2), "1.20 m"),
        (measure(11, attributes.CenterHeight()), (1, 5, 0), (1, 5, 0.4), "0.40 m"),
        (measure(10, attributes.Length()), (-1.6, 4.6, 0), (-0.4, 4.6, 0), "1.20 m"),
        (measure(10, attributes.Width()), (-0.4, 4.6, 0), (-0.4, 5.4, 0), "0.80 m"),
        (measure(60, attributes.Span()), (2.55, 2.35, 0), (3.45, 2.35, 0), "0.90 m"),
        (Extreme(Listed((10, 12)), attributes.Distance(Named(11)), "least", 1.0),
         (-1, 5, 0.5), (1, 5, 0.4), "2.00 m"),
        (questions.Whether(Named(10), predicates.Between(Named(11), Named(12))),
         (1, 5, 0), (0.5, 9, 0), ""),
    ],
)  # fmt: skip
def test_a_length_is_a_line_between_its_ends(
    program: Program, start: tuple, end: tuple, label: str
) -> None:
    (mark,) = marks(program)
    assert (mark.kind, mark.label) == (MarkKind.LINE, label)
    ends = sorted(map(tuple, np.round(on_floor(mark), 3)))
    assert np.allclose(ends, sorted([start, end]), atol=2e-3)


def test_the_gap_between_parallel_sides_is_straight_across() -> None:
    (mark,) = marks(measure(10, attributes.Clearance(Named(11))))
    (x1, y1, z1), (x2, y2, z2) = on_floor(mark)
    assert sorted([x1, x2]) == pytest.approx([-0.4, 0.4])
    assert y1 == pytest.approx(y2)
    assert (z1, z2) == pytest.approx((0, 0))


def outline(id: int, count: int = 400) -> np.ndarray:
    """(4 * count, 2) points along the sides of a footprint."""
    _, (x, y, _), (length, width, _), yaw = BOXES[id]
    shares = np.linspace(-0.5, 0.5, count)
    sides: list[tuple[Any, Any]] = []
    for end in (-0.5, 0.5):
        sides += [(shares * length, end * width), (end * length, shares * width)]
    flat = np.concatenate([np.stack(np.broadcast_arrays(*side), axis=1) for side in sides])
    along, across = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    return flat @ np.stack([along, across]) + np.array([x, y])


@pytest.mark.parametrize(("first", "second"), [(13, 11), (11, 13), (60, 13), (1, 10), (10, 1)])
def test_clearances_run_from_one_footprint_to_the_other(first: int, second: int) -> None:
    (mark,) = marks(measure(first, attributes.Clearance(Named(second))))
    own, theirs = outline(first), outline(second)
    gaps = np.linalg.norm(own[:, None] - theirs[None], axis=2)
    start, end = on_floor(mark)[:, :2]
    assert np.linalg.norm(end - start) == pytest.approx(gaps.min(), abs=0.002)
    assert np.linalg.norm(own - start, axis=1).min() < 0.006  # samples are 10 mm apart
    assert np.linalg.norm(theirs - end, axis=1).min() < 0.006  # samples are 10 mm apart


def test_nothing_between_is_a_point() -> None:
    (in_zone,) = marks(measure(12, attributes.Distance(Named(1))))
    assert (in_zone.kind, in_zone.label) == (MarkKind.POINT, "0.00 m")
    assert on_floor(in_zone)[0] == pytest.approx([0.5, 9.0, 0.6])
    (overlap,) = marks(measure(12, attributes.Clearance(Named(1))))
    assert (overlap.kind, overlap.label) == (MarkKind.POINT, "0.00 m")
    assert on_floor(overlap)[0] == pytest.approx([0.5, 9.0, 0.0], abs=1e-5)


def test_the_depth_at_a_pixel_is_a_cross_at_what_it_shows() -> None:
    (mark,) = marks(questions.DepthAt((30, 20)), ("feet", 0.3048))
    assert (mark.kind, mark.label) == (MarkKind.POINT, "13.12 feet")
    assert mark.points == pytest.approx(np.array([[1.2, 0.8, 4.0]]))


@pytest.mark.parametrize(
    ("attribute", "middle", "radius"),
    [
        (attributes.Distance(Named(11)), (1, 5, 0), 2.5),
        (attributes.HorizontalDistance(Named(11)), (1, 5, 0), 2.5),
        (attributes.Distance(Camera()), (0, 0, 0), 1.5),
    ],
)
def test_what_is_within_a_distance_lies_in_a_circle_on_the_floor(
    attribute: Program, middle: tuple, radius: float
) -> None:
    near = predicates.Measures(attribute, "at_most", questions.Amount(2.5, "m"))
    circle, *_ = marks(questions.Count(Where(All("pallet"), near)))
    assert (circle.kind, circle.label) == (MarkKind.LINE, "2.50 m")
    ring = on_floor(circle)
    assert ring[0] == pytest.approx(ring[-1])
    assert np.linalg.norm(ring - middle, axis=1) == pytest.approx(np.full(len(ring), radius))


def test_labels_speak_the_unit_that_was_asked_for() -> None:
    (mark,) = marks(measure(10, attributes.Distance(Named(11))), ("feet", 0.3048))
    assert mark.label == "6.57 feet"
    area, *_ = marks(measure(1, attributes.FootprintArea()), ("square feet", 0.3048**2))
    assert area.label == "129.17 square feet"


def test_both_quantities_of_a_difference_are_shown() -> None:
    far, near = (measure(id, attributes.Distance(Named(11))) for id in (12, 10))
    assert [mark.label for mark in marks(questions.Difference(far, near))] == ["4.04 m", "2.00 m"]


def test_what_is_measured_twice_is_shown_once() -> None:
    distance = attributes.Distance(Camera())
    nearest = Extreme(Listed((10, 12)), distance, "least", 1.0)
    assert [mark.label for mark in marks(questions.Measure(nearest, distance))] == ["5.32 m"]


def shoelace(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_free_floor_is_the_zone_less_what_stands_in_it() -> None:
    outer, hole = sorted(
        marks(measure(1, attributes.FreeArea())), key=lambda mark: -shoelace(on_floor(mark))
    )
    assert outer.kind is MarkKind.AREA
    assert float(outer.label.removesuffix(" m2")) == pytest.approx(11.04, abs=0.03)
    assert (hole.kind, hole.label) == (MarkKind.AREA, "")
    assert on_floor(outer).min(axis=0) == pytest.approx([-2, 7.5, 0], abs=0.03)
    assert on_floor(outer).max(axis=0) == pytest.approx([2, 10.5, 0], abs=0.03)
    assert on_floor(hole).mean(axis=0) == pytest.approx([0.5, 9, 0], abs=0.05)
    assert shoelace(on_floor(outer)) - shoelace(on_floor(hole)) == pytest.approx(11.04, rel=0.03)


def test_room_for_a_pallet_is_a_place_in_the_zone_beside_what_stands_there() -> None:
    (mark,) = marks(questions.Whether(Named(1), predicates.HasRoom()))
    assert (mark.kind, mark.label) == (MarkKind.AREA, "1.2 x 0.8 m")
    corners = on_floor(mark)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    assert sorted(sides) == pytest.approx([0.8, 0.8, 1.2, 1.2])
    assert np.all(np.abs(corners[:, :2] - [0, 9]) <= [2.02, 1.52])
    shares = np.linspace(0, 1, 20)
    inner = corners[0] + np.array(
        [
            s * (corners[1] - corners[0]) + t * (corners[3] - corners[0])
            for s in shares
            for t in shares
        ]
    )
    beyond = np.maximum(np.abs(inner[:, :2] - [0.5, 9]) - [0.6, 0.4], 0)
    assert np.linalg.norm(beyond, axis=1).min() > 0.02


@pytest.mark.parametrize("yaw_deg", [0, 25, 90])
def test_the_only_place_is_found_in_a_zone_that_is_hardly_larger(yaw_deg: float) -> None:
    yaw = np.deg2rad(yaw_deg)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOXES, 1, ("buffer", (-3.0, 6.0, 0.0), (1.3, 0.9, 0.0), yaw))
        (mark,) = marks(questions.Whether(Named(1), predicates.HasRoom()))
    offset = on_floor(mark)[:, :2] - [-3.0, 6.0]
    along = offset @ [np.cos(yaw), np.sin(yaw)]
    across = offset @ [-np.sin(yaw), np.cos(yaw)]
    assert np.abs(along).max() <= 0.65 + 0.02
    assert np.abs(across).max() <= 0.45 + 0.02


def test_all_places_that_are_counted_are_shown() -> None:
    found = marks(measure(1, attributes.Capacity()))
    assert [mark.label for mark in found] == ["1.2 x 0.8 m"] + [""] * 8
    for mark in found:
        corners = on_floor(mark)
        assert shoelace(corners) == pytest.approx(0.96)
        assert np.all(np.abs(corners[:, :2] - [0, 9]) <= [2.02, 1.52])


def test_a_zone_into_which_none_fits_shows_what_is_free() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOXES, 1, ("buffer", (0.5, 9.0, 0.0), (2.0, 1.6, 0.0), 0.0))
        found = marks(measure(1, attributes.Capacity()))
    assert [mark.label for mark in found] == ["", ""]


def test_a_zone_without_room_shows_what_is_free() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOXES, 1, ("buffer", (0.5, 9.0, 0.0), (2.0, 1.6, 0.0), 0.0))
        found = marks(questions.Whether(Named(1), predicates.HasRoom()))
    assert {mark.kind for mark in found} == {MarkKind.AREA}
    assert [mark.label for mark in found] == ["", ""]


def test_a_size_is_three_edges_of_the_box_that_meet() -> None:
    found = [on_floor(mark) for mark in marks(questions.Dimensions(Named(10)))]
    lengths = [float(np.linalg.norm(end - start)) for start, end in found]
    assert lengths == pytest.approx([1.2, 0.8, 1.0])
    for ends in found:
        assert np.abs(ends - [-0.4, 4.6, 0]).sum(axis=1).min() == pytest.approx(0, abs=1e-9)
    assert len(marks(questions.Dimensions(Named(1)))) == 2


def test_a_volume_is_the_whole_box() -> None:
    found = marks(measure(13, attributes.Volume()))
    assert [mark.label for mark in found if mark.label] == ["0.96 m3"]
    points = np.unique(np.round(np.vstack([on_floor(mark) for mark in found]), 6), axis=0)
    assert len(points) == 8
    center = np.array(BOXES[13][1])
    assert points.mean(axis=0) == pytest.approx(center)
    half = np.linalg.norm([0.4, 0.6, 0.5])
    assert np.linalg.norm(points - center, axis=1) == pytest.approx([half] * 8, abs=1e-5)


def test_an_order_is_numbered() -> None:
    program = Sorted(Listed((12, 10, 13)), attributes.Distance(Camera()), "least")
    found = marks(program)
    assert [(mark.kind, mark.label, mark.region_ids) for mark in found] == [
        (MarkKind.NUMBER, "1", (10,)),
        (MarkKind.NUMBER, "2", (13,)),
        (MarkKind.NUMBER, "3", (12,)),
    ]
    assert on_floor(found[0])[0] == pytest.approx([-1, 5, 0.5])


@pytest.mark.parametrize(
    ("program", "start", "end"),
    [
        (questions.Direction(Named(10), Named(11)), (1, 5, 0.4), (-1, 5, 0.5)),
        (
            questions.Side(Named(12), Observer(Named(60), Named(11)), "left_right"),
            (3, 3, 0.2),
            (1, 5, 0.4),
        ),
        (measure(10, attributes.Bearing(Camera())), (0, 0, 2), (-1, 5, 0.5)),
        (measure(10, attributes.ClockHour(Named(11))), (1, 5, 0.4), (-1, 5, 0.5)),
    ],
)
def test_directions_are_arrows(program: Program, start: tuple, end: tuple) -> None:
    (mark,) = marks(program)
    assert mark.kind is MarkKind.ARROW
    assert np.allclose(on_floor(mark), [start, end])


def test_a_position_is_a_point() -> None:
    (mark,) = marks(questions.Position(Named(13)))
    assert (mark.kind, mark.label) == (MarkKind.POINT, "")
    assert on_floor(mark)[0] == pytest.approx([4, 6, 0.5])


@pytest.mark.parametrize(
    "program",
    [
        questions.Side(Named(10), Named(12), "front_behind"),
        questions.Side(Named(10), Named(11), "above_below"),
        questions.Count(Where(All("pallet"), predicates.In(Named(1)))),
    ],
)
def test_the_rest_is_shown_by_its_regions(program: Program) -> None:
    assert marks(program) == ()


def test_every_attribute_of_an_object_can_be_shown() -> None:
    zones_only = {"FreeArea", "FreeShare", "Capacity"}
    of_place = {"Holding"}
    for name, operator in OPERATORS.items():
        if operator.returns is not attributes.Height.returns or name in of_place:
            continue
        takes = operator.parameters
        attribute = operator(*(item.words[0] if item.words else Named(11) for item in takes))
        for mark in marks(measure(1 if name in zones_only else 10, attribute)):
            assert np.isfinite(mark.points).all(), name
