"""Messages to core types: plain functions for any library's messages, no state.

Every function raises a `SpatialError` with the status BAD_INPUT when the message cannot be used,
and says what to change. Images honour `step` and `is_bigendian`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from smolrgpt_core.depth import DepthLimits, DepthReadings, depth_readings
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.messages.types import Message
from smolrgpt_core.regions import Box, Region, RegionSet

RGB_LAYOUTS: dict[str, tuple[int, slice | list[int]]] = {
    "rgb8": (3, slice(0, 3)),
    "bgr8": (3, slice(2, None, -1)),
    "rgba8": (4, slice(0, 3)),
    "bgra8": (4, slice(2, None, -1)),
    "mono8": (1, [0, 0, 0]),
}
"""Colour encodings read without cv_bridge: channels of a pixel, which ones are red, green, blue."""

DEPTH_ENCODINGS: dict[str, tuple[DTypeLike, float]] = {
    "16UC1": (np.uint16, 0.001),
    "mono16": (np.uint16, 0.001),
    "32FC1": (np.float32, 1.0),
}
"""Depth encodings: type of a pixel, metres per unit unless the camera says otherwise."""

INSTANCE_ENCODINGS: dict[str, DTypeLike] = {
    "8UC1": np.uint8,
    "mono8": np.uint8,
    "16UC1": np.uint16,
    "mono16": np.uint16,
    "32SC1": np.int32,
}
"""Encodings of an image whose pixel value is the id of a region, 0 = background."""

MASK_ENCODINGS = ("mono8", "8UC1")


def image_array(message: Message, dtype: DTypeLike, channels: int) -> NDArray:
    """Pixels (H, W, channels) in the byte order of this machine.

    Raises:
        SpatialError: BAD_INPUT when size, step and data do not fit each other.
    """
    row_bytes = message.width * channels * np.dtype(dtype).itemsize
    needed = message.step * message.height
    if message.height == 0 or message.width == 0 or message.step < row_bytes:
        raise _bad(
            f"a {message.encoding} image of {message.width}x{message.height} needs rows of at "
            f"least {row_bytes} bytes and at least one pixel, its step is {message.step}; "
            "the driver fills sensor_msgs/Image wrongly"
        )
    if len(message.data) < needed:
        raise _bad(
            f"a {message.encoding} image of {message.width}x{message.height} with step "
            f"{message.step} needs {needed} bytes, got {len(message.data)}; "
            "the driver fills sensor_msgs/Image wrongly"
        )
    rows = np.frombuffer(message.data, np.uint8, count=needed).reshape(message.height, -1)
    stored = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    pixels = np.ascontiguousarray(rows[:, :row_bytes]).view(stored)
    shape = (message.height, message.width, channels)
    return pixels.reshape(shape).astype(dtype, copy=False)


def rgb_from_image(message: Message) -> NDArray[np.uint8]:
    """Colour uint8 (H, W, 3) in RGB order; mono8 becomes grey.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `RGB_LAYOUTS`.
    """
    if message.encoding not in RGB_LAYOUTS:
        raise _bad(
            f"a colour image must be one of {', '.join(RGB_LAYOUTS)}, got {message.encoding!r}; "
            "change the camera's encoding, or convert the image (image_proc)"
        )
    channels, red_green_blue = RGB_LAYOUTS[message.encoding]
    pixels = image_array(message, np.uint8, channels)
    return np.ascontiguousarray(pixels[:, :, red_green_blue])


def depth_from_image(message: Message, depth_scale: float = 0.0) -> NDArray[np.float32]:
    """Depth float32 (H, W) in metres, NaN = no reading: see `depth_readings_from_image`."""
    return depth_readings_from_image(message, depth_scale).metres


def depth_readings_from_image(
    message: Message, depth_scale: float = 0.0, limits: DepthLimits | None = None
) -> DepthReadings:
    """The readings of a depth image, and what of it was taken for none.

    Args:
        message: 16UC1 or mono16 (millimetres) or 32FC1 (metres).
        depth_scale: metres per unit of this camera; 0 = by encoding.
        limits: of the camera; None: the defaults.

    Raises:
        SpatialError: BAD_INPUT for any other encoding.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise _bad(
            f"a depth image must be one of {', '.join(DEPTH_ENCODINGS)}, got "
            f"{message.encoding!r}; is `depth` the right topic?"
        )
    dtype, default_scale = DEPTH_ENCODINGS[message.encoding]
    pixels = image_array(message, dtype, 1)[:, :, 0]
    return depth_readings(pixels, depth_scale or default_scale, limits)


def intrinsics_from_camera_info(message: Message) -> CameraIntrinsics:
    """Pinhole calibration of the rectified image.

    That is the projection matrix P where the driver fills it (after rectification P holds, not
    K), else K. Lens distortion is not undone: see `is_distorted`.

    Raises:
        SpatialError: BAD_INPUT for an uncalibrated camera.
    """
    if message.k[0] == 0.0:
        raise _bad(
            "camera_info has a zero matrix K: the camera is not calibrated; calibrate it, or give "
            "its driver a calibration file"
        )
    fx, fy, cx, cy = (
        (message.p[0], message.p[5], message.p[2], message.p[6])
        if message.p[0] != 0.0
        else (message.k[0], message.k[4], message.k[2], message.k[5])
    )
    return CameraIntrinsics(
        message.width, message.height, float(fx), float(fy), float(cx), float(cy)
    )


def is_distorted(message: Message) -> bool:
    """Whether the lens has distortion, so that only rectified images give right distances."""
    return any(coefficient != 0.0 for coefficient in message.d)


def check_resolution(rgb: Message, camera_info: Message) -> None:
    """Refuse the calibration of another image.

    Raises:
        SpatialError: BAD_INPUT when calibration and image have different sizes.
    """
    if (rgb.width, rgb.height) != (camera_info.width, camera_info.height):
        raise _bad(
            f"camera_info is for {camera_info.width}x{camera_info.height}, the rgb image is "
            f"{rgb.width}x{rgb.height}; remap or choose the `camera_info` of this image"
        )


def frame_from_messages(
    rgb: Message,
    depth: Message,
    camera_info: Message,
    regions: RegionSet,
    settings: SensorSettings | None = None,
    read_rgb: Callable[[Message], NDArray[np.uint8]] | None = None,
) -> RGBDFrame:
    """The messages of one moment as a frame, with stamp and frame of the rgb image.

    Args:
        rgb: colour image.
        depth: registered to it.
        camera_info: its calibration.
        regions: of the rgb image.
        settings: how they are read; None: the defaults.
        read_rgb: reads the colour image; None: `rgb_from_image`.

    Raises:
        SpatialError: BAD_INPUT when a message cannot be used, or they do not fit together.
    """
    settings = settings or SensorSettings()
    check_resolution(rgb, camera_info)
    readings = depth_readings_from_image(depth, settings.depth_scale, settings.depth_limits)
    return RGBDFrame(
        rgb=(read_rgb or rgb_from_image)(rgb),
        depth=readings.metres,
        intrinsics=intrinsics_from_camera_info(camera_info),
        regions=regions,
        stamp_ns=time_to_ns(rgb.header.stamp),
        frame_id=rgb.header.frame_id,
        depth_loss=readings.loss,
    )


def alignment_warnings(rgb: Message, depth: Message, camera_info: Message) -> tuple[str, ...]:
    """What an operator should know about messages that can be used nevertheless."""
    warnings = []
    if is_distorted(camera_info):
        warnings.append(
            "camera_info has lens distortion: distances are right only for rectified images "
            "(image_rect), as made by image_proc"
        )
    if depth.header.frame_id != rgb.header.frame_id:
        warnings.append(
            f"depth is in frame {depth.header.frame_id!r}, rgb in {rgb.header.frame_id!r}: depth "
            "must be registered to the rgb image (aligned_depth_to_color)"
        )
    return tuple(warnings)


def regions_from_array(message: Message) -> RegionSet:
    """Regions with masks cut to their boxes, from a `RegionArray`.

    Raises:
        SpatialError: BAD_INPUT when a mask has another encoding or size than its box, is empty,
            leaves the image, or when an id occurs twice.
    """
    regions = tuple(_region_from_message(region) for region in message.regions)
    return RegionSet((message.image_height, message.image_width), regions)


def _region_from_message(message: Message) -> Region:
    mask, box = message.mask, message.box
    if mask.encoding not in MASK_ENCODINGS:
        raise _bad(
            f"mask of region {message.id} must be {' or '.join(MASK_ENCODINGS)}, "
            f"got {mask.encoding!r}"
        )
    if (mask.height, mask.width) != (box.height, box.width):
        raise _bad(
            f"mask of region {message.id} is {mask.width}x{mask.height}, its box is "
            f"{box.width}x{box.height}; cut the mask to the box"
        )
    filled = image_array(mask, np.uint8, 1)[:, :, 0] != 0
    core_box = Box(box.x_offset, box.y_offset, box.width, box.height)
    return Region(message.id, message.label, core_box, filled, message.score)


def regions_from_instances(message: Message, labels: InstanceLabels) -> RegionSet:
    """Regions from an image whose pixel value is the region id, 0 = background.

    Raises:
        SpatialError: BAD_INPUT for an encoding without whole numbers, or a negative id.
    """
    if message.encoding not in INSTANCE_ENCODINGS:
        raise _bad(
            f"an instance image must be one of {', '.join(INSTANCE_ENCODINGS)}, got "
            f"{message.encoding!r}; is `instances` the right topic?"
        )
    ids = image_array(message, INSTANCE_ENCODINGS[message.encoding], 1)[:, :, 0]
    return RegionSet.from_label_image(ids, {int(id): labels[int(id)] for id in np.unique(ids)})


def _bad(message: str) -> SpatialError:
    return SpatialError(Status.BAD_INPUT, message)
