"""Regions for models that have no region tokens: boxes in color, and places as tokens.

After HiSpatial (arXiv 2603.25411, section 3): a region is named by its class and the color of a box
that is drawn into the image; a pixel or a box in numbers is written in PaliGemma's location tokens.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language.english import pluralize
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.object_classes import known_class

BOX_COLORS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "green": (0, 255, 0),
    "yellow": (255, 255, 0),
    "purple": (255, 0, 255),
}
"""RGB of the colors that regions are named by, in their order."""

BOX_LINE_PX = 2
GROWTH = (1.0, 1.2)
"""In training each side of a box is scaled by a factor between these."""

LOCATIONS = 1024
"""Location tokens of a side. The authors' code can write one more, which is no token."""

_ARTICLES = ("the", "a", "an", "of", "is", "are", "to", "from", "and", "or", "which")
"""Words that name nothing before a `<mask>`."""

Box = tuple[float, float, float, float]
"""(x1, y1, x2, y2) in pixels."""


def draw_boxes(
    image: NDArray[np.uint8], boxes: Sequence[Box], colors: Sequence[str]
) -> NDArray[np.uint8]:
    """A copy of an image (H, W, 3) with boxes drawn into it.

    Args:
        image: uint8 (H, W, 3).
        boxes: in pixels.
        colors: name of the color of each box.
    """
    drawn = np.ascontiguousarray(image).copy()
    for (left, top, right, bottom), color in zip(boxes, colors, strict=True):
        cv2.rectangle(
            drawn,
            (int(left), int(top)),
            (int(right), int(bottom)),
            BOX_COLORS[color],
            BOX_LINE_PX,
        )
    return drawn


def scaled_box(box: Box, image_size: tuple[int, int], model_size: tuple[int, int]) -> Box:
    """The box in the image stretched from one (height, width) to another.

    Args:
        box: in pixels of the image.
        image_size: (height, width) of the image.
        model_size: (height, width) after stretching.
    """
    down, across = model_size[0] / image_size[0], model_size[1] / image_size[1]
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def grown_box(box: Box, size: tuple[int, int], random: np.random.Generator) -> Box:
    """The box with both sides scaled about its center by factors of `GROWTH`, within the image.

    Args:
        box: in pixels.
        size: (height, width) of the image.
        random: draws the factors.
    """
    left, top, right, bottom = box
    width = (right - left) * random.uniform(*GROWTH) / 2
    height = (bottom - top) * random.uniform(*GROWTH) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    limits = (size[1] - 1, size[0] - 1)
    return (
        max(x - width, 0.0),
        max(y - height, 0.0),
        min(x + width, limits[0]),
        min(y + height, limits[1]),
    )


def named_regions(text: str, names: Sequence[str]) -> str:
    """A question in which each `<mask>` is its region's class and the color of its box.

    Where the class stands before a `<mask>` already, as in "the pallet <mask>", it is not repeated.

    Args:
        text: with one `<mask>` for each of `names`.
        names: classes of the regions, such as "pallet"; empty where there is none.

    Raises:
        SpatialError: BAD_QUESTION when there are more regions than colors, or other numbers of
            `<mask>` and names.
    """
    parts = text.split(MASK)
    if len(parts) - 1 != len(names):
        raise bad_question(f"{len(parts) - 1} {MASK} for {len(names)} regions in {text!r}")
    if len(names) > len(BOX_COLORS):
        raise bad_question(
            f"this model distinguishes regions by the color of a box and knows {len(BOX_COLORS)} "
            f"colors, but the question is about {len(names)} regions; ask about fewer, or ask "
            "geometry"
        )
    written = parts[0]
    for name, color, rest in zip(names, BOX_COLORS, parts[1:], strict=False):
        prefix = "" if _ends_with(written, name) else f"{name or 'region'} "
        written += f"{prefix}(highlighted by the {color} box){rest}"
    return written


def with_box_colors(text: str) -> str:
    """A text in which every `<mask>` is the color of a box, however many there are."""
    colors = itertools.cycle(BOX_COLORS)
    return re.sub(MASK, lambda _: f"(highlighted by the {next(colors)} box)", text)


def _ends_with(text: str, name: str) -> bool:
    """Whether a text ends with a class, in the singular or plural; any noun will do for none."""
    words = text.split()
    last = words[-1].lower() if words else ""
    if not name:
        return last.isalpha() and last not in _ARTICLES
    noun = name.split()[-1].lower()
    return known_class(last) == known_class(name) or last in (noun, pluralize(noun))


def location_tokens(places: Sequence[float], size: tuple[int, int]) -> str:
    """Location tokens of a box (x1, y1, x2, y2) or a pixel (x, y) in an image (height, width).

    Raises:
        ValueError: when there are not two or four numbers.
    """
    if len(places) not in (2, 4):
        raise ValueError(f"a pixel has 2 numbers and a box 4, got {len(places)}")
    corners = tuple(places) * (4 // len(places))
    height, width = size
    return "".join(
        f"<loc{_location(corners[place], width if place % 2 == 0 else height):04d}>"
        for place in (1, 0, 3, 2)
    )


def _location(place: float, side: int) -> int:
    return min(max(round(place / side * LOCATIONS), 0), LOCATIONS - 1)
