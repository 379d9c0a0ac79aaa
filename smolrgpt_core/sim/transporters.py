"""Transporters: the few models of automated vehicles that move pallets, as parts.

Object axes: x forward, y to the left, z up, origin on the ground in the middle of the footprint.
The sizes follow vehicles on the market; the parts fill them exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from smolrgpt_core.sim.parts import ConvexPart, Shape, Vector3


class TransporterKind(Enum):
    """Build of a transporter."""

    LARGE_DECK = "large_deck"
    """Flat pallet mover, 2.00 x 1.00 x 0.38 m."""
    SMALL_DECK = "small_deck"
    """Flat pallet mover, 1.60 x 0.86 x 0.32 m."""
    FORK = "fork"
    """Driverless pallet truck with mast and forks, 1.98 x 0.86 x 2.05 m."""


@dataclass(frozen=True)
class TransporterModel:
    """What a scene needs to know about a build.

    Attributes:
        size: length, width, height in meters.
        load_center: where the middle of the bottom of a carried pallet is, in object axes.
    """

    size: Vector3
    load_center: Vector3


TRANSPORTER_MODELS = {
    TransporterKind.LARGE_DECK: TransporterModel((2.0, 1.0, 0.38), (0.0, 0.0, 0.38)),
    TransporterKind.SMALL_DECK: TransporterModel((1.6, 0.86, 0.32), (0.0, 0.0, 0.32)),
    TransporterKind.FORK: TransporterModel((1.98, 0.86, 2.05), (-0.33, 0.0, 0.05)),
}
TRANSPORTER_COLORS = ("orange", "yellow", "white")


def body_color(parts: Sequence[ConvexPart]) -> str:
    """The color that a vehicle is painted in, one of `TRANSPORTER_COLORS`.

    Args:
        parts: of any object; empty for what is no vehicle.
    """
    materials = {part.material for part in parts}
    return next(
        (color for color in TRANSPORTER_COLORS if materials & {f"body_{color}", f"paint_{color}"}),
        "",
    )


def transporter_parts(kind: TransporterKind, color: str) -> list[ConvexPart]:
    """The vehicle without what it carries."""
    if kind is TransporterKind.FORK:
        return _fork_truck(color)
    return _deck_vehicle(TRANSPORTER_MODELS[kind].size, color)


def _deck_vehicle(size: Vector3, color: str) -> list[ConvexPart]:
    """Low body with bumpers, wheels, a rubber deck, scanners and emergency stops."""
    length, width, height = size
    body_z, deck = 0.06, 0.025
    body_height = height - body_z - deck
    parts = [
        ConvexPart(
            f"body_{color}", (0, 0, body_z + body_height / 2), (length - 0.16, width, body_height)
        ),
        ConvexPart("rubber", (0, 0, height - deck / 2), (length - 0.2, width - 0.06, deck)),
        ConvexPart("body_dark", (0, 0, body_z + 0.03), (length - 0.1, width - 0.02, 0.06)),
    ]
    for end in (-1, 1):
        nose = (end * (length / 2 - 0.04), 0, body_z + body_height * 0.45)
        parts.append(ConvexPart("bumper", nose, (0.08, width - 0.06, body_height * 0.7)))
        for side in (-1, 1):
            parts += _corner(end, side, size)
    return parts


def _corner(end: int, side: int, size: Vector3) -> list[ConvexPart]:
    """Wheel and, on two opposite corners, a scanner with an emergency stop."""
    length, width, height = size
    x, y = end * (length / 2 - 0.32), side * (width / 2 - 0.08)
    parts = [ConvexPart("rubber", (x, y, 0.06), (0.2, 0.08, 0.12))]
    if end == side:
        corner = (end * (length / 2 - 0.06), side * (width / 2 - 0.1), height * 0.62)
        parts.append(ConvexPart("body_dark", corner, (0.12, 0.12, 0.1), Shape.CYLINDER))
        stop = (end * (length / 2 - 0.14), side * (width / 2 - 0.015), height * 0.72)
        parts.append(ConvexPart("signal_red", stop, (0.05, 0.03, 0.05)))
    return parts


def _fork_truck(color: str) -> list[ConvexPart]:
    """Drive unit in front, mast behind it, two forks pointing backwards."""
    length, width, height = TRANSPORTER_MODELS[TransporterKind.FORK].size
    front = length / 2
    parts = [
        ConvexPart(f"body_{color}", (front - 0.3, 0, 0.42), (0.6, width, 0.72)),
        ConvexPart("body_dark", (front - 0.3, 0, 0.84), (0.5, width - 0.12, 0.12)),
        ConvexPart("rubber", (front - 0.3, 0, 0.05), (0.3, width - 0.1, 0.1)),
        ConvexPart(f"paint_{color}", (front - 0.34, 0, 1.5), (0.1, 0.2, 1.08)),
        ConvexPart("body_dark", (front - 0.3, 0, 1.95), (0.18, 0.3, 0.1)),
        ConvexPart(
            "signal_red", (front - 0.3, 0, height - 0.025), (0.1, 0.1, 0.05), Shape.CYLINDER
        ),
    ]
    for side in (-1, 1):
        parts.append(ConvexPart("mast", (front - 0.64, side * 0.26, 0.98), (0.08, 0.08, 1.92)))
        fork = (-front + 0.65, side * 0.186, 0.12)
        parts.append(ConvexPart("steel_dark", fork, (1.3, 0.16, 0.06)))
        parts.append(ConvexPart("rubber", (-front + 0.2, side * 0.186, 0.045), (0.12, 0.12, 0.09)))
    parts.append(ConvexPart("mast", (front - 0.64, 0, 1.9), (0.08, 0.44, 0.06)))
    parts.append(ConvexPart("steel_dark", (front - 0.66, 0, 0.45), (0.04, 0.7, 0.5)))
    return parts
