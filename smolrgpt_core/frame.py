"""One RGB-D frame: color, metric depth, calibration and regions, all aligned.

Camera frame: the optical frame of REP 103 (x right, y down, z forward), meters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import PLAUSIBLE_DEPTH_M, DepthLoss, check_depth_unit
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.regions import RegionSet

PLAUSIBLE_VIEW_DEG = (5.0, 165.0)
"""Horizontal and vertical field of view of a camera that the pinhole model can describe."""

MAX_ASPECT = 1.34
"""Largest ratio of fx and fy, which allows for a 4:3 image stretched to 16:9."""

MAX_OFF_CENTER = 0.2
"""Largest offset of the principal point from the image center, as a fraction of the image size."""

MAX_OFF_CENTER_BOTH = 0.09
"""The same if it is off in both directions."""

MAX_CAMERA_HEIGHT_M = 50.0
"""No depth camera is mounted higher above its floor."""

_NORMALIZED = 2.5
"""A calibration whose largest number is at most this is not in pixels."""


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole calibration of a rectified image.

    Attributes:
        width, height: image size in pixels.
        fx, fy: focal lengths in pixels, positive.
        cx, cy: principal point in pixels; (0, 0) is the center of the upper left pixel.
        is_cut: the image was cropped from a larger one, or binned in one direction: its principal
            point may be anywhere, and fx and fy may differ by any factor.

    Raises:
        SpatialError: BAD_INPUT when a size or focal length is not positive or not finite, or when
            the calibration cannot belong to an image of this size.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    is_cut: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        values = np.array([self.width, self.height, self.fx, self.fy], dtype=np.float64)
        if not (np.all(np.isfinite(values)) and np.all(values > 0)):
            raise bad_input(
                "camera intrinsics need a positive size and focal lengths, got "
                f"width={self.width} height={self.height} fx={self.fx} fy={self.fy}; "
                "is the camera calibrated?",
            )
        if not np.all(np.isfinite([self.cx, self.cy])):
            raise bad_input(
                f"camera principal point must be finite, got cx={self.cx} cy={self.cy}",
            )
        problem = self._implausible()
        if problem:
            raise bad_input(
                f"the calibration fx={self.fx:g} fy={self.fy:g} cx={self.cx:g} cy={self.cy:g} "
                f"cannot belong to an image of {self.width}x{self.height}: {problem}",
            )

    def _implausible(self) -> str:
        """What is implausible about the calibration, and the likely reason; empty if nothing is."""
        if max(self.fx, self.fy, abs(self.cx), abs(self.cy)) <= _NORMALIZED:
            return (
                "it is normalized by the image size; give it in pixels (fx and cx times the width, "
                "fy and cy times the height)"
            )
        low, high = PLAUSIBLE_VIEW_DEG
        across, down = self.view_deg
        if not low <= across <= high or not low <= down <= high:
            return (
                f"its field of view would be {across:.3g} x {down:.3g} degrees, expected "
                f"{low:g} to {high:g}; give the focal length in pixels of this image"
            )
        if self.is_cut:
            return ""
        aspect = max(self.fx / self.fy, self.fy / self.fx)
        if aspect > MAX_ASPECT:
            return (
                f"fx and fy differ by a factor of {aspect:.3g}, expected at most {MAX_ASPECT:g}; "
                "is one of them wrong, or was the image stretched?"
            )
        return self._off_center()

    def _off_center(self) -> str:
        """Why the principal point is so far off the image center; empty if it is not."""
        right = (self.cx - (self.width - 1) / 2) / self.width
        below = (self.cy - (self.height - 1) / 2) / self.height
        far, near = max(abs(right), abs(below)), min(abs(right), abs(below))
        if far <= MAX_OFF_CENTER and near <= MAX_OFF_CENTER_BOTH:
            return ""
        swapped = max(
            abs(self.cy - (self.width - 1) / 2) / self.width,
            abs(self.cx - (self.height - 1) / 2) / self.height,
        )
        if swapped < MAX_OFF_CENTER_BOTH:
            reason = "are cx and cy, or width and height, swapped?"
        else:
            like = f"{2 * self.cx + 1:.0f}x{2 * self.cy + 1:.0f}"
            reason = (
                f"it looks like that of an image of {like}: scale it to the size of this image, "
                "and shift cx and cy if the image was cropped"
            )
        return (
            f"the principal point is off center by {right:+.0%} of the width and {below:+.0%} "
            f"of the height; {reason}"
        )

    @property
    def view_deg(self) -> tuple[float, float]:
        """Horizontal and vertical field of view in degrees, between the outer pixel edges."""
        left, right = self.cx + 0.5, self.width - 0.5 - self.cx
        above, below = self.cy + 0.5, self.height - 0.5 - self.cy
        across = math.atan(left / self.fx) + math.atan(right / self.fx)
        down = math.atan(above / self.fy) + math.atan(below / self.fy)
        return math.degrees(across), math.degrees(down)

    @classmethod
    def from_vertical_fov(cls, width: int, height: int, fov_y_deg: float) -> CameraIntrinsics:
        """Calibration with square pixels and the principal point at the image center.

        Args:
            width: of the image in pixels.
            height: of the image in pixels.
            fov_y_deg: vertical field of view in degrees.

        Raises:
            SpatialError: BAD_INPUT for an angle outside 0 to 180 degrees, or an empty image.
        """
        if not 0 < fov_y_deg < 180:
            raise bad_input(
                f"vertical field of view must be between 0 and 180 degrees, got {fov_y_deg}",
            )
        focal = height / 2 / math.tan(math.radians(fov_y_deg) / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


@dataclass(frozen=True, eq=False)
class RGBDFrame:
    """Aligned color, depth and regions with one stamp.

    Attributes:
        rgb: uint8 (H, W, 3), RGB order.
        depth: float32 (H, W), meters along the optical axis; NaN where there is no reading.
        intrinsics: calibration of the common image plane.
        regions: the segmented objects, masks aligned to `rgb`.
        stamp_ns: acquisition time in nanoseconds, 0 if unknown.
        frame_id: name of the optical frame that metric results refer to.
        depth_loss: how much of the depth image was rejected as no reading.
        depth_doubt: why the depth may be of another moment than `rgb`; empty if there is no sign of
            it.
        calibration_note: why the calibration may be that of another camera, where nothing but the
            name of its frame implies so; empty if it does not.
        up: unit vector (3,) in the optical frame, opposite to gravity, from tf or an IMU; None:
            unknown, geometry estimates it from the floor.
        camera_height: of the optical center above the floor, meters, e.g. from tf; None: unknown,
            geometry estimates it from the floor. With `up`, it locates a floor that is not visible.

    Raises:
        SpatialError: BAD_INPUT when dtypes or sizes do not match, the depth unit is wrong, `up` is
            not a unit vector, or `camera_height` is not positive.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    intrinsics: CameraIntrinsics
    regions: RegionSet
    stamp_ns: int = 0
    frame_id: str = "camera_optical_frame"
    depth_loss: DepthLoss = field(default_factory=DepthLoss)
    depth_doubt: str = ""
    calibration_note: str = ""
    up: NDArray[np.float64] | None = None
    camera_height: float | None = None

    def __post_init__(self) -> None:
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.rgb.dtype != np.uint8 or self.rgb.shape != (*size, 3):
            raise _wrong_array("rgb", f"uint8 {(*size, 3)}", self.rgb)
        if self.depth.dtype != np.float32 or self.depth.shape != size:
            raise _wrong_array("depth", f"float32 {size}", self.depth)
        if self.regions.image_size != size:
            raise bad_input(
                f"regions were segmented on an image of (height, width) {self.regions.image_size}, "
                f"the calibration is for {size}; use regions from the same camera and resolution",
            )
        check_depth_unit(self.depth)
        farthest = PLAUSIBLE_DEPTH_M[1]
        if np.any(self.depth <= 0) or np.any(self.depth > farthest):
            raise bad_input(
                f"depth must be positive and at most {farthest:g} meters, or NaN where there is no "
                "reading, got zero, negative or larger values; pass it through clean_depth()",
            )
        if self.up is not None:
            _check_up(self.up)
        if self.camera_height is not None and not 0 < self.camera_height < MAX_CAMERA_HEIGHT_M:
            raise bad_input(
                "the height of the camera above the floor must be positive and below "
                f"{MAX_CAMERA_HEIGHT_M:g} meters, got {self.camera_height:g}; give the height of "
                "its optical center",
            )


def _check_up(up: NDArray[np.float64]) -> None:
    if up.shape != (3,) or not abs(float(np.linalg.norm(up)) - 1) < 1e-3:
        raise bad_input(
            f"up must be a unit vector (3,) in the optical frame, got {np.asarray(up).tolist()}; a "
            "level camera has (0, -1, 0)",
        )


def _wrong_array(name: str, expected: str, array: NDArray) -> SpatialError:
    return bad_input(
        f"{name} must be {expected} to match the calibration, got {array.dtype} {array.shape}",
    )
