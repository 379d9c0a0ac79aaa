"""The hall itself: walls, columns, roof and lamps. Background, so it has no regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolrgpt_core.sim.config import WarehouseConfig
from smolrgpt_core.sim.parts import ConvexPart, Vector3

WALL_M = 0.2
COLUMN_SPACING_M = 5.5


@dataclass(frozen=True)
class Hall:
    """Inner size and light of a hall; the floor is z = 0, its middle the world origin.

    Attributes:
        length_m: along world x.
        width_m: along world y.
        height_m: of the ceiling.
        light_level: brightness, 1 = bright daylight white.
        light_direction: of the light that throws shadows, downwards.
    """

    length_m: float
    width_m: float
    height_m: float
    light_level: float
    light_direction: Vector3


def draw_hall(config: WarehouseConfig, rng: np.random.Generator) -> Hall:
    """A hall within the ranges of the configuration."""
    return Hall(
        float(rng.uniform(*config.hall_length_m)),
        float(rng.uniform(*config.hall_width_m)),
        float(rng.uniform(*config.hall_height_m)),
        float(rng.uniform(*config.light_level)),
        (float(rng.uniform(-0.35, 0.35)), float(rng.uniform(-0.4, 0.3)), -1.0),
    )


def hall_parts(hall: Hall) -> list[ConvexPart]:
    """Everything but the floor, in world axes."""
    return [*_walls(hall), *_columns(hall), *_roof(hall), *_lamps(hall)]


def _walls(hall: Hall) -> list[ConvexPart]:
    """Four walls; the materials tell them apart because each has its own painting."""
    half_length = (hall.length_m + WALL_M) / 2
    half_width = (hall.width_m + WALL_M) / 2
    z, height = hall.height_m / 2, hall.height_m
    return [
        ConvexPart("wall_east", (half_length, 0, z), (WALL_M, hall.width_m, height)),
        ConvexPart("wall_west", (-half_length, 0, z), (WALL_M, hall.width_m, height)),
        ConvexPart("wall_north", (0, half_width, z), (hall.length_m, WALL_M, height)),
        ConvexPart("wall_south", (0, -half_width, z), (hall.length_m, WALL_M, height)),
    ]


def _columns(hall: Hall) -> list[ConvexPart]:
    """Steel columns along the long walls, with a striped guard at the foot."""
    parts = []
    y = hall.width_m / 2 - 0.12
    for x in column_positions(hall):
        for side in (-1, 1):
            parts.append(
                ConvexPart("column", (x, side * y, hall.height_m / 2), (0.2, 0.2, hall.height_m))
            )
            parts.append(ConvexPart("hazard", (x, side * y, 0.6), (0.23, 0.23, 1.2)))
    return parts


def column_positions(hall: Hall) -> list[float]:
    """World x of the columns and of the trusses that they carry."""
    count = max(2, round(hall.length_m / COLUMN_SPACING_M))
    return [float(x) for x in (np.arange(count) + 0.5) * hall.length_m / count - hall.length_m / 2]


def _roof(hall: Hall) -> list[ConvexPart]:
    """Ceiling plate with trusses across and purlins along the hall."""
    top = hall.height_m
    parts = [ConvexPart("ceiling", (0, 0, top + 0.05), (hall.length_m, hall.width_m, 0.1))]
    for x in column_positions(hall):
        for z in (top - 0.1, top - 0.7):
            parts.append(ConvexPart("truss", (x, 0, z), (0.14, hall.width_m, 0.12)))
        parts += _truss_web(x, hall)
    return parts


def _truss_web(x: float, hall: Hall) -> list[ConvexPart]:
    """Diagonals between the two chords of a truss."""
    count = int(hall.width_m / 1.2)
    step = hall.width_m / count
    tilt = float(np.arctan2(0.6, step))
    length = float(np.hypot(0.6, step)) - 0.08
    parts = []
    for index in range(count):
        y = (index + 0.5) * step - hall.width_m / 2
        center = (x, y, hall.height_m - 0.4)
        angle = tilt if index % 2 else -tilt
        parts.append(ConvexPart("truss", center, (0.06, length, 0.06), tilt_rad=angle))
    return parts


def lamp_rows(hall: Hall) -> list[float]:
    """World y of the rows of lamps."""
    count = max(2, round(hall.width_m / 4.0))
    return [float(y) for y in (np.arange(count) + 0.5) * hall.width_m / count - hall.width_m / 2]


def _lamps(hall: Hall) -> list[ConvexPart]:
    """Rows of long lamps below the trusses."""
    parts = []
    z = hall.height_m - 0.85
    for y in lamp_rows(hall):
        parts.append(ConvexPart("steel_dark", (0, y, z + 0.08), (hall.length_m - 1.0, 0.06, 0.06)))
        for x in np.arange(-hall.length_m / 2 + 1.6, hall.length_m / 2 - 1.0, 2.6):
            parts.append(ConvexPart("lamp", (float(x), y, z), (1.5, 0.16, 0.07)))
    return parts
