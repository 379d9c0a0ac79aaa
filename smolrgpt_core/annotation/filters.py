"""Filters for images that are photographs with usable depth."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.perception.stages import ImageTextModel

UNREADABLE = "the image cannot be read"
PURE = "mostly pure white or black"
NO_PHOTOGRAPH = "no photograph"
NO_CALIBRATION = "no calibration"
NO_DEPTH = "no depth"
TOO_LITTLE_DEPTH = "too little depth"
NO_REGIONS = "no regions"
NO_FLOOR = "neither a floor nor up"
NO_QUESTION = "no clear question"

PROMPT = (
    "Is this a photograph of a real scene with several objects at different distances, and not a "
    "drawing, a screenshot, a collage, a text or a product on a plain background? Answer yes or no."
)


class SkippedError(Exception):
    """An image is skipped; the run goes on.

    Attributes:
        reason: one of the constants of this module, in the order in which they are checked.
        detail: what was expected, what was found, what to do.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class PhotographFilter:
    """Fractions of the pixels above which an image is skipped; HiSpatial's (arXiv 2603.25411).

    Attributes:
        max_pure_fraction: pixels that are pure white or pure black.
        max_invalid_fraction: pixels without depth.

    Raises:
        ValueError: for a fraction outside of 0 to 1.
    """

    max_pure_fraction: float = 0.35
    max_invalid_fraction: float = 0.5

    def __post_init__(self) -> None:
        for item in fields(self):
            if not 0 <= getattr(self, item.name) <= 1:
                raise ValueError(
                    f"{item.name} must be within 0 to 1, got {getattr(self, item.name)}"
                )

    def check_color(self, rgb: NDArray[np.uint8]) -> None:
        """Skip graphics and images that are mostly over- or underexposed.

        Args:
            rgb: uint8 (H, W, 3).

        Raises:
            SkippedError: too many pixels are pure white or black.
        """
        fraction = float(np.mean((rgb == 255).all(axis=2) | (rgb == 0).all(axis=2)))
        if fraction > self.max_pure_fraction:
            raise SkippedError(
                PURE,
                f"{fraction:.0%} of the pixels, but at most {self.max_pure_fraction:.0%} "
                "are allowed",
            )

    def check_depth(self, depth: NDArray[np.float32]) -> None:
        """Skip images with too little depth.

        Args:
            depth: float32 (H, W), NaN = no reading.

        Raises:
            SkippedError: too many pixels have none.
        """
        fraction = float(np.mean(np.isnan(depth)))
        if fraction > self.max_invalid_fraction:
            raise SkippedError(
                TOO_LITTLE_DEPTH,
                f"{fraction:.0%} of the pixels have no depth, but at most "
                f"{self.max_invalid_fraction:.0%} are allowed",
            )


def check_photograph(rgb: NDArray[np.uint8], model: ImageTextModel) -> None:
    """Ask a model whether an image is a photograph of a scene.

    Args:
        rgb: uint8 (H, W, 3).
        model: answers with yes or no.

    Raises:
        SkippedError: it does not say yes.
    """
    answer = model.ask(rgb, PROMPT, max_new_tokens=4).strip()
    if not answer.lower().startswith("yes"):
        raise SkippedError(NO_PHOTOGRAPH, f"the image-text model says {answer!r}")
