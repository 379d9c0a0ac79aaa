"""Augmented views of a row that keep its questions and answers true.

One transformation of the pixels mirrors, crops and scales image, depth, masks and camera together.
Distances in meters, counts and sizes do not change; left and right are swapped in the texts. The
random draws depend only on the row, so a resumed run sees the same views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.samples import Conversation, DepthFile, ImageFile, Sample
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import decode_rle, encode_rle
from smolrgpt_core.training.config import AugmentationConfig
from smolrgpt_core.training.mirrored_text import mirrored
from smolrgpt_core.training.rows import Row

_DRAWS = 1
"""Added to the seed of a row, so that its augmentation has random draws of its own."""

_LEAST_SIDE = 16
"""Pixels that a view has along each side at least."""

Window = tuple[int, int, int, int]
"""Left, upper, right and lower border in pixels, the last two not included."""


@dataclass(frozen=True)
class View:
    """A transformation of the pixels of an image.

    Attributes:
        of: (width, height) of the image.
        window: the part that is cut out.
        size: (width, height) that it is resized to.
        is_flipped: whether it is mirrored, as the last step.
    """

    of: tuple[int, int]
    window: Window
    size: tuple[int, int]
    is_flipped: bool = False

    def image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Apply this view to an image (H, W, 3).

        Raises:
            SpatialError: BAD_INPUT for an image of another size.
        """
        return self._of(pixels, cv2.INTER_AREA if self._shrinks else cv2.INTER_LINEAR)

    def nearest(self, values: NDArray) -> NDArray:
        """Apply this view to depth or a mask (H, W) by nearest neighbor."""
        return self._of(values, cv2.INTER_NEAREST_EXACT)

    def camera(self, camera: CameraIntrinsics) -> CameraIntrinsics:
        """The calibration of this view; the whole image is mapped to the whole image."""
        left, upper, right, lower = self.window
        (width, height), sides = self.size, (right - left, lower - upper)
        across, down = width / sides[0], height / sides[1]
        cx = (camera.cx - left + 0.5) * across - 0.5
        cy = (camera.cy - upper + 0.5) * down - 0.5
        return CameraIntrinsics(
            width,
            height,
            camera.fx * across,
            camera.fy * down,
            width - 1 - cx if self.is_flipped else cx,
            cy,
            is_cut=camera.is_cut or sides != (camera.width, camera.height),
        )

    @property
    def _shrinks(self) -> bool:
        left, upper, right, lower = self.window
        return self.size[0] < right - left or self.size[1] < lower - upper

    def _of(self, values: NDArray, resampling: int) -> NDArray:
        left, upper, right, lower = self.window
        if values.shape[1::-1] != self.of:
            raise bad_input(
                f"masks have (width, height) {self.of}, but image or depth {values.shape[1::-1]}; "
                "they must be aligned"
            )
        part = values[upper:lower, left:right]
        if self.size != (right - left, lower - upper):
            part = cv2.resize(part, self.size, interpolation=resampling)
        return np.ascontiguousarray(part[:, ::-1] if self.is_flipped else part)


@dataclass(frozen=True)
class SeenImage(ImageFile):
    """An image file in another view."""

    view: View | None = None

    def read(self) -> NDArray[np.uint8]:
        """As `ImageFile`."""
        pixels = super().read()
        return pixels if self.view is None else self.view.image(pixels)


@dataclass(frozen=True)
class SeenDepth(DepthFile):
    """A depth file in another view, with added noise and holes.

    Attributes:
        view: of the pixels.
        noise: standard deviation, as a fraction of the depth.
        missing: fraction of the image without readings, in one rectangle.
        draws: seed of both.
    """

    view: View | None = None
    noise: float = 0.0
    missing: float = 0.0
    draws: tuple[int, ...] = ()

    def read(self) -> Any:
        """As `DepthFile`; a depth image without a unit gets no noise."""
        levels = super().read()
        if self.view is not None:
            levels = self.view.nearest(levels)
        if levels.dtype != np.uint16:
            return levels
        random = np.random.default_rng(self.draws)
        measured = levels.astype(np.uint16, copy=False)
        return _without_part(_noisy(measured, self.noise, random), self.missing, random)


class Augmentation:
    """Changes rows before they are decoded.

    Args:
        config: what may change, and how often.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        self._config = config

    def row(self, row: Row) -> Row:
        """The row in a view that depends on its draws only.

        Raises:
            SpatialError: BAD_INPUT when a mask cannot be decoded.
        """
        config, random = self._config, np.random.default_rng([*row.draws, _DRAWS])
        # All first: what a row cannot do must not change what another draw gives.
        flips, crops, scales = random.random(3) < (config.flip, config.crop, config.scale)
        corners = random.random(4)
        low, high = config.scales
        factor = random.uniform(low, high) if scales else 1.0
        named = sorted({i for item in row.conversations for i in item.mask_indices})
        size = _size_of(row.sample, named)
        if size is None:
            return row
        masks = {index: row.sample.mask(index) for index in named}
        conversations = _mirrored(row.conversations) if flips else None
        view = View(
            size,
            self._window(list(masks.values()), size, corners) if crops else (0, 0, *size),
            size,
            conversations is not None,
        )
        changed = _with_sample(row, _resized(view, factor), masks, config)
        return changed if conversations is None else replace(changed, conversations=conversations)

    def _window(
        self, masks: list[NDArray[np.bool_]], size: tuple[int, int], corners: NDArray
    ) -> Window:
        """A part of the image that holds all masks, which has at least the smallest size."""
        seen = np.any(masks, axis=0)
        low_x, high_x = _cut(seen.any(axis=0), self._config.smallest_crop, corners[:2])
        low_y, high_y = _cut(seen.any(axis=1), self._config.smallest_crop, corners[2:])
        return low_x, low_y, high_x, high_y


def _cut(is_needed: NDArray[np.bool_], smallest: float, draws: NDArray) -> tuple[int, int]:
    """Two borders along one axis (N,), both outside of what is needed."""
    length = len(is_needed)
    places = np.flatnonzero(is_needed)
    first, last = int(places[0]), int(places[-1]) + 1
    least = max(int(np.ceil(length * smallest)), min(_LEAST_SIDE, length))
    low = int(draws[0] * (min(first, length - least) + 1))
    lowest_end = max(last, low + least)
    return low, lowest_end + int(draws[1] * (length - lowest_end + 1))


def _size_of(sample: Sample, named: list[int]) -> tuple[int, int] | None:
    """(width, height) of the masks; None for a row without regions, which has only its image.

    A caption may be about anything in it, so nothing may be cut off or mirrored.
    """
    if not named:
        return None
    height, width = decode_rle(sample.rle[named[0]]).shape
    return width, height


def _mirrored(conversations: tuple[Conversation, ...]) -> tuple[Conversation, ...] | None:
    """All conversations about the mirrored image; None if one of them cannot be mirrored."""
    changed = tuple(map(mirrored, conversations))
    return None if any(item is None for item in changed) else changed  # type: ignore[return-value]


def _resized(view: View, factor: float) -> View:
    left, upper, right, lower = view.window
    width, height = (max(round(side * factor), 1) for side in (right - left, lower - upper))
    return replace(view, size=(width, height))


def _with_sample(
    row: Row, view: View, masks: dict[int, NDArray[np.bool_]], config: AugmentationConfig
) -> Row:
    """The row with its sample in a view; masks that it does not name are left as they are."""
    sample = row.sample
    seen: Callable[[NDArray], NDArray] = view.nearest
    rle = list(sample.rle)
    for index, mask in masks.items():
        changed = seen(mask.astype(np.uint8)).astype(bool)
        if not changed.any():
            # So small that scaling lost it.
            return row
        rle[index] = encode_rle(changed)
    camera = sample.camera
    depth = sample.depth
    return replace(
        row,
        sample=replace(
            sample,
            image=SeenImage(sample.image.path, sample.image.content, view),
            depth=depth and _seen_depth(depth, view, config, (*row.draws, _DRAWS, _DRAWS)),
            rle=tuple(rle),
            camera=camera and CameraRecord(view.camera(camera.intrinsics), camera.depth_scale),
        ),
    )


def _seen_depth(
    depth: DepthFile, view: View, config: AugmentationConfig, draws: tuple[int, ...]
) -> SeenDepth:
    return SeenDepth(
        depth.path,
        depth.content,
        depth.meters_per_unit,
        view,
        config.depth_noise,
        config.missing_depth,
        draws,
    )


def _noisy(
    levels: NDArray[np.uint16], noise: float, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Depth (H, W) with noise that grows with it; 0, no reading, stays 0."""
    if not noise:
        return levels
    factors = random.normal(1.0, noise, levels.shape)
    changed = np.clip(np.rint(levels * factors), 1, np.iinfo(np.uint16).max).astype(np.uint16)
    return np.where(levels == 0, levels, changed)


def _without_part(
    levels: NDArray[np.uint16], fraction: float, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Depth (H, W) without the readings of a rectangle."""
    if not fraction:
        return levels
    height, width = (max(round(side * np.sqrt(fraction)), 1) for side in levels.shape)
    top = int(random.integers(levels.shape[0] - height + 1))
    left = int(random.integers(levels.shape[1] - width + 1))
    changed = levels.copy()
    changed[top : top + height, left : left + width] = 0
    return changed
