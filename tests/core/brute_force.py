# ruff: noqa: N802
"""What a program means on a scene, written plainly, one number at a time.

Nothing of the interpreter is used, so that it can be checked against this. For level cameras only:
right is x, forward is z, height is the camera's height - y of the optical frame.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

BARE_M, TOLERANCE_M = 0.144, 0.05
CARRIES, IS_CARRIED = ("transporter",), ("pallet",)


class NoAnswerError(Exception):
    """The question has no answer in this scene."""


@dataclass(frozen=True)
class Place:
    x: float
    y: float
    h: float
    id: int | None = None
    forward: tuple[float, float] | None = None


class BruteForce:
    """Evaluates programs on the truth of a frame."""

    def __init__(self, truth, regions, depth=None) -> None:
        self.items = {item.id: item for item in truth.objects}
        self.camera_height = truth.camera_height
        self.regions, self.depth = regions, depth
        self.ids = [region.id for region in regions]

    def __call__(self, program):
        return getattr(self, f"do_{program.operator.name}")(*program.arguments)

    # ---- plain facts ----

    def label(self, id):
        return self.items[id].label

    def zone(self, id):
        return self.label(id) == "buffer"

    def color(self, id):
        if self.zone(id):
            raise NoAnswerError
        return self.items[id].color

    def at(self, id: int) -> tuple[float, float, float]:
        x, y, z = self.items[id].center
        return float(x), float(z), float(self.camera_height - y)

    def size(self, id):
        return tuple(map(float, self.items[id].size))

    def top(self, id):
        return self.at(id)[2] + self.size(id)[2] / 2

    def bottom(self, id):
        return self.at(id)[2] - self.size(id)[2] / 2

    def axes(self, id):
        """Unit vectors (right, forward) along the first and the second side."""
        first, second = self.items[id].rotation[:, 0], self.items[id].rotation[:, 1]
        return (first[0], first[2]), (second[0], second[2])

    def corners(self, id, grown=0.0):
        x, y, _ = self.at(id)
        (ax, ay), (bx, by) = self.axes(id)
        length, width, _ = self.size(id)
        length, width = length / 2 + grown, width / 2 + grown
        return [
            (x + s * length * ax + t * width * bx, y + s * length * ay + t * width * by)
            for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]

    def within(self, point, id, grown=0.0):
        """Whether a point lies over the footprint of a region."""
        x, y, _ = self.at(id)
        (ax, ay), (bx, by) = self.axes(id)
        dx, dy = point[0] - x, point[1] - y
        length, width, _ = self.size(id)
        return (
            abs(dx * ax + dy * ay) < length / 2 + grown
            and abs(dx * bx + dy * by) < width / 2 + grown
        )

    def outline(self, id, number=300):
        points = self.corners(id)
        return [
            (a[0] + (b[0] - a[0]) * k / number, a[1] + (b[1] - a[1]) * k / number)
            for a, b in zip(points, points[1:] + points[:1], strict=True)
            for k in range(number)
        ]

    def overlap(self, one, other):
        return (
            any(self.within(point, other) for point in self.outline(one))
            or any(self.within(point, one) for point in self.outline(other))
            or self.within(self.at(one), other)
        )

    def column(self, id):
        mask = self.regions.full_mask(id)
        return float(np.nonzero(mask)[1].mean())

    def holds(self, holder, id):
        """Whether something is in a zone, on a transporter, or on top of something."""
        if holder == id:
            return False
        if self.zone(holder):
            return not self.zone(id) and self.within(self.at(id), holder)
        if self.label(holder) in CARRIES:
            return self.items[holder].cargo_id == id
        return self.stands_on(id, holder)

    def stands_on(self, id, other):
        if id == other or self.bottom(id) < self.top(other) - 0.05:
            return False
        return self.overlap(id, other)

    def meters(self, id, place):
        if place.id is not None:
            pair = sorted((id, place.id), key=self.zone)
            if self.zone(pair[1]) and not self.zone(pair[0]) and self.holds(pair[1], pair[0]):
                return 0.0
        x, y, h = self.at(id)
        return math.sqrt((x - place.x) ** 2 + (y - place.y) ** 2 + (h - place.h) ** 2)

    # ---- places ----

    def place(self, program):
        found = self(program)
        return found if isinstance(found, Place) else Place(*self.at(found), id=found)

    def do_Camera(self):
        return Place(0.0, 0.0, self.camera_height, forward=(0.0, 1.0))

    def do_Observer(self, stands, looks):
        a, b = self(stands), self(looks)
        if a == b:
            raise NoAnswerError
        dx, dy = self.at(b)[0] - self.at(a)[0], self.at(b)[1] - self.at(a)[1]
        length = math.hypot(dx, dy)
        return Place(*self.at(a), forward=(dx / length, dy / length))

    def do_Aboard(self, region):
        id = self(region)
        if not self.items[id].has_front:
            raise NoAnswerError
        return Place(*self.at(id), forward=self.axes(id)[0])

    def bearing(self, id, place):
        fx, fy = place.forward or (0.0, 1.0)
        x, y, _ = self.at(id)
        dx, dy = x - place.x, y - place.y
        if math.hypot(dx, dy) < 1e-9:
            raise NoAnswerError
        across = dx * fy - dy * fx
        across = 0.0 if abs(across) < 1e-6 else across
        return math.degrees(math.atan2(across, dx * fx + dy * fy))

    # ---- selections ----

    def some(self, program):
        found = self(program)
        return found if isinstance(found, list) else [found]

    def do_Region(self, id):
        return id

    def do_Listed(self, ids):
        return list(ids)

    def do_All(self, name):
        return [i for i in self.ids if (not self.zone(i) if name == "" else self.label(i) == name)]

    def do_Where(self, chosen, predicate):
        found = {id: self(predicate)(id) for id in self.some(chosen)}
        if found and all(is_so is None for is_so in found.values()):
            raise NoAnswerError
        return [id for id, is_so in found.items() if is_so]

    def do_Either(self, a, b):
        both = {*self.some(a), *self.some(b)}
        return [id for id in self.ids if id in both]

    def do_Without(self, a, b):
        return [id for id in self.some(a) if id not in self.some(b)]

    def do_Exactly(self, chosen, number):
        found = self.some(chosen)
        if len(found) != number:
            raise NoAnswerError
        return found

    def do_Member(self, chosen, number):
        found = self.some(chosen)
        if not 1 <= number <= len(found):
            raise NoAnswerError
        return found[int(number) - 1]

    def do_Alike(self, region):
        return self.do_All(self.label(self(region)))

    def do_The(self, chosen):
        found = self.some(chosen)
        if len(found) != 1:
            raise NoAnswerError
        return found[0]

    def ranked(self, chosen, attribute, end):
        values = {id: self(attribute)(id) for id in self.some(chosen)}
        known = [id for id in values if values[id] is not None]
        found = sorted(known, key=lambda id: values[id] if end == "least" else -values[id])
        return found, [values[id] for id in found]

    def refuse_ties(self, values, places):
        """Two equal values have no order."""
        for place in places:
            if 0 <= place < len(values) - 1 and abs(values[place] - values[place + 1]) < 1e-9:
                raise NoAnswerError

    def do_Extreme(self, chosen, attribute, end, rank):
        found, values = self.ranked(chosen, attribute, end)
        if not 1 <= rank <= len(found):
            raise NoAnswerError
        self.refuse_ties(values, (int(rank) - 2, int(rank) - 1))
        return found[int(rank) - 1]

    def do_First(self, chosen, attribute, end, number):
        found, values = self.ranked(chosen, attribute, end)
        if not 1 <= number <= len(found):
            raise NoAnswerError
        self.refuse_ties(values, (int(number) - 1,))
        return found[: int(number)]

    def do_Sorted(self, chosen, attribute, start):
        found, values = self.ranked(chosen, attribute, start)
        self.refuse_ties(values, range(len(found)))
        return found

    def do_Middle(self, chosen):
        found = sorted(self.some(chosen), key=self.column)
        if len(found) % 2 == 0:
            raise NoAnswerError
        middle = len(found) // 2
        self.refuse_ties([self.column(id) for id in found], (middle - 1, middle))
        return found[len(found) // 2]

    # ---- attributes: functions of an id; None where it does not count ----

    def from_other(self, place, measure):
        there = self.place(place)
        return lambda id: None if id == there.id else measure(id, there)

    def do_Distance(self, place):
        return self.from_other(place, self.meters)

    def do_DistanceToAny(self, chosen):
        members = self.some(chosen)
        return lambda id: min(
            (self.meters(id, Place(*self.at(other), id=other)) for other in members if other != id),
            default=None,
        )

    def do_HorizontalDistance(self, place):
        return self.from_other(
            place, lambda id, p: math.hypot(self.at(id)[0] - p.x, self.at(id)[1] - p.y)
        )

    def do_VerticalDistance(self, place):
        return self.from_other(place, lambda id, p: abs(self.at(id)[2] - p.h))

    def do_SidewaysDistance(self, place):
        return self.from_other(place, lambda id, p: abs(self.at(id)[0] - p.x))

    def do_ForwardDistance(self, place):
        return self.from_other(place, lambda id, p: abs(self.at(id)[1] - p.y))

    def do_Clearance(self, other):
        there = self(other)
        return lambda id: None if id == there else self.clearance(id, there)

    def clearance(self, one, other):
        if self.overlap(one, other):
            return 0.0
        a, b = np.array(self.outline(one)), np.array(self.outline(other))
        return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2).min()))

    def do_Column(self):
        return self.column

    def do_Forward(self):
        return lambda id: self.at(id)[1]

    def do_CenterHeight(self):
        return lambda id: self.at(id)[2]

    def do_Top(self):
        return self.top

    def do_Length(self):
        return lambda id: max(self.size(id)[:2])

    def do_Width(self):
        return lambda id: min(self.size(id)[:2])

    def solid(self, measure):
        def of(id):
            if self.zone(id):
                raise NoAnswerError
            return measure(id)

        return of

    def do_Height(self):
        return self.solid(lambda id: self.size(id)[2])

    def do_Span(self):
        return lambda id: max(x for x, _ in self.corners(id)) - min(x for x, _ in self.corners(id))

    def do_Rightward(self):
        return lambda id: self.at(id)[0]

    def do_NearestForward(self):
        return lambda id: min(y for _, y in self.corners(id))

    def do_AlignedVolume(self):
        def volume(id):
            x, y = zip(*self.corners(id), strict=True)
            height = 1.0 if self.zone(id) else self.size(id)[2]
            return (max(x) - min(x)) * (max(y) - min(y)) * height

        return volume

    def do_FootprintArea(self):
        return lambda id: self.size(id)[0] * self.size(id)[1]

    def do_Volume(self):
        return self.solid(lambda id: self.size(id)[0] * self.size(id)[1] * self.size(id)[2])

    def do_Bigness(self):
        return lambda id: (
            self.size(id)[0] * self.size(id)[1] * (1.0 if self.zone(id) else self.size(id)[2])
        )

    def do_Holding(self, chosen):
        members = self.some(chosen)
        return lambda id: float(sum(self.holds(id, other) for other in members))

    def only_zones(self, measure):
        def of(id):
            if not self.zone(id):
                raise NoAnswerError
            return measure(id)

        return of

    def free_share(self, id):
        """Of random points in the zone, those that are under nothing."""
        x, y, _ = self.at(id)
        (ax, ay), (bx, by) = self.axes(id)
        length, width, _ = self.size(id)
        draws = np.random.default_rng(0).uniform(-0.5, 0.5, (20_000, 2)) * (length, width)
        points = np.array([x, y]) + draws @ np.array([[ax, ay], [bx, by]])
        free = np.ones(len(points), dtype=bool)
        for other in self.ids:
            if not self.zone(other):
                (cx, cy), (dx, dy) = self.axes(other)
                offset = points - self.at(other)[:2]
                along, across = offset @ (cx, cy), offset @ (dx, dy)
                length, width, _ = self.size(other)
                free &= (abs(along) > length / 2) | (abs(across) > width / 2)
        return float(free.mean())

    def do_FreeShare(self):
        return self.only_zones(self.free_share)

    def do_FreeArea(self):
        return self.only_zones(lambda id: self.free_share(id) * self.size(id)[0] * self.size(id)[1])

    def do_Bearing(self, place):
        there = self.place(place)
        return lambda id: self.bearing(id, there)

    def do_ClockHour(self, place):
        there = self.place(place)

        def hour(id):
            found = round(self.bearing(id, there) / 30) % 12
            return float(found or 12)

        return hour

    def do_ClockSector(self, place):
        there = self.place(place)
        return lambda id: float(int(self.bearing(id, there) % 360 // 30) or 12)

    def do_SurfaceDistance(self, other):
        there = self(other)
        theirs = self.surface(there)

        def mean(id):
            if id == there:
                return None
            apart = np.linalg.norm(self.surface(id)[:, None] - theirs[None], axis=2)
            return float(apart.min(axis=0).mean() + apart.min(axis=1).mean()) / 2

        return mean

    def surface(self, id):
        """(P, 3) points of a grid on the faces of a box."""
        corners = self.corners(id)
        _, _, middle = self.at(id)
        height = self.size(id)[2]
        return np.array([
            ((1 - a) * (1 - b) * x0 + a * (1 - b) * x1 + a * b * x2 + (1 - a) * b * x3,
             (1 - a) * (1 - b) * y0 + a * (1 - b) * y1 + a * b * y2 + (1 - a) * b * y3,
             middle + (c - 0.5) * height)
            for (x0, y0), (x1, y1), (x2, y2), (x3, y3) in [corners]
            for a, b, c in itertools.product(np.linspace(0, 1, 4), repeat=3)
            if {a, b, c} & {0.0, 1.0}
        ])  # fmt: skip

    # ---- predicates: functions of an id ----

    def do_And(self, a, b):
        return lambda id: self(a)(id) and self(b)(id)

    def do_Or(self, a, b):
        return lambda id: self(a)(id) or self(b)(id)

    def do_Not(self, a):
        return lambda id: not self(a)(id)

    def do_In(self, holders):
        return lambda id: any(self.holds(holder, id) for holder in self.some(holders))

    def do_Holds(self, chosen):
        return lambda id: (
            self.label(id) in ("buffer", *CARRIES)
            and any(self.holds(id, other) for other in self.some(chosen))
        )

    def do_Empty(self):
        def empty(id):
            if self.zone(id):
                return not any(self.holds(id, other) for other in self.ids)
            if self.label(id) in CARRIES:
                return self.items[id].cargo_id is None
            if self.label(id) not in IS_CARRIED:
                raise NoAnswerError
            height = self.top(id) if self.bottom(id) < BARE_M else self.size(id)[2]
            return height <= BARE_M + TOLERANCE_M

        return empty

    def sideways(self, id, place):
        if place.id is not None:
            return self.column(id) - self.column(place.id)
        if place.forward == (0.0, 1.0) and (place.x, place.y) == (0.0, 0.0):
            return self.column(id) - (self.regions.image_size[1] - 1) / 2
        return self.bearing(id, place)

    def nearness(self, id, place):
        """Positive in front: nearer to the camera than a region, ahead of who looks."""
        x, y, _ = self.at(id)
        if place.forward is None:
            return place.y - y
        return (x - place.x) * place.forward[0] + (y - place.y) * place.forward[1]

    def beside(self, id, place, sign):
        try:
            return self.sideways(id, self.place(place)) * sign > 0
        except NoAnswerError:  # who stands there has it neither left nor right
            return False

    def do_LeftOf(self, place):
        return lambda id: self.beside(id, place, -1)

    def do_RightOf(self, place):
        return lambda id: self.beside(id, place, 1)

    def do_InFrontOf(self, place):
        return lambda id: self.nearness(id, self.place(place)) > 0

    def do_Behind(self, place):
        return lambda id: self.nearness(id, self.place(place)) < 0

    def do_Above(self, place):
        return lambda id: self.at(id)[2] > self.place(place).h

    def do_Below(self, place):
        return lambda id: self.at(id)[2] < self.place(place).h

    def do_OnTopOf(self, other):
        return lambda id: self.stands_on(id, self(other))

    def do_Between(self, first, second):
        one, other = self(first), self(second)
        (ax, ay, _), (bx, by, _) = self.at(one), self.at(other)
        length = math.hypot(bx - ax, by - ay)

        def between(id):
            if id in (one, other):
                return False
            x, y, _ = self.at(id)
            t = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2
            away = abs((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
            reach = max(min(self.size(one)[:2]), min(self.size(other)[:2])) / 2
            return 0 < t < 1 and away < reach

        return between

    def compare(self, a, how, b):
        return {
            "more": a > b, "less": a < b, "at_least": a >= b, "at_most": a <= b, "equal": a == b,
        }[how]  # fmt: skip

    def do_Measures(self, attribute, how, limit):
        def measures(id):
            value = self(attribute)(id)
            return value is not None and self.compare(value, how, self(limit))

        return measures

    def do_Nearness(self, first, how, second):
        def is_so(id):
            one, other = (self.do_Distance(place)(id) for place in (first, second))
            return None not in (one, other) and self.compare(one, how, other)

        return is_so

    def do_HasRoom(self):
        return self.only_zones(lambda id: self.fits(id, 1.2, 0.8))

    def fits(self, zone, length, width, without=None):
        """A rectangle at any place of a grid of 4 cm, in any of 18 directions."""
        x, y, _ = self.at(zone)
        (ax, ay), (bx, by) = self.axes(zone)
        zone_length, zone_width, _ = self.size(zone)
        steps = np.arange(0, max(zone_length, zone_width), 0.04)
        u, v = np.meshgrid(steps - zone_length / 2, steps - zone_width / 2)
        places = np.stack([x + u * ax + v * bx, y + u * ay + v * by], axis=-1).reshape(-1, 2)
        near = [
            np.array(self.corners(other, 0.05)) for other in self.ids
            if not self.zone(other) and other != without
            and math.dist(self.at(other)[:2], (x, y)) < 5.0
        ]  # fmt: skip
        start = math.atan2(ay, ax)
        for step in range(18):
            turn = start + math.pi * step / 18
            first = np.array([math.cos(turn), math.sin(turn)])
            second = np.array([-first[1], first[0]])
            shape = [
                places + s * length / 2 * first + t * width / 2 * second
                for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            own = np.stack(shape, axis=1)  # (P, 4, 2)
            offset = own - (x, y)
            inside = (abs(offset @ (ax, ay)) <= zone_length / 2).all(axis=1)
            inside &= (abs(offset @ (bx, by)) <= zone_width / 2).all(axis=1)
            own = own[inside]
            if len(own) and not np.any([_touch(own, other) for other in near], axis=0).all():
                return True
        return False

    def do_Capacity(self):
        return self.only_zones(lambda id: self.most_in_rows(id, 1.2, 0.8))

    def most_in_rows(self, zone, length, width, step=0.05):
        """The most rectangles in rows along one side of a zone or the other, 5 cm apart."""
        return max(self.rows_along(zone, first, length, width, step) for first in (0, 1)) or float(
            self.fits(zone, length, width)
        )

    def rows_along(self, zone, first, length, width, step):
        sides = self.size(zone)[first], self.size(zone)[1 - first]
        free = {
            size: self.free_places(zone, first, size, step)
            for size in ((length, width), (width, length))
        }
        gap = round(0.05 / step)

        def in_row(row, depth):
            number, column = 0, 0
            while column * step < sides[0]:
                fitting = [
                    size[0]
                    for size, places in free.items()
                    for loose in range(round((depth - size[1]) / step) + 1)
                    if size[1] <= depth and (column, row + loose) in places
                ]
                number += bool(fitting)
                column += round(min(fitting) / step) + gap if fitting else 1
            return number

        rows = int(sides[1] / step) + 1
        most = [0] * (rows + 100)
        for row in reversed(range(rows)):
            most[row] = most[row + 1]
            for depth in (length, width):
                taken = round(depth / step) + gap
                most[row] = max(most[row], in_row(row, depth) + most[row + taken])
        return float(most[0])

    def free_places(self, zone, first, size, step):
        """Columns and rows where a rectangle may begin."""
        x, y, _ = self.at(zone)
        axes = np.array(self.axes(zone))[[first, 1 - first]]
        sides = np.array(self.size(zone)[:2])[[first, 1 - first]]
        ends = np.maximum(np.floor((sides - size) / step + 1e-9).astype(int), -1)
        places = np.array(
            [(column, row) for column in range(ends[0] + 1) for row in range(ends[1] + 1)]
        ).reshape(-1, 2)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size
        own = (places[:, None] * step + corners - sides / 2) @ axes + (x, y)
        free = np.ones(len(own), dtype=bool)
        for other in self.ids:
            if len(own) and not self.zone(other) and math.dist(self.at(other)[:2], (x, y)) < 6.0:
                free &= ~_touch(own, np.array(self.corners(other, 0.05)))
        return {tuple(place) for place in places[free].tolist()}

    def touching(self, one, other):
        return bool(_touch(np.array([one]), np.array(other))[0])

    def do_Is(self, other):
        return lambda id: id == self(other)

    def do_IsAmong(self, chosen):
        return lambda id: id in self.some(chosen)

    # ---- how things are arranged ----

    def do_Offset(self, place, side):
        there = self.place(place)
        fx, fy = there.forward or (0.0, 1.0)

        def meters(id):
            x, y, h = self.at(id)
            dx, dy, dh = x - there.x, y - there.y, h - there.h
            right, ahead = dx * fy - dy * fx, dx * fx + dy * fy
            front = ahead if there.forward else -dy
            sides = {"right": right, "left": -right, "front": front, "behind": -front}
            return {**sides, "above": dh, "below": -dh}[side]

        return meters

    def do_AllAlike(self, chosen, attribute):
        values = [self(attribute)(id) for id in self.some(chosen)]
        if len(values) < 2 or None in values:
            raise NoAnswerError
        return max(values) - min(values) <= max(0.05, 0.05 * max(values))

    def do_InLine(self, chosen):
        """The best line is found by turning one through the middle in small steps."""
        places = np.array([self.at(id)[:2] for id in self.some(chosen)])
        if len(places) < 3:
            raise NoAnswerError
        turns = np.linspace(0, math.pi, 20001)
        across = np.stack([-np.sin(turns), np.cos(turns)])
        off = (places - places.mean(axis=0)) @ across
        return bool(np.abs(off[:, np.argmin((off**2).sum(axis=0))]).max() <= 0.2)

    def do_NeighborGap(self, chosen, end):
        """The longest gap is the least one up to which all hang together."""
        found = self.some(chosen)
        if len(found) < 2:
            raise NoAnswerError
        gaps = {frozenset(pair): self.clearance(*pair) for pair in itertools.combinations(found, 2)}
        if end == "least":
            return min(gaps.values())
        return next(gap for gap in sorted(gaps.values()) if self.hang_together(found, gaps, gap))

    def hang_together(self, found, gaps, limit):
        reached = {found[0]}
        for _ in found:
            reached |= {
                id
                for id in found
                if any(gaps.get(frozenset((id, other)), math.inf) <= limit for other in reached)
            }
        return len(reached) == len(found)

    def do_HasRoomFor(self, guest):
        own = self(guest)
        length, width, _ = self.size(own)
        return lambda id: self.fits(id, length, width, without=own)

    # ---- fronts: None for what has none ----

    def heading(self, id):
        """Degrees to the right of forward."""
        if not self.items[id].has_front:
            return None
        right, forward = self.axes(id)[0]
        return math.degrees(math.atan2(right, forward))

    def turned(self, one, other):
        """Degrees between two directions, 0 to 180."""
        between = abs(one - other) % 360
        return min(between, 360 - between)

    def off_front(self, place, is_right):
        there = self.place(place)

        def is_so(id):
            own = self.heading(id)
            if own is None:
                return None
            x, y, _ = self.at(id)
            to_place = math.degrees(math.atan2(there.x - x, there.y - y))
            is_there = math.hypot(there.x - x, there.y - y) < 1e-6
            return not is_there and is_right(self.turned(own, to_place))

        return is_so

    def do_Heading(self):
        return self.heading

    def do_Facing(self, place):
        return self.off_front(place, lambda off: off < 45)

    def do_FacingAway(self, place):
        return self.off_front(place, lambda off: off > 135)

    def do_FacingSide(self, side):
        middle = {"left": -90, "right": 90}[side]
        return lambda id: (
            None if self.heading(id) is None else self.turned(self.heading(id), middle) < 45
        )

    def do_HeadingAngle(self, first, second):
        headings = self.heading(self(first)), self.heading(self(second))
        if None in headings:
            raise NoAnswerError
        return self.turned(*headings)

    def do_Colored(self, color):
        return lambda id: self.color(id) == color

    def do_OfClass(self, name):
        return lambda id: id in self.do_All(name)

    # ---- questions ----

    def do_Amount(self, number, unit):
        return number

    def do_Count(self, chosen):
        return float(len(self.some(chosen)))

    def do_Measure(self, region, attribute):
        value = self(attribute)(self(region))
        if value is None:
            raise NoAnswerError
        return value

    def do_Difference(self, a, b):
        return abs(self(a) - self(b))

    def do_Sum(self, a, b):
        return self(a) + self(b)

    def do_Ratio(self, a, b):
        return self(a) / self(b)

    def do_Total(self, chosen, attribute):
        return sum(self.measured(chosen, attribute))

    def do_Average(self, chosen, attribute):
        found = self.measured(chosen, attribute)
        return sum(found) / len(found)

    def measured(self, chosen, attribute):
        values = [self(attribute)(id) for id in self.some(chosen)]
        found = [value for value in values if value is not None]
        if not found:
            raise NoAnswerError
        return found

    def do_Angle(self, first, second, place):
        there = self.place(place)
        between = abs(self.bearing(self(first), there) - self.bearing(self(second), there))
        return min(between, 360 - between)

    def do_Compare(self, a, how, b):
        return self.compare(self(a), how, self(b))

    def do_Exists(self, chosen):
        return bool(self.some(chosen))

    def do_Whether(self, region, predicate):
        return self(predicate)(self(region))

    def do_Every(self, chosen, predicate):
        found = self.some(chosen)
        if not found:
            raise NoAnswerError
        return all(self(predicate)(id) for id in found)

    def do_Share(self, chosen, predicate):
        found = self.some(chosen)
        if not found:
            raise NoAnswerError
        return sum(bool(self(predicate)(id)) for id in found) / len(found)

    def do_Negation(self, truth):
        return not self(truth)

    def do_Side(self, region, place, axis):
        id, there = self(region), self.place(place)
        if id == there.id:
            raise NoAnswerError
        if axis == "inside_outside":
            return "inside" if self.holds(there.id, id) else "outside"
        value, lower, upper = {
            "left_right": lambda: (self.sideways(id, there), "left", "right"),
            "front_behind": lambda: (self.nearness(id, there), "behind", "front"),
            "above_below": lambda: (self.at(id)[2] - there.h, "below", "above"),
        }[axis]()
        if value == 0:
            raise NoAnswerError
        return lower if value < 0 else upper

    def do_Color(self, region):
        return self.color(self(region))

    def do_OfColor(self, region, color):
        if self.color(self(region)) != color:
            raise NoAnswerError
        return self(region)

    def do_Position(self, region):
        return tuple(map(float, self.items[self(region)].center))

    def do_Direction(self, region, place):
        id, there = self(region), self.place(place)
        if id == there.id:
            raise NoAnswerError
        start = (there.x, self.camera_height - there.h, there.y)
        offset = np.array(self.items[id].center) - start
        if np.linalg.norm(offset) < 1e-9:
            raise NoAnswerError
        return tuple(offset / np.linalg.norm(offset))

    def do_Dimensions(self, region):
        length, width, height = self.size(self(region))
        return max(length, width), min(length, width), height

    def do_DepthAt(self, pixel):
        column, row = pixel
        return float(self.depth[row, column])


def _touch(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(P,) whether rectangles (P, 4, 2) overlap with another one (4, 2): no side separates them."""
    touch = np.ones(len(own), dtype=bool)
    for axis in (own[0, 1] - own[0, 0], own[0, 3] - own[0, 0], other[1] - other[0],
                 other[3] - other[0]):  # fmt: skip
        mine, theirs = own @ axis, other @ axis
        touch &= (mine.max(axis=1) >= theirs.min()) & (theirs.max() >= mine.min(axis=1))
    return touch
