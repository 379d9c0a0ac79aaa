"""Small helpers around masks: windows, and the pixels along their edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Box, Region

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""The four neighbours of a pixel, as (row, column)."""


def grown_window(box: Box, image_size: tuple[int, int], margin: int = 3) -> Box:
    """The box with a margin, cut to the image of (height, width)."""
    x, y = max(box.x - margin, 0), max(box.y - margin, 0)
    right = min(box.x + box.width + margin, image_size[1])
    bottom = min(box.y + box.height + margin, image_size[0])
    return Box(x, y, right - x, bottom - y)


def cut_out(region: Region, window: Box) -> NDArray[np.bool_]:
    """The region's mask (window.height, window.width) in a window around its box."""
    mask = np.zeros((window.height, window.width), dtype=bool)
    top, left = region.box.y - window.y, region.box.x - window.x
    mask[top : top + region.box.height, left : left + region.box.width] = region.mask
    return mask


def border_pixels(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (M, 2) of a mask (H, W) beside which it ends, and the step (M, 2) that leaves it.

    A pixel with several such neighbours occurs once for each.
    """
    padded = np.pad(mask, 1)
    height, width = mask.shape
    pixels, steps = [], []
    for row, column in STEPS:
        neighbour = padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]
        found = np.argwhere(mask & ~neighbour)
        pixels.append(found)
        steps.append(np.broadcast_to(np.array([row, column]), found.shape))
    return np.concatenate(pixels), np.concatenate(steps)
