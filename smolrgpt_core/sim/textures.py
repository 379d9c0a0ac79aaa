"""Paints the textures of objects. The same textures on every machine and in every scene.

All tiles share one image, the atlas, so that an object is one mesh with one material. Images are
uint8 (H, W, 3), RGB. What the hall carries is painted in `hall_textures.py` and `floor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.sim.meshes import TileRect

Image = NDArray[np.uint8]
Canvas = NDArray[np.float32]
"""(H, W, 3) colors 0 to 255 while a tile is being painted."""
Color = tuple[float, float, float]
TilePainter = Callable[[np.random.Generator], Canvas]

ATLAS_SIZE = 2048
TILE = 256
STRIP = (48, 1024)
"""(height, width) of a tile for long profiles."""
RIM = 8
"""Pixels around a tile that repeat its border: far away, neighbors must not shine through."""

INK = (40.0, 36.0, 34.0)
WHITE = (238.0, 238.0, 232.0)
HAZARD_YELLOW = (238.0, 190.0, 24.0)
HAZARD_BLACK = (34.0, 33.0, 32.0)


@dataclass(frozen=True, eq=False)
class Atlas:
    """Image of all tiles and where they are.

    Attributes:
        image: uint8 (H, W, 3).
        tiles: rectangle of each tile, 0 to 1.
    """

    image: Image
    tiles: dict[str, TileRect]


@lru_cache(maxsize=1)
def paint_atlas() -> Atlas:
    """All tiles but those of extras; painted once in a process."""
    return pack_tiles(_tile_painters(), seed=7, size=ATLAS_SIZE)


def pack_tiles(painters: Mapping[str, TilePainter], seed: int, size: int) -> Atlas:
    """Paint tiles and lay them out on one image.

    Args:
        painters: of each tile.
        seed: of their random numbers.
        size: side of the image, pixels.
    """
    painted = {
        name: to_image(paint(np.random.default_rng([seed, index])))
        for index, (name, paint) in enumerate(painters.items())
    }
    image = np.full((size, size, 3), 128, np.uint8)
    tiles: dict[str, TileRect] = {}
    x = y = row_height = 0
    for name, tile in sorted(painted.items(), key=lambda entry: -entry[1].shape[0]):
        height, width = tile.shape[:2]
        if x + width > size:
            x, y, row_height = 0, y + row_height, 0
        inner = cv2.resize(tile, (width - 2 * RIM, height - 2 * RIM), interpolation=cv2.INTER_AREA)
        framed = cv2.copyMakeBorder(inner, RIM, RIM, RIM, RIM, cv2.BORDER_REPLICATE)
        image[y : y + height, x : x + width] = framed
        corners = np.array([x + RIM, y + RIM, x + width - RIM, y + height - RIM]) / size
        tiles[name] = (corners[0], corners[1], corners[2], corners[3])
        x, row_height = x + width, max(row_height, height)
    return Atlas(image, tiles)


def _tile_painters() -> dict[str, TilePainter]:
    """Name of each tile that `materials.MATERIALS` uses, and how it is painted."""
    painters: dict[str, TilePainter] = {}
    for index, color in enumerate(((205, 170, 120), (172, 153, 128), (186, 142, 92))):
        painters[f"wood{index}"] = partial(_wood, color=color)
        painters[f"wood{index}_block"] = partial(_chipboard, color=color)
    cartons = ((183, 145, 100), (164, 124, 82), (200, 168, 125), (218, 212, 200))
    for index, color in enumerate(cartons):
        painters[f"carton{index}_top"] = partial(_carton_top, color=color)
        painters[f"carton{index}_front"] = partial(_carton_front, color=color)
        painters[f"carton{index}_side"] = partial(_carton_side, color=color)
    films = ((0.45, (226, 230, 232)), (0.8, (236, 238, 238)), (0.86, (44, 46, 52)))
    for index, (cover, color) in enumerate(films):
        painters[f"wrap{index}_side"] = partial(_wrap_side, cover=cover, film=color)
        painters[f"wrap{index}_top"] = partial(_wrap_top, cover=cover, film=color)
    crates = {
        "blue": (38, 84, 160),
        "gray": (128, 130, 132),
        "red": (176, 44, 36),
        "green": (34, 118, 70),
    }
    for name, color in crates.items():
        painters[f"crate_{name}_side"] = partial(_crate_side, color=color)
        painters[f"crate_{name}_top"] = partial(_crate_top, color=color)
    drums = {"blue": (26, 70, 150), "black": (46, 47, 50), "red": (170, 40, 34)}
    for name, color in drums.items():
        painters[f"drum_{name}_side"] = partial(_drum_side, color=color)
        painters[f"drum_{name}_top"] = partial(_drum_top, color=color)
    for index, color in enumerate(((226, 218, 200), (238, 238, 236))):
        painters[f"sack{index}"] = partial(_sack, color=color, text=("CEMENT", "SALT")[index])
        painters[f"sack{index}_side"] = partial(plain, color=color, grain=6)
    bodies = {"orange": (232, 116, 26), "yellow": (240, 186, 30), "white": (226, 229, 231)}
    for name, color in bodies.items():
        painters[f"body_{name}_side"] = partial(_body_side, color=color)
        painters[f"body_{name}_top"] = partial(_body_top, color=color)
        painters[f"paint_{name}"] = partial(plain, color=color, grain=4, size=64)
    return painters | _steel_painters()


def _steel_painters() -> dict[str, TilePainter]:
    """Tiles of racks, vehicles and of the frame of the hall."""
    colors = {
        "body_dark": (52, 54, 58),
        "bumper": (32, 33, 35),
        "rubber": (38, 38, 39),
        "mast": (60, 62, 66),
        "steel_dark": (82, 85, 89),
        "signal_red": (206, 30, 26),
        "truss": (168, 172, 176),
        "column": (142, 148, 152),
    }
    painters: dict[str, TilePainter] = {
        name: partial(plain, color=color, grain=5, size=64) for name, color in colors.items()
    }
    painters["brace"] = partial(plain, color=(44, 82, 158), grain=5, size=64)
    painters["upright"] = partial(_upright, color=(32, 70, 156))
    painters["beam"] = partial(_beam, color=(232, 104, 22))
    painters["deck"] = _wire_deck
    painters["hazard"] = _hazard
    return painters


# Tools


def clouds(
    rng: np.random.Generator, shape: tuple[int, int], cells: int | tuple[int, int]
) -> Canvas:
    """Smooth noise (H, W, 1) around 0, mostly within -1 to 1.

    Opposite sides fit together.

    Args:
        rng: random numbers.
        shape: (H, W) in pixels.
        cells: number of patches along a side, or (rows, columns) of them.
    """
    rows, columns = (cells, cells) if isinstance(cells, int) else cells
    coarse = rng.normal(0, 0.5, (rows, columns)).astype(np.float32)
    rim = 2
    wrapped = np.pad(coarse, rim, mode="wrap")
    step = (shape[0] / rows, shape[1] / columns)
    size = (round(step[1] * (columns + 2 * rim)), round(step[0] * (rows + 2 * rim)))
    smooth = cv2.resize(wrapped, size, interpolation=cv2.INTER_CUBIC)
    top, left = round(step[0] * rim), round(step[1] * rim)
    return smooth[top : top + shape[0], left : left + shape[1], None]


def to_image(canvas: Canvas) -> Image:
    """Colors 0 to 255 as uint8."""
    return np.clip(canvas, 0, 255).astype(np.uint8)


def blank(color: Color, shape: tuple[int, int] = (TILE, TILE)) -> Canvas:
    """A canvas of one color."""
    return np.full((*shape, 3), color, np.float32)


def blend(
    canvas: Canvas, color: Color | Canvas | Image, opacity: NDArray[np.floating] | float
) -> Canvas:
    """The canvas with a color over it.

    Args:
        canvas: float32 (H, W, 3).
        color: RGB, or an image of the same size.
        opacity: of the color, 0 to 1: a number, or (H, W, 1).
    """
    return (canvas * (1 - opacity) + np.asarray(color, np.float32) * opacity).astype(np.float32)


def shade_rim(canvas: Canvas, width_px: int, strength: float) -> Canvas:
    """Darken the four sides, as edges and gaps look.

    Args:
        canvas: float32 (H, W, 3).
        width_px: of the rim, pixels.
        strength: of the darkening at the edge, 0 to 1.
    """
    height, width = canvas.shape[:2]
    rows = np.minimum(np.arange(height), np.arange(height)[::-1])[:, None]
    columns = np.minimum(np.arange(width), np.arange(width)[::-1])[None]
    distance = np.minimum(rows, columns)[..., None] / width_px
    return (canvas * (1 - strength * np.exp(-(distance**2)))).astype(np.float32)


def letters(
    shape: tuple[int, int], text: str, left_px: int, base_px: int, height_px: float
) -> NDArray[np.float32]:
    """Coverage (H, W, 1) of text, 0 to 1.

    Args:
        shape: (H, W) in pixels.
        text: on one line.
        left_px: of its lower left corner.
        base_px: of its lower left corner.
        height_px: of a letter.
    """
    mask = np.zeros(shape, np.uint8)
    thickness = max(1, round(height_px / 7))
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, height_px / 21.0
    cv2.putText(mask, text, (left_px, base_px), font, scale, 255, thickness, cv2.LINE_AA)
    return (mask.astype(np.float32) / 255)[..., None].astype(np.float32)


def write(
    canvas: Canvas, text: str, left_px: int, base_px: int, height_px: float, color: Color
) -> None:
    """Write text on a canvas.

    Args:
        canvas: float32 (H, W, 3), written to.
        text: on one line.
        left_px: of its lower left corner.
        base_px: of its lower left corner.
        height_px: of a letter.
        color: RGB.
    """
    ink = letters(canvas.shape[:2], text, left_px, base_px, height_px)
    inked = ink[..., 0] > 0
    canvas[inked] = blend(canvas[inked], color, ink[inked])


def hazard_stripes(size_px: int, stripe_px: int) -> Canvas:
    """(size, size, 3) yellow and black diagonal stripes."""
    rows, columns = np.ogrid[:size_px, :size_px]
    dark = ((rows + columns) // stripe_px % 2 == 0)[..., None]
    return blend(blank(HAZARD_YELLOW, (size_px, size_px)), HAZARD_BLACK, dark.astype(np.float32))


def box(canvas: Canvas, left: int, top: int, right: int, bottom: int, color: Color) -> None:
    """Draw a filled rectangle.

    Args:
        canvas: float32 (H, W, 3), drawn on.
        left: first column.
        top: first row.
        right: last column.
        bottom: last row.
        color: RGB.
    """
    cv2.rectangle(canvas, (left, top), (right, bottom), color, -1)


def _barcode(
    canvas: Canvas, rng: np.random.Generator, left: int, top: int, width: int, height: int
) -> None:
    """Upright bars of random width."""
    x = left
    while x < left + width:
        bar = int(rng.integers(1, 4))
        box(canvas, x, top, x + bar - 1, top + height, INK)
        x += bar + int(rng.integers(1, 4))


def _label(
    canvas: Canvas, rng: np.random.Generator, left: int, top: int, width: int, height: int
) -> None:
    """A white shipping label with a bar code and lines of text."""
    box(canvas, left, top, left + width, top + height, WHITE)
    _barcode(canvas, rng, left + 6, top + height // 2, width - 12, height // 2 - 8)
    for row in range(3):
        y = top + 6 + row * height // 7
        length = int((width - 12) * rng.uniform(0.4, 0.95))
        box(canvas, left + 6, y, left + 6 + length, y + max(1, height // 24), INK)


# Wood and steel


def plain(rng: np.random.Generator, color: Color, grain: float, size: int = TILE) -> Canvas:
    """Painted metal, rubber or paper: one color with faint patches and scratches.

    Args:
        rng: of the grain.
        color: RGB.
        grain: strength of the patches, of 255.
        size: side of the canvas, pixels.
    """
    shape = (size, size)
    canvas = blank(color, shape) + clouds(rng, shape, 5) * grain + clouds(rng, shape, 32) * grain
    return canvas.astype(np.float32)


def _wood(rng: np.random.Generator, color: Color) -> Canvas:
    """Sawn softwood: long grain, knots, dirt."""
    shape = (TILE, TILE)
    fine = clouds(rng, shape, (128, 3)) * 15 + clouds(rng, shape, (48, 4)) * 12
    broad = clouds(rng, shape, (10, 3)) * 18
    canvas = blank(color) + (fine + broad) * (1.0, 0.95, 0.85)
    for _ in range(5):
        center = (int(rng.integers(TILE)), int(rng.integers(TILE)))
        axes = (int(rng.integers(5, 10)), int(rng.integers(3, 5)))
        cv2.ellipse(canvas, center, axes, 0, 0, 360, np.multiply(color, 0.55).tolist(), -1)
    dirt = np.clip(clouds(rng, shape, (6, 8)), 0, 1)
    canvas = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.7)
    return blend(canvas, (92, 84, 74), 0.3 * dirt)


def _chipboard(rng: np.random.Generator, color: Color) -> Canvas:
    """Pressed wood chips of pallet blocks, dark at the rim."""
    shape = (TILE, TILE)
    canvas = blank(np.multiply(color, 0.86).tolist()) + clouds(rng, shape, 90) * 34
    return shade_rim((canvas + clouds(rng, shape, 12) * 14).astype(np.float32), 26, 0.4)


def _upright(rng: np.random.Generator, color: Color) -> Canvas:
    """Post of a rack: two rows of slots along a tile that is 6 m long."""
    canvas = blank(color, STRIP) + clouds(rng, STRIP, (4, 90)) * 6
    canvas[:3] *= 0.75
    canvas[-3:] *= 0.75
    for x in range(3, STRIP[1] - 4, 9):
        for y in (10, 20):
            box(canvas, x, y, x + 3, y + 2, np.multiply(color, 0.3).tolist())
    return canvas.astype(np.float32)


def _beam(rng: np.random.Generator, color: Color) -> Canvas:
    """Beam of a rack, with end plates, scuffs and a load sign."""
    canvas = blank(color, STRIP) + clouds(rng, STRIP, (2, 60)) * 7
    canvas[-4:] *= 0.72
    canvas[:2] *= 1.08
    for x in (0, STRIP[1] - 26):
        box(canvas, x, 0, x + 25, STRIP[0], np.multiply(color, 0.82).tolist())
    box(canvas, 560, 7, 640, 25, WHITE)
    write(canvas, "2400 kg", 566, 22, 12, INK)
    scuffs = np.clip(clouds(rng, STRIP, (8, 180)) - 0.75, 0, 1)
    return blend(canvas.astype(np.float32), (120, 110, 100), scuffs)


def _wire_deck(rng: np.random.Generator) -> Canvas:
    """Wire mesh over the beams."""
    canvas = blank((66, 68, 70)) + clouds(rng, (TILE, TILE), 12) * 6
    canvas[::8] = (164, 168, 170)
    canvas[:, ::16] = (150, 154, 156)
    return canvas.astype(np.float32)


def _hazard(rng: np.random.Generator) -> Canvas:
    """Yellow and black stripes, a tile is 0.8 m."""
    canvas = hazard_stripes(TILE, TILE // 8)
    worn = np.clip(clouds(rng, (TILE, TILE), 40) - 0.6, 0, 1)
    return blend(canvas, (150, 145, 135), worn)


# Loads


def _cardboard(rng: np.random.Generator, color: Color) -> Canvas:
    """Corrugated board: faint flutes and patches, dark along the edges."""
    shape = (TILE, TILE)
    flutes = np.sin(np.arange(TILE) * 1.3)[None, :, None] * 1.5
    canvas = blank(color) + flutes + clouds(rng, shape, 6) * 7 + clouds(rng, shape, 60) * 4
    return shade_rim(canvas.astype(np.float32), 7, 0.42)


def _carton_top(rng: np.random.Generator, color: Color) -> Canvas:
    """Closed flaps under a strip of tape."""
    canvas = _cardboard(rng, color)
    middle = TILE // 2
    canvas[middle - 1 : middle + 1] *= 0.6
    tape = np.zeros((TILE, TILE, 1), np.float32)
    tape[middle - 15 : middle + 15] = 0.55
    return blend(canvas, (206, 178, 128), tape)


def _carton_front(rng: np.random.Generator, color: Color) -> Canvas:
    """Tape end on top, shipping label, product name."""
    canvas = _cardboard(rng, color)
    tape = np.zeros((TILE, TILE, 1), np.float32)
    tape[:46, TILE // 2 - 14 : TILE // 2 + 14] = 0.55
    canvas = blend(canvas, (206, 178, 128), tape)
    _label(canvas, rng, 150, 92, 84, 76)
    write(canvas, ("NORDIC", "ACME", "LOGIS", "PRIMA")[rng.integers(4)], 18, 128, 23, INK)
    write(canvas, f"No {rng.integers(1000, 9999)}", 18, 160, 14, INK)
    _arrows(canvas, 30, 188)
    return canvas


def _carton_side(rng: np.random.Generator, color: Color) -> Canvas:
    """Handling marks and a line of print."""
    canvas = _cardboard(rng, color)
    _arrows(canvas, 156, 150)
    write(canvas, "FRAGILE", 28, 96, 24, (150, 40, 34))
    box(canvas, 28, 110, 160, 113, (150, 40, 34))
    write(canvas, f"{rng.integers(4, 40)} PCS  {rng.integers(3, 20)} KG", 28, 220, 12, INK)
    return canvas


def _arrows(canvas: Canvas, left: int, top: int) -> None:
    """Two arrows upwards over a line: this side up."""
    for x in (left, left + 26):
        tip = np.array([[x + 9, top], [x, top + 15], [x + 18, top + 15]])
        cv2.fillPoly(canvas, [tip], INK)
        box(canvas, x + 6, top + 15, x + 12, top + 36, INK)
    box(canvas, left, top + 41, left + 44, top + 44, INK)


def _packed_cartons(rng: np.random.Generator) -> Canvas:
    """Cartons side by side, as they show through a film."""
    canvas = blank((172, 134, 92))
    columns, rows = 4, 5
    for column in range(columns):
        for row in range(rows):
            left, top = column * TILE // columns, row * TILE // rows
            right, bottom = left + TILE // columns - 2, top + TILE // rows - 2
            color = np.array([176, 138, 95]) * rng.uniform(0.85, 1.1)
            box(canvas, left, top, right, bottom, color.tolist())
            if rng.random() < 0.5:
                box(canvas, left + 22, top + 14, left + 46, top + 30, WHITE)
    canvas[:: TILE // rows] *= 0.5
    canvas[:, :: TILE // columns] *= 0.5
    return cv2.GaussianBlur(canvas, (0, 0), 1.6)


def _wrap_side(rng: np.random.Generator, cover: float, film: Color) -> Canvas:
    """Stretch film around cartons: bands, folds and shine."""
    canvas = blend(_packed_cartons(rng), film, cover)
    shape = (TILE, TILE)
    shine = 60 if sum(film) < 300 else 34
    folds = clouds(rng, shape, (70, 5)) * 0.6 + _slanted(clouds(rng, shape, (48, 3))) * 0.7
    canvas += np.clip(folds, -0.4, 1.2) * shine
    for y in range(0, TILE, TILE // 5):
        canvas[y : y + 2] += shine * 0.4
        canvas[y + 2 : y + 5] -= 9
    left = int(rng.integers(30, 120))
    _label(canvas, rng, left, 90, 62, 76)
    return shade_rim(canvas, 9, 0.2)


def _wrap_top(rng: np.random.Generator, cover: float, film: Color) -> Canvas:
    """Film over the top: crumpled, with the cartons below."""
    canvas = blend(_packed_cartons(rng), film, min(1.0, cover * 0.9))
    shape = (TILE, TILE)
    canvas += np.abs(clouds(rng, shape, 14)) * 26 - 8 + _slanted(clouds(rng, shape, (40, 6))) * 14
    return shade_rim(canvas, 12, 0.15)


def _slanted(pattern: Canvas) -> Canvas:
    """A pattern of level lines, tilted a little."""
    turn = cv2.getRotationMatrix2D((TILE / 2, TILE / 2), 9, 1.2)
    turned = cv2.warpAffine(pattern[..., 0], turn, (TILE, TILE), borderMode=cv2.BORDER_REFLECT)
    return turned[..., None]


def _crate_side(rng: np.random.Generator, color: Color) -> Canvas:
    """Ribbed wall of a plastic crate with a handle slot."""
    canvas = plain(rng, color, 4)
    dark = np.multiply(color, 0.62).tolist()
    for x in range(24, TILE, 32):
        box(canvas, x, 44, x + 5, TILE - 22, dark)
    for y in (36, 124, TILE - 22):
        box(canvas, 0, y, TILE, y + 6, dark)
    box(canvas, 84, 62, 172, 94, np.multiply(color, 0.25).tolist())
    box(canvas, 0, 0, TILE, 22, np.multiply(color, 1.15).tolist())
    _label(canvas, rng, 186, 140, 50, 40)
    return shade_rim(canvas, 7, 0.4)


def _crate_top(rng: np.random.Generator, color: Color) -> Canvas:
    """Lid with a rim and a grid of ribs."""
    canvas = plain(rng, np.multiply(color, 0.9).tolist(), 4)
    for at in range(32, TILE - 20, 32):
        canvas[at : at + 5, 20:-20] *= 0.78
        canvas[20:-20, at : at + 5] *= 0.78
    canvas[10:16, 10:-10] *= 0.6
    canvas[-16:-10, 10:-10] *= 0.6
    canvas[10:-10, 10:16] *= 0.6
    canvas[10:-10, -16:-10] *= 0.6
    return shade_rim(canvas, 6, 0.4)


def _drum_side(rng: np.random.Generator, color: Color) -> Canvas:
    """Rolled rings, a label on the front."""
    canvas = plain(rng, color, 5)
    for y in (6, 84, 170, 246):
        canvas[y : y + 4] *= 1.35
        canvas[y + 4 : y + 8] *= 0.6
    _label(canvas, rng, 96, 104, 48, 54)
    diamond = np.array([[196, 100], [218, 122], [196, 144], [174, 122]])
    cv2.fillPoly(canvas, [diamond], (240, 150, 30))
    return canvas


def _drum_top(rng: np.random.Generator, color: Color) -> Canvas:
    """Lid: rim, ring and two bungs."""
    canvas = plain(rng, color, 5)
    middle = (TILE // 2, TILE // 2)
    cv2.circle(canvas, middle, 118, np.multiply(color, 1.4).tolist(), 8)
    cv2.circle(canvas, middle, 106, np.multiply(color, 0.5).tolist(), 6)
    for x, radius in ((70, 17), (186, 11)):
        cv2.circle(canvas, (x, TILE // 2), radius, np.multiply(color, 0.45).tolist(), -1)
    return canvas


def _sack(rng: np.random.Generator, color: Color, text: str) -> Canvas:
    """Paper sack from above: colored bands, print, creases."""
    canvas = plain(rng, color, 6)
    canvas += _slanted(clouds(rng, (TILE, TILE), (26, 18))) * 16
    band = ((46, 96, 150), (60, 130, 80))[int(rng.integers(2))]
    box(canvas, 0, 52, TILE, 70, band)
    box(canvas, 0, 186, TILE, 204, band)
    write(canvas, text, 36, 142, 34, band)
    write(canvas, "25 kg", 92, 172, 18, INK)
    return shade_rim(canvas, 22, 0.22)


# Vehicles


def _body_side(rng: np.random.Generator, color: Color) -> Canvas:
    """Flank of a vehicle: dark skirt, light strip, vents and a fleet number."""
    canvas = plain(rng, color, 3)
    box(canvas, 0, 206, TILE, TILE, (50, 52, 56))
    box(canvas, 10, 34, TILE - 10, 46, (120, 214, 240))
    for y in range(92, 190, 14):
        box(canvas, 190, y, 240, y + 5, np.multiply(color, 0.3).tolist())
    write(canvas, f"AGV {rng.integers(10, 99)}", 18, 150, 34, HAZARD_BLACK)
    for x in (4, 180, TILE - 6):
        box(canvas, x, 60, x + 2, 204, np.multiply(color, 0.7).tolist())
    return shade_rim(canvas, 6, 0.3)


def _body_top(rng: np.random.Generator, color: Color) -> Canvas:
    """Cover plate with seams and screws, striped rims at both ends."""
    canvas = plain(rng, color, 3)
    stripes = _hazard(rng)
    canvas[:, :14] = stripes[:, :14]
    canvas[:, -14:] = stripes[:, -14:]
    for x in (64, 192):
        canvas[:, x : x + 2] *= 0.6
    return shade_rim(canvas, 5, 0.3)
