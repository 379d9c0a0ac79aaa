"""What the own pixels of a region add to its RGB token.

Features that the vision encoder and the refiner give for a region are made from a small image. Here
its pixels are read at full size: one by one, beside what the whole image says of the light, then
as means, maxima and weighted means over the mask. In training nothing tells it the color of a
region: it learns from the answers.

R regions, K samples of each under its mask, A of its surroundings, I cells of the whole image.
"""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model_inputs.region_colors import IMAGE
from smolrgpt_core.model_inputs.region_samples import AROUND

_WIDTH = 96
_HEADS = 4
"""Weighted means over the mask, of equal parts of the channels."""

_CHANNELS = 10
_DARKEST = 0.02
"""Level, of 1, to which a logarithm and a ratio is taken of what is darker."""


class RegionColors(nn.Module):
    """Reads the colors of regions.

    Args:
        text_width: D, of the language model's tokens.
    """

    def __init__(self, text_width: int) -> None:
        super().__init__()
        self.light = nn.Sequential(nn.Linear(_CHANNELS, _WIDTH), nn.GELU())
        self.light_out = nn.Linear(2 * _WIDTH, _WIDTH)
        self.pixel = nn.Linear(_CHANNELS, _WIDTH)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(_WIDTH, _WIDTH), nn.GELU())
        self.score = nn.Linear(_WIDTH, _HEADS)
        self.read = nn.Sequential(nn.Linear(4 * _WIDTH, 2 * _WIDTH), nn.GELU())
        self.out = QuietLinear(2 * _WIDTH, text_width)

    def forward(self, colors: torch.Tensor) -> torch.Tensor:
        """What is added to the RGB tokens (R, D).

        Args:
            colors: (R, K + A + I, 3) of `region_colors`, NaN outside of the image.
        """
        exists = colors.isfinite().all(dim=-1)
        codes = _codes(colors.nan_to_num(0.0))
        near, image = codes.split([codes.shape[1] - IMAGE, IMAGE], dim=1)
        cells = self.light(image)
        light = self.light_out(torch.cat([cells.mean(dim=1), cells.amax(dim=1)], dim=-1))
        pixels = self.mix(self.pixel(near) + light[:, None])
        own, around = pixels.split([near.shape[1] - AROUND, AROUND], dim=1)
        weights = self.score(own).softmax(dim=1)
        weighted = torch.einsum("rkh,rkhd->rhd", weights, own.unflatten(-1, (_HEADS, -1)))
        is_around = exists[:, -AROUND - IMAGE : -IMAGE, None].to(around.dtype)
        number = is_around.sum(dim=1).clamp_min(1)
        beside = (around * is_around).sum(dim=1) / number
        features = [own.mean(dim=1), own.amax(dim=1), weighted.flatten(1), beside]
        return self.out(self.read(torch.cat(features, dim=-1)))


def _codes(colors: torch.Tensor) -> torch.Tensor:
    """(R, N, _CHANNELS) of colors (R, N, 3): levels, opponents, logarithm, and shares."""
    red, green, blue = colors.unbind(dim=-1)
    total = colors.sum(dim=-1)
    span = colors.amax(dim=-1) - colors.amin(dim=-1)
    shares = colors / total.clamp_min(_DARKEST)[..., None]
    values = [
        red - green,
        (red + green) / 2 - blue,
        (total / 3).clamp_min(_DARKEST).log() / 2,
        span / colors.amax(dim=-1).clamp_min(_DARKEST),
    ]
    return torch.cat([colors, 3 * shares - 1, torch.stack(values, dim=-1)], dim=-1)
