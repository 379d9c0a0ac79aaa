"""Converts messages to core types: plain functions for the messages of any library, no state.

Every function raises a `SpatialError` with the status BAD_INPUT when the message cannot be used,
and states what to change. `step` and `is_bigendian` of images are respected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import DepthLimits, DepthReadings, depth_readings
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info, rectification
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
from smolrgpt_core.rectification import rectified
from smolrgpt_core.regions import Box, Region, RegionSet


def depth_from_image(message: Message, depth_scale: float = 0.0) -> NDArray[np.float32]:
    """Depth float32 (H, W) in meters, NaN = no reading: see `depth_readings_from_image`."""
    return depth_readings_from_image(message, depth_scale).meters


def depth_readings_from_image(
    message: Message, depth_scale: float = 0.0, limits: DepthLimits | None = None
) -> DepthReadings:
    """The readings of a depth image, and how much of it was rejected.

    Args:
        message: in one of `DEPTH_ENCODINGS`: integers are millimeters, floats meters.
        depth_scale: meters per unit of this camera; 0 = by encoding.
        limits: range of the camera; None: the defaults.

    Raises:
        SpatialError: BAD_INPUT for any other encoding.
    """
    pixels, default_scale = depth_pixels(message)
    return depth_readings(pixels, depth_scale or default_scale, limits)


def frame_from_messages(
    rgb: Message,
    depth: Message,
    camera_info: Message,
    regions: RegionSet,
    settings: SensorSettings | None = None,
    rgb_topic: str = "",
) -> RGBDFrame:
    """A rectified frame from messages that belong together, with stamp and frame id of rgb.

    Args:
        rgb: color image.
        depth: registered to it.
        camera_info: its calibration.
        regions: of the rgb image.
        settings: of the camera; None: the defaults.
        rgb_topic: topic of the color image.

    Raises:
        SpatialError: BAD_INPUT when a message cannot be used, or the messages do not match.
    """
    settings = settings or SensorSettings()
    readings = depth_readings_from_image(depth, settings.depth_scale, settings.depth_limits)
    image_size = (rgb.height, rgb.width)
    if readings.meters.shape != image_size:
        raise bad_input(
            f"the depth image is {depth.width}x{depth.height}, the rgb image "
            f"{rgb.width}x{rgb.height}: depth must be registered to the rgb image; remap `depth` "
            "to such a topic (aligned_depth_to_color)"
        )
    frame = RGBDFrame(
        rgb=rgb_pixels(rgb),
        depth=readings.meters,
        intrinsics=intrinsics_from_camera_info(camera_info, image_size),
        regions=regions,
        stamp_ns=time_to_ns(rgb.header.stamp),
        frame_id=_frame_of(rgb),
        depth_loss=readings.loss,
        calibration_note=_calibration_note(rgb, camera_info),
    )
    lens = rectification(camera_info, image_size, settings.rectify, rgb_topic).lens
    return rectified(frame, lens) if lens else frame


def frame_facts(
    frame: RGBDFrame, camera_info: Message, settings: SensorSettings, rgb_topic: str
) -> dict[str, str]:
    """How the messages of a frame were processed, for an operator: names and values.

    Args:
        frame: from `frame_from_messages`.
        camera_info: the argument of the same name.
        settings: the argument of the same name.
        rgb_topic: the argument of the same name.
    """
    size = (frame.intrinsics.height, frame.intrinsics.width)
    loss = frame.depth_loss
    return {
        "rectification": rectification(camera_info, size, settings.rectify, rgb_topic).text,
        "depth_saturated": f"{loss.saturated:.1%}",
        "depth_too_near": f"{loss.too_near:.1%}",
        "depth_too_far": f"{loss.too_far:.1%}",
    }


def alignment_warnings(rgb: Message, depth: Message) -> tuple[str, ...]:
    """Warnings for an operator about messages that can still be used."""
    warnings = []
    if _frame_of(depth) != _frame_of(rgb):
        warnings.append(
            f"depth is in frame {_frame_of(depth)!r}, rgb in {_frame_of(rgb)!r}: depth must be "
            "registered to the rgb image (aligned_depth_to_color)"
        )
    return tuple(warnings)


def _frame_of(message: Message) -> str:
    """The frame of a message; a slash before it is of ROS 1, and refused by tf2."""
    return str(message.header.frame_id).lstrip("/")


def _calibration_note(rgb: Message, camera_info: Message) -> str:
    """Note that the calibration is in another frame than the image; empty if it is not."""
    image, calibration = _frame_of(rgb), _frame_of(camera_info)
    if not (image and calibration) or image == calibration:
        return ""
    return (
        f"camera_info is in frame {calibration!r}, rgb in {image!r}: is it the calibration of this "
        "image?"
    )


def regions_from_array(message: Message) -> RegionSet:
    """Regions with masks cropped to their boxes, from a `RegionArray`.

    Raises:
        SpatialError: BAD_INPUT when the encoding of a mask is unknown, its size is not that of its
            box, it is empty or extends beyond the image, or when an id occurs twice.
    """
    regions = tuple(_region_from_message(region) for region in message.regions)
    return RegionSet((message.image_height, message.image_width), regions)


def _region_from_message(message: Message) -> Region:
    mask, box = message.mask, message.box
    if canonical(mask.encoding) not in MASK_ENCODINGS:
        raise bad_input(
            f"mask of region {message.id} must be {' or '.join(MASK_ENCODINGS)}, "
            f"got {mask.encoding!r}"
        )
    if (mask.height, mask.width) != (box.height, box.width):
        raise bad_input(
            f"mask of region {message.id} is {mask.width}x{mask.height}, its box is "
            f"{box.width}x{box.height}; crop the mask to the box"
        )
    filled = image_array(mask, np.uint8, 1)[:, :, 0] != 0
    core_box = Box(box.x_offset, box.y_offset, box.width, box.height)
    return Region(message.id, message.label, core_box, filled, message.score)


def regions_from_instances(message: Message, labels: InstanceLabels) -> RegionSet:
    """Regions from an image whose pixel value is the region id, 0 = background.

    Raises:
        SpatialError: BAD_INPUT for a non-integer encoding, or a negative id.
    """
    ids = id_pixels(message)
    return RegionSet.from_label_image(ids, {int(id): labels[int(id)] for id in np.unique(ids)})
