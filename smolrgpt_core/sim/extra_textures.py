"""Paints the textures of people, cones and doors, on an atlas of their own.

A scene without extras does not load them, and the atlas of all other objects stays as it is.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from smolrgpt_core.sim.textures import (
    TILE,
    Atlas,
    Canvas,
    Color,
    TilePainter,
    blend,
    box,
    clouds,
    pack_tiles,
    plain,
    shade_rim,
)

ATLAS_SIZE = 1024
SILVER = (214.0, 218.0, 220.0)
CONE_ORANGE = (240.0, 84.0, 20.0)


@lru_cache(maxsize=1)
def paint_extras_atlas() -> Atlas:
    """All tiles of extras; painted once in a process."""
    return pack_tiles(_tile_painters(), seed=8, size=ATLAS_SIZE)


def _tile_painters() -> dict[str, TilePainter]:
    """Name of each tile that `materials.MATERIALS` uses, and how it is painted."""
    cloth = {
        "shirt_blue": (44, 70, 118), "shirt_gray": (96, 100, 106), "shirt_red": (150, 40, 38),
        "trousers_dark": (42, 44, 50), "trousers_blue": (50, 66, 100),
        "trousers_khaki": (118, 108, 84), "hair": (48, 38, 30),
    }  # fmt: skip
    smooth = {
        "skin_light": (224, 180, 152), "skin_medium": (178, 128, 94), "skin_dark": (106, 72, 52),
        "helmet_white": (238, 238, 234), "helmet_yellow": (240, 196, 30),
        "helmet_blue": (36, 84, 170), "cone_top": CONE_ORANGE,
    }  # fmt: skip
    return {
        "vest_yellow": partial(_vest, color=(206, 232, 46)),
        "vest_orange": partial(_vest, color=(244, 108, 28)),
        "cone_side": _cone_side,
        "door_dock": _dock_door,
        "door_people": _people_door,
        **{name: partial(plain, color=color, grain=9, size=64) for name, color in cloth.items()},
        **{name: partial(plain, color=color, grain=3, size=64) for name, color in smooth.items()},
    }


def _vest(rng: np.random.Generator, color: Color) -> Canvas:
    """High-visibility cloth with two level reflecting bands and folds."""
    canvas = plain(rng, color, 6)
    for top in (96, 176):
        box(canvas, 0, top, TILE, top + 30, SILVER)
    return (canvas * (1 + 0.07 * clouds(rng, (TILE, TILE), (5, 14)))).astype(np.float32)


def _cone_side(rng: np.random.Generator) -> Canvas:
    """Orange with two white bands."""
    canvas = plain(rng, CONE_ORANGE, 5)
    box(canvas, 0, 50, TILE, 100, SILVER)
    box(canvas, 0, 140, TILE, 190, SILVER)
    return canvas


def _dock_door(rng: np.random.Generator) -> Canvas:
    """Five level panels, two windows in one of them."""
    canvas = plain(rng, (222, 224, 224), 3)
    for y in range(0, TILE, TILE // 5):
        canvas[y : y + 3] *= 0.7
        canvas[y + 3 : y + 6] *= 1.05
    for left in (36, 150):
        box(canvas, left, 114, left + 70, 140, (60, 70, 78))
    return shade_rim(canvas, 5, 0.3)


def _people_door(rng: np.random.Generator) -> Canvas:
    """A blue-gray leaf with a pane, a handle and a kick plate."""
    canvas = plain(rng, (74, 98, 124), 3)
    box(canvas, 150, 40, 200, 110, (196, 214, 222))
    box(canvas, 20, 128, 52, 136, (190, 192, 194))
    steel = np.zeros((TILE, TILE, 1), np.float32)
    steel[-28:] = 1.0
    return shade_rim(blend(canvas, (150, 154, 158), steel), 6, 0.35)
