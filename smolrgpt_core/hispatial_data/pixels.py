"""Questions about pixels: the released records hold none, the authors make them while training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.hispatial_data.calibrations import CalibratedDepth
from smolrgpt_core.hispatial_data.questions import ImportedQuestion
from smolrgpt_core.model_inputs.regions_in_words import location_tokens
from smolrgpt_core.synthesis import Format

GRID = 448
"""Side, in pixels, of the image that HiSpatial sees and its location tokens refer to."""

TRIES = 20
"""How many pairs of pixels are tried to find one whose order is clear."""

CLEAR_M, CLEAR_FRACTION = 0.1, 0.05
"""Two depths are ordered if they differ by more than both; the margins of the paper are unknown."""

PIXEL_TO_POINT, DEPTH_ORDERING = "query_pixel_xyz", "pixel_depth_ordering"


def pixel_questions(depth: CalibratedDepth, rng: np.random.Generator) -> list[ImportedQuestion]:
    """The point of a pixel, and which of two pixels is closer; empty for an image without depth.

    Args:
        depth: of the image; NaN = no reading.
        rng: chooses the pixels.
    """
    height, width = depth.meters.shape
    # The pixel that each pixel of the grid takes its reading from.
    rows = np.arange(GRID) * height // GRID
    columns = np.arange(GRID) * width // GRID
    seen = depth.meters[np.ix_(rows, columns)]
    places = np.argwhere(np.isfinite(seen))
    if not len(places):
        return []
    down, across = rng.choice(places).tolist()
    ray = pixel_rays(rows[down], columns[across], depth.camera)
    point = np.round(ray * float(seen[down, across]), 2) + 0.0
    made = [
        ImportedQuestion(
            PIXEL_TO_POINT,
            "pixel_to_point",
            Format.FREE,
            f"what is the xyz of the pixel in {_tokens(down, across)}",
            " ".join(f"{number:.2f}m" for number in point),
        )
    ]
    return made + _orderings(seen, places, rng)


def _orderings(
    seen: NDArray[np.float32], places: NDArray[np.intp], rng: np.random.Generator
) -> list[ImportedQuestion]:
    """At most one question; none where no pair that was tried differs clearly in depth."""
    for _ in range(TRIES):
        pair = [tuple(place) for place in rng.choice(places, 2).tolist()]
        depths = [float(seen[place]) for place in pair]
        apart = abs(depths[0] - depths[1])
        if apart > CLEAR_M and apart > CLEAR_FRACTION * min(depths):
            first, second = (_tokens(*place) for place in pair)
            closer = first if depths[0] < depths[1] else second
            text = f"Which pixel has the smaller depth, {first} or {second}?"
            return [
                ImportedQuestion(
                    DEPTH_ORDERING, "depth_ordering", Format.FREE, text, f"{closer} is closer."
                )
            ]
    return []


def _tokens(down: int, across: int) -> str:
    return location_tokens((across, down), (GRID, GRID))
