"""How points become numbers that a network reads: wavelengths, range, pixels without a reading."""

from __future__ import annotations

import math
from dataclasses import dataclass

_HISPATIAL_STEPS = 32


@dataclass(frozen=True)
class PointCode:
    """How a point map is coded; fixed once a model is trained. The defaults are "warehouse".

    Attributes:
        axis_channels: sines and cosines of one coordinate, an even number.
        shortest_m, longest_m: wavelengths in meters, which grow geometrically in between.
        missing_points: "masked" = a pixel without a reading adds nothing, and a patch is the mean
            over its readings (Liu et al. 2018, partial convolution); "coded" = its coordinates are
            coded like any other, as in HiSpatial's code.
        limit_m: "masked": a coordinate beyond this is no reading; "coded": it is clipped to this.

    Raises:
        ValueError: when a value cannot work; the message names the field.
    """

    axis_channels: int = 64
    shortest_m: float = 0.1
    longest_m: float = 64.0
    missing_points: str = "masked"
    limit_m: float = 64.0

    def __post_init__(self) -> None:
        if self.axis_channels < 2 or self.axis_channels % 2:
            raise ValueError(
                f"axis_channels must be an even number of at least 2, got {self.axis_channels}"
            )
        if not 0 < self.shortest_m < self.longest_m:
            raise ValueError(
                "shortest_m must be positive and below longest_m, got "
                f"{self.shortest_m} and {self.longest_m}"
            )
        if self.missing_points not in ("masked", "coded"):
            raise ValueError(f"missing_points must be masked or coded, got {self.missing_points!r}")
        if not self.limit_m > 0:
            raise ValueError(f"limit_m must be positive, got {self.limit_m}")

    @property
    def channels(self) -> int:
        """Of a coded point: three coordinates and the validity."""
        return 3 * self.axis_channels + 1


WAREHOUSE = PointCode()
"""Every channel moves within a warehouse, and what was not measured adds nothing."""

HISPATIAL = PointCode(
    axis_channels=2 * _HISPATIAL_STEPS,
    shortest_m=2 * math.pi,
    longest_m=2 * math.pi * 10000.0 ** ((_HISPATIAL_STEPS - 1) / _HISPATIAL_STEPS),
    missing_points="coded",
    limit_m=250.0,
)
"""As the authors' code: frequencies of 10000 ** (-i / 32) radians per meter, i = 0 ... 31."""
