"""Pallets and their loads, as parts.

Object axes of a pallet: x along its length, y along its width, z up, origin on the ground in the
middle of the footprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.sim.parts import ConvexPart, Shape, Vector3

PALLET_HEIGHT_M = 0.144
BOARD_M = 0.022
BLOCK_HEIGHT_M = 0.078


@dataclass(frozen=True)
class PalletModel:
    """A standard wooden pallet.

    Attributes:
        name: of the standard.
        length_m, width_m: footprint along x and y.
        top_boards: widths of the boards of the top deck, from one side to the other.
    """

    name: str
    length_m: float
    width_m: float
    top_boards: tuple[float, ...]


EUR = PalletModel("EUR", 1.2, 0.8, (0.145, 0.1, 0.145, 0.1, 0.145))
INDUSTRIAL = PalletModel("industrial", 1.2, 1.0, (0.145, 0.1, 0.1, 0.145, 0.1, 0.1, 0.145))
PALLET_MODELS = (EUR, INDUSTRIAL)

LOAD_KINDS = ("cartons", "mixed_cartons", "wrapped", "drums", "sacks", "crates")
STACKABLE_LOADS = ("cartons", "wrapped", "crates")
"""Loads with a flat top that carries a second pallet."""

LOAD_MATERIALS = ("carton", "wrap", "crate", "drum", "sack")
"""How the names of the materials of loads begin."""

CARTON_COLORS = 4
WRAP_COLORS = 3
CRATE_COLORS = ("crate_blue", "crate_gray", "crate_red", "crate_green")
DRUM_COLORS = ("drum_blue", "drum_black", "drum_red")

LOAD_COLORS = {
    "carton0": "brown", "carton1": "brown", "carton2": "brown",
    "wrap1": "white", "wrap2": "black", "sack1": "white",
    **{material: material.rsplit("_", 1)[1] for material in (*CRATE_COLORS, *DRUM_COLORS)},
}  # fmt: skip
"""Names of the colors of loads, by material. Without one: thin film, which shows the cartons under
it, and what is between white and brown."""


def load_color(parts: Sequence[ConvexPart]) -> str:
    """The color of a load that has a single one to be known by; "" for any other object.

    Args:
        parts: of a pallet with its load.
    """
    loads = {part.material for part in parts if part.material.startswith(LOAD_MATERIALS)}
    names = {LOAD_COLORS.get(material, "") for material in loads}
    return names.pop() if len(names) == 1 else ""


def pallet_base(model: PalletModel, wood: str) -> list[ConvexPart]:
    """The wooden pallet without a load: top boards, stringers, nine blocks, bottom boards."""
    length, width = model.length_m, model.width_m
    edge, middle = 0.1, 0.145
    rows = ((-(width - edge) / 2, edge), (0.0, middle), ((width - edge) / 2, edge))
    columns = (-(length - middle) / 2, 0.0, (length - middle) / 2)
    parts = [
        ConvexPart(wood, (0, y, PALLET_HEIGHT_M - BOARD_M / 2), (length, board, BOARD_M))
        for y, board in _spread(model.top_boards, width)
    ]
    stringer_z = PALLET_HEIGHT_M - 1.5 * BOARD_M
    parts += [ConvexPart(wood, (x, 0, stringer_z), (middle, width, BOARD_M)) for x in columns]
    block_z = BOARD_M + BLOCK_HEIGHT_M / 2
    for y, row_width in rows:
        size = (middle, row_width, BLOCK_HEIGHT_M)
        parts += [ConvexPart(f"{wood}_block", (x, y, block_z), size) for x in columns]
        parts.append(ConvexPart(wood, (0, y, BOARD_M / 2), (length, row_width, BOARD_M)))
    return parts


def simple_pallet_base(model: PalletModel, wood: str) -> list[ConvexPart]:
    """A pallet with few parts, for goods high up in a rack."""
    length, width = model.length_m, model.width_m
    deck = PALLET_HEIGHT_M - BLOCK_HEIGHT_M - BOARD_M
    parts = [ConvexPart(wood, (0, 0, PALLET_HEIGHT_M - deck / 2), (length, width, deck))]
    for x in (-(length - 0.145) / 2, 0.0, (length - 0.145) / 2):
        size = (0.145, width, BLOCK_HEIGHT_M + BOARD_M)
        parts.append(ConvexPart(f"{wood}_block", (x, 0, size[2] / 2), size))
    return parts


def load_parts(
    kind: str, model: PalletModel, height_m: float, rng: np.random.Generator
) -> list[ConvexPart]:
    """A load of about this height, standing on the pallet.

    Args:
        kind: one of `LOAD_KINDS`.
        model: the pallet below.
        height_m: wanted height; layers make it a little lower or higher, never above 1.6 m.
        rng: source of variety.
    """
    build = {
        "cartons": _cartons,
        "mixed_cartons": _mixed_cartons,
        "wrapped": _wrapped,
        "drums": _drums,
        "sacks": _sacks,
        "crates": _crates,
    }[kind]
    return [part.moved((0, 0, PALLET_HEIGHT_M)) for part in build(model, height_m, rng)]


def _cartons(model: PalletModel, height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Equal cartons in full layers."""
    columns, rows = [(3, 2), (4, 2), (3, 3), (2, 2)][rng.integers(4)]
    overhang = rng.choice([-0.04, 0.0, 0.03])
    footprint = (model.length_m + overhang, model.width_m + overhang)
    material = f"carton{rng.integers(CARTON_COLORS)}"
    layer = rng.uniform(0.2, 0.42)
    layers = _layer_count(height_m, layer)
    parts = []
    for level in range(layers):
        parts += _layer(material, columns, rows, footprint, layer, level * layer, rng)
    return parts


def _mixed_cartons(
    model: PalletModel, height_m: float, rng: np.random.Generator
) -> list[ConvexPart]:
    """Columns of cartons of different size and height."""
    parts = []
    columns, rows = rng.integers(2, 4), 2
    cell = np.array([model.length_m / columns, model.width_m / rows])
    for column in range(columns):
        for row in range(rows):
            middle = (np.array([column, row]) + 0.5) * cell - [model.length_m, model.width_m] / (
                np.array([2.0, 2.0])
            )
            top = min(1.6, max(0.15, height_m * rng.uniform(0.55, 1.0)))
            parts += _carton_column(middle, cell, top, rng)
    return parts


def _carton_column(
    middle: np.ndarray, cell: np.ndarray, top_m: float, rng: np.random.Generator
) -> list[ConvexPart]:
    """Cartons of falling size on top of each other within a cell of the pallet."""
    parts: list[ConvexPart] = []
    z = 0.0
    while z < top_m - 0.12:
        height = min(rng.uniform(0.18, 0.5), top_m - z)
        size = cell * rng.uniform(0.82, 0.96, size=2)
        shift = (cell - size) * rng.uniform(-0.4, 0.4, size=2)
        material = f"carton{rng.integers(CARTON_COLORS)}"
        center = (float(middle[0] + shift[0]), float(middle[1] + shift[1]), z + height / 2)
        parts.append(ConvexPart(material, center, (float(size[0]), float(size[1]), height)))
        z += height
    return parts


def _wrapped(model: PalletModel, height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """One block in shrink wrap, sometimes with a lower second block on top."""
    material = f"wrap{rng.integers(WRAP_COLORS)}"
    size = (model.length_m - 0.02, model.width_m - 0.02, height_m)
    return [ConvexPart(material, (0, 0, height_m / 2), size)]


def _drums(model: PalletModel, height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Standing drums side by side, one or two layers."""
    columns, rows = (3, 2) if model.width_m < 1.0 else (2, 2)
    diameter = min(model.length_m / columns, model.width_m / rows) - 0.01
    drum_height = 0.62 if columns == 3 else 0.78
    material = DRUM_COLORS[rng.integers(len(DRUM_COLORS))]
    parts = []
    for level in range(_layer_count(min(height_m, 1.56), drum_height)):
        for x in _cells(columns, model.length_m):
            for y in _cells(rows, model.width_m):
                z = (level + 0.5) * drum_height
                size = (diameter, diameter, drum_height - 0.005)
                parts.append(ConvexPart(material, (x, y, z), size, Shape.CYLINDER))
    return parts


def _sacks(model: PalletModel, height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Layers of filled sacks."""
    material = f"sack{rng.integers(2)}"
    layer = rng.uniform(0.12, 0.16)
    parts = []
    for level in range(_layer_count(height_m, layer)):
        for x in _cells(2, model.length_m):
            for y in _cells(2, model.width_m):
                center = (
                    x + float(rng.uniform(-0.012, 0.012)),
                    y + float(rng.uniform(-0.01, 0.01)),
                    (level + 0.5) * layer,
                )
                size = (model.length_m / 2 - 0.025, model.width_m / 2 - 0.02, layer)
                parts.append(ConvexPart(material, center, size, Shape.PILLOW))
    return parts


def _crates(model: PalletModel, height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """Stacked plastic crates."""
    layer = 0.22 if rng.random() < 0.5 else 0.32
    material = CRATE_COLORS[rng.integers(len(CRATE_COLORS))]
    footprint = (model.length_m, model.width_m)
    parts = []
    for level in range(_layer_count(height_m, layer)):
        parts += _layer(material, 2, 2, footprint, layer, level * layer, rng)
    return parts


def _layer(
    material: str,
    columns: int,
    rows: int,
    footprint: tuple[float, float],
    height: float,
    z: float,
    rng: np.random.Generator,
) -> list[ConvexPart]:
    """One layer of equal boxes with gaps of a few millimeters."""
    size = (footprint[0] / columns - 0.008, footprint[1] / rows - 0.008, height - 0.002)
    parts = []
    for x in _cells(columns, footprint[0]):
        for y in _cells(rows, footprint[1]):
            shift = rng.uniform(-0.003, 0.003, size=2)
            center: Vector3 = (x + float(shift[0]), y + float(shift[1]), z + height / 2)
            parts.append(ConvexPart(material, center, size))
    return parts


def _layer_count(height_m: float, layer_m: float) -> int:
    """Full layers nearest to the wanted height, at least one, at most 1.6 m together."""
    return max(1, min(round(height_m / layer_m), int(1.6 / layer_m)))


def _cells(count: int, length: float) -> list[float]:
    """Middles of equal cells along a length around zero."""
    return [length * ((index + 0.5) / count - 0.5) for index in range(count)]


def _spread(widths: tuple[float, ...], total: float) -> list[tuple[float, float]]:
    """(middle, width) of boards side by side with equal gaps over a total length."""
    gap = (total - sum(widths)) / (len(widths) - 1)
    start = -total / 2
    boards = []
    for width in widths:
        boards.append((start + width / 2, width))
        start += width + gap
    return boards
