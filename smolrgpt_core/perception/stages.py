"""What each perception stage takes and returns.

A stage is a small class with one method that takes an image. It is backed by a checkpoint or, to
evaluate later stages, by the simulator's truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import RegionSet


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """Metric depth of one image.

    Attributes:
        depth: float32 (H, W), meters along the optical axis; NaN where the model gives none.
        intrinsics: the calibration that was given, otherwise the one that the model estimated;
            None if the model estimates none.
    """

    depth: NDArray[np.float32]
    intrinsics: CameraIntrinsics | None


@dataclass(frozen=True)
class Detection:
    """One object found by its name.

    Attributes:
        label: the class that was asked for.
        box: (left, top, right, bottom) in pixels; the upper left pixel spans 0 to 1.
        score: confidence of the detector, 0 to 1.
    """

    label: str
    box: tuple[float, float, float, float]
    score: float


class DepthEstimator(Protocol):
    """Metric depth from color."""

    def estimate(
        self, rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics | None = None
    ) -> DepthEstimate:
        """The depth of an image.

        Args:
            rgb: uint8 (H, W, 3).
            intrinsics: the calibration, if it is known.
        """


class BoxDetector(Protocol):
    """Finds objects by their names."""

    def detect(self, rgb: NDArray[np.uint8], classes: Sequence[str]) -> list[Detection]:
        """All objects of these classes, best first.

        Args:
            rgb: uint8 (H, W, 3).
            classes: names such as "pallet" or "buffer zone".
        """


class BoxSegmenter(Protocol):
    """Masks of the objects that fill boxes."""

    def masks(
        self, rgb: NDArray[np.uint8], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """One mask for each box.

        Args:
            rgb: uint8 (H, W, 3).
            boxes: float32 (N, 4), left, top, right, bottom in pixels.

        Returns:
            bool (N, H, W), and the confidence of each, float32 (N,), 0 to 1.
        """


class RegionFinder(Protocol):
    """Objects with their masks, from color alone."""

    def find(self, rgb: NDArray[np.uint8]) -> RegionSet:
        """The objects of an image, numbered from 0 in order of decreasing score.

        Args:
            rgb: uint8 (H, W, 3).
        """


class ImageTextModel(Protocol):
    """Answers a prompt about an image in words."""

    def ask(self, rgb: NDArray[np.uint8] | None, prompt: str, max_new_tokens: int = 64) -> str:
        """The answer, without special tokens.

        Args:
            rgb: uint8 (H, W, 3); None: the prompt alone.
            prompt: what to write about the image.
            max_new_tokens: the answer ends after this many tokens.
        """
