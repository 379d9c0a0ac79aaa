"""Every program can be said, and what is said reads back to the same program."""

import os
import random

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.builders import both, either, negated
from smolrgpt_core.language.normal_form import normal_form
from smolrgpt_core.language.operators import (
    arrangements,
    attributes,
    benchmarks,
    fronts,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene.spatial_scene import COLORS

PROGRAMS = int(os.environ.get("SMOLRGPT_ROUND_TRIPS", "2000"))
"""Number of programs; a long run by hand takes 20,000."""
BATCHES = 20
LABELS = {
    1: "buffer", 2: "buffer", 4: "buffer",
    **dict.fromkeys((10, 11, 12, 13, 14, 15), "pallet"),
    **dict.fromkeys((60, 61, 62), "transporter"),
    **dict.fromkeys((80, 81), "shelf"),
}  # fmt: skip
REGIONS = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)
CLASSES = ("pallet", "buffer", "transporter", "shelf", "")
COMPARISONS = ("more", "less", "at_least", "at_most", "equal")
PLACED = (
    attributes.Distance, attributes.HorizontalDistance, attributes.VerticalDistance,
    attributes.SidewaysDistance, attributes.ForwardDistance,
)  # fmt: skip
ANGLES = (attributes.Bearing, attributes.ClockHour, benchmarks.ClockSector)
PLAIN = (
    attributes.Column, attributes.Forward, attributes.CenterHeight, attributes.Top,
    attributes.Length, attributes.Width, attributes.Height, attributes.Span,
    attributes.FootprintArea, attributes.Volume, attributes.Bigness, attributes.FreeArea,
    attributes.FreeShare, attributes.Capacity, benchmarks.Rightward, benchmarks.NearestForward,
    benchmarks.AlignedVolume, fronts.Heading,
)  # fmt: skip
OF_PLACES = (
    predicates.LeftOf, predicates.RightOf, predicates.InFrontOf, predicates.Behind,
    predicates.Above, predicates.Below, fronts.Facing, fronts.FacingAway,
)  # fmt: skip
OFFSET_SIDES = ("left", "right", "front", "behind", "above", "below")
AXES = ("left_right", "front_behind", "above_below")


class Programs:
    """Random programs in normal form: filters joined into one, no double negation, ..."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._choose = self._random.choice

    def question(self) -> Program:
        depth = self._random.randint(1, 4)
        make = self._choose(
            (self.region, self.regions, self.quantity, self.truth, self._side, self._where)
        )
        program = make(depth)
        is_none = program.operator is questions.Amount or any(
            _is_height_of_zone(part) or _is_zone_in_zone(part) for part in program.walk()
        )
        return self.question() if is_none else program

    def region(self, depth: int) -> Program:
        if depth <= 0 or self._random.random() < 0.3:
            region = selections.Region(self._choose(tuple(LABELS)))
            if self._random.random() < 0.05:
                return questions.OfColor(region, self._choose(COLORS))
            return region
        kind = self._random.randrange(6)
        if kind == 0:
            return selections.Middle(self._several(depth - 1))
        if kind == 1:
            return selections.Member(self._several(depth - 1), float(self._random.randint(1, 3)))
        if kind == 2:
            return selections.The(self._filtered(depth - 1))
        end, rank = self._choose(("least", "most")), float(self._choose((1, 1, 2, 3)))
        return selections.Extreme(self._several(depth - 1), self._attribute(depth - 1), end, rank)

    def regions(self, depth: int) -> Program:
        if depth <= 0:
            return self._simple()
        kind = self._random.randrange(8)
        if kind < 3:
            return self._filtered(depth - 1)
        if kind == 3:
            return selections.Either(self._several(depth - 1), self._several(depth - 1))
        if kind == 4:
            return selections.Without(self._several(depth - 1), self.region(depth - 1))
        if kind == 5:
            order = self._choose(("least", "most"))
            return selections.Sorted(self._several(depth - 1), self._attribute(depth - 1), order)
        if kind == 6:
            end, number = self._choose(("least", "most")), float(self._random.randint(2, 4))
            attribute = self._attribute(depth - 1)
            return selections.First(self._several(depth - 1), attribute, end, number)
        return self._simple()

    def _several(self, depth: int) -> Program:
        if depth > 0 and self._random.random() < 0.1:
            return selections.Exactly(self._filtered(depth - 1), float(self._random.randint(2, 4)))
        if depth > 0 and self._random.random() < 0.05:
            return selections.Alike(self.region(depth - 1))
        return self._simple() if self._random.random() < 0.5 else self._filtered(depth)

    def _simple(self) -> Program:
        if self._random.random() < 0.3:
            return selections.Listed(tuple(self._random.sample(tuple(LABELS), 3)))
        return selections.All(self._choose(CLASSES))

    def _filtered(self, depth: int) -> Program:
        return selections.Where(self._simple(), self._predicate(depth))

    def _predicate(self, depth: int) -> Program:
        joined = self._random.random()
        if depth > 0 and joined < 0.2:
            return predicates.And(self._one(depth - 1), self._one(depth - 1))
        if depth > 0 and joined < 0.3:
            first, second = self._one(depth - 1), self._one(depth - 1)
            opposite = predicates.Not(first) == second or predicates.Not(second) == first
            return first if opposite else predicates.Or(first, second)
        return self._one(depth)

    def _one(self, depth: int) -> Program:
        kind = self._random.randrange(11)
        if kind == 0:
            return predicates.Not(self._positive(depth))
        return self._positive(depth)

    def _positive(self, depth: int) -> Program:
        kind = self._random.randrange(14)
        if kind == 13:
            return predicates.HasRoomFor(self.region(depth - 1))
        if kind == 12:
            return fronts.FacingSide(self._choose(("left", "right")))
        if kind == 11:
            return predicates.Colored(self._choose(COLORS))
        if kind == 10:
            first, second = self._place(depth - 1), self._place(depth - 1)
            return predicates.Nearness(first, self._choose(("less", "more")), second)
        if kind == 9:
            return predicates.OfClass(self._choose(CLASSES[:4]))
        if kind == 0:
            return predicates.Empty()
        if kind == 1:
            return predicates.HasRoom()
        if kind == 2:
            return predicates.OnTopOf(self.region(depth - 1))
        if kind == 3:
            return predicates.Is(self.region(depth - 1))
        if kind == 4:
            first, second = self.region(depth - 1), self.region(depth - 1)
            same = first.operator is second.operator is selections.Region
            return (
                predicates.Is(first)
                if same and first == second
                else predicates.Between(first, second)
            )
        if kind == 5:
            attribute = self._attribute(depth - 1)
            while attribute.unit in ("px", ""):
                attribute = self._attribute(depth - 1)
            limit = self._same_unit(attribute.unit, depth - 1)
            return predicates.Measures(attribute, self._choose(COMPARISONS), limit)
        if kind == 6:
            return self._choose((predicates.In, predicates.Holds))(self._holder(depth - 1))
        if kind == 7:
            return predicates.IsAmong(self._several(depth - 1))
        return self._choose(OF_PLACES)(self._place(depth - 1))

    def _holder(self, depth: int) -> Program:
        if self._random.random() > 0.4:
            return self.region(depth)
        zones = selections.Listed((1, 2))
        return self._choose((zones, selections.All("buffer"), selections.All("")))

    def _place(self, depth: int) -> Program:
        kind = self._random.randrange(6)
        if kind == 0:
            return selections.Camera()
        if kind == 1 and depth > 0:
            if self._random.random() < 0.3:
                return fronts.Aboard(self.region(depth - 1))
            return selections.Observer(self.region(depth - 1), self.region(depth - 1))
        return self.region(depth)

    def _attribute(self, depth: int) -> Program:
        kind = self._random.randrange(8)
        if kind < 3:
            place = self.region(depth) if kind else selections.Camera()
            return (attributes.Distance if kind < 2 else self._choose(PLACED))(place)
        if kind == 3:
            gap = self._choose([attributes.Clearance, benchmarks.SurfaceDistance])
            return gap(self.region(depth))
        if kind == 4 and self._random.random() < 0.3:
            return attributes.DistanceToAny(self._several(depth))
        if kind == 4:
            return attributes.Holding(self._several(depth))
        if kind == 5:
            return self._choose(ANGLES)(self._place(depth))
        if kind == 6 and self._random.random() < 0.3:
            return arrangements.Offset(self._place(depth), self._choose(OFFSET_SIDES))
        return self._choose(PLAIN)()

    def _same_unit(self, unit: str, depth: int) -> Program:
        if depth > 0 and self._random.random() < 0.4:
            found = self.quantity(depth)
            if found.unit == unit:
                return found
        number = float(self._random.randint(1, 9))
        return questions.Amount(number / 100 if unit == "share" else number, unit)

    def quantity(self, depth: int) -> Program:
        kind = self._random.randrange(9)
        if kind == 8:
            return self._computed(depth)
        if kind == 7 and self._random.random() < 0.4:
            return questions.Share(self._several(depth - 1), self._predicate(depth - 1))
        if kind == 0:
            return questions.DepthAt((self._random.randint(0, 99), self._random.randint(0, 99)))
        if kind < 3:
            return questions.Count(self.regions(depth - 1))
        if kind < 6 or depth <= 0:
            attribute, region = self._attribute(depth - 1), self.region(depth - 1)
            while attribute.unit in ("px", "") or region in attribute.parts:
                attribute, region = self._attribute(depth - 1), self.region(depth - 1)
            return questions.Measure(region, attribute)
        first = self.quantity(depth - 1)
        join = self._choose((questions.Sum, questions.Difference))
        return join(first, self._same_unit(first.unit, depth - 1))

    def _computed(self, depth: int) -> Program:
        """A total, an average, a ratio or an angle."""
        kind = self._random.randrange(6)
        if kind == 5:
            end = self._choose(("least", "most"))
            return arrangements.NeighborGap(self._several(depth - 1), end)
        if kind == 4:
            return fronts.HeadingAngle(selections.Region(60), self.region(depth - 1))
        if kind == 0:
            first, second = selections.Region(1), self.region(depth - 1)
            place = self._place(depth - 1)
            if second in (first, place) or place == first:
                place, second = selections.Camera(), selections.Region(2)
            return questions.Angle(first, second, place)
        if kind == 1:
            first = self.quantity(0)
            while first.unit in ("deg", "h"):
                first = self.quantity(0)
            return questions.Ratio(first, self._same_unit(first.unit, 0))
        attribute = self._attribute(depth - 1)
        while attribute.unit not in ("m", "m2", "m3") or attribute.operator is attributes.Top:
            attribute = self._attribute(depth - 1)
        join = questions.Total if kind == 2 else questions.Average
        return join(self._several(depth - 1), attribute)

    def truth(self, depth: int) -> Program:
        kind = self._random.randrange(9)
        if kind < 4:
            predicate = self._predicate(depth - 1)
            while predicate.operator is predicates.Nearness:  # Of one, two distances are compared.
                predicate = self._predicate(depth - 1)
            return questions.Whether(self.region(depth - 1), predicate)
        if kind == 4 and self._random.random() < 0.3:
            return arrangements.InLine(self._several(depth - 1))
        if kind == 4 and self._random.random() < 0.3:
            attribute = self._attribute(depth - 1)
            while attribute.unit not in ("m", "m2", "m3"):
                attribute = self._attribute(depth - 1)
            return arrangements.AllAlike(self._several(depth - 1), attribute)
        if kind == 4:
            return questions.Exists(self._several(depth - 1))
        if kind == 5:
            return questions.Every(self._several(depth - 1), self._predicate(depth - 1))
        if kind == 6 and depth > 1:
            return questions.Negation(self._positive_truth(depth - 1))
        first = self.quantity(depth - 1)
        other = self._same_unit(first.unit, depth - 1)
        return questions.Compare(first, self._choose(COMPARISONS), other)

    def _positive_truth(self, depth: int) -> Program:
        truth = self.truth(depth)
        return truth.parts[0] if truth.operator is questions.Negation else truth

    def _side(self, depth: int) -> Program:
        if self._random.random() < 0.2:
            zone = selections.Region(2)
            return questions.Side(self.region(depth - 1), zone, "inside_outside")
        return questions.Side(self.region(depth - 1), self._place(depth - 1), self._choose(AXES))

    def _where(self, depth: int) -> Program:
        kind = self._random.randrange(4)
        if kind == 3:
            return questions.Color(self.region(depth - 1))
        if kind == 0:
            return questions.Position(self.region(depth - 1))
        if kind == 1:
            return questions.Dimensions(self.region(depth - 1))
        return questions.Direction(self.region(depth - 1), self._place(depth - 1))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_worded_programs_read_back_to_the_same_program(batch: int) -> None:
    programs = Programs(seed=batch)
    wrong = []
    for _ in range(PROGRAMS // BATCHES):
        program = normal_form(programs.question().replaced(_normal), REGIONS)
        sentence = say(program, REGIONS)
        try:
            read = read_text(sentence, REGIONS).program
        except SpatialError as error:
            wrong.append(f"{program}\n  {sentence}\n  {error}")
            continue
        if read != program:
            wrong.append(f"{program}\n  {sentence}\n  {read}")
    assert not wrong, "\n".join(wrong)


def _is_height_of_zone(part: Program) -> bool:
    """Whether zones are chosen by height: they lie on the floor, so that this is refused."""
    if part.operator is not selections.Extreme or part.arguments[0] != selections.All("buffer"):
        return False
    return part.arguments[1].operator in (attributes.CenterHeight, attributes.Height)


def _is_zone_in_zone(part: Program) -> bool:
    """Whether buffers are meant that hold buffers, which none does, so that this is refused."""
    buffers = selections.All("buffer")
    return part == selections.Where(buffers, predicates.Holds(buffers))


def _normal(part: Program) -> Program:
    """A part as it is read: what has two forms of the same meaning has the one form."""
    if part.operator in (predicates.And, predicates.Or):
        join = both if part.operator is predicates.And else either
        return join(*part.arguments)
    if part.operator is predicates.Not:
        return negated(part.arguments[0])
    if part == predicates.Measures(
        attributes.Capacity(), "at_least", questions.Amount(1.0, "objects")
    ):
        return predicates.HasRoom()
    if part.operator is selections.Either:
        first, second = part.arguments
        if first.operator is second.operator is selections.Listed:
            return selections.Listed(tuple({*first.arguments[0], *second.arguments[0]}))
    if part.operator is selections.Member and part.parts[0].operator is selections.Listed:
        return selections.Region(part.parts[0].arguments[0][round(part.arguments[1]) - 1])
    return part


def test_programs_of_all_types_are_made() -> None:
    programs = Programs(seed=0)
    made = {programs.question().type for _ in range(300)}
    assert made >= {Type.REGION, Type.REGIONS, Type.QUANTITY, Type.TRUTH, Type.RELATION}
