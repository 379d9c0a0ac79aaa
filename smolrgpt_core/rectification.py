"""Removes the lens distortion of a frame from color, depth and regions.

Color is interpolated. Depth and masks use the nearest pixel, because a depth between two surfaces
belongs to neither. The optical axis does not change, and so neither does the depth along it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Region, RegionSet

CACHED_LENSES = 4
"""Cameras whose maps are cached, at least 14 bytes per pixel each."""

MIN_COVERED = 0.5
"""Fraction of the rectified image that the image must cover; less means wrong coefficients."""


LensModel = Literal["pinhole", "fisheye"]


@dataclass(frozen=True)
class Lens:
    """Lens distortion of a camera.

    Attributes:
        model: "pinhole": radial and tangential coefficients, `cv2.initUndistortRectifyMap`;
            "fisheye": equidistant, `cv2.fisheye.initUndistortRectifyMap`.
        coefficients: as OpenCV expects them.
        source: pinhole part of the calibration of the distorted image.
        target: calibration of the rectified image, of the same size.
    """

    model: LensModel
    coefficients: tuple[float, ...]
    source: CameraIntrinsics
    target: CameraIntrinsics


def rectified(frame: RGBDFrame, lens: Lens) -> RGBDFrame:
    """The frame as a camera without distortion would see it, with `lens.target` as calibration.

    Pixels outside the original image become black and have no depth; regions without any remaining
    pixel are dropped, and named in `RegionSet.lost`.

    Raises:
        SpatialError: BAD_INPUT when the coefficients cannot belong to this camera.
    """
    maps = _maps(lens)
    depth = np.where(maps.is_inside, frame.depth.ravel()[maps.nearest], np.float32(np.nan))
    return replace(
        frame,
        rgb=np.asarray(cv2.remap(frame.rgb, maps.x, maps.y, cv2.INTER_LINEAR), np.uint8),
        depth=depth,
        intrinsics=lens.target,
        regions=maps.rectified_regions(frame.regions),
    )


@dataclass(frozen=True, eq=False)
class _Maps:
    """Where each pixel of the rectified image comes from in the distorted image.

    Attributes:
        x, y: float32 (H, W), pixels.
        nearest: int (H, W), index of the nearest pixel; 0 outside the image.
        is_inside: bool (H, W), whether it lies inside the image.
        order: indices of rectified pixels, sorted by their source pixel.
        starts: int (H * W + 1,), where in `order` those of each source pixel begin.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    nearest: NDArray[np.intp]
    is_inside: NDArray[np.bool_]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    def rectified_regions(self, regions: RegionSet) -> RegionSet:
        """Regions moved pixel by pixel, so that small regions cost little."""
        moved = [self._rectified_region(region) for region in regions]
        lost = [region.name for region, new in zip(regions, moved, strict=True) if new is None]
        return replace(regions, regions=tuple(filter(None, moved)), lost=tuple(lost))

    def _rectified_region(self, region: Region) -> Region | None:
        width = self.x.shape[1]
        rows, columns = np.nonzero(region.mask)
        pixels = (rows + region.box.y) * width + columns + region.box.x
        first, counts = self.starts[pixels], self.starts[pixels + 1] - self.starts[pixels]
        if not counts.any():
            return None
        # first[i], first[i] + 1, ... counts[i] of them, one after the other
        ends = np.cumsum(counts)
        within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        rows, columns = np.divmod(self.order[np.repeat(first, counts) + within], width)
        moved = Region.from_pixels(region.id, region.label, rows, columns)
        return replace(region, box=moved.box, mask=moved.mask)


@lru_cache(maxsize=CACHED_LENSES)
def _maps(lens: Lens) -> _Maps:
    size = (lens.target.width, lens.target.height)
    source, target = _matrix(lens.source), _matrix(lens.target)
    coefficients = np.array(lens.coefficients, np.float64)
    make = (
        cv2.fisheye.initUndistortRectifyMap
        if lens.model == "fisheye"
        else (cv2.initUndistortRectifyMap)
    )
    x, y = make(source, coefficients, np.eye(3), target, size, cv2.CV_32FC1)
    width, height = lens.source.width, lens.source.height
    with np.errstate(invalid="ignore"):
        column, row = np.rint(x), np.rint(y)
        is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    covered = is_inside.mean()
    if covered < MIN_COVERED:
        raise bad_input(
            f"removing the lens distortion {_short(lens.coefficients)} ({lens.model}) would leave "
            f"only {covered:.0%} of the image: these coefficients cannot belong to this camera; "
            "calibrate it again, or set rectify to never if the images are already rectified",
        )
    nearest = np.zeros(x.shape, dtype=np.intp)
    nearest[is_inside] = (row[is_inside] * width + column[is_inside]).astype(np.intp)
    taken = np.flatnonzero(is_inside)
    order = taken[np.argsort(nearest[is_inside], kind="stable")]
    starts = np.searchsorted(nearest.ravel()[order], np.arange(width * height + 1))
    return _Maps(x, y, nearest, is_inside, order, starts)


def _matrix(intrinsics: CameraIntrinsics) -> NDArray[np.float64]:
    return np.array(
        [[intrinsics.fx, 0, intrinsics.cx], [0, intrinsics.fy, intrinsics.cy], [0, 0, 1.0]]
    )


def _short(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{number:.3g}" for number in numbers) + ")"
