"""Refiner: weights that unfold a grid of image tokens into the finer grid masks are pooled from.

How they are applied, to the whole grid or only under masks, is up to `smolrgpt_core.kernels`.
"""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.kernels import refinement


class RefinerLevel(nn.Module):
    """Doubles the side of a grid: transposed convolution, then maybe a LayerNorm over channels.

    Kernel 2 with stride 2 never mixes neighbors: every cell becomes a patch of 2 x 2 cells. So the
    weight is stored as four matrices, in the memory order that the kernels read.

    Attributes:
        weight: (C in, 2 rows, 2 columns, C out).
        bias: (C out,).
        norm: LayerNorm, or None.

    Args:
        channels: channels in and out.
        norm_eps: epsilon of the LayerNorm, None for a level without one.
    """

    def __init__(self, channels: int, norm_eps: float | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 2, 2, channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.norm = None if norm_eps is None else nn.LayerNorm(channels, eps=norm_eps)

    @property
    def kernel_level(self) -> refinement.LevelWeights:
        """The weights as the kernels take them; shared, not copied."""
        weight = self.weight.permute(0, 3, 1, 2)
        if self.norm is None:
            return refinement.LevelWeights(weight, self.bias)
        return refinement.LevelWeights(
            weight, self.bias, self.norm.weight, self.norm.bias, self.norm.eps
        )


class FeatureRefiner(nn.Module):
    """Levels one after the other, each followed by GELU; all but the last have a LayerNorm.

    Three levels of 960 channels as released (docs/model.md).

    Args:
        channels: channels of a token.
        levels: number of doublings.
        norm_eps: epsilon of the LayerNorms.
    """

    def __init__(self, channels: int, levels: int, norm_eps: float) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            RefinerLevel(channels, norm_eps if level < levels - 1 else None)
            for level in range(levels)
        )

    @property
    def kernel_weights(self) -> refinement.RefinerWeights:
        """The weights as the kernels take them; shared, not copied."""
        levels = tuple(level.kernel_level for level in self.levels)
        return refinement.RefinerWeights(levels)  # type: ignore[arg-type]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Refine a whole square grid of tokens (B, N, C) to (B, N * 4**levels, C), row by row."""
        return refinement.refine(self.kernel_weights, tokens)
