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
