"""Drawing primitives on an RGB image: tinted masks, outlines, lines and names that do not overlap.

Knows nothing of questions and answers; `drawing.py` decides what is drawn. Sizes are given for an
image whose larger side is `REFERENCE_SIDE` and scaled to the image at hand.
"""

from __future__ import annotations

import colorsys
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Box, Region

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

Point = tuple[float, float]
"""Column and row in an image."""

LABEL_COLORS: dict[str, Color] = {
    "pallet": (251, 160, 38),
    "buffer": (64, 190, 255),
    "transporter": (244, 96, 160),
    "shelf": (172, 140, 250),
}
"""Colors of the warehouse's classes; other labels get one from their name."""

WHITE: Color = (255, 255, 255)
DARK: Color = (24, 26, 32)
GREEN: Color = (163, 230, 53)
RED: Color = (252, 129, 110)
GRAY: Color = (203, 208, 218)

REFERENCE_SIDE = 640

FONT = cv2.FONT_HERSHEY_SIMPLEX
"""OpenCV 5 draws a TrueType font under this name, OpenCV 4 plain strokes."""


def label_color(label: str) -> Color:
    """The color of a class, the same in every image."""
    if label in LABEL_COLORS:
        return LABEL_COLORS[label]
    hue = zlib.crc32(label.encode()) / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def center_of_area(region: Region) -> Point:
    """(column, row) of the mask's center of area in the image."""
    rows, columns = np.nonzero(region.mask)
    return float(columns.mean()) + region.box.x, float(rows.mean()) + region.box.y


def roomiest_point(region: Region) -> tuple[Point, float]:
    """The pixel of the mask that is farthest from its edge, and that distance in pixels."""
    padded = np.pad(region.mask.astype(np.uint8), 1)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_3)
    row, column = np.unravel_index(int(np.argmax(distances)), distances.shape)
    point = (float(column) - 1 + region.box.x, float(row) - 1 + region.box.y)
    return point, float(distances[row, column])


def text_size(text: str, scale: float) -> tuple[int, int]:
    """(width, height) in pixels; the height is that of capitals, the same for every text."""
    width = cv2.getTextSize(text, FONT, scale, 1)[0][0]
    return int(width), int(cv2.getTextSize("H", FONT, scale, 1)[0][1])


def wrap(text: str, scale: float, width: int, max_lines: int) -> list[str]:
    """The text in lines that fit the width in pixels; what is too long ends in "...".

    Args:
        text: words separated by spaces.
        scale: of the font, as OpenCV takes it.
        width: of a line, pixels.
        max_lines: at most.
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_size(longer, scale)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > max_lines:
        last = lines[max_lines - 1].split()
        while len(last) > 1 and text_size(" ".join([*last, "..."]), scale)[0] > width:
            last.pop()
        lines = [*lines[: max_lines - 1], " ".join([*last, "..."])]
    return lines


@dataclass(frozen=True)
class Lettering:
    """How a text on a plate looks.

    Attributes:
        size: OpenCV font scale in an image of `REFERENCE_SIDE`.
        fill: color of the plate.
        ink: color of the text.
        opacity: of the plate, 0 to 1.
        ticked: with a tick before the text.
    """

    size: float
    fill: Color
    ink: Color
    opacity: float = 1.0
    ticked: bool = False


class Canvas:
    """An image that is drawn on, and the places of it that are taken.

    Attributes:
        image: uint8 (H, W, 3) RGB, a copy of the argument.
        unit: factor from sizes for an image of `REFERENCE_SIDE` to this image.
        occupied: places of names, signs and lines, which no further name may cover.
    """

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self.image = np.array(rgb, order="C")
        self.unit = float(np.clip(max(rgb.shape[:2]) / REFERENCE_SIDE, 0.7, 4.0))
        self.occupied: list[Box] = []
        self._signs: list[tuple[str, Box, Lettering]] = []

    def pixels(self, size: float) -> int:
        """A nominal size as whole pixels of this image, at least 1."""
        return max(1, round(size * self.unit))

    def dim(self, brightness: float) -> None:
        """Darken the whole image to this fraction of its brightness."""
        self.image = cv2.convertScaleAbs(self.image, alpha=brightness)

    def tint(self, region: Region, opacity: float, color: Color | None = None) -> None:
        """Blend a color into the pixels of a region.

        Args:
            region: of this image.
            opacity: of the color, 0 to 1.
            color: RGB, 0 to 255; None: that of the label.
        """
        patch = self.image[region.box.slices]
        mixed = np.array(color or label_color(region.label), dtype=np.float32) * opacity
        patch[region.mask] = (patch[region.mask] * (1 - opacity) + mixed).astype(np.uint8)

    def outline(self, region: Region, width: float, color: Color) -> None:
        """Draw the outer border of a region.

        Args:
            region: of this image.
            width: of the line, in an image of the reference size.
            color: RGB, 0 to 255.
        """
        contours, _ = cv2.findContours(
            region.mask.astype(np.uint8),
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_NONE,
            offset=(region.box.x, region.box.y),
        )
        cv2.drawContours(self.image, contours, -1, color, self.pixels(width), cv2.LINE_AA)

    def line(self, start: Point, end: Point) -> None:
        """A white line with dark edges and a dot at each end."""
        self.edge(start, end)
        for color, edge in ((DARK, 2), (WHITE, 0)):
            for point in map(_whole, (start, end)):
                radius = self.pixels(4 + edge / 2)
                cv2.circle(self.image, point, radius, color, cv2.FILLED, cv2.LINE_AA)

    def edge(self, start: Point, end: Point) -> None:
        """As `line`, without the dots."""
        ends = _whole(start), _whole(end)
        for color, width in ((DARK, 4), (WHITE, 2)):
            cv2.line(self.image, *ends, color, self.pixels(width), cv2.LINE_AA)
        self._keep_free(start, end)

    def areas(self, outlines: Sequence[Sequence[Point]], color: Color, opacity: float) -> None:
        """Blend a color into what lies inside an odd number of closed outlines, and draw them.

        Args:
            outlines: closed, each of points (x, y) in pixels.
            color: RGB, 0 to 255.
            opacity: of the color inside, 0 to 1.
        """
        rings = [np.array([_whole(point) for point in ring], dtype=np.int32) for ring in outlines]
        inside = np.zeros(self.image.shape[:2], dtype=np.uint8)
        cv2.fillPoly(inside, rings, 1)
        patch = self.image[inside > 0]
        mixed = np.array(color, dtype=np.float32) * opacity
        self.image[inside > 0] = (patch * (1 - opacity) + mixed).astype(np.uint8)
        for ink, width in ((DARK, 4), (color, 2)):
            cv2.polylines(self.image, rings, True, ink, self.pixels(width), cv2.LINE_AA)
        for ring in outlines:
            for start, end in pairwise([*ring, ring[0]]):
                self._keep_free(start, end)

    def cross(self, point: Point) -> None:
        """A white cross with dark edges."""
        x, y = point
        reach = self.pixels(8)
        for color, width in ((DARK, 6), (WHITE, 3)):
            for slope in (-1, 1):
                ends = (x - reach, y - slope * reach), (x + reach, y + slope * reach)
                start, end = map(_whole, ends)
                cv2.line(self.image, start, end, color, self.pixels(width), cv2.LINE_AA)
        self._keep_free(point, point)

    def badge(self, text: str, middle: Point, lettering: Lettering) -> None:
        """Draw a short text in a disc, moved into the image.

        Args:
            text: short.
            middle: center (x, y) in pixels.
            lettering: size and colors.
        """
        scale = lettering.size * self.unit
        width, height = text_size(text, scale)
        radius = round(max(width, height) / 2 + height * 0.7)
        box = self._inside(
            Box(round(middle[0]) - radius, round(middle[1]) - radius, 2 * radius, 2 * radius)
        )
        self.occupied.append(box)
        x, y = box.x + radius, box.y + radius
        for color, edge in ((lettering.ink, self.pixels(1.5)), (lettering.fill, 0)):
            cv2.circle(self.image, (x, y), radius + edge, color, cv2.FILLED, cv2.LINE_AA)
        place = (x - width // 2, y + (height + 1) // 2)
        cv2.putText(self.image, text, place, FONT, scale, lettering.ink, 1, cv2.LINE_AA)

    def arrow(self, start: Point, end: Point) -> None:
        """A white arrow with dark edges."""
        length = max(1.0, float(np.hypot(end[0] - start[0], end[1] - start[1])))
        tip = min(0.5, self.pixels(14) / length)
        for color, width in ((DARK, 6), (WHITE, 3)):
            cv2.arrowedLine(
                self.image, _whole(start), _whole(end), color, self.pixels(width), cv2.LINE_AA,
                tipLength=tip,
            )  # fmt: skip
        self._keep_free(start, end)

    def sign(self, text: str, middle: Point, lettering: Lettering) -> None:
        """Place text on a plate, centered at a point as far as the image and other signs allow.

        `write_signs` writes it; until then its place is taken.

        Args:
            text: on one line.
            middle: wanted center (x, y) in pixels.
            lettering: size and colors.
        """
        plate = self._plate(text, middle, lettering)
        shifts = [round(plate.height * step) for step in (0, -1.1, 1.1, -2.2, 2.2)]
        places = [
            self._inside(Box(plate.x, plate.y + shift, plate.width, plate.height))
            for shift in shifts
        ]
        taken = [place for _, place, _ in self._signs]
        free = (place for place in places if not any(_overlap(place, other) for other in taken))
        place = next(free, places[0])
        self._signs.append((text, place, lettering))
        self.occupied.append(place)

    def write_signs(self) -> None:
        """Draw the signs, over all that was drawn since."""
        for text, place, lettering in self._signs:
            self._write(text, place, lettering)

    def name(self, region: Region, lettering: Lettering, required: bool = True) -> None:
        """The name of a region on a plate in the nearest free place.

        Args:
            region: what is named.
            lettering: how.
            required: without a free place, the name is skipped (False) or covers others (True).
        """
        point, room = roomiest_point(region)
        plate = self._plate(region.name, point, lettering)
        place = self._free_place(region, plate, room)
        if place is None and not required:
            return
        place = place or self._inside(plate)
        if required and not _overlap(place, _grown(region.box, self.pixels(2))):
            start = (place.x + place.width / 2, place.y + place.height / 2)
            color = lettering.fill
            cv2.line(self.image, _whole(start), _whole(point), color, self.pixels(1), cv2.LINE_AA)
        self._write(region.name, place, lettering)

    def _keep_free(self, start: Point, end: Point) -> None:
        """Let no name cover the line between two points."""
        reach = self.pixels(6)
        height, width = self.image.shape[:2]
        first, last = np.clip([start, end], 0, [width, height])
        steps = max(1, round(float(np.hypot(*(last - first))) / reach))
        for x, y in np.linspace(first, last, steps + 1).round().astype(int).tolist():
            self.occupied.append(Box(x - reach, y - reach, 2 * reach, 2 * reach))

    def _plate(self, text: str, middle: Point, lettering: Lettering) -> Box:
        """The place that a text takes with its margins, centered at a point."""
        width, height = text_size(text, lettering.size * self.unit)
        width += round(height * (1.2 + 1.5 * lettering.ticked))
        height += round(height * 1.1)
        return Box(round(middle[0] - width / 2), round(middle[1] - height / 2), width, height)

    def _inside(self, box: Box) -> Box:
        """The box moved into the image; its upper left corner stays inside if it is too large."""
        height, width = self.image.shape[:2]
        x = max(0, min(box.x, width - box.width))
        y = max(0, min(box.y, height - box.height))
        return Box(x, y, box.width, box.height)

    def _free_place(self, region: Region, plate: Box, room: float) -> Box | None:
        """In a region with enough room, else above, below, or a little off; None if all taken."""
        above = region.box.y - plate.height - plate.y
        below = region.box.y + region.box.height - plate.y
        best = [0, above, below] if room > plate.height else [above, below, 0]
        columns = [round(plate.width * step) for step in (0, -0.5, 0.5, -1, 1)]
        rows = [round(plate.height * step) for step in (0, -1.2, 1.2, -2.4, 2.4, -3.6, 3.6)]
        further = sorted(itertools.product(columns, rows), key=lambda shift: np.hypot(*shift))
        for dx, dy in [*((0, row) for row in best), *further]:
            box = self._inside(Box(plate.x + dx, plate.y + dy, plate.width, plate.height))
            if not any(_overlap(box, taken) for taken in self.occupied):
                return box
        return None

    def _write(self, text: str, place: Box, lettering: Lettering) -> None:
        """Draw a plate with its text and remember its place."""
        self.occupied.append(place)
        scale, ink = lettering.size * self.unit, lettering.ink
        height = text_size(text, scale)[1]
        patch = self.image[place.slices]
        fill = np.array(lettering.fill, dtype=np.float32) * lettering.opacity
        patch[:] = (patch * (1 - lettering.opacity) + fill).astype(np.uint8)
        x, baseline = place.x + round(height * 0.6), place.y + (place.height + height) // 2
        if lettering.ticked:
            strokes = np.array([(0, 0.5), (0.4, 0.9), (1.1, 0.05)]) * height
            points = np.round(strokes + np.array([x, baseline - height])).astype(np.int32)
            cv2.polylines(self.image, [points], False, ink, self.pixels(2), cv2.LINE_AA)
            x += round(height * 1.5)
        cv2.putText(self.image, text, (x, baseline), FONT, scale, ink, 1, cv2.LINE_AA)


def _whole(point: Point) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def _grown(box: Box, margin: int) -> Box:
    return Box(box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin)


def _overlap(first: Box, second: Box) -> bool:
    return (
        first.x < second.x + second.width
        and second.x < first.x + first.width
        and first.y < second.y + second.height
        and second.y < first.y + first.height
    )
