"""Mask pooling and refinement: what the model does with a region's mask, made fast.

A refiner unfolds a modality's connector tokens (8x8) into a feature grid (64x64); pooling turns the
cells of that grid under a mask into one vector, their weighted mean. Here are both, and their
fusion. On the CPU, masks are laid onto the grid from their run lengths and from the few pixels that
a cell needs, and only cells that lie under a mask are computed; bitmaps on another device are
resized there by PyTorch's own operators.

All of it is differentiable with respect to features, tokens and refiner weights, not with respect
to masks.

Masks come as a sequence with one entry for each image (ragged: M_i masks each, also none):

- a tensor or array (M_i, h, w), bool or integer (not 0 = object) or float (weight of a pixel);
- a `RegionSet`, or a `LabelImage` with the ids asked for;
- a sequence of (h, w) arrays or tensors, of COCO run-length encodings {"size", "counts"}, or of
  `Region` (then `image_sizes` must be given, since a region does not know its image).

This package knows tensors and masks, no model, tokenizer or file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage

if TYPE_CHECKING:
    from smolrgpt_core.kernels.pooling import PooledMasks, pool_masks
    from smolrgpt_core.kernels.refinement import (
        Refinement,
        RefinerLevel,
        RefinerWeights,
        refine,
        refine_and_pool,
    )
    from smolrgpt_core.kernels.weights import EmptyMask, Mode, mask_weights

__all__ = [
    "EmptyMask",
    "LabelImage",
    "MasksOfImage",
    "Mode",
    "PooledMasks",
    "Refinement",
    "RefinerLevel",
    "RefinerWeights",
    "mask_weights",
    "pool_masks",
    "refine",
    "refine_and_pool",
]

_WITH_TORCH = {
    "pooling": ("PooledMasks", "pool_masks"),
    "refinement": ("Refinement", "RefinerLevel", "RefinerWeights", "refine", "refine_and_pool"),
    "weights": ("EmptyMask", "Mode", "mask_weights"),
}
"""Names that need PyTorch, which masks alone do without, by their modules."""


def __getattr__(name: str) -> Any:
    for module, names in _WITH_TORCH.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
