"""Roll cages, steel drums and traffic cones, as parts.

Object axes: origin on the floor in the middle of the footprint, z up. Sizes:

- roll cage: 0.72 x 0.80 m on the floor and 1.7 m tall, the usual size of roll containers for a
  supermarket (EN 12674-1 has their names and prescribes no size); wire of 6 mm, tubes of 25 mm.
- drum: 0.585 m across its hoops and 0.88 m tall, a steel drum of 216.5 l (ISO 15750-2).
- cone: 0.3, 0.5 or 0.75 m tall, the usual heights of road cones (EN 13422 has classes and
  prescribes no size), on a square foot.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.sim.parts import ConvexPart, Shape, Vector3

CAGE_M: Vector3 = (0.80, 0.72, 1.70)
"""Length, width and height; the open front is at positive x."""
CAGE_DECK_M = 0.2
TUBE_M = 0.025
WIRE_M = 0.006
WIRE_SPACING_M = 0.1
DRUM_M = (0.585, 0.88)
"""Diameter across the hoops, and height."""
CONES_M = ((0.3, 0.22), (0.5, 0.29), (0.75, 0.4))
"""Height, and side of the foot."""
CONE_FOOT_M = 0.03


def cage_parts(filling: float, rng: np.random.Generator) -> list[ConvexPart]:
    """A roll cage of wire with three walls, open in front, with cartons in it.

    Args:
        filling: fraction of its height that is filled, 0 to 1.
        rng: of the cartons.
    """
    length, width, height = CAGE_M
    parts = _castors()
    parts.append(ConvexPart("truss", (0, 0, CAGE_DECK_M - TUBE_M / 2), (length, width, TUBE_M)))
    back = (length - TUBE_M) / 2
    post = height - CAGE_DECK_M
    for x in (-back, back):
        for side in (-1, 1):
            corner = (x, side * (width - TUBE_M) / 2, CAGE_DECK_M + post / 2)
            parts.append(ConvexPart("truss", corner, (TUBE_M, TUBE_M, post)))
    for side in (-1, 1):
        parts += _wire_wall((0.0, side * (width - TUBE_M) / 2), length, 0.0)
    parts += _wire_wall((-back, 0.0), width, np.pi / 2)
    return parts + _cartons(filling, rng)


def _castors() -> list[ConvexPart]:
    """Four wheels in forks."""
    parts = []
    for x in (-1, 1):
        for y in (-1, 1):
            at = (x * (CAGE_M[0] / 2 - 0.1), y * (CAGE_M[1] / 2 - 0.08))
            wheel = (0.125, 0.125, 0.035)
            parts.append(ConvexPart("rubber", (*at, 0.0625), wheel, Shape.CYLINDER, np.pi / 2))
            parts.append(ConvexPart("truss", (*at, 0.14), (0.05, 0.05, 0.08)))
    return parts


def _wire_wall(middle: tuple[float, float], span: float, yaw_rad: float) -> list[ConvexPart]:
    """Upright and level wires between two posts, along x or turned."""
    height = CAGE_M[2] - CAGE_DECK_M
    z = CAGE_DECK_M + height / 2
    parts = []
    for x in _evenly(span - TUBE_M):
        parts.append(ConvexPart("truss", (x, 0, z), (WIRE_M, WIRE_M, height)))
    for level in _evenly(height, 3 * WIRE_SPACING_M):
        parts.append(ConvexPart("truss", (0, 0, z + level), (span - TUBE_M, WIRE_M, WIRE_M)))
    rim = (0.0, 0.0, CAGE_M[2] - TUBE_M / 2)
    parts.append(ConvexPart("truss", rim, (span - TUBE_M, TUBE_M, TUBE_M)))
    return [part.moved((*middle, 0.0), yaw_rad) for part in parts]


def _evenly(span: float, spacing: float = WIRE_SPACING_M) -> list[float]:
    """Places between two ends, the ends left out, about a spacing apart."""
    count = round(span / spacing)
    return [float(place) for place in np.linspace(-span / 2, span / 2, count + 1)[1:-1]]


def _cartons(filling: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Layers of two cartons on the deck, a little smaller than the cage."""
    length, width, height = CAGE_M
    floor, parts = CAGE_DECK_M, []
    top = floor + filling * (height - CAGE_DECK_M)
    while floor + 0.2 < top:
        rise = min(float(rng.uniform(0.25, 0.4)), top - floor)
        for side in (-1, 1):
            box = (length - 0.1 - float(rng.uniform(0, 0.1)), width / 2 - 0.06, rise - 0.005)
            center = (-0.01, side * (width / 4 - 0.015), floor + rise / 2)
            parts.append(ConvexPart(f"carton{rng.integers(4)}", center, box))
        floor += rise
    return parts


def drum_parts(material: str) -> list[ConvexPart]:
    """A standing steel drum with two rolling hoops and a rim at each end."""
    across, height = DRUM_M
    body = ConvexPart(
        material, (0, 0, height / 2), (across - 0.013, across - 0.013, height), Shape.CYLINDER
    )
    hoops = [
        ConvexPart(material, (0, 0, z * height), (across, across, 0.02), Shape.CYLINDER)
        for z in (1 / 3, 2 / 3)
    ]
    return [body, *hoops]


def cone_parts(height_m: float, foot_m: float) -> list[ConvexPart]:
    """A traffic cone with reflecting bands on its foot.

    Args:
        height_m: of the cone with its foot.
        foot_m: side of the foot.
    """
    body = height_m - CONE_FOOT_M
    return [
        ConvexPart("rubber", (0, 0, CONE_FOOT_M / 2), (foot_m, foot_m, CONE_FOOT_M)),
        ConvexPart(
            "cone", (0, 0, CONE_FOOT_M + body / 2), (foot_m * 0.75, foot_m * 0.75, body), Shape.CONE
        ),
    ]
