"""What stands about a busy hall beside pallets: people, forklifts, roll cages, drums, cones, doors.

They are placed last and drawn from random numbers of their own, so the rest of a scene is the same
with and without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.sim.config import EXTRA_LABELS, LABEL_ID_RANGES, WarehouseConfig
from smolrgpt_core.sim.doors import DEPTH_M, DOORS_M, door_parts
from smolrgpt_core.sim.floor_equipment import CONES_M, cage_parts, cone_parts, drum_parts
from smolrgpt_core.sim.footprints import Area, Footprint, is_free
from smolrgpt_core.sim.forklifts import draw_forklift_size, forklift_parts
from smolrgpt_core.sim.hall import Hall
from smolrgpt_core.sim.objects import SceneObject
from smolrgpt_core.sim.pallets import DRUM_COLORS
from smolrgpt_core.sim.parts import ConvexPart, bounding_box
from smolrgpt_core.sim.people import BODY_HEIGHT_M, person_parts
from smolrgpt_core.sim.transporters import TRANSPORTER_COLORS

CLEARANCE_M = 0.25
WALL_DOOR_GAP_M = 1.0
"""Between two doors of a wall, and between a door and the corner."""
MIDDLE_FRACTION = 0.8
"""Along the hall, the part of the floor that cameras see well."""
TRIES = 80


@dataclass(frozen=True)
class _Thing:
    """An object before it has a place; its parts are centered over the origin."""

    kind: str
    parts: tuple[ConvexPart, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Length and width of its footprint, meters."""
        length, width, _ = bounding_box(self.parts)[1]
        return float(length), float(width)


def _thing(kind: str, parts: Sequence[ConvexPart]) -> _Thing:
    middle = bounding_box(parts)[0]
    return _Thing(kind, tuple(part.moved((-middle[0], -middle[1], 0.0)) for part in parts))


def _person(rng: np.random.Generator) -> _Thing:
    return _thing("person", person_parts(float(rng.uniform(*BODY_HEIGHT_M)), rng))


def _forklift(rng: np.random.Generator) -> _Thing:
    color = TRANSPORTER_COLORS[rng.integers(len(TRANSPORTER_COLORS))]
    return _thing("counterbalance", forklift_parts(draw_forklift_size(rng), color))


def _cage(rng: np.random.Generator) -> _Thing:
    filling = float(rng.choice([0.0, rng.uniform(0.2, 0.9)]))
    return _thing("roll cage", cage_parts(filling, rng))


def _drum(rng: np.random.Generator) -> _Thing:
    return _thing("steel drum", drum_parts(DRUM_COLORS[rng.integers(len(DRUM_COLORS))]))


def _cone(rng: np.random.Generator) -> _Thing:
    return _thing("traffic cone", cone_parts(*CONES_M[rng.integers(len(CONES_M))]))


def _door(rng: np.random.Generator) -> _Thing:
    kind = list(DOORS_M)[rng.integers(len(DOORS_M))]
    return _thing(kind, door_parts(kind))


_MAKERS: dict[str, Callable[[np.random.Generator], _Thing]] = {
    "person": _person, "forklift": _forklift, "cage": _cage,
    "drum": _drum, "cone": _cone, "door": _door,
}  # fmt: skip


def place_extras(
    seed: int, config: WarehouseConfig, hall: Hall, area: Area, others: Sequence[SceneObject]
) -> list[SceneObject]:
    """The objects beside those of a plain warehouse, fewer where there is no room.

    Args:
        seed: of the scene.
        config: how many of each.
        hall: that they are in.
        area: of the floor where objects may stand.
        others: the objects that are there already.
    """
    standing = [item for item in others if item.parts]
    placed: list[SceneObject] = []
    for label in EXTRA_LABELS:
        rng = np.random.default_rng([seed, 5, EXTRA_LABELS.index(label)])
        low, high = getattr(config, f"{label}s")
        for id in LABEL_ID_RANGES[label][: int(rng.integers(low, high + 1))]:
            thing = _MAKERS[label](rng)
            taken = [item.footprint for item in [*standing, *placed]]
            spots = _wall_spots(thing, hall, rng) if label == "door" else _spots(thing, area, rng)
            gap = WALL_DOOR_GAP_M if label == "door" else CLEARANCE_M
            spot = next((spot for spot in spots if is_free(spot, taken, gap)), None)
            if spot is not None:
                origin = (spot.x, spot.y, 0.0)
                placed.append(SceneObject(id, label, thing.kind, origin, spot.yaw_rad, thing.parts))
    return placed


def _spots(thing: _Thing, area: Area, rng: np.random.Generator) -> Iterator[Footprint]:
    """Places on the floor, turned anyhow."""
    for _ in range(TRIES):
        x = float(rng.uniform(*area.x)) * MIDDLE_FRACTION
        y = float(rng.uniform(*area.y))
        spot = Footprint(x, y, *thing.size, float(rng.uniform(-np.pi, np.pi)))
        if area.contains(spot):
            yield spot


def _wall_spots(thing: _Thing, hall: Hall, rng: np.random.Generator) -> Iterator[Footprint]:
    """Places at the east and the west wall."""
    reach = (hall.width_m - thing.size[0]) / 2 - WALL_DOOR_GAP_M
    for _ in range(TRIES):
        side = float(rng.choice([-1.0, 1.0]))
        # A hair before the wall: two surfaces in one plane would flicker.
        x = side * ((hall.length_m - DEPTH_M) / 2 - 0.005)
        yield Footprint(x, float(rng.uniform(-reach, reach)), *thing.size, -side * np.pi / 2)
