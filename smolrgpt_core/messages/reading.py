"""Messages to core types: plain functions for any library's messages, no state.

Every function raises a `SpatialError` with the status BAD_INPUT when the message cannot be used,
and says what to change. Images honour `step` and `is_bigendian`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import DepthLimits, DepthReadings, depth_readings
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.encodings import (
    MASK_ENCODINGS,
    canonical,
    depth_pixels,
    id_pixels,
    image_array,
    rgb_pixels,
)
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.messages.types import Message
from smolrgpt_core.regions import Box, Region, RegionSet


def depth_from_image(message: Message, depth_scale: float = 0.0) -> NDArray[np.float32]:
    """Depth float32 (H, W) in metres, NaN = no reading: see `depth_readings_from_image`."""
    return depth_readings_from_image(message, depth_scale).metres


def depth_readings_from_image(
    message: Message, depth_scale: float = 0.0, limits: DepthLimits | None = None
) -> DepthReadings:
    """The readings of a depth image, and what of it was taken for none.

    Args:
        message: in one of `DEPTH_ENCODINGS`: whole numbers are millimetres, others metres.
        depth_scale: metres per unit of this camera; 0 = by encoding.
        limits: of the camera; None: the defaults.

    Raises:
        SpatialError: BAD_INPUT for any other encoding.
    """
    pixels, default_scale = depth_pixels(message)
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
) -> RGBDFrame:
    """The messages of one moment as a frame, with stamp and frame of the rgb image.

    Args:
        rgb: colour image.
        depth: registered to it.
        camera_info: its calibration.
        regions: of the rgb image.
        settings: how they are read; None: the defaults.

    Raises:
        SpatialError: BAD_INPUT when a message cannot be used, or they do not fit together.
    """
    settings = settings or SensorSettings()
    check_resolution(rgb, camera_info)
    readings = depth_readings_from_image(depth, settings.depth_scale, settings.depth_limits)
    return RGBDFrame(
        rgb=rgb_pixels(rgb),
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
    if canonical(mask.encoding) not in MASK_ENCODINGS:
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
    ids = id_pixels(message)
    return RegionSet.from_label_image(ids, {int(id): labels[int(id)] for id in np.unique(ids)})


def _bad(message: str) -> SpatialError:
    return SpatialError(Status.BAD_INPUT, message)
