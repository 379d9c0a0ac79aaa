"""Which texture is on which face of a part."""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_core.sim.pallets import CARTON_COLORS, CRATE_COLORS, DRUM_COLORS, WRAP_COLORS
from smolrgpt_core.sim.people import HELMETS, SKINS, TOPS, TROUSERS
from smolrgpt_core.sim.transporters import TRANSPORTER_COLORS

ATLAS = "atlas"
"""Texture that holds the tiles of all objects."""
EXTRAS_ATLAS = "extras_atlas"
"""Texture that holds the tiles of people, cones and doors."""
LAMP = "lamp"
"""Texture that shines by itself."""


@dataclass(frozen=True)
class Material:
    """Tiles of the faces of a part.

    Attributes:
        top, side, end: tiles for the faces along z, y and x.
        texture: which texture the tiles are in; a texture other than the atlas is one tile.
        tile_m: (width, height) in meters that a tile shows; a smaller face shows a piece of it.
            None stretches the whole tile over the face.
        grain: turn the tile so that its width lies along the longer side of the face.
    """

    top: str
    side: str
    end: str
    texture: str = ATLAS
    tile_m: tuple[float, float] | None = None
    grain: bool = False


def _plain(tile: str, tile_m: tuple[float, float] | None = None, grain: bool = False) -> Material:
    return Material(tile, tile, tile, tile_m=tile_m, grain=grain)


def _own_texture(name: str) -> Material:
    return Material("", "", "", texture=name)


def _extra_materials() -> dict[str, Material]:
    table = {
        name: Material(name, name, name, texture=EXTRAS_ATLAS)
        for name in (*TOPS, *TROUSERS, *SKINS, *HELMETS, "hair", "door_dock", "door_people")
    }
    table["cone"] = Material("cone_top", "cone_side", "cone_side", texture=EXTRAS_ATLAS)
    return table


def _materials() -> dict[str, Material]:
    table = {
        name: _plain(name)
        for name in (
            "brace",
            "bumper",
            "body_dark",
            "column",
            "rubber",
            "signal_red",
            "steel_dark",
            "truss",
            "mast",
        )
    }
    table["hazard"] = _plain("hazard", (0.8, 0.8))
    table["upright"] = _plain("upright", (6.0, 0.09), grain=True)
    table["beam"] = _plain("beam", (2.7, 0.13), grain=True)
    table["deck"] = Material("deck", "steel_dark", "steel_dark")
    for index in range(3):
        table[f"wood{index}"] = _plain(f"wood{index}", (1.25, 0.5), grain=True)
        table[f"wood{index}_block"] = _plain(f"wood{index}_block")
    for index in range(CARTON_COLORS):
        carton = f"carton{index}"
        table[carton] = Material(f"{carton}_top", f"{carton}_front", f"{carton}_side")
    for index in range(WRAP_COLORS):
        table[f"wrap{index}"] = Material(
            f"wrap{index}_top", f"wrap{index}_side", f"wrap{index}_side"
        )
    for name in (*CRATE_COLORS, *DRUM_COLORS):
        table[name] = Material(f"{name}_top", f"{name}_side", f"{name}_side")
    for index in range(2):
        table[f"sack{index}"] = Material(f"sack{index}", f"sack{index}_side", f"sack{index}_side")
    for color in TRANSPORTER_COLORS:
        body = f"body_{color}"
        table[body] = Material(f"{body}_top", f"{body}_side", f"{body}_side")
        table[f"paint_{color}"] = _plain(f"paint_{color}")
    for name in ("wall_east", "wall_west", "wall_north", "wall_south", "ceiling", LAMP):
        table[name] = _own_texture(name)
    return table | _extra_materials()


MATERIALS = _materials()
