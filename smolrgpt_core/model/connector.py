"""Connector: vision patches to image tokens in the width of the language model."""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.model.point_map.encoder import JoinedProjection


def pixel_shuffle(features: torch.Tensor, factor: int) -> torch.Tensor:
    """Gather each block of factor x factor patches into one long vector.

    Args:
        features: (B, P, C), patches of a square grid, row by row.
        factor: side of a block; divides the side of the grid.

    Returns:
        (B, P / factor**2, factor**2 * C): blocks row by row; in a block row, column, channel.
    """
    batch, patches, channels = features.shape
    side = int(patches**0.5)
    blocks = features.view(batch, side // factor, factor, side // factor, factor, channels)
    return blocks.transpose(2, 3).reshape(batch, patches // factor**2, factor**2 * channels)


class Connector(nn.Module):
    """Pixel shuffle and one linear layer without bias (docs/model.md).

    Args:
        vision_width: channels of a vision patch.
        text_width: channels of a token of the language model.
        factor: side of the block of patches that becomes one token.
        point_width: channels of a patch of points behind those of the vision patch.
    """

    def __init__(
        self, vision_width: int, text_width: int, factor: int, point_width: int = 0
    ) -> None:
        super().__init__()
        self.factor = factor
        self.widths = [vision_width, point_width]
        self.projection = nn.Linear(vision_width * factor**2, text_width, bias=False)
        if point_width:
            self.projection = JoinedProjection(self.projection, point_width * factor**2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Image tokens (B, N, D) of features (B, P, Dv + Dp), with N = P / factor**2."""
        blocks = [
            pixel_shuffle(part, self.factor)
            for part in features.split(self.widths, dim=-1)
            if part.shape[-1]
        ]
        return self.projection(*blocks)
