"""Messages to core types and back: plain functions, no node, no state.

Every function that reads a message raises a `SpatialError` with the status BAD_INPUT when the
message cannot be used, and says what to change. Images honour `step` and `is_bigendian`.
"""

from __future__ import annotations

import array
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from numpy.typing import DTypeLike, NDArray
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame, clean_depth
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.question import Category
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_ros.msg import Region as RegionMessage
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage

NANOSECONDS = 1_000_000_000

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

LATENCY_STAGES = ("wait", "convert", "answer", "total")
"""Stages of `msg/SpatialAnswer`, each in a field `latency_STAGE`."""


def time_to_ns(stamp: Time) -> int:
    """Nanoseconds since the epoch of the stamp's clock."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def time_from_ns(stamp_ns: int) -> Time:
    """Inverse of `time_to_ns`."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def duration_to_ns(duration: Duration) -> int:
    """Nanoseconds, negative for a negative duration."""
    return duration.sec * NANOSECONDS + duration.nanosec


def image_array(message: Image, dtype: DTypeLike, channels: int) -> NDArray:
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


def rgb_from_image(message: Image) -> NDArray[np.uint8]:
    """Colour uint8 (H, W, 3) in RGB order; mono8 becomes grey.

    Raises:
        SpatialError: BAD_INPUT for an encoding that neither NumPy nor cv_bridge reads.
    """
    if message.encoding not in RGB_LAYOUTS:
        return _rgb_through_cv_bridge(message)
    channels, red_green_blue = RGB_LAYOUTS[message.encoding]
    pixels = image_array(message, np.uint8, channels)
    return np.ascontiguousarray(pixels[:, :, red_green_blue])


def _rgb_through_cv_bridge(message: Image) -> NDArray[np.uint8]:
    """Bayer patterns, YUV and the like, where a ROS installation brings cv_bridge."""
    expected = f"a colour image must be one of {', '.join(RGB_LAYOUTS)}, got {message.encoding!r}"
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError as error:
        raise _bad(
            f"{expected}; change the camera's encoding, or install cv_bridge to convert it"
        ) from error
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), dtype=np.uint8)
    except CvBridgeError as error:
        raise _bad(f"{expected}, which cv_bridge cannot convert either: {error}") from error


def depth_from_image(message: Image, depth_scale: float = 0.0) -> NDArray[np.float32]:
    """Depth float32 (H, W) in metres; 0, negative, NaN and Inf become NaN, "no reading".

    Args:
        message: 16UC1 or mono16 (millimetres) or 32FC1 (metres).
        depth_scale: metres per unit of this camera; 0 = by encoding.

    Raises:
        SpatialError: BAD_INPUT for any other encoding.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise _bad(
            f"a depth image must be one of {', '.join(DEPTH_ENCODINGS)}, got "
            f"{message.encoding!r}; is the right topic remapped to `depth`?"
        )
    dtype, default_scale = DEPTH_ENCODINGS[message.encoding]
    pixels = image_array(message, dtype, 1)[:, :, 0]
    return clean_depth(pixels * np.float32(depth_scale or default_scale))


def intrinsics_from_camera_info(message: CameraInfo) -> CameraIntrinsics:
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
    return CameraIntrinsics(message.width, message.height, fx, fy, cx, cy)


def is_distorted(message: CameraInfo) -> bool:
    """Whether the lens has distortion, so that only rectified images give right distances."""
    return any(coefficient != 0.0 for coefficient in message.d)


def regions_from_array(message: RegionArray) -> RegionSet:
    """Regions with masks cut to their boxes.

    Raises:
        SpatialError: BAD_INPUT when a mask has another encoding or size than its box, is empty,
            leaves the image, or when an id occurs twice.
    """
    regions = tuple(_region_from_message(region) for region in message.regions)
    return RegionSet((message.image_height, message.image_width), regions)


def _region_from_message(message: RegionMessage) -> Region:
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


def regions_from_instances(message: Image, labels: InstanceLabels) -> RegionSet:
    """Regions from an image whose pixel value is the region id, 0 = background.

    Raises:
        SpatialError: BAD_INPUT for an encoding without whole numbers, or a negative id.
    """
    if message.encoding not in INSTANCE_ENCODINGS:
        raise _bad(
            f"an instance image must be one of {', '.join(INSTANCE_ENCODINGS)}, got "
            f"{message.encoding!r}; is the right topic remapped to `instances`?"
        )
    ids = image_array(message, INSTANCE_ENCODINGS[message.encoding], 1)[:, :, 0]
    return RegionSet.from_label_image(ids, {int(id): labels[int(id)] for id in np.unique(ids)})


def answer_to_message(
    answer: SpatialAnswer, question: str, header: Header, latency_s: Mapping[str, float]
) -> SpatialAnswerMessage:
    """The response to a request.

    Args:
        answer: an answer or a refusal.
        question: as the client asked it.
        header: stamp and optical frame of the images that were asked about; empty if none were.
        latency_s: seconds by stage: any of `LATENCY_STAGES`.
    """
    message = SpatialAnswerMessage(
        header=header,
        status=int(answer.status),
        message=answer.message,
        category=int(answer.category or 0),
        question=question,
        text=answer.text,
        has_value=answer.value is not None,
        value=_number(answer.value),
        unit=answer.unit,
        has_region=answer.region_id is not None,
        region_id=answer.region_id or 0,
        side=int(answer.side),
        confidence=float(answer.confidence),
        geometric_value=_number(answer.geometric_value),
        agreement=int(answer.agreement),
        region_ids=list(answer.region_ids),
        centres=[Point(x=x, y=y, z=z) for x, y, z in answer.centres.tolist()],
        valid_depth=answer.valid_depth.tolist(),
    )
    for stage, seconds in latency_s.items():
        setattr(message, f"latency_{stage}", float(seconds))
    return message


def answer_from_message(message: SpatialAnswerMessage) -> SpatialAnswer:
    """Inverse of `answer_to_message`."""
    centres = [(point.x, point.y, point.z) for point in message.centres]
    return SpatialAnswer(
        status=Status(message.status),
        category=Category(message.category) if message.category else None,
        message=message.message,
        text=message.text,
        value=message.value if message.has_value else None,
        region_id=message.region_id if message.has_region else None,
        side=Side(message.side),
        confidence=message.confidence,
        geometric_value=None if np.isnan(message.geometric_value) else message.geometric_value,
        agreement=Agreement(message.agreement),
        region_ids=tuple(message.region_ids),
        centres=np.array(centres, dtype=np.float64).reshape(-1, 3),
        valid_depth=np.array(message.valid_depth, dtype=np.float64),
        latency_s={stage: getattr(message, f"latency_{stage}") for stage in LATENCY_STAGES},
    )


def frame_header(frame: RGBDFrame | None) -> Header:
    """Stamp and optical frame of a frame; empty for None."""
    if frame is None:
        return Header()
    return Header(stamp=time_from_ns(frame.stamp_ns), frame_id=frame.frame_id)


def image_to_message(pixels: NDArray, encoding: str, header: Header) -> Image:
    """An image from (H, W) or (H, W, C) pixels; the encoding must fit their type."""
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels[0].nbytes,
        data=array.array("B", little_endian.tobytes()),
    )


def intrinsics_to_camera_info(intrinsics: CameraIntrinsics, header: Header) -> CameraInfo:
    """Calibration of a camera without distortion."""
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    return CameraInfo(
        header=header,
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def regions_to_array(regions: RegionSet, header: Header) -> RegionArray:
    """Inverse of `regions_from_array`."""
    height, width = regions.image_size
    messages = [_region_to_message(region, header) for region in regions]
    return RegionArray(header=header, image_height=height, image_width=width, regions=messages)


def _region_to_message(region: Region, header: Header) -> RegionMessage:
    box = region.box
    return RegionMessage(
        id=region.id,
        label=region.label,
        score=region.score,
        box=RegionOfInterest(x_offset=box.x, y_offset=box.y, width=box.width, height=box.height),
        mask=image_to_message(region.mask.astype(np.uint8) * np.uint8(255), "mono8", header),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _bad(message: str) -> SpatialError:
    return SpatialError(Status.BAD_INPUT, message)
