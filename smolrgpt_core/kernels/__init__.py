"""Mask pooling and refinement: what the model does with a region's mask, made fast.

A refiner unfolds a modality's connector tokens (8x8) into a feature grid (64x64); pooling turns the
cells of that grid under a mask into one vector, their weighted mean. Here are both, and their
fusion, in one API with three back ends:

- `reference`: plain PyTorch in the clearest form, any device; what the others are tested against.
- `cpu`: works on run lengths and on the few source pixels that a cell needs, and on the cells that
  lie under a mask.
- `triton`: fused kernels for CUDA.

The back end is chosen by device. All of them are differentiable with respect to features, tokens
and refiner weights, not with respect to masks.

Masks come as a sequence with one entry for each image (ragged: M_i masks each, also none):

- a tensor or array (M_i, h, w), bool or integer (not 0 = object) or float (weight of a pixel);
- a `RegionSet`, or a `LabelImage` with the ids asked for;
- a sequence of (h, w) arrays or tensors, of COCO run-length encodings {"size", "counts"}, or of
  `Region` (then `image_sizes` must be given, since a region does not know its image).

This package knows tensors and masks, no model, tokenizer or file.
"""

from smolrgpt_core.kernels.forms import LabelImage
from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.kernels.pooling import EmptyMask, PooledMasks, pool_masks
from smolrgpt_core.kernels.refinement import Refinement, refine, refine_and_pool
from smolrgpt_core.kernels.refiner_weights import GeluKind, RefinerLevel, RefinerWeights
from smolrgpt_core.kernels.weights import Mode, mask_weights

__all__ = [
    "EmptyMask",
    "GeluKind",
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
