"""Masks laid onto the refined grid: what processor and model share about regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from smolrgpt_core import kernels
from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.model.configuration_smolrgpt import SmolRGPTConfig


@torch.compiler.disable
def region_weights(
    masks: Sequence[MasksOfImage],
    config: SmolRGPTConfig,
    image_sizes: Sequence[tuple[int, int]] | None = None,
) -> list[torch.Tensor]:
    """Weight of each cell of the refined grid under each mask, by `config.mask_pooling`.

    The result stands wherever masks are expected, so both modalities share it, and the full-size
    masks need not travel.

    Args:
        masks: for each image, in any form that `smolrgpt_core.kernels` takes.
        config: the model's.
        image_sizes: (height, width) that the masks of each image must have; needed for `Region`s.

    Returns:
        float32 (M_i, G, G) for each image, G = `config.refined_grid`.

    Raises:
        SpatialError: BAD_INPUT for a mask of another size or form, and for masks that cover no cell
            while `config.empty_masks` is "error".
    """
    grid = config.refined_grid
    return kernels.mask_weights(
        masks, (grid, grid), config.mask_pooling, config.empty_masks, image_sizes=image_sizes
    )
