"""Depth prediction as an auxiliary task of the vision encoder: a head on the patch features.

The head is trained with the model but is not part of it, and is not published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.parts import Model, parts_of
from smolrgpt_core.model_inputs.images import resize_nearest
from smolrgpt_core.training.config import METRIC_DEPTH, AuxiliaryDepthConfig
from smolrgpt_core.training.objectives import Seen
from smolrgpt_core.training.rows import Row, decoded_depth

PATCH_DEPTHS = "patch_depths"
"""Extra of a batch: logarithm of the depth in meters of each patch, float32 (B, G, G), NaN where
nothing was measured; B rows without their pairs."""

_READINGS = 8
"""Depths that are sampled along each side of a patch."""

_SAME = 0.02
"""Logarithms of depth that differ by less have no order: 2 %, the noise of a depth camera."""

_MOST_NEIGHBORS = 32
"""Other patches that each one is compared with."""


class PatchDepths:
    """Implements `BatchExtra`: the targets of the head.

    Args:
        grid: patches along each side of the square that an image is resized to.
    """

    def __init__(self, grid: int) -> None:
        self._grid = grid

    def entries(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> dict[str, Any]:
        """As `BatchExtra`; nothing for rows without images."""
        if "pixel_values" not in batch:
            return {}
        return {PATCH_DEPTHS: torch.stack([self._depths(row) for row in rows])}

    def _depths(self, row: Row) -> torch.Tensor:
        depth = None if row.inputs != "rgbd" else decoded_depth(row.sample)
        if depth is None or depth.dtype == np.uint8:
            return torch.full((self._grid, self._grid), float("nan"))
        return torch.from_numpy(patch_depths(depth, self._grid))


def patch_depths(meters: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """Mean logarithm of the depth in each patch, float32 (G, G), NaN where nothing was measured.

    Args:
        meters: depth (H, W), NaN where there is no reading.
        grid: G.
    """
    side = grid * _READINGS
    cells = resize_nearest(meters, (side, side)).reshape(grid, _READINGS, grid, _READINGS)
    is_measured = np.isfinite(cells) & (cells > 0)
    logarithms = np.log(np.where(is_measured, cells, 1.0))
    counts = is_measured.sum(axis=(1, 3))
    sums = logarithms.sum(axis=(1, 3))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


class DepthTerm:
    """Implements `Term`: the auxiliary head and its loss.

    Args:
        model: whose vision encoder is taught.
        config: target, weight and rate.
        grid: patches along each side.
    """

    name = "depth"

    def __init__(self, model: Model, config: AuxiliaryDepthConfig, grid: int) -> None:
        self.weight, self.rate = config.weight, config.rate
        self._encoder = parts_of(model)["vision_encoder"]
        self._grid = grid
        self._loss_of = depth_losses if config.target == METRIC_DEPTH else order_losses
        self.head: nn.Module | None = DepthHead(_width_of(self._encoder))

    def watched(self) -> tuple[nn.Module, Any]:
        """The features of the color image, which is encoded before the depth image."""
        return self._encoder, lambda _, output: _states_of(output)

    def loss(self, seen: Seen) -> torch.Tensor:
        """Sum over images.

        Raises:
            SpatialError: BAD_INPUT when the encoder's grid of patches has another size.
        """
        if PATCH_DEPTHS not in seen.extras or self.name not in seen.captured:
            return seen.token_losses.new_zeros(())
        wanted = seen.extras[PATCH_DEPTHS].flatten(1)
        features = seen.captured[self.name]
        if features.ndim != 3 or features.shape[1] < wanted.shape[1]:
            raise bad_input(
                f"auxiliary_depth expects features of {self._grid} x {self._grid} patches, but "
                f"the vision encoder returns {tuple(features.shape)}"
            )
        # Class and register tokens come before the patches; pairs stand behind the rows.
        patches = features[: len(wanted), -wanted.shape[1] :].float()
        assert self.head is not None
        return self._loss_of(self.head(patches), wanted).sum()


class DepthHead(nn.Module):
    """Predicts the logarithm of the depth of patches from their features.

    Args:
        width: of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """(B, P) of features (B, P, D)."""
        depths: torch.Tensor = self.layers(patches).squeeze(-1)
        return depths


def depth_losses(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean distance (B,) of logarithms (B, P); 0 for an image in which nothing was measured."""
    is_measured = wanted.isfinite()
    distances = (predicted - wanted.nan_to_num()).abs() * is_measured
    return distances.sum(dim=1) / is_measured.sum(dim=1).clamp(min=1)


def order_losses(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean loss (B,) of which of two patches is nearer, over pairs that have an order.

    Args:
        predicted: (B, P), larger is farther.
        wanted: logarithms of depth (B, P), NaN where nothing was measured.
    """
    count = wanted.shape[1]
    shifts = torch.arange(1, count, max(count // _MOST_NEIGHBORS, 1), device=wanted.device)
    places = torch.arange(count, device=wanted.device)
    others = (places[None] + shifts[:, None]) % count
    differences = wanted[:, others] - wanted[:, None]
    is_ordered = differences.abs() > _SAME
    losses = functional.softplus(
        -differences.nan_to_num().sign() * (predicted[:, others] - predicted[:, None])
    )
    sums = (losses * is_ordered).sum(dim=(1, 2))
    return sums / is_ordered.sum(dim=(1, 2)).clamp(min=1)


def _states_of(output: Any) -> torch.Tensor:
    states: torch.Tensor | None = getattr(output, "last_hidden_state", None)
    return output[0] if states is None else states


def _width_of(encoder: nn.Module) -> int:
    config: Any = encoder.config
    return int(config.hidden_size)
