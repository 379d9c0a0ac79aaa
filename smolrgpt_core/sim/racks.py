"""Rack bays with their goods, as parts.

Object axes of a bay: x along the aisle, y into the depth of the rack (the aisle lies at negative
y), z up, origin on the ground in the middle of the footprint.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.sim.pallets import (
    LOAD_KINDS,
    PALLET_HEIGHT_M,
    PALLET_MODELS,
    load_parts,
    simple_pallet_base,
)
from smolrgpt_core.sim.parts import ConvexPart

BAY_WIDTH_M = 2.8
BAY_DEPTH_M = 1.1
POST_M = (0.07, 0.09)
BEAM_M = (0.05, 0.13)
DECK_M = 0.03


def rack_levels(hall_height_m: float, rng: np.random.Generator) -> list[float]:
    """Heights of the beams of a rack row, meters, lowest first."""
    first = rng.uniform(1.55, 1.9)
    spacing = rng.uniform(1.35, 1.7)
    highest = hall_height_m - 2.6
    return [first + spacing * level for level in range(4) if first + spacing * level < highest]


def rack_bay(levels_m: list[float], rng: np.random.Generator) -> list[ConvexPart]:
    """Uprights, braces, beams, decks and goods of one bay."""
    height = levels_m[-1] + 0.9
    parts = _uprights(height)
    for level in levels_m:
        parts += _shelf_level(level)
    clear = [levels_m[0], *np.diff(levels_m), 1.5]
    for floor, room in zip([0.0, *levels_m], clear, strict=True):
        parts += _goods(floor, float(room) - 0.25, rng)
    return parts


def _uprights(height: float) -> list[ConvexPart]:
    """Two frames: front and back post with horizontal and diagonal braces between them."""
    parts = []
    depth = BAY_DEPTH_M - POST_M[1]
    for x in (-(BAY_WIDTH_M - POST_M[0]) / 2, (BAY_WIDTH_M - POST_M[0]) / 2):
        for y in (-depth / 2, depth / 2):
            parts.append(ConvexPart("upright", (x, y, height / 2), (*POST_M, height)))
            foot = (POST_M[0], POST_M[1], 0.012)
            parts.append(ConvexPart("steel_dark", (x, y, 0.006), foot))
        parts += _braces(x, depth - POST_M[1], height)
    return parts


def _braces(x: float, span: float, height: float) -> list[ConvexPart]:
    """Zigzag of thin profiles in the plane of a frame."""
    step = 1.1
    angle = float(np.arctan2(step, span))
    length = float(np.hypot(step, span)) - 0.06
    parts = []
    for index in range(int((height - 0.3) / step)):
        z = 0.2 + step * (index + 0.5)
        tilt = angle if index % 2 else -angle
        parts.append(ConvexPart("brace", (x, 0, z), (0.03, length, 0.04), tilt_rad=tilt))
    return parts


def _shelf_level(z: float) -> list[ConvexPart]:
    """Front and back beam with a deck between them; z is the upper face of the deck."""
    width = BAY_WIDTH_M - 2 * POST_M[0] - 0.01
    y = (BAY_DEPTH_M - BEAM_M[0]) / 2
    parts = [
        ConvexPart("beam", (0, side * y, z - BEAM_M[1] / 2), (width, *BEAM_M)) for side in (-1, 1)
    ]
    deck = (width, BAY_DEPTH_M - 2 * BEAM_M[0] - 0.01, DECK_M)
    parts.append(ConvexPart("deck", (0, 0, z - DECK_M / 2), deck))
    return parts


def _goods(floor_m: float, room_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Up to three loaded pallets side by side on one level; some places stay free."""
    parts = []
    for x in np.array([-1.0, 0.0, 1.0]) * 0.86:
        if rng.random() < 0.22:
            continue
        model = PALLET_MODELS[0]
        kind = LOAD_KINDS[rng.integers(len(LOAD_KINDS) - 2)]
        most = min(room_m - PALLET_HEIGHT_M, 1.5)
        height = float(rng.uniform(0.5, 0.95)) * most
        wood = f"wood{rng.integers(3)}"
        goods = simple_pallet_base(model, wood)
        if kind != "drums" or most > 0.7:
            goods += load_parts(kind, model, height, rng)
        shift = float(rng.uniform(-0.01, 0.01))
        inside = [part.moved((float(x) + shift, 0, floor_m), np.pi / 2) for part in goods]
        parts += inside
    return parts
