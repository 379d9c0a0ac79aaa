# ruff: noqa: E731, N802, N815
"""The interpreter against a plain evaluation of every operator, and on scenes made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import (
    OPERATORS,
    arrangements,
    attributes,
    fronts,
    predicates,
    questions,
)
from smolrgpt_core.language.operators import selections as s
from smolrgpt_core.language.operators.predicates import COMPARISONS
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.free_space import CELL_M, FOOTPRINT_M, MARGIN_M, packed_rectangles
from smolrgpt_core.scene.spatial_scene import COLORS, Placed
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis.margins import AmbiguityMargins, WithMargins
from smolrgpt_core.truth import SceneTruth

SCENES = range(25)
PER_SCENE = 4
RARE = {"OfColor": 4}
"""Operators that seldom have an answer, and how many times as often they are tried."""
CLASSES = ("pallet", "transporter", "shelf", "buffer")
SIDES = ("left", "right", "front", "behind", "above", "below")
FRONTAL = ("Facing", "FacingAway", "FacingSide")
SAMPLED = {"Clearance": 0.011, "NeighborGap": 0.011, "FreeArea": 0.15, "FreeShare": 0.015}
"""Operators whose plain value is counted or sampled, with what that may be wrong by."""


class Draw:
    """Random expressions of each type about one frame."""

    def __init__(self, regions: RegionSet, rng: np.random.Generator) -> None:
        self.rng = rng
        self.ids = {
            name: [region.id for region in regions if name in (region.label, "")]
            for name in (*CLASSES, "")
        }
        self.objects = [i for name in CLASSES[:3] for i in self.ids[name]]

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def one(self, *labels) -> Program:
        known = [i for label in labels or ("",) for i in self.ids[label]]
        return s.Region(self.pick(known))

    def thing(self) -> Program:
        return s.Region(self.pick(self.objects))

    def some(self, *labels) -> Program:
        pool = [i for label in labels or CLASSES[:3] for i in self.ids[label]]
        number = int(self.rng.integers(1, len(pool) + 1))
        return s.Listed(tuple(int(i) for i in self.rng.permutation(pool)[:number]))

    def place(self) -> Program:
        return self.pick([s.Camera(), self.one(), self.one(), self.observer()])

    def observer(self) -> Program:
        return s.Observer(*(s.Region(int(i)) for i in self.rng.permutation(self.objects)[:2]))

    def aboard(self) -> Program:
        return fronts.Aboard(self.one("transporter"))

    def length(self) -> Program:
        return questions.Amount(float(self.rng.uniform(0.5, 12)), "m")

    def attribute(self) -> Program:
        return self.pick([
            attributes.Distance(self.place()), attributes.Forward(), attributes.Column(),
            attributes.Top(), attributes.Width(),
        ])  # fmt: skip

    def predicate(self) -> Program:
        return self.pick([
            predicates.In(self.some("buffer")), predicates.LeftOf(self.place()),
            predicates.Behind(self.place()), predicates.OfClass(self.pick(CLASSES[:3])),
            predicates.Measures(attributes.Distance(self.place()), "less", self.length()),
        ])  # fmt: skip

    def number(self, most: int = 4) -> float:
        return float(self.rng.integers(1, most))

    def end(self) -> str:
        return self.pick(["least", "most"])

    def measure(self) -> Program:
        return questions.Measure(self.thing(), self.attribute_in_meters())

    def attribute_in_meters(self) -> Program:
        return self.pick([attributes.Distance(s.Camera()), attributes.Top(), attributes.Forward()])

    def using(self, name: str) -> Program:
        """A question in which an operator decides."""
        operator = OPERATORS[name]
        if operator.returns is Type.ATTRIBUTE:
            return self.using_attribute(name, operator)
        if operator.returns is Type.PREDICATE:
            chosen = {"HasRoom": self.some("buffer"), "HasRoomFor": self.some("buffer"),
                      "Holds": self.some("buffer", "transporter"),
                      "Empty": self.some("buffer", "transporter", "pallet"),
                      **dict.fromkeys(FRONTAL, self.some("transporter"))}  # fmt: skip
            subjects = chosen.get(name, self.some())
            return s.Where(subjects, self.predicate_of(name, operator))
        if operator.returns is Type.PLACE:
            makers = {
                "Camera": lambda: s.Camera(),
                "Observer": self.observer,
                "Aboard": self.aboard,
            }
            place = makers[name]()
            return self.pick([
                questions.Measure(self.thing(), attributes.Bearing(place)),
                questions.Side(self.thing(), place, "left_right"),
                s.Where(self.some(), predicates.InFrontOf(place)),
            ])  # fmt: skip
        return getattr(self, f"use_{name}")(operator)

    def using_attribute(self, name: str, operator) -> Program:
        solid = name in ("Height", "Volume", "Bigness", "Clearance", "SurfaceDistance")
        zones = name in ("FreeArea", "FreeShare", "Capacity")
        region = self.one("buffer") if zones else self.thing() if solid else self.one()
        region = self.one("transporter") if name == "Heading" else region
        if name == "Offset":
            return questions.Measure(region, operator(self.place(), self.pick(SIDES)))
        taken = {
            "Clearance": self.thing, "SurfaceDistance": self.thing, "Holding": self.some,
            "DistanceToAny": self.some,
        }.get(name, self.place)  # fmt: skip
        return questions.Measure(region, operator(*(taken() for _ in operator.parameters)))

    def predicate_of(self, name: str, operator) -> Program:
        taken = {Type.PREDICATE: self.predicate, Type.PLACE: self.place, Type.REGION: self.thing,
                 Type.REGIONS: self.some}  # fmt: skip
        if name == "Measures":
            how = self.pick([how for how in COMPARISONS if how != "equal"])
            return operator(self.attribute_in_meters(), how, self.length())
        if name == "Nearness":
            return operator(self.place(), self.pick(["less", "more"]), self.place())
        if name == "FacingSide":
            return operator(self.pick(("left", "right")))
        if name == "Colored":
            return operator(self.pick(COLORS))
        if name == "OfClass":
            return operator(self.pick(("", *CLASSES)))
        if name == "Holds":
            return operator(self.pick([self.thing(), self.some()]))
        if name == "Between":
            return operator(*(s.Region(int(i)) for i in self.rng.permutation(self.objects)[:2]))
        if name == "In":
            return operator(self.some("buffer", "transporter", "pallet"))
        return operator(*(taken[parameter.type]() for parameter in operator.parameters))

    use_Region = lambda self, _: questions.Position(self.one())
    use_Listed = lambda self, _: questions.Count(self.some())
    use_All = lambda self, op: op(self.pick(("", *CLASSES)))
    use_Where = lambda self, op: op(self.some(), self.predicate())
    use_Either = lambda self, op: questions.Count(op(self.some(), self.some()))
    use_Without = lambda self, op: op(self.some(), self.some())
    use_Exactly = lambda self, op: op(self.some("shelf", "transporter"), self.number())
    use_Member = lambda self, op: op(self.some(), self.number(6))
    use_Alike = lambda self, op: questions.Count(op(self.one()))
    use_The = lambda self, op: op(s.Where(self.some(), self.predicate()))
    use_Extreme = lambda self, op: op(self.some(), self.attribute(), self.end(), self.number())
    use_First = lambda self, op: op(
        self.some(), attributes.Distance(s.Camera()), self.end(), self.number()
    )
    use_Sorted = lambda self, op: op(self.some(), attributes.Column(), self.end())
    use_Middle = lambda self, op: op(self.some())
    use_Amount = lambda self, _: questions.Compare(self.measure(), "less", self.length())
    use_Count = lambda self, op: op(s.Where(self.some(), self.predicate()))
    use_Measure = lambda self, op: op(self.thing(), self.attribute())
    use_Difference = lambda self, op: op(self.measure(), self.measure())
    use_Sum = use_Difference
    use_Compare = lambda self, op: op(
        self.measure(), self.pick([how for how in COMPARISONS if how != "equal"]), self.measure()
    )
    use_Exists = lambda self, op: op(s.Where(self.some(), self.predicate()))
    use_Whether = lambda self, op: op(self.thing(), self.predicate())
    use_Every = lambda self, op: op(self.some("shelf", "transporter"), self.predicate())
    use_Share = lambda self, op: op(self.some("shelf", "transporter"), self.predicate())
    use_Total = use_Average = lambda self, op: op(
        self.some("shelf", "transporter"), attributes.Distance(self.place())
    )
    use_Ratio = use_Difference
    use_Angle = lambda self, op: op(self.one(), self.one(), self.place())
    use_AllAlike = lambda self, op: op(
        s.Listed((self.pick(self.ids["transporter"]), self.pick(self.ids["pallet"]))),
        self.pick([attributes.Width(), attributes.Length(), attributes.Distance(s.Camera())]),
    )
    use_InLine = lambda self, op: op(
        s.Listed(tuple(int(i) for i in self.rng.permutation(self.objects)[:3]))
    )
    use_NeighborGap = lambda self, op: op(
        s.Listed(tuple(int(i) for i in self.rng.permutation(self.ids["pallet"])[:3])), self.end()
    )
    use_HeadingAngle = lambda self, op: op(self.one("transporter"), self.one("transporter"))
    use_Negation = lambda self, op: op(questions.Whether(self.thing(), self.predicate()))
    use_Color = lambda self, op: op(self.one())
    use_OfColor = lambda self, op: questions.Position(op(self.thing(), self.pick(COLORS)))
    use_Position = lambda self, op: op(self.one())
    use_Direction = lambda self, op: op(self.one(), self.place())
    use_Dimensions = lambda self, op: op(self.one())
    use_DepthAt = lambda self, op: op((int(self.rng.integers(640)), int(self.rng.integers(480))))

    def use_Side(self, operator) -> Program:
        axis = self.pick(["left_right", "front_behind", "above_below", "inside_outside"])
        place = self.one("buffer") if axis == "inside_outside" else self.place()
        return operator(self.thing(), place, axis)


def agree(program: Program, found, expected, tolerance: float) -> bool:
    if isinstance(expected, tuple) or program.type is Type.QUANTITY:
        return found == pytest.approx(expected, abs=tolerance)
    if isinstance(expected, list):
        ordered = program.operator in (s.Sorted, s.First)
        return list(found) == expected if ordered else sorted(found) == sorted(expected)
    return found == expected


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_means_what_a_plain_evaluation_says(name, random_scene, brute_force):
    answered = refused = 0
    for seed in SCENES:
        truth, regions = random_scene(seed)
        rng = np.random.default_rng([seed, sum(map(ord, name))])
        depth = rng.uniform(1, 9, regions.image_size).astype(np.float32)
        height, width = regions.image_size
        camera = CameraIntrinsics(width, height, 500, 500, (width - 1) / 2, (height - 1) / 2)
        copies = SceneCopies(TrueScene(truth, regions, camera, depth), copies=1)
        plain = brute_force.BruteForce(truth, regions, depth)
        for _ in range(1 if name in SLOW else PER_SCENE * RARE.get(name, 1)):
            program = Draw(regions, rng).using(name)
            if name in SEARCHED:
                answered += SEARCHED[name](program, copies, plain)
                continue
            try:
                expected = plain(program)
            except brute_force.NoAnswerError:
                refused += 1
                with pytest.raises(SpatialError):
                    evaluate(program, copies)
                continue
            answered += 1
            found = evaluate(program, copies).value
            found = tuple(found) if isinstance(found, np.ndarray) else found
            assert agree(program, found, expected, SAMPLED.get(name, 1e-6)), str(program)
    assert answered >= 10, refused


def check_room(program: Program, copies: SceneCopies, plain) -> int:
    """A search on a grid is exact but for some centimeters."""
    chosen, _ = program.arguments
    found = evaluate(program, copies).value
    for zone in chosen.arguments[0]:
        if plain.fits(zone, 1.26, 0.86):
            assert zone in found
        if not plain.fits(zone, 1.12, 0.72):
            assert zone not in found
    return 1


def check_room_for(program: Program, copies: SceneCopies, plain) -> int:
    """The same for an object that may stand there already."""
    chosen, predicate = program.arguments
    guest = predicate.arguments[0].arguments[0]
    found = evaluate(program, copies).value
    length, width, _ = plain.size(guest)
    for zone in chosen.arguments[0]:
        if plain.fits(zone, length + 0.08, width + 0.08, without=guest):
            assert zone in found
        if not plain.fits(zone, length - 0.1, width - 0.1, without=guest):
            assert zone not in found
    return 1


def check_capacity(program: Program, copies: SceneCopies, plain) -> int:
    """Counted on a grid as well; what it counts are places that are there."""
    zone = program.parts[0].arguments[0]
    found = evaluate(program, copies).value
    assert plain.most_in_rows(zone, 1.25, 0.85) <= found <= plain.most_in_rows(zone, 1.15, 0.75)
    index = copies.index(zone)
    places = packed_rectangles(copies, index)
    assert len(places) == found
    assert (found >= 1) == evaluate(
        questions.Whether(s.Region(zone), predicates.HasRoom()), copies
    ).value
    standing = [
        plain.corners(other, MARGIN_M - CELL_M / 2) for other in plain.ids if not plain.zone(other)
    ]
    (x, y, _), axes = plain.at(zone), np.array(plain.axes(zone))
    for number, place in enumerate(places):
        sides = sorted(np.linalg.norm(place[[1, 3]] - place[0], axis=1))
        assert sides == pytest.approx(sorted(FOOTPRINT_M))
        beyond = np.abs((place - (x, y)) @ axes.T) - np.array(plain.size(zone)[:2]) / 2
        assert beyond.max() < CELL_M / 2
        assert not any(plain.touching(place, other) for other in standing)
        for other in places[:number]:
            assert clear_of(place, other) >= MARGIN_M - 1e-6
    return 1


def clear_of(one: np.ndarray, other: np.ndarray) -> float:
    """How far apart two parallel rectangles (4, 2) are along their sides, meters."""
    axes = (one[[1, 3]] - one[0]) / np.linalg.norm(one[[1, 3]] - one[0], axis=1)[:, None]
    mine, theirs = one @ axes.T, other @ axes.T
    after, before = mine.min(axis=0) - theirs.max(axis=0), theirs.min(axis=0) - mine.max(axis=0)
    return float(np.maximum(after, before).max())


SEARCHED = {"HasRoom": check_room, "HasRoomFor": check_room_for, "Capacity": check_capacity}
"""Operators that search on a grid."""

SLOW = {*SEARCHED, "NeighborGap"}
"""Operators whose plain evaluation takes long, of which one question is asked about each scene."""


@pytest.mark.parametrize("name", ["Distance", "In", "Between", "Clearance", "Extreme", "Side"])
def test_every_copy_is_evaluated_as_a_scene_of_its_own(name, random_scene, brute_force):
    """A scene whose objects are where a copy has them is told apart from it by nothing."""
    margins = AmbiguityMargins(column_std=0.0)
    for seed in range(8):
        truth, regions = random_scene(seed)
        blurred = WithMargins(TrueScene(truth, regions), margins)
        copies = SceneCopies(blurred, copies=4, at_limits=True)
        program = Draw(regions, np.random.default_rng([seed, 7])).using(name)
        try:
            finding = evaluate(program, copies)
        except SpatialError:
            continue
        copies.measure(np.ones(copies.number, dtype=bool))
        moved = [moved_truth(truth, copies, copy) for copy in range(copies.count)]
        plain = [brute_force.BruteForce(item, regions) for item in moved]
        expected = [answer(brute_force, item, program) for item in plain]
        same = [
            agree(program, expected[0], item, 0.1 * abs_of(expected[0])) for item in expected[1:]
        ]
        assert finding.confidence == pytest.approx((sum(same) + 0.5) / copies.count), str(program)


def answer(brute_force, plain, program: Program):
    try:
        return plain(program)
    except brute_force.NoAnswerError:
        return None


def abs_of(value) -> float:
    return abs(value) if isinstance(value, float) else 0.0


def moved_truth(truth: SceneTruth, copies: SceneCopies, copy: int) -> SceneTruth:
    """The scene as one copy has it."""
    items = []
    for item in truth.objects:
        index = copies.index(item.id)
        x, z, height = copies.center[copy, index]
        center = np.array([x, truth.camera_height - height, z])
        items.append(replace(item, center=center, size=copies.size[copy, index]))
    return replace(truth, objects=tuple(items))


# ---- scenes made by hand ----


@pytest.fixture
def by_hand(make_box):
    """Copies of a scene of boxes (id, label, place, size, yaw, bottom, cargo) before the camera."""

    def copies(*boxes: tuple) -> SceneCopies:
        objects = tuple(make_box(*box) for box in boxes)
        regions = RegionSet(
            (480, 640),
            tuple(
                Region.from_box(item.id, item.label, Box(20 + 40 * place, 200, 20, 20))
                for place, item in enumerate(objects)
            ),
        )
        truth = SceneTruth(0, objects, np.array([0.0, -1.0, 0.0]), 1.5)
        return SceneCopies(TrueScene(truth, regions), copies=1)

    return copies


def value(program: Program, copies: SceneCopies):
    return evaluate(program, copies).value


PALLET = (1.2, 0.8, 1.0)


def measured(id: int, attribute: Program) -> Program:
    return questions.Measure(s.Region(id), attribute)


def test_sizes_are_those_of_the_own_box_whichever_way_it_is_turned(by_hand):
    copies = by_hand((5, "pallet", (0, 6), (0.8, 1.2, 1.0), np.deg2rad(90), 0.3))
    assert value(measured(5, attributes.Length()), copies) == pytest.approx(1.2)
    assert value(measured(5, attributes.Width()), copies) == pytest.approx(0.8)
    assert value(measured(5, attributes.Height()), copies) == pytest.approx(1.0)
    assert value(measured(5, attributes.Top()), copies) == pytest.approx(1.3)
    assert value(measured(5, attributes.Span()), copies) == pytest.approx(1.2)
    assert value(measured(5, attributes.Volume()), copies) == pytest.approx(0.96)
    assert value(questions.Dimensions(s.Region(5)), copies) == pytest.approx([1.2, 0.8, 1.0])


def test_a_zone_has_no_height(by_hand):
    copies = by_hand((1, "buffer", (0, 6), (3, 3, 0)))
    with pytest.raises(SpatialError) as caught:
        value(measured(1, attributes.Height()), copies)
    assert caught.value.status is Status.BAD_QUESTION


def test_clearance_is_between_surfaces_and_distance_between_centers(by_hand):
    copies = by_hand((5, "pallet", (0, 6), PALLET), (6, "pallet", (3, 6), PALLET))
    assert value(measured(5, attributes.Clearance(s.Region(6))), copies) == pytest.approx(1.8)
    assert value(measured(5, attributes.Distance(s.Region(6))), copies) == pytest.approx(3.0)
    turned = by_hand((5, "pallet", (0, 6), PALLET), (6, "pallet", (3, 6), PALLET, np.deg2rad(90)))
    assert value(measured(5, attributes.Clearance(s.Region(6))), turned) == pytest.approx(2.0)


def test_clearance_of_what_overlaps_is_zero(by_hand):
    copies = by_hand((5, "pallet", (0, 6), PALLET), (6, "pallet", (0.5, 6.2), PALLET, 0.4))
    assert value(measured(5, attributes.Clearance(s.Region(6))), copies) == 0.0


def test_clearance_of_corner_and_side(by_hand):
    """A square stands on its corner, 1 m from the side of another one."""
    copies = by_hand(
        (5, "pallet", (0, 6), (1, 1, 1)),
        (6, "pallet", (1.5 + np.sqrt(0.5), 6), (1, 1, 1), np.pi / 4),
    )
    assert value(measured(5, attributes.Clearance(s.Region(6))), copies) == pytest.approx(1.0)


@pytest.mark.parametrize(("gap", "room"), [(1.2, False), (1.3, True), (0.7, False)])
def test_room_for_another_pallet_keeps_five_centimeters(by_hand, gap, room):
    """The free strip of a zone 1 m deep is `gap` wide; 0.8 x 1.2 m need 5 cm on one side."""
    zone = (1, "buffer", (0, 6), (3.0, 0.85, 0))
    block = (5, "pallet", (-gap / 2, 6), (3.0 - gap, 0.85, 1.0))
    program = questions.Whether(s.Region(1), predicates.HasRoom())
    assert value(program, by_hand(zone, block)) is room


def test_room_is_found_when_it_is_turned(by_hand):
    """A zone that is narrower than a pallet is long, and longer the other way."""
    program = questions.Whether(s.Region(1), predicates.HasRoom())
    assert value(program, by_hand((1, "buffer", (0, 6), (0.9, 1.4, 0)))) is True
    assert value(program, by_hand((1, "buffer", (0, 6), (0.7, 1.4, 0)))) is False


@pytest.mark.parametrize(
    ("size", "number"),
    [((1.2, 0.8), 1), ((1.2, 1.64), 1), ((1.2, 1.65), 2), ((2.45, 1.65), 4), ((0.79, 3.0), 0)],
)
def test_more_pallets_fit_side_by_side_with_five_centimeters(by_hand, size, number):
    copies = by_hand((1, "buffer", (0, 6), (*size, 0), 0.4))
    assert value(measured(1, attributes.Capacity()), copies) == number


def test_a_pallet_fits_wherever_there_is_room_for_one(by_hand):
    """Two blocks leave a strip that only a turned pallet fits into."""
    yaw = np.deg2rad(40)
    beside = np.array([-np.sin(yaw), np.cos(yaw)])
    blocks = [
        (id, "pallet", tuple((0, 6) + side * beside), (3.0, 1.0, 1.0), yaw)
        for id, side in ((5, 1.0), (6, -1.0))
    ]
    copies = by_hand((1, "buffer", (0, 6), (1.5, 1.5, 0)), *blocks)
    room = value(questions.Whether(s.Region(1), predicates.HasRoom()), copies)
    assert room is True
    assert value(measured(1, attributes.Capacity()), copies) == 1


def test_free_area_leaves_out_what_is_covered_once(by_hand):
    zone = (1, "buffer", (0, 6), (3, 2, 0), 0.3)
    pallet = (5, "pallet", (0, 6), PALLET, 0.9)
    copies = by_hand(zone, pallet, (6, "pallet", (0, 6), PALLET, 0.9, 1.0))
    free = 6.0 - 0.96
    assert value(measured(1, attributes.FreeArea()), copies) == pytest.approx(free, abs=0.06)
    assert value(measured(1, attributes.FreeShare()), copies) == pytest.approx(free / 6, abs=0.01)


def test_between_ends_at_both_and_is_as_wide_as_the_larger_shorter_side(by_hand):
    ends = [(5, "pallet", (-3, 8), (1.2, 0.8, 1)), (6, "shelf", (3, 8), (2.0, 1.0, 2))]

    def is_between(x: float, z: float) -> bool:
        copies = by_hand(*ends, (7, "pallet", (x, z), PALLET))
        return value(
            questions.Whether(s.Region(7), predicates.Between(s.Region(5), s.Region(6))), copies
        )

    assert is_between(0, 8.45)
    assert not is_between(0, 8.55)
    assert is_between(-2.9, 8)
    assert not is_between(-3.1, 8)
    assert not is_between(3.1, 8)


def test_on_top_needs_overlap_and_height(by_hand):
    lower = (5, "pallet", (0, 6), PALLET)

    def is_on_top(x: float, bottom: float) -> bool:
        copies = by_hand(lower, (6, "pallet", (x, 6), PALLET, 0.0, bottom))
        return value(questions.Whether(s.Region(6), predicates.OnTopOf(s.Region(5))), copies)

    assert is_on_top(0.3, 1.0)
    assert is_on_top(0.3, 0.96)
    assert not is_on_top(0.3, 0.9)
    assert not is_on_top(1.3, 1.0)


@pytest.mark.parametrize(
    ("place", "side", "hour", "bearing"),
    [((3, 5), "left", 9, -90), ((-3, 5), "right", 3, 90), ((0, 2), "right", 12, 0.1)],
)
def test_an_observer_who_looks_back_at_the_camera_sees_left_and_right_turned(
    by_hand, place, side, hour, bearing
):
    """They stand 5 m in front of the camera and look at what is 2 m in front of it."""
    observer = s.Observer(s.Region(5), s.Region(6))
    copies = by_hand(
        (5, "pallet", (0, 5), PALLET), (6, "pallet", (0, 3), PALLET),
        (7, "pallet", (place[0] - 0.01 * (place[0] == 0), place[1]), PALLET),
    )  # fmt: skip
    assert value(questions.Side(s.Region(7), observer, "left_right"), copies) == side
    assert value(measured(7, attributes.ClockHour(observer)), copies) == hour
    found = value(measured(7, attributes.Bearing(observer)), copies)
    assert found == pytest.approx(bearing, abs=0.2)


def test_zones_and_their_distance(by_hand):
    copies = by_hand((1, "buffer", (0, 8), (3, 3, 0)), (5, "pallet", (1.4, 8), PALLET),
                     (6, "pallet", (1.6, 8), PALLET))  # fmt: skip
    distance = attributes.Distance(s.Region(1))
    assert value(measured(5, distance), copies) == 0.0
    assert value(measured(6, distance), copies) == pytest.approx(np.hypot(1.6, 0.5))
    assert value(questions.Count(s.Where(s.All("pallet"), predicates.In(s.Region(1)))), copies) == 1


class Blurred(TrueScene):
    """A scene in which heights are off by 0.1 m."""

    def place(self, id: int) -> Placed:
        return replace(super().place(id), face_std=np.array([[0, 0], [0, 0], [0, 0.1]]))


@pytest.mark.parametrize(("height", "equal"), [(1.0, True), (1.04, True), (1.5, False)])
def test_what_differs_by_little_is_the_same(by_hand, height, equal):
    copies = by_hand(
        (10, "pallet", (0.0, 6.0), PALLET), (11, "pallet", (2.0, 6.0), (1.2, 0.8, height))
    )
    alike = arrangements.AllAlike(s.Listed((10, 11)), attributes.Height())
    assert value(alike, copies) is equal
    blurred = SceneCopies(Blurred(copies.scene._truth, copies.regions), copies=128)
    if equal:
        with pytest.raises(SpatialError, match="whether they are equal cannot be seen") as refused:
            evaluate(alike, blurred)
        assert refused.value.status is Status.CANNOT_TELL
    else:
        assert evaluate(alike, blurred).value is False


def test_two_are_always_in_a_line_and_are_not_asked_for(by_hand):
    copies = by_hand((10, "pallet", (0.0, 6.0), PALLET), (11, "pallet", (2.0, 6.0), PALLET))
    with pytest.raises(SpatialError, match="at least 3 are needed"):
        evaluate(arrangements.InLine(s.Listed((10, 11))), copies)


def test_gaps_between_neighbors_skip_those_over_others(by_hand):
    copies = by_hand(
        (10, "pallet", (0.0, 6.0), PALLET),
        (11, "pallet", (1.5, 6.0), PALLET),
        (12, "pallet", (3.6, 6.0), PALLET),
        (13, "pallet", (5.0, 6.0), PALLET),
    )
    gap = {
        end: value(arrangements.NeighborGap(s.All("pallet"), end), copies)
        for end in ("least", "most")
    }
    assert gap == {"least": pytest.approx(0.2), "most": pytest.approx(0.9)}


def test_a_pallet_does_not_stand_in_its_own_way(by_hand):
    copies = by_hand((1, "buffer", (0.0, 8.0), (1.5, 1.5, 0.0)), (10, "pallet", (0.0, 8.0), PALLET))
    assert value(questions.Whether(s.Region(1), predicates.HasRoom()), copies) is False
    assert value(questions.Whether(s.Region(1), predicates.HasRoomFor(s.Region(10))), copies)
