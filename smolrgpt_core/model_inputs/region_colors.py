"""Colors of regions: pixels of the color image at its full size, for models with `region_colors`.

The vision encoder sees the whole image at a fixed size, in which a far object is a few pixels large
and its colors are mixed with those beside it. These pixels are the object's own: the first are
those that `region_samples` takes the depth of, spread evenly over the mask; then come those of its
surroundings; the last are the whole image, reduced to a few cells, which show how it is lit.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.kernels.masks import MasksOfImage, read_batch
from smolrgpt_core.model_inputs.region_samples import pixels_of_mask

IMAGE_SIDE = 8
IMAGE = IMAGE_SIDE**2
"""Cells of the whole image, row by row, behind the surroundings of a region."""


def region_colors(masks: MasksOfImage, rgb: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
    """Colors of pixels of each mask; the same masks always give the same pixels.

    Args:
        masks: of one image, in any form that `smolrgpt_core.kernels` takes.
        rgb: uint8 (H, W, 3).
        count: pixels under each mask; a smaller mask gives pixels several times.

    Returns:
        float32 (M, K, 3), K = count + AROUND + IMAGE: red, green and blue, 0 to 1, NaN outside of
        the image.

    Raises:
        SpatialError: BAD_INPUT when image and masks are of different size, or a mask has no pixel.
    """
    size = (rgb.shape[0], rgb.shape[1])
    (image,) = read_batch([masks], [size])
    whole = cv2.resize(rgb, (IMAGE_SIDE, IMAGE_SIDE), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    found = []
    for mask, (form, place) in enumerate(image.single()):
        if not form.pixel_count(place):
            raise bad_input(f"{image.describe(mask)} has no pixel; omit the region")
        pixels = pixels_of_mask(form, place, count)
        is_inside = np.asarray(((pixels >= 0) & (pixels < size)).all(axis=1))
        rows, columns = pixels.clip(0, np.array(size) - 1).T
        seen = np.where(is_inside[:, None], rgb[rows, columns], np.float32(np.nan))
        found.append(np.concatenate([seen, whole]))
    return np.stack(found).astype(np.float32) / np.float32(255)
