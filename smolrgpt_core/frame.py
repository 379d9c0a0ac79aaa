"""One moment of an RGB-D camera: colour, metric depth, calibration and regions, all aligned.

Camera frame: the optical frame of REP 103 (x right, y down, z forward), metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.regions import RegionSet

PLAUSIBLE_DEPTH_M = (0.1, 100.0)
"""Bounds of a plausible median depth of a warehouse frame; outside, the unit is wrong."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole calibration of a rectified image.

    Attributes:
        width, height: image size in pixels.
        fx, fy: focal lengths in pixels, positive.
        cx, cy: principal point in pixels; (0, 0) is the centre of the upper left pixel.

    Raises:
        SpatialError: BAD_INPUT when a size or focal length is not positive or not finite.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = np.array([self.width, self.height, self.fx, self.fy], dtype=np.float64)
        if not (np.all(np.isfinite(values)) and np.all(values > 0)):
            raise SpatialError(
                Status.BAD_INPUT,
                "camera intrinsics need a positive size and focal lengths, got "
                f"width={self.width} height={self.height} fx={self.fx} fy={self.fy}; "
                "is the camera calibrated?",
            )
        if not np.all(np.isfinite([self.cx, self.cy])):
            raise SpatialError(
                Status.BAD_INPUT,
                f"camera principal point must be finite, got cx={self.cx} cy={self.cy}",
            )

    @classmethod
    def from_vertical_fov(cls, width: int, height: int, fov_y_deg: float) -> CameraIntrinsics:
        """Square pixels, principal point in the middle of the image, vertical angle in degrees.

        Raises:
            SpatialError: BAD_INPUT for an angle outside 0 to 180 degrees, or a size of nothing.
        """
        if not 0 < fov_y_deg < 180:
            raise SpatialError(
                Status.BAD_INPUT,
                f"vertical field of view must lie between 0 and 180 degrees, got {fov_y_deg}",
            )
        focal = height / 2 / math.tan(math.radians(fov_y_deg) / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


@dataclass(frozen=True, eq=False)
class RGBDFrame:
    """Aligned colour, depth and regions with one stamp.

    Attributes:
        rgb: uint8 (H, W, 3), RGB order.
        depth: float32 (H, W), metres along the optical axis; NaN where there is no reading.
        intrinsics: calibration of the common image plane.
        regions: the segmented objects, masks aligned to `rgb`.
        stamp_ns: acquisition time in nanoseconds, 0 if unknown.
        frame_id: name of the optical frame that metric results refer to.

    Raises:
        SpatialError: BAD_INPUT when dtypes or sizes do not agree, or the depth unit is wrong.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    intrinsics: CameraIntrinsics
    regions: RegionSet
    stamp_ns: int = 0
    frame_id: str = "camera_optical_frame"

    def __post_init__(self) -> None:
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.rgb.dtype != np.uint8 or self.rgb.shape != (*size, 3):
            raise _wrong_array("rgb", f"uint8 {(*size, 3)}", self.rgb)
        if self.depth.dtype != np.float32 or self.depth.shape != size:
            raise _wrong_array("depth", f"float32 {size}", self.depth)
        if self.regions.image_size != size:
            raise SpatialError(
                Status.BAD_INPUT,
                f"regions were segmented on an image of (height, width) {self.regions.image_size}, "
                f"the calibration is for {size}; feed regions of the same camera and resolution",
            )
        if np.any(self.depth <= 0) or np.any(np.isinf(self.depth)):
            raise SpatialError(
                Status.BAD_INPUT,
                "depth must be positive metres, or NaN where there is no reading, got zero, "
                "negative or infinite values; pass it through clean_depth()",
            )
        check_depth_unit(self.depth)


def clean_depth(depth_m: NDArray[np.floating]) -> NDArray[np.float32]:
    """Metric depth (H, W) with every "no reading" (zero, negative, NaN, Inf) written as NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        depth = np.asarray(depth_m, dtype=np.float32)
        valid = np.isfinite(depth) & (depth > 0)
    return np.where(valid, depth, np.float32(np.nan))


def depth_to_units(
    depth: NDArray[np.float32], metres_per_unit: float = 0.001
) -> NDArray[np.uint16]:
    """Metres (H, W) as 16 bit whole numbers, rounded; the inverse of `clean_depth`.

    0 stands for "no reading", and for what 16 bits cannot hold (over 65.5 m in millimetres).
    """
    units = np.nan_to_num(np.round(depth / metres_per_unit), nan=0.0)
    return np.where(units <= np.iinfo(np.uint16).max, units, 0).astype(np.uint16)


class DepthUnitError(SpatialError):
    """Depth that is not in metres, as its values tell."""


def check_depth_unit(depth: NDArray[np.float32]) -> None:
    """Refuse depth in the wrong unit: metres (H, W), NaN = no reading.

    Raises:
        DepthUnitError: BAD_INPUT when the median of the readings is not plausible. A frame without
            any reading passes: that is missing depth, not a wrong unit.
    """
    readings = depth[np.isfinite(depth)]
    low, high = PLAUSIBLE_DEPTH_M
    outside = max(np.count_nonzero(readings < low), np.count_nonzero(readings > high))
    if 2 * outside > readings.size:
        raise DepthUnitError(
            Status.BAD_INPUT,
            f"median depth is {np.median(readings):.4g} m, expected {low} to {high} m: the depth "
            "unit is wrong; set the depth scale (metres per unit) of this camera",
        )


def _wrong_array(name: str, expected: str, array: NDArray) -> SpatialError:
    return SpatialError(
        Status.BAD_INPUT,
        f"{name} must be {expected} to match the calibration, got {array.dtype} {array.shape}",
    )
