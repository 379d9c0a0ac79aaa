"""Small helpers around masks: windows, and the pixels along their edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Box, Region

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""The four neighbors of a pixel, as (row, column)."""

AROUND = np.ones((3, 3), np.uint8)
"""A pixel with its eight neighbors."""

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""A pixel with its four neighbors."""


def grown_window(box: Box, image_size: tuple[int, int], margin: int = 3) -> Box:
    """The box with a margin, cut to the image.

    Args:
        box: of a region.
        image_size: (height, width).
        margin: pixels on each side.
    """
    x, y = max(box.x - margin, 0), max(box.y - margin, 0)
    right = min(box.x + box.width + margin, image_size[1])
    bottom = min(box.y + box.height + margin, image_size[0])
    return Box(x, y, right - x, bottom - y)


def cut_out(region: Region, window: Box) -> NDArray[np.bool_]:
    """The region's mask (window.height, window.width) in a window around its box."""
    mask = np.zeros((window.height, window.width), dtype=bool)
    paint(mask, region, window)
    return mask


def overlap(box: Box, other: Box) -> bool:
    """Whether two boxes have pixels in common."""
    return max(box.x, other.x) < min(box.x + box.width, other.x + other.width) and max(
        box.y, other.y
    ) < min(box.y + box.height, other.y + other.height)


def paint(image: NDArray[np.bool_], region: Region, window: Box) -> None:
    """Set the region's pixels in the image of a window, in place.

    Args:
        image: bool (window.height, window.width).
        region: that overlaps the window.
        window: place of the image in the frame.
    """
    box = region.box
    top, left = max(box.y, window.y), max(box.x, window.x)
    bottom = min(box.y + box.height, window.y + window.height)
    right = min(box.x + box.width, window.x + window.width)
    seen = region.mask[top - box.y : bottom - box.y, left - box.x : right - box.x]
    image[top - window.y : bottom - window.y, left - window.x : right - window.x] |= seen


def with_border_moved(region: Region, pixels: float, others: NDArray[np.bool_]) -> Region:
    """The region with a mask that reaches so many pixels farther, or less far where negative.

    It grows over nothing that other regions show, and shrinks to what is farthest from its border
    at most.

    Args:
        region: to be changed.
        pixels: by which its border moves.
        others: (H, W), what all regions show.
    """
    margin = max(int(np.ceil(pixels)), 0) + 1
    window = grown_window(region.box, others.shape, margin)
    mask = cut_out(region, window)
    if pixels > 0:
        outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
        moved = mask | ((outside <= pixels) & ~others[window.slices])
    else:
        inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        moved = mask & (inside >= min(1 - pixels, float(inside.max())))
    full = np.zeros(others.shape, dtype=bool)
    full[window.slices] = moved
    return Region.from_bitmap(region.id, region.label, full, region.score)


def border_pixels(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (M, 2) of a mask (H, W) beside which it ends, and the step (M, 2) that leaves it.

    A pixel with several such neighbors occurs once for each.
    """
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    width = padded.shape[1]
    at_edge = np.flatnonzero(padded > cv2.erode(padded, CROSS))
    flat = padded.ravel()
    own = [at_edge[flat[at_edge + row * width + column] == 0] for row, column in STEPS]
    places = np.concatenate(own)
    pixels = np.empty((len(places), 2), dtype=np.int64)
    np.divmod(places, width, out=(pixels[:, 0], pixels[:, 1]))
    pixels -= 1
    return pixels, np.repeat(np.array(STEPS), [len(places) for places in own], axis=0)
