"""Counterbalance forklift trucks, as parts.

Object axes: x where the forks point, y to the left, z up, origin on the floor in the middle of the
footprint, which includes the forks. The ranges are those of electric trucks for 1.5 to 2.5 t in
their data sheets (VDI 2198): overall width, length to the face of the forks, forks, height of the
overhead guard and of the lowered mast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolrgpt_core.sim.parts import ConvexPart, Shape

WIDTH_M = (1.1, 1.25)
BODY_LENGTH_M = (1.95, 2.35)
"""From the counterweight to the face of the forks."""
FORK_M = (1.15, 0.1, 0.04)
"""Length, width and thickness of a fork."""
GUARD_HEIGHT_M = (2.0, 2.2)
MAST_HEIGHT_M = (2.0, 2.25)
"""Of the mast when it is lowered."""
HOOD_TOP_M = 0.95


@dataclass(frozen=True)
class ForkliftSize:
    """Measures of one truck, meters; the names are those of the ranges above."""

    width: float
    body_length: float
    guard_height: float
    mast_height: float

    @property
    def rear(self) -> float:
        """X of the end of the counterweight."""
        return -(self.body_length + FORK_M[0]) / 2

    @property
    def face(self) -> float:
        """X of the face of the forks."""
        return self.rear + self.body_length


def draw_forklift_size(rng: np.random.Generator) -> ForkliftSize:
    """A truck within the ranges."""
    ranges = (WIDTH_M, BODY_LENGTH_M, GUARD_HEIGHT_M, MAST_HEIGHT_M)
    return ForkliftSize(*(float(rng.uniform(*bounds)) for bounds in ranges))


def forklift_parts(size: ForkliftSize, color: str) -> list[ConvexPart]:
    """A truck without driver or load, its forks just above the floor.

    Args:
        size: of the truck.
        color: of its body, one of `transporters.TRANSPORTER_COLORS`.
    """
    return [*_body(size, color), *_wheels(size), *_guard(size), *_mast(size), *_forks(size)]


def _body(size: ForkliftSize, color: str) -> list[ConvexPart]:
    """Counterweight, chassis, hood, seat and dashboard."""
    rear, width, front = size.rear, size.width, size.face - 0.36
    chassis = front - rear - 0.1
    paint = f"paint_{color}"
    return [
        ConvexPart(paint, (rear + 0.31, 0, 0.6), (0.46, width, 0.72)),
        ConvexPart(paint, (rear + 0.06, 0, 0.58), (0.12, width - 0.24, 0.6)),
        ConvexPart("body_dark", (rear + 0.1 + chassis / 2, 0, 0.33), (chassis, width - 0.16, 0.42)),
        ConvexPart(paint, (rear + 0.85, 0, 0.74), (0.66, width - 0.3, 2 * (HOOD_TOP_M - 0.74))),
        ConvexPart(paint, (front - 0.12, 0, 0.72), (0.2, width - 0.24, 0.42)),
        ConvexPart("rubber", (rear + 0.9, 0, HOOD_TOP_M + 0.05), (0.46, 0.48, 0.1)),
        ConvexPart("rubber", (rear + 0.68, 0, HOOD_TOP_M + 0.32), (0.1, 0.46, 0.5)),
        ConvexPart("body_dark", (front - 0.22, 0, 1.02), (0.04, 0.04, 0.24)),
        ConvexPart("rubber", (front - 0.27, 0, 1.15), (0.34, 0.34, 0.03), Shape.CYLINDER),
    ]


def _wheels(size: ForkliftSize) -> list[ConvexPart]:
    """Two large ones in front, two smaller ones under the counterweight."""
    parts = []
    for x, diameter in ((size.face - 0.45, 0.6), (size.rear + 0.4, 0.46)):
        for side in (-1, 1):
            center = (x, side * (size.width / 2 - 0.1), diameter / 2)
            for material, round_m, thick_m in (("rubber", diameter, 0.2), ("mast", 0.24, 0.202)):
                wheel = (round_m, round_m, thick_m)
                parts.append(ConvexPart(material, center, wheel, Shape.CYLINDER, np.pi / 2))
    return parts


def _guard(size: ForkliftSize) -> list[ConvexPart]:
    """Four posts with a roof of bars over the driver."""
    front, rear, top = size.face - 0.5, size.rear + 0.35, size.guard_height
    y = size.width / 2 - 0.1
    parts = [
        ConvexPart(
            "body_dark", ((front + rear) / 2, side * y, top - 0.03), (front - rear, 0.07, 0.06)
        )
        for side in (-1, 1)
    ]
    for x in np.linspace(rear + 0.035, front - 0.035, 7):
        parts.append(ConvexPart("body_dark", (float(x), 0, top - 0.03), (0.05, 2 * y, 0.04)))
    for x, foot in ((front - 0.03, 0.5), (rear + 0.03, 0.9)):
        for side in (-1, 1):
            post = (x, side * y, (foot + top) / 2 - 0.03)
            parts.append(ConvexPart("body_dark", post, (0.06, 0.06, top - foot - 0.06)))
    return parts


def _mast(size: ForkliftSize) -> list[ConvexPart]:
    """Two uprights with cross bars and the lift cylinders between them."""
    x, top = size.face - 0.22, size.mast_height
    parts = [ConvexPart("mast", (x, 0, z), (0.06, 0.6, 0.1)) for z in (0.2, top - 0.35, top - 0.05)]
    for side in (-1, 1):
        parts.append(ConvexPart("mast", (x, side * 0.31, top / 2 + 0.03), (0.16, 0.08, top - 0.06)))
        parts.append(
            ConvexPart("steel_dark", (x, side * 0.22, 0.9), (0.07, 0.07, 1.5), Shape.CYLINDER)
        )
    return parts


def _forks(size: ForkliftSize) -> list[ConvexPart]:
    """Carriage with a load backrest, and two forks."""
    length, width, thickness = FORK_M
    parts = [
        ConvexPart("steel_dark", (size.face - 0.08, 0, z), (0.05, size.width - 0.2, 0.1))
        for z in (0.18, 0.55)
    ]
    for y in np.linspace(-0.4, 0.4, 5):
        parts.append(
            ConvexPart("steel_dark", (size.face - 0.08, float(y), 0.85), (0.03, 0.03, 0.6))
        )
    parts.append(ConvexPart("steel_dark", (size.face - 0.08, 0, 1.15), (0.03, 0.83, 0.03)))
    for side in (-1, 1):
        shank = (size.face - thickness / 2, side * 0.26, 0.36)
        parts.append(ConvexPart("mast", shank, (thickness, width, 0.6)))
        fork = (size.face + length / 2, side * 0.26, 0.08)
        parts.append(ConvexPart("mast", fork, (length, width, thickness)))
    return parts
