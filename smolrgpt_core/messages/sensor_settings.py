"""Settings for reading camera images, for node, replay and bag2data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from smolrgpt_core.depth import DepthLimits

AUTO, NEVER = "auto", "never"

RECTIFY_CHOICES = (AUTO, NEVER)
"""Whether to remove lens distortion: if there is any, unless the name of the topic implies that its
images are rectified; or never, because the images are already rectified."""


@dataclass(frozen=True)
class SensorSettings:
    """Settings for reading the images of a camera.

    Attributes:
        depth_scale: meters per unit of depth; 0 = by its encoding.
        depth_limits: range of the depth camera.
        rectify: one of `RECTIFY_CHOICES`.

    Raises:
        ValueError: the scale is negative or not finite, or the choice is unknown.
    """

    depth_scale: float = 0.0
    depth_limits: DepthLimits = field(default_factory=DepthLimits)
    rectify: str = AUTO

    def __post_init__(self) -> None:
        if not 0 <= self.depth_scale < math.inf:
            raise ValueError(
                f"depth_scale must be at least 0 meters per unit, got {self.depth_scale}"
            )
        if self.rectify not in RECTIFY_CHOICES:
            raise ValueError(
                f"rectify must be one of {', '.join(RECTIFY_CHOICES)}, got {self.rectify!r}"
            )
