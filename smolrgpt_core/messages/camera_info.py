"""Calibration, region of interest and lens distortion from a sensor_msgs/CameraInfo.

Width, height, K and P are those of the full sensor; `roi` and then `binning` define which part of
it the image shows (http://docs.ros.org/en/api/sensor_msgs/html/msg/CameraInfo.html). K is for the
distorted image, P for the rectified one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.sensor_settings import NEVER
from smolrgpt_core.messages.types import Message
from smolrgpt_core.rectification import Lens, LensModel

PINHOLE_MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14)}
"""Distortion models with radial and tangential coefficients, and their possible numbers."""

FISHEYE_MODELS = ("equidistant", "fisheye", "kannala_brandt")
"""Names of the fisheye model with four coefficients."""

MAX_SKEW = 0.01
"""Largest skew of K and P, relative to the focal length; it is not taken into account."""

MAX_CONTRADICTION = 0.02
"""Largest difference of P and K without distortion, relative to focal length or image size."""

_RECTIFIED_WORDS = {"rect", "rectified", "undistorted"}


@dataclass(frozen=True)
class Rectification:
    """How the distortion of an image is handled.

    Attributes:
        lens: distortion to remove; None: the image is used as it is.
        text: what is done and why, for an operator.
    """

    lens: Lens | None
    text: str


def intrinsics_from_camera_info(
    message: Message, image_size: tuple[int, int] | None = None
) -> CameraIntrinsics:
    """Pinhole calibration of the rectified image: P if it is set, otherwise K.

    Args:
        message: the calibration.
        image_size: (height, width) of the image; None: that of the full sensor.

    Raises:
        SpatialError: BAD_INPUT for an uncalibrated camera, or a calibration that cannot belong to
            the image, is inconsistent, or whose roi and binning do not yield the image.
    """
    _refuse_uncalibrated(message)
    return _part(message, image_size).of(_full_projection(message))


def rectification(
    message: Message, image_size: tuple[int, int], setting: str, topic: str
) -> Rectification:
    """How to handle the lens distortion in a calibration.

    Args:
        message: the calibration.
        image_size: (height, width) of the image.
        setting: one of `RECTIFY_CHOICES`.
        topic: of the image; a name with a word such as "rect" means rectified images.

    Raises:
        SpatialError: BAD_INPUT as `intrinsics_from_camera_info`, for an unknown distortion model,
            and for images that may be raw or rectified, with different calibrations.
    """
    is_plain = not is_distorted(message) and message.distortion_model not in FISHEYE_MODELS
    if is_plain and _is_unturned(message):
        return Rectification(None, "not needed: camera_info has no distortion")
    if setting == NEVER:
        return Rectification(None, "none: rectify is never, images must already be rectified")
    if _RECTIFIED_WORDS & set(re.split(r"[/_-]", topic.lower())):
        return Rectification(None, f"none: the name of {topic} says that its images are rectified")
    if is_plain:
        _refuse_rotation(message)
        return Rectification(None, "not needed: camera_info has no distortion")
    model, coefficients = _distortion(message)
    part = _part(message, image_size)
    matrix = _full_matrix(message)
    target = _full_projection(message) if _is_unturned(message) else matrix
    lens = Lens(model, coefficients, part.of(matrix), part.of(target))
    return Rectification(lens, f"{message.distortion_model} distortion is removed")


def is_distorted(message: Message) -> bool:
    """Whether the lens has distortion, so that distances need rectified images."""
    return any(coefficient != 0.0 for coefficient in message.d)


@dataclass(frozen=True)
class _Part:
    """The part of the sensor that an image shows, and its binning."""

    x: int
    y: int
    width: int
    height: int
    binning_x: int
    binning_y: int

    def of(self, full: CameraIntrinsics) -> CameraIntrinsics:
        """The calibration of this part."""
        width, height = self.width // self.binning_x, self.height // self.binning_y
        is_whole = (self.width, self.height) == (full.width, full.height)
        return CameraIntrinsics(
            width,
            height,
            full.fx / self.binning_x,
            full.fy / self.binning_y,
            # The center of the first image pixel is amid the sensor pixels that it combines.
            (full.cx - self.x + 0.5) / self.binning_x - 0.5,
            (full.cy - self.y + 0.5) / self.binning_y - 0.5,
            is_cut=not is_whole or self.binning_x != self.binning_y,
        )


def _part(message: Message, image_size: tuple[int, int] | None) -> _Part:
    """Raises BAD_INPUT when size, roi and binning do not yield an image of this size."""
    full = (int(message.width), int(message.height))
    roi = message.roi
    x, y, width, height = (
        int(value) for value in (roi.x_offset, roi.y_offset, roi.width, roi.height)
    )
    binning = (max(int(message.binning_x), 1), max(int(message.binning_y), 1))
    if (x, y, width, height) == (0, 0, 0, 0):
        width, height = full
    part = _Part(x, y, width, height, *binning)
    if image_size is None:
        image_size = (height // binning[1], width // binning[0])
    is_inside = min(width, height) > 0 and x + width <= full[0] and y + height <= full[1]
    if is_inside and (height // binning[1], width // binning[0]) == image_size:
        return part
    image = f"{image_size[1]}x{image_size[0]}"
    if (x, y, width, height, *binning) == (0, 0, *full, 1, 1):
        remedy = (
            "remap to the `camera_info` of this image"
            if min(full) > 0
            else "set the size of the image in the calibration file of its driver"
        )
        raise bad_input(
            f"camera_info is for {full[0]}x{full[1]}, the rgb image is {image}; {remedy}"
        )
    raise bad_input(
        f"camera_info is for a sensor of {full[0]}x{full[1]} with roi {width}x{height} at "
        f"({x}, {y}) and binning {binning[0]}x{binning[1]}, which yields no rgb image of "
        f"{image}: "
        "width, height, K and P must be those of the full sensor, or roi and binning 0"
    )


def _refuse_uncalibrated(message: Message) -> None:
    if all(value == 0.0 for value in message.k):
        raise bad_input(
            "camera_info has a zero matrix K: the camera is not calibrated; calibrate it, or "
            "configure a calibration file in its driver"
        )


def _check_form(name: str, values: NDArray[np.float64], form: str) -> None:
    """Raises BAD_INPUT for a matrix that is not laid out as a pinhole camera's.

    Args:
        name: K or P.
        values: (3, 3) or (3, 4).
        form: what it should look like.
    """
    (fx, skew), rest = values[0, :2], (values[1, 0], values[2, 0], values[2, 1])
    if np.all(np.isfinite(values)) and (any(rest) or abs(skew) > MAX_SKEW * abs(fx)):
        listed = ", ".join(f"{value:g}" for value in values.ravel())
        raise bad_input(
            f"{name} of camera_info must be {form}, row by row, got [{listed}]: is it in columns?"
        )


def _full_matrix(message: Message) -> CameraIntrinsics:
    """K, of the full sensor."""
    _check_form("K", np.reshape(message.k, (3, 3)), "[fx, 0, cx, 0, fy, cy, 0, 0, 1]")
    return _named("K", message, [message.k[index] for index in (0, 4, 2, 5)])


def _full_projection(message: Message) -> CameraIntrinsics:
    """P if it is set, otherwise K; of the full sensor."""
    matrix = _full_matrix(message)
    if not np.all(np.isfinite(message.d)):
        raise bad_input(f"camera_info has distortion coefficients that are not finite: {message.d}")
    if all(value == 0.0 for value in message.p):
        return matrix
    form = "[fx, 0, cx, Tx, 0, fy, cy, Ty, 0, 0, 1, 0]"
    _check_form("P", np.reshape(message.p, (3, 4)), form)
    projection = _named("P", message, [message.p[index] for index in (0, 5, 2, 6)])
    if not is_distorted(message) and _is_unturned(message):
        difference = _difference(matrix, projection)
        if difference:
            raise bad_input(
                f"camera_info is inconsistent: {difference}, although there is no distortion "
                "(D = 0) and no rotation (R = I); is one of them for another resolution?"
            )
    return projection


def _named(name: str, message: Message, pinhole: list[float]) -> CameraIntrinsics:
    try:
        return CameraIntrinsics(
            int(message.width), int(message.height), *(float(value) for value in pinhole)
        )
    except SpatialError as error:
        raise bad_input(f"{name} of camera_info: {error.message}") from error


def _refuse_rotation(message: Message) -> None:
    """Raises BAD_INPUT where a rotation makes P that of rectified images, K that of raw ones."""
    difference = _difference(_full_matrix(message), _full_projection(message))
    if difference:
        raise bad_input(
            f"camera_info has a rotation (R is not the identity), and {difference}: P applies to "
            "rectified images, K to raw ones; set rectify to never if the images are rectified, "
            "otherwise set R to the identity and P to K"
        )


def _difference(matrix: CameraIntrinsics, projection: CameraIntrinsics) -> str:
    """In what P and K differ by more than `MAX_CONTRADICTION`; empty if they do not."""
    largest = max(
        abs(projection.fx / matrix.fx - 1),
        abs(projection.fy / matrix.fy - 1),
        abs(projection.cx - matrix.cx) / matrix.width,
        abs(projection.cy - matrix.cy) / matrix.height,
    )
    if largest <= MAX_CONTRADICTION:
        return ""
    found = [
        f"{name} (fx={item.fx:g} fy={item.fy:g} cx={item.cx:g} cy={item.cy:g})"
        for name, item in (("P", projection), ("K", matrix))
    ]
    return f"{found[0]} differs from {found[1]}"


def _is_unturned(message: Message) -> bool:
    """Whether R is the identity, or not set."""
    rotation = np.asarray(message.r, dtype=np.float64)
    return not rotation.any() or bool(np.allclose(rotation, np.eye(3).ravel(), atol=1e-6))


def _distortion(message: Message) -> tuple[LensModel, tuple[float, ...]]:
    model, coefficients = message.distortion_model, tuple(float(value) for value in message.d)
    if not np.all(np.isfinite(coefficients)):
        raise bad_input(
            f"camera_info has distortion coefficients that are not finite: {coefficients}"
        )
    if model in FISHEYE_MODELS and not any(coefficients):
        raise bad_input(
            f"camera_info has the distortion model {model!r}, but all coefficients are 0: "
            "either the lens is not calibrated, or the images are already rectified; calibrate the "
            "lens, or set rectify to never if the images are rectified"
        )
    if len(coefficients) in PINHOLE_MODELS.get(model, ()):
        return "pinhole", coefficients
    if model in FISHEYE_MODELS and len(coefficients) >= 4 and not any(coefficients[4:]):
        return "fisheye", coefficients[:4]
    counts = (4,) if model in FISHEYE_MODELS else PINHOLE_MODELS.get(model, ())
    known = ", ".join([*PINHOLE_MODELS, *FISHEYE_MODELS])
    expected = f"takes {' or '.join(map(str, counts))}" if counts else f"is none of {known}"
    raise bad_input(
        f"camera_info has {len(coefficients)} coefficients for the distortion model {model!r}, "
        f"which {expected}; correct the calibration file, or provide rectified images (image_proc) "
        "and set rectify to never"
    )
