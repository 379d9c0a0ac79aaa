"""How the images of a camera are read: the settings that node, replay and bag2data share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from smolrgpt_core.depth import DepthLimits

AUTO, NEVER = "auto", "never"

RECTIFY_CHOICES = (AUTO, NEVER)
"""Whether lens distortion is taken out of the images: where there is some, unless the name of the
topic says that its images are rectified; or not at all, because they are."""


@dataclass(frozen=True)
class SensorSettings:
    """How the images of a camera are read.

    Attributes:
        depth_scale: metres per unit of depth; 0 = by its encoding.
        depth_limits: range of the depth camera.
        rectify: one of `RECTIFY_CHOICES`.

    Raises:
        ValueError: for a scale that is negative or not finite, or an unknown choice.
    """

    depth_scale: float = 0.0
    depth_limits: DepthLimits = field(default_factory=DepthLimits)
    rectify: str = AUTO

    def __post_init__(self) -> None:
        if not 0 <= self.depth_scale < math.inf:
            raise ValueError(
                f"depth_scale must be at least 0 metres per unit, got {self.depth_scale}"
            )
        if self.rectify not in RECTIFY_CHOICES:
            raise ValueError(
                f"rectify must be one of {', '.join(RECTIFY_CHOICES)}, got {self.rectify!r}"
            )
