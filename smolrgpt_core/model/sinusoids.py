"""Numbers as sines and cosines of several wavelengths, which a network reads better than a number.

After Vaswani et al. 2017, section 3.5, with wavelengths in the unit of the number.
"""

from __future__ import annotations

import math

import torch


def sinusoidal_code(
    values: torch.Tensor, channels: int, shortest: float, longest: float
) -> torch.Tensor:
    """Sines, then cosines, of numbers at wavelengths that grow geometrically.

    Args:
        values: (...,), any unit.
        channels: an even number, twice the number of wavelengths.
        shortest: wavelength, in the unit of `values`.
        longest: wavelength, in the unit of `values`.

    Returns:
        float32 (..., channels).
    """
    steps = torch.linspace(
        math.log(shortest), math.log(longest), channels // 2, device=values.device
    )
    angles = values.float()[..., None] * (2 * math.pi * torch.exp(-steps))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
