"""How the images of a camera are read: the settings that node, replay and bag2data share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from smolrgpt_core.depth import DepthLimits


@dataclass(frozen=True)
class SensorSettings:
    """How the images of a camera are read.

    Attributes:
        depth_scale: metres per unit of depth; 0 = by its encoding.
        depth_limits: range of the depth camera.

    Raises:
        ValueError: for a scale that is negative or not finite.
    """

    depth_scale: float = 0.0
    depth_limits: DepthLimits = field(default_factory=DepthLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.depth_scale < math.inf:
            raise ValueError(
                f"depth_scale must be at least 0 metres per unit, got {self.depth_scale}"
            )
