"""Converts core types to rclpy messages: no node, no state.

What fields mean, in both directions, is in `smolrgpt_core.messages`, which recordings use as well.
"""

from __future__ import annotations

import array
import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.messages import making
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.messages.types import Message
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage


def make_message(type_name: str, /, **fields: Any) -> Message:
    """An rclpy message, as a `MessageFactory`; NumPy arrays are converted to the field types."""
    return message_class(type_name)(**{name: _field_value(value) for name, value in fields.items()})


@cache
def message_class(type_name: str) -> type:
    """The class of a type such as "sensor_msgs/msg/Image"."""
    package, _, name = type_name.split("/")
    return cast(type, getattr(importlib.import_module(f"{package}.msg"), name))


def _field_value(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    # Only in this form does rclpy copy image bytes at once; it checks every item of a list.
    return array.array("B", value.tobytes()) if value.dtype == np.uint8 else value.tolist()


def deserialized(serialized: bytes, kind: type, name: str) -> Message:
    """A message from its bytes.

    Args:
        serialized: as received.
        kind: message class.
        name: of the input, for the error.

    Raises:
        SpatialError: BAD_INPUT when the bytes are not a message of this type.
    """
    try:
        return deserialize_message(serialized, kind)
    except RuntimeError as error:  # what rclpy's RMWError is, which it does not export
        raise bad_input(
            f"the latest message on {name} ({len(serialized)} bytes) is not a valid "
            f"{kind.__name__}: {error}; check who publishes there",
        ) from error


def time_from_ns(stamp_ns: int) -> Time:
    """Inverse of `smolrgpt_core.messages.stamps.time_to_ns`."""
    return making.time_message(make_message, stamp_ns)


def duration_to_ns(duration: Duration) -> int:
    """Nanoseconds, negative for a negative duration."""
    return duration.sec * NANOSECONDS + duration.nanosec


def answer_to_message(
    answer: SpatialAnswer, question: str, header: Header, latency_s: Mapping[str, float]
) -> SpatialAnswerMessage:
    """A `SpatialAnswer` message.

    Args:
        answer: an answer or a refusal.
        question: as the client asked it.
        header: stamp and optical frame of the images that the answer is about; empty if none.
        latency_s: seconds by stage: any of `messages.answers.LATENCY_STAGES`.
    """
    return making.answer_message(make_message, answer, question, header, latency_s)


def frame_header(frame: RGBDFrame | None) -> Header:
    """Stamp and optical frame of a frame; empty for None."""
    if frame is None:
        return Header()
    return Header(stamp=time_from_ns(frame.stamp_ns), frame_id=frame.frame_id)


def image_to_message(pixels: NDArray, encoding: str, header: Header) -> Image:
    """A `sensor_msgs/Image`.

    Args:
        pixels: (H, W) or (H, W, C).
        encoding: must match the type and channels of the pixels.
        header: stamp and frame.
    """
    return making.image_message(make_message, pixels, encoding, header)


def intrinsics_to_camera_info(intrinsics: CameraIntrinsics, header: Header) -> CameraInfo:
    """Calibration of a camera without distortion."""
    return making.camera_info_message(make_message, intrinsics, header)


def regions_to_array(regions: RegionSet, header: Header) -> RegionArray:
    """Inverse of `smolrgpt_core.messages.reading.regions_from_array`."""
    return making.region_array_message(make_message, regions, header)
