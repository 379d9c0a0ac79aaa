"""Paints the walls and the ceiling of a hall, to scale.

Images are uint8 (H, W, 3), RGB; row 0 is the top of a wall, columns run to the right as seen from
inside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.sim.hall import Hall
from smolrgpt_core.sim.textures import (
    HAZARD_BLACK,
    HAZARD_YELLOW,
    INK,
    WHITE,
    Canvas,
    Color,
    blank,
    blend,
    box,
    clouds,
    to_image,
    write,
)

PIXELS_PER_M = 40
PLINTHS: tuple[Color, ...] = ((96, 118, 140), (128, 130, 128), (104, 128, 112), (150, 132, 104))
DOOR_M = (3.2, 3.6)


def paint_hall(hall: Hall, seed: int, end_doors: bool = True) -> dict[str, NDArray[np.uint8]]:
    """The images of the four walls and the ceiling, by the name of their material.

    Args:
        hall: to paint.
        seed: of the scene.
        end_doors: paint roller doors on the walls at the ends of the hall.
    """
    at_ends = 2 if end_doors else 0
    rng = np.random.default_rng([seed, 4])
    plinth = PLINTHS[rng.integers(len(PLINTHS))]
    images = {}
    for name, length, doors in (
        ("wall_north", hall.length_m, 0),
        ("wall_south", hall.length_m, 4),
        ("wall_east", hall.width_m, at_ends),
        ("wall_west", hall.width_m, at_ends),
    ):
        images[name] = to_image(_paint_wall(length, hall.height_m, doors, plinth, rng))
    images["ceiling"] = to_image(_paint_ceiling(hall, rng))
    return images


def _paint_wall(
    length_m: float, height_m: float, doors: int, plinth: Color, rng: np.random.Generator
) -> Canvas:
    """Panels over a painted plinth, windows under the roof, roller doors, signs."""
    shape = (int(height_m * PIXELS_PER_M), int(length_m * PIXELS_PER_M))
    canvas = blank((206, 208, 206), shape) + clouds(rng, shape, (6, 16)) * 7
    _panel_joints(canvas)
    canvas = _windows(canvas, height_m) if doors == 0 else canvas
    top = shape[0] - int(1.3 * PIXELS_PER_M)
    canvas[top:] = np.asarray(plinth) + clouds(rng, (shape[0] - top, shape[1]), (3, 40)) * 8
    canvas[top - 3 : top] = HAZARD_YELLOW
    spacing = length_m / (doors + 1)
    for index in range(doors):
        _roller_door(canvas, (index + 1) * spacing + rng.uniform(-0.6, 0.6), index + 1)
    _signs(canvas, length_m, rng)
    shade = np.exp(-np.arange(shape[0])[::-1] / (0.35 * PIXELS_PER_M))[:, None, None]
    return (canvas * (1 - 0.4 * shade)).astype(np.float32)


def _panel_joints(canvas: Canvas) -> None:
    """Vertical seams every meter with fine profiles between them."""
    columns = np.arange(canvas.shape[1])
    canvas *= (1 + 0.018 * np.sin(columns * 2 * np.pi / 10))[None, :, None]
    for x in range(0, canvas.shape[1], PIXELS_PER_M):
        canvas[:, x : x + 1] *= 0.8
        canvas[:, x + 1 : x + 2] *= 1.04
    middle = canvas.shape[0] // 2
    canvas[middle - 1 : middle + 1] *= 0.85


def _windows(canvas: Canvas, height_m: float) -> Canvas:
    """A strip of bright panes below the roof."""
    top, bottom = int(0.9 * PIXELS_PER_M), int(1.9 * PIXELS_PER_M)
    pane = int(1.6 * PIXELS_PER_M)
    for x in range(10, canvas.shape[1] - pane, pane + 8):
        box(canvas, x, top, x + pane, bottom, (120, 126, 130))
        box(canvas, x + 3, top + 3, x + pane // 2 - 2, bottom - 3, (224, 236, 246))
        box(canvas, x + pane // 2 + 2, top + 3, x + pane - 3, bottom - 3, (216, 231, 244))
    return canvas


def _roller_door(canvas: Canvas, middle_m: float, number: int) -> None:
    """A closed door of level slats in a striped frame, with its number above."""
    floor = canvas.shape[0] - 1
    half = int(DOOR_M[0] / 2 * PIXELS_PER_M)
    middle, top = int(middle_m * PIXELS_PER_M), floor - int(DOOR_M[1] * PIXELS_PER_M)
    left, right = middle - half, middle + half
    frame = 8
    box(canvas, left - frame, top - frame, right + frame, floor, (92, 96, 100))
    box(canvas, left, top, right, floor, (176, 182, 188))
    for y in range(top, floor, 7):
        box(canvas, left, y, right, y + 1, (140, 146, 152))
    for y in range(floor - 3 * PIXELS_PER_M // 2, floor, 16):
        for x in (left - frame, right + 1):
            box(canvas, x, y, x + frame - 1, y + 7, HAZARD_YELLOW)
            box(canvas, x, y + 8, x + frame - 1, y + 15, HAZARD_BLACK)
    box(canvas, left + 12, floor - 76, right - 12, floor - 56, (196, 212, 222))
    box(canvas, middle - 24, top - 54, middle + 24, top - 14, (28, 60, 120))
    write(canvas, f"{number}", middle - 11, top - 20, 28, WHITE)


def _signs(canvas: Canvas, length_m: float, rng: np.random.Generator) -> None:
    """Exit signs, fire points and notices at eye height."""
    floor = canvas.shape[0]
    for x_m in np.arange(1.4, length_m - 1.0, 5.2):
        x = int((x_m + rng.uniform(-0.4, 0.4)) * PIXELS_PER_M)
        kind = rng.integers(3)
        if kind == 0:
            y = floor - int(2.9 * PIXELS_PER_M)
            box(canvas, x, y, x + 32, y + 16, (24, 138, 72))
            write(canvas, "EXIT", x + 3, y + 12, 8, WHITE)
        elif kind == 1:
            y = floor - int(2.0 * PIXELS_PER_M)
            box(canvas, x, y, x + 14, y + 14, (198, 32, 30))
            box(canvas, x + 3, y + 26, x + 11, y + 50, (190, 30, 28))
            box(canvas, x + 5, y + 21, x + 9, y + 26, INK)
        else:
            y = floor - int(2.2 * PIXELS_PER_M)
            box(canvas, x, y, x + 24, y + 32, WHITE)
            box(canvas, x, y, x + 24, y + 8, (24, 84, 160))
            for line in range(12, 30, 4):
                box(canvas, x + 3, y + line, x + int(rng.integers(12, 21)), y + line, INK)


def _paint_ceiling(hall: Hall, rng: np.random.Generator) -> Canvas:
    """Profiled steel sheets with strips of skylight."""
    scale = PIXELS_PER_M // 2
    shape = (int(hall.width_m * scale), int(hall.length_m * scale))
    canvas = blank((176, 180, 184), shape) + clouds(rng, shape, (8, 14)) * 5
    canvas *= (1 + 0.07 * np.sin(np.arange(shape[1]) * 2 * np.pi / 8))[None, :, None]
    panes = np.zeros((*shape, 1), np.float32)
    for y in np.linspace(0, shape[0], 4)[1:-1].astype(int):
        panes[y - scale // 2 : y + scale // 2] = 0.85
    canvas = blend(canvas.astype(np.float32), (250, 252, 255), panes)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8)
