"""Reading masks: every form that a caller may give becomes one internal form per image.

Sizes and types are checked here, so that no kernel meets a mask that does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.kernels.backends import uses_triton
from smolrgpt_core.kernels.forms import BitmapMasks, LabelImage, MaskForm, RunLengthMask, bad_mask
from smolrgpt_core.regions import Region, RegionSet, rle_run_lengths

Mask: TypeAlias = Tensor | NDArray | Mapping | Region
"""One mask: (h, w), a COCO run-length encoding, or a region."""

MasksOfImage: TypeAlias = Tensor | NDArray | LabelImage | RegionSet | Sequence[Mask]
"""The masks of one image: (M, h, w), an instance image, or single masks."""

EXPECTED = (
    "expected a tensor or array (M, h, w), a LabelImage, a RegionSet, or a sequence of (h, w) "
    "arrays, run-length encodings or regions"
)


@dataclass(frozen=True, eq=False)
class ImageMasks:
    """All masks of one image, in order.

    Attributes:
        index: of the image in the batch.
        forms: the masks, in groups; a bitmap stack for an accelerator stays a tensor (M, h, w).
        image_size: (height, width), None without masks.
    """

    index: int
    forms: tuple[MaskForm | Tensor, ...]
    image_size: tuple[int, int] | None

    def __len__(self) -> int:
        return sum(count_masks(form) for form in self.forms)

    def single(self) -> list[tuple[MaskForm, int]]:
        """Each mask as a form on the CPU and its place in that form."""
        forms = [_on_cpu(form) for form in self.forms]
        return [(form, place) for form in forms for place in range(len(form.names))]

    def describe(self, mask: int) -> str:
        """How to call one of the masks in a message."""
        names = [name for form in self.forms for name in _names(form)]
        name = f" ({names[mask]})" if names[mask] else ""
        return f"mask {mask}{name} of image {self.index}"


@torch.compiler.disable  # each call would be traced anew: masks decide its shapes
def read_batch(
    masks: Sequence[MasksOfImage], image_sizes: Sequence[tuple[int, int]] | None = None
) -> list[ImageMasks]:
    """The masks of each image of a batch.

    Args:
        masks: one entry for each image.
        image_sizes: (height, width) of each image, which its masks must have; needed for lists of
            `Region`.

    Raises:
        SpatialError: BAD_INPUT when a mask has an unknown form or another size than the others of
            its image, naming mask and image.
    """
    if isinstance(masks, (Tensor, np.ndarray, Mapping, RegionSet, LabelImage)):
        raise bad_mask(f"expected a list with the masks of each image, got {_describe(masks)}")
    if image_sizes is not None and len(image_sizes) != len(masks):
        raise bad_mask(f"expected masks of {len(image_sizes)} images, got {len(masks)}")
    sizes = [None] * len(masks) if image_sizes is None else [(h, w) for h, w in image_sizes]
    return [
        _read_image(index, entry, size)
        for index, (entry, size) in enumerate(zip(masks, sizes, strict=True))
    ]


def count_masks(form: MaskForm | Tensor) -> int:
    """Number of masks in one form."""
    return len(form) if isinstance(form, Tensor) else len(form.names)


def _read_image(index: int, masks: MasksOfImage, size: tuple[int, int] | None) -> ImageMasks:
    try:
        forms = _read_forms(masks, size)
    except SpatialError as error:
        raise SpatialError(error.status, f"masks of image {index}: {error.message}") from error
    first = size
    for form in forms:
        found = _image_size(form)
        first = first or found
        if found != first:
            raise bad_mask(
                f"masks of image {index}: expected (height, width) {first} like "
                f"{'the image' if size else 'the first one'}, got {found}; "
                "masks and image must have the same resolution"
            )
    return ImageMasks(index, tuple(forms), first)


def _read_forms(masks: MasksOfImage, size: tuple[int, int] | None) -> list[MaskForm | Tensor]:
    if isinstance(masks, LabelImage):
        return [masks]
    if isinstance(masks, (Tensor, np.ndarray)):
        if masks.ndim != 3:
            raise bad_mask(
                f"{EXPECTED}, got {_describe(masks)}; write a single mask as mask[None], an "
                "instance image as LabelImage"
            )
        return [_bitmaps(masks)]
    if isinstance(masks, RegionSet):
        return [_region(region, masks.image_size) for region in masks]
    if isinstance(masks, (str, bytes, Mapping)) or not isinstance(masks, Sequence):
        raise bad_mask(f"{EXPECTED}, got {_describe(masks)}")
    return [_read_single(number, mask, size) for number, mask in enumerate(masks)]


def _read_single(number: int, mask: Mask, size: tuple[int, int] | None) -> MaskForm | Tensor:
    if isinstance(mask, Mapping):
        image_size, runs = rle_run_lengths(mask)
        return RunLengthMask(runs, image_size)
    if isinstance(mask, Region):
        if size is None:
            raise bad_mask(
                "a region does not know the size of its image; give image_sizes or a RegionSet"
            )
        return _region(mask, size)
    if isinstance(mask, (Tensor, np.ndarray)) and mask.ndim == 2:
        return _bitmaps(mask[None])
    raise bad_mask(f"{EXPECTED}, got {_describe(mask)} as mask {number}")


def _region(region: Region, image_size: tuple[int, int]) -> BitmapMasks:
    if not region.box.fits(image_size):
        raise bad_mask(
            f"{region.box} of region {region.id} leaves the image of (height, width) {image_size}; "
            "masks and image must have the same resolution"
        )
    offset = region.box.y, region.box.x
    return BitmapMasks(region.mask[None], image_size, (region.name,), offset)


def _bitmaps(stack: Tensor | NDArray) -> MaskForm | Tensor:
    if isinstance(stack, Tensor):
        stack = stack.detach()
        if stack.is_complex() or min(stack.shape[1:]) < 1:
            raise bad_mask(f"bitmaps must be real numbers with pixels, got {_describe(stack)}")
        if stack.device.type != "cpu" or uses_triton(stack.device):
            return stack
        return _bitmaps_on_cpu(stack)
    if stack.dtype.kind not in "buif" or min(stack.shape[1:]) < 1:
        raise bad_mask(f"bitmaps must be real numbers with pixels, got {_describe(stack)}")
    return BitmapMasks(stack, (stack.shape[1], stack.shape[2]), ("",) * len(stack))


def _bitmaps_on_cpu(stack: Tensor) -> MaskForm:
    values = (stack.float() if stack.dtype == torch.bfloat16 else stack).numpy(force=True)
    return BitmapMasks(values, (stack.shape[1], stack.shape[2]), ("",) * len(stack))


def _on_cpu(form: MaskForm | Tensor) -> MaskForm:
    return _bitmaps_on_cpu(form) if isinstance(form, Tensor) else form


def _image_size(form: MaskForm | Tensor) -> tuple[int, int]:
    if isinstance(form, Tensor):
        return form.shape[1], form.shape[2]
    return form.image_size


def _names(form: MaskForm | Tensor) -> Sequence[str]:
    return ("",) * len(form) if isinstance(form, Tensor) else form.names


def _describe(value: object) -> str:
    """Type, dtype and shape of what came instead."""
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__} {value.dtype} {tuple(value.shape)}"
    return type(value).__name__
