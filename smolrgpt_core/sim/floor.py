"""Paints the floor of a scene: concrete with lanes, buffers and the soft shade under objects.

Everything that lies flat on the floor is paint in this one image. Buffers are therefore exactly
on the floor, and their regions follow from geometry (see `renderer.py`), not from the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.sim.footprints import Footprint
from smolrgpt_core.sim.layout import LANE_WIDTH_M
from smolrgpt_core.sim.objects import SceneObject
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.sim.textures import (
    Canvas,
    Color,
    Image,
    blank,
    blend,
    clouds,
    hazard_stripes,
    letters,
    to_image,
)

PIXELS_PER_M = 80
SLAB = 1024
"""Side in pixels of the piece of concrete that repeats under the large patches."""
BORDER_M = 0.1
DIGIT_M = 0.7
LANE_YELLOW = (222.0, 178.0, 40.0)
PAINT_WHITE = (224.0, 224.0, 218.0)
FILLS: tuple[Color, ...] = ((78, 112, 150), (92, 130, 100), (150, 102, 86), (118, 119, 124))
"""Colors of buffers whose whole area is painted."""


@dataclass(frozen=True)
class _FloorMap:
    """From world meters to pixels of the floor image; row 0 is the north wall."""

    length_m: float
    width_m: float

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.width_m * PIXELS_PER_M), int(self.length_m * PIXELS_PER_M)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """(N, 2) column and row of world points (N, 2)."""
        columns = (points[:, 0] / self.length_m + 0.5) * self.shape[1] - 0.5
        rows = (0.5 - points[:, 1] / self.width_m) * self.shape[0] - 0.5
        return np.round(np.stack([columns, rows], axis=1)).astype(np.int32)


class _Painter:
    """Lays worn paint on an image of the floor."""

    def __init__(self, image: Image, floor: _FloorMap) -> None:
        self.image = image
        self.floor = floor

    def fill(self, area: Footprint, color: Color | Image, opacity: float = 1.0) -> None:
        """Paint a rectangle; an image as color is a pattern that starts in its corner."""
        self.ring(area, None, color, opacity)

    def ring(
        self, outer: Footprint, inner: Footprint | None, color: Color | Image, opacity: float = 1.0
    ) -> None:
        """Paint the area between two rectangles."""
        corners = self.floor.pixels(outer.corners)
        low = np.maximum(corners.min(axis=0), 0)
        high = np.minimum(corners.max(axis=0) + 1, self.floor.shape[::-1])
        width, height = (int(extent) for extent in high - low)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [corners - low], 1)
        if inner is not None:
            cv2.fillPoly(mask, [self.floor.pixels(inner.corners) - low], 0)
        paint = color[:height, :width] if isinstance(color, np.ndarray) else color
        self.lay(mask[..., None] * np.float32(opacity), paint, int(low[0]), int(low[1]))

    def lay(self, opacity: NDArray[np.floating], color: Color | Image, left: int, top: int) -> None:
        """Mix a color into the image by opacity (h, w, 1), thinner where the paint is worn."""
        height, width = opacity.shape[:2]
        window = self.image[top : top + height, left : left + width]
        opacity = opacity[: window.shape[0], : window.shape[1]]
        rows, columns = np.arange(opacity.shape[0]) + top, np.arange(opacity.shape[1]) + left
        worn = opacity * _wear()[np.ix_(rows % SLAB, columns % SLAB)]
        window[:] = to_image(blend(window.astype(np.float32), color, worn))


def paint_floor(scene: Scene) -> Image:
    """uint8 (H, W, 3): the floor from above; row 0 is the north wall (greatest y)."""
    floor = _FloorMap(scene.hall.length_m, scene.hall.width_m)
    rng = np.random.default_rng([scene.seed, 3])
    painter = _Painter(_concrete(floor.shape), floor)
    _paint_lane(painter)
    for buffer in scene.with_label("buffer"):
        _paint_buffer(painter, buffer, rng)
    return _lit(painter.image, _light(scene, floor, rng))


@lru_cache(maxsize=1)
def _slab() -> Image:
    """Concrete without large patches: stains and fine grain."""
    rng = np.random.default_rng(11)
    shape = (SLAB, SLAB)
    canvas = blank((163, 161, 156), shape)
    for cells, strength in ((28, 7), (120, 5), (420, 6)):
        canvas += clouds(rng, shape, cells) * strength
    stains = np.clip(clouds(rng, shape, 16) - 0.7, 0, 1)
    canvas = blend(canvas, (112, 108, 102), 0.4 * stains)
    return to_image(canvas)


@lru_cache(maxsize=1)
def _wear() -> Canvas:
    """(SLAB, SLAB, 1): fraction of paint that is left on the floor; repeats like the concrete."""
    rng = np.random.default_rng(12)
    worn = np.clip(clouds(rng, (SLAB, SLAB), 60), 0, 2) + np.clip(
        clouds(rng, (SLAB, SLAB), 260) - 0.5, 0, 1
    )
    return np.clip(0.93 - 0.45 * worn, 0.2, 1).astype(np.float32)


def _concrete(shape: tuple[int, int]) -> Image:
    """Slab after slab, with joints every few meters."""
    tiles = (shape[0] // SLAB + 1, shape[1] // SLAB + 1, 1)
    image = np.tile(_slab(), tiles)[: shape[0], : shape[1]].copy()
    step = 5 * PIXELS_PER_M
    for at in range(step // 2, shape[0], step):
        image[at : at + 2] = image[at : at + 2] // 2 + 30
    for at in range(step // 2, shape[1], step):
        image[:, at : at + 2] = image[:, at : at + 2] // 2 + 30
    return image


def _paint_lane(painter: _Painter) -> None:
    """Two yellow lines along the lane in the south, crossed by a zebra walkway."""
    length, south = painter.floor.length_m, -painter.floor.width_m / 2
    for y in (south + 0.35, south + 0.35 + LANE_WIDTH_M):
        painter.fill(Footprint(0.0, y, length - 1.0, 0.1), LANE_YELLOW)
    middle = south + 0.35 + LANE_WIDTH_M / 2
    for index in range(5):
        bar = Footprint(length * 0.3 + index * 0.7, middle, 0.4, LANE_WIDTH_M - 0.5)
        painter.fill(bar, PAINT_WHITE, 0.85)


def _paint_buffer(painter: _Painter, buffer: SceneObject, rng: np.random.Generator) -> None:
    """A filled area, a yellow or a striped border; always with its number."""
    area = buffer.footprint
    inner = area.grown(-BORDER_M)
    style = rng.integers(3)
    if style == 0:
        painter.fill(area, FILLS[rng.integers(len(FILLS))], 0.7)
        painter.ring(area, inner, PAINT_WHITE)
    elif style == 1:
        painter.ring(area, inner, LANE_YELLOW)
    else:
        painter.ring(area, inner, _stripes())
    _paint_number(painter, buffer)


@lru_cache(maxsize=1)
def _stripes() -> Image:
    """Yellow and black diagonal bars."""
    return to_image(hazard_stripes(SLAB, PIXELS_PER_M // 5))


def _paint_number(painter: _Painter, buffer: SceneObject) -> None:
    """The number of a buffer near its south-west corner, readable from the south."""
    area = buffer.footprint
    height = int(DIGIT_M * PIXELS_PER_M)
    digits = letters((height + 16, 2 * height), str(buffer.id), 4, height + 8, height)
    corner = np.array([[-area.length / 2 + 0.25, -area.width / 2 + 0.3]])
    left, bottom = painter.floor.pixels(corner @ area.axes + (area.x, area.y))[0]
    painter.lay(digits, PAINT_WHITE, int(left), int(bottom) - height - 12)


def _light(scene: Scene, floor: _FloorMap, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H/4, W/4): factor on the brightness: large patches, tyre marks, shade under objects."""
    shape = (floor.shape[0] // 4, floor.shape[1] // 4)
    light = 1.0 + 0.06 * clouds(rng, shape, (5, 9))[..., 0] + 0.03 * clouds(rng, shape, 30)[..., 0]
    light *= 1.0 - 0.12 * _tyre_marks(shape, floor, rng)
    contact = np.zeros(shape, np.float32)
    for item in scene.objects:
        if item.parts and item.origin[2] == 0.0:
            cv2.fillPoly(contact, [floor.pixels(item.footprint.corners) // 4], 1.0)
    near = cv2.GaussianBlur(contact, (0, 0), 0.06 * PIXELS_PER_M / 4)
    wide = cv2.GaussianBlur(contact, (0, 0), 0.4 * PIXELS_PER_M / 4)
    return (light * (1.0 - 0.3 * near - 0.3 * wide)).astype(np.float32)


def _tyre_marks(
    shape: tuple[int, int], floor: _FloorMap, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(H/4, W/4): pairs of curved tracks, 0 to 1."""
    marks = np.zeros(shape, np.float32)
    for _ in range(10):
        start = rng.uniform(-0.45, 0.45, size=2) * (floor.length_m, floor.width_m)
        angles = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.07) * np.arange(24)
        steps = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 0.35
        way = start + np.cumsum(steps, axis=0)
        aside = np.stack([-np.sin(angles), np.cos(angles)], axis=1) * 0.35
        for track in (way + aside, way - aside):
            cv2.polylines(marks, [floor.pixels(track) // 4], False, 1.0, 1, cv2.LINE_4)
    return cv2.GaussianBlur(marks, (0, 0), 0.7)


def _lit(image: Image, light: NDArray[np.float32]) -> Image:
    """The image, brighter or darker by a coarse map of factors."""
    size = (image.shape[1], image.shape[0])
    factor = cv2.resize(np.clip(light * 128, 0, 255).astype(np.uint8), size)
    return cv2.multiply(image, cv2.merge([factor] * 3), scale=1 / 128)
