"""Colors of regions: how likely each name is, by their own pixels, and what a question makes of it.

The features that vision encoder and refiner give for a region are made from a small image. Here its
pixels are read at full size: one by one, beside what the whole image shows of the light, then as
means, maxima and weighted means over the mask. In training this has a loss for every region whose
color is known. A gate that has read the question determines which color it asks for; regions of
that color are chosen and counted.

R regions, K samples of each under its mask, A of its surroundings, I cells of the whole image; Q
questions of at most M regions; C names; W the width of the metric branch.
"""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model.value_readings import pooled
from smolrgpt_core.model_inputs.region_colors import IMAGE
from smolrgpt_core.model_inputs.region_samples import AROUND
from smolrgpt_core.scene.spatial_scene import COLORS

NAMES = len(COLORS)

_WIDTH = 96
_HEADS = 4
"""Weighted means over the mask, of equal parts of the channels."""

_CHANNELS = 10
_DARKEST = 0.02
"""Level, of 1, that the logarithm and the fractions of what is darker are taken of."""

_GAIN = 10.0
"""Of the gate: its weights start at 0, and learn as slowly as all others."""

_TINY = 1e-6


class RegionColors(nn.Module):
    """Names the colors of regions, and compares them with what a question asks for.

    Args:
        width: W.
        text_width: of the language model's tokens.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.light = nn.Sequential(nn.Linear(_CHANNELS, _WIDTH), nn.GELU())
        self.light_out = nn.Linear(2 * _WIDTH, _WIDTH)
        self.pixel = nn.Linear(_CHANNELS, _WIDTH)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(_WIDTH, _WIDTH), nn.GELU())
        self.score = nn.Linear(_WIDTH, _HEADS)
        self.read = nn.Sequential(nn.Linear(4 * _WIDTH, _WIDTH), nn.GELU())
        self.name = nn.Linear(_WIDTH, NAMES)
        self.states_in = QuietLinear(NAMES, width)
        self.gate = QuietLinear(width, NAMES)
        self.embedding = QuietLinear(NAMES, text_width)

    def forward(self, colors: torch.Tensor) -> torch.Tensor:
        """How likely each name is (R, C), float32; the sum of each region is 1.

        Args:
            colors: (R, K + A + I, 3) of `region_colors`, NaN outside of the image.
        """
        weights = self.name.weight.dtype
        exists = colors.isfinite().all(dim=-1)
        codes = _codes(colors.nan_to_num(0.0)).to(weights)
        near, image = codes.split([codes.shape[1] - IMAGE, IMAGE], dim=1)
        cells = self.light(image)
        light = self.light_out(torch.cat([cells.mean(dim=1), cells.amax(dim=1)], dim=-1))
        pixels = self.mix(self.pixel(near) + light[:, None])
        own, around = pixels.split([near.shape[1] - AROUND, AROUND], dim=1)
        scores = self.score(own).softmax(dim=1)
        weighted = torch.einsum("rkh,rkhd->rhd", scores, own.unflatten(-1, (_HEADS, -1)))
        is_around = exists[:, -AROUND - IMAGE : -IMAGE, None].to(weights)
        beside = (around * is_around).sum(dim=1) / is_around.sum(dim=1).clamp_min(1)
        features = [own.mean(dim=1), own.amax(dim=1), weighted.flatten(1), beside]
        return self.name(self.read(torch.cat(features, dim=-1))).float().softmax(dim=-1)

    def matches(
        self, states: torch.Tensor, names: torch.Tensor, exists: torch.Tensor
    ) -> torch.Tensor:
        """How well each region (Q, M) has the color that its question asks for; 0 for padding.

        Args:
            states: (Q, M, W), which have read the question.
            names: (Q, M, C), how likely each name is.
            exists: bool (Q, M), False for padding.
        """
        asked = _GAIN * self.gate(pooled(states, exists))
        return torch.einsum("qmc,qc->qm", names.to(asked.dtype), asked) * exists


def color_losses(names: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """Losses (...) of each region; 0 where its color is not known.

    Args:
        names: (..., C), how likely each name is.
        truths: (...), place of the true one in `COLORS`, NaN where it is not known.
    """
    is_known = truths.isfinite()
    place = truths.nan_to_num(0.0).long()[..., None]
    chance = names.gather(-1, place)[..., 0]
    return -(chance + _TINY).log() * is_known


def _codes(colors: torch.Tensor) -> torch.Tensor:
    """(R, N, _CHANNELS) of colors (R, N, 3): levels, opponents, logarithm, and fractions."""
    red, green, blue = colors.unbind(dim=-1)
    total = colors.sum(dim=-1)
    span = colors.amax(dim=-1) - colors.amin(dim=-1)
    fractions = colors / total.clamp_min(_DARKEST)[..., None]
    values = [
        red - green,
        (red + green) / 2 - blue,
        (total / 3).clamp_min(_DARKEST).log() / 2,
        span / colors.amax(dim=-1).clamp_min(_DARKEST),
    ]
    return torch.cat([2 * colors - 1, 3 * fractions - 1, torch.stack(values, dim=-1)], dim=-1)
