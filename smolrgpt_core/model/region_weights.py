"""Masks laid onto the refined grid: what processor and model share about regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from smolrgpt_core import kernels
from smolrgpt_core.errors import SpatialError, Status
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
    weights = kernels.mask_weights(
        masks, (grid, grid), config.mask_pooling, image_sizes=image_sizes
    )
    if config.empty_masks == "error":
        for image, of_image in enumerate(weights):
            _refuse_empty(image, of_image, config)
    return weights


def _refuse_empty(image: int, weights: torch.Tensor, config: SmolRGPTConfig) -> None:
    empty = torch.nonzero(~(weights.flatten(1).sum(dim=1) > 0)).flatten().tolist()
    if not empty:
        return
    reason, remedy = "they are empty", ""
    if config.mask_pooling == "bilinear":
        reason += ", or so small or thin that bilinear resizing loses them"
        remedy = 'set config.mask_pooling to "area", which keeps them, or '
    raise SpatialError(
        Status.BAD_INPUT,
        f"masks {empty} of image {image} cover no cell of the {weights.shape[1]} x "
        f"{weights.shape[2]} grid: {reason}; leave them out, {remedy}"
        'set config.empty_masks to "zero"',
    )
