"""Adds a map of metric points to the vision features of an image.

After HiSpatial (arXiv 2603.25411): points as sine and cosine codes, cut into patches like the
image. A new model begins with vision features as they are, so that a pretrained encoder and
connector answer as before until training has found a use for the points.
"""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.model.region_geometry import (
    AXIS_CHANNELS,
    LONGEST_M,
    POINT_CHANNELS,
    SHORTEST_M,
)
from smolrgpt_core.model.sinusoids import sinusoidal_code


class PointFusion(nn.Module):
    """Vision features and point codes of the same patches to vision features.

    Args:
        vision_width: Dv, channels of a vision patch.
        patch_size: side of a patch in pixels.
    """

    def __init__(self, vision_width: int, patch_size: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(POINT_CHANNELS, vision_width, patch_size, stride=patch_size)
        self.projection = FusedProjection(2 * vision_width, vision_width)

    def forward(self, features: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Features (B, P, Dv) of features (B, P, Dv) and points (B, 3, H, W), NaN = no reading."""
        patches = self.patches(point_codes(points).to(features.dtype)).flatten(2).transpose(1, 2)
        return self.projection(torch.cat([features, patches], dim=-1))


class FusedProjection(nn.Linear):
    """Projection of vision features and point features, one behind the other."""

    def unchanged_features(self) -> torch.Tensor:
        """Weight (Dv, 2 * Dv) that gives the vision features back."""
        weight = torch.zeros_like(self.weight)
        weight[:, : len(weight)] = torch.eye(len(weight), device=weight.device)
        return weight


def point_codes(points: torch.Tensor) -> torch.Tensor:
    """(B, POINT_CHANNELS, H, W) of points (B, 3, H, W): codes, and whether there is a reading."""
    has_reading = points.isfinite().all(dim=1, keepdim=True)
    known = torch.where(has_reading, points, torch.zeros_like(points))
    codes = sinusoidal_code(known, AXIS_CHANNELS, SHORTEST_M, LONGEST_M).movedim(-1, 2)
    return torch.cat([codes.flatten(1, 2) * has_reading, has_reading.to(codes.dtype)], dim=1)
