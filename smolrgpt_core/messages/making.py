"""Converts core types to messages, for the message classes of any library.

The factory that creates the messages determines the library; it gets arrays as NumPy arrays and
everything else as plain Python values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages import types
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.messages.types import Message, MessageFactory
from smolrgpt_core.regions import Region, RegionSet


def time_message(make: MessageFactory, stamp_ns: int) -> Message:
    """A `builtin_interfaces/Time` from nanoseconds since the epoch of its clock."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return make(types.TIME, sec=seconds, nanosec=nanoseconds)


def header_message(make: MessageFactory, stamp_ns: int, frame_id: str) -> Message:
    """A header.

    Args:
        make: creates the messages.
        stamp_ns: nanoseconds.
        frame_id: of the header.
    """
    return make(types.HEADER, stamp=time_message(make, stamp_ns), frame_id=frame_id)


def image_message(make: MessageFactory, pixels: NDArray, encoding: str, header: Message) -> Message:
    """A `sensor_msgs/Image`.

    Args:
        make: creates the message.
        pixels: (H, W) or (H, W, C).
        encoding: must match the type and channels of the pixels.
        header: stamp and frame.
    """
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return make(
        types.IMAGE,
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels[0].nbytes,
        data=np.frombuffer(little_endian.tobytes(), np.uint8),
    )


def camera_info_message(
    make: MessageFactory, intrinsics: CameraIntrinsics, header: Message
) -> Message:
    """A `sensor_msgs/CameraInfo` of a camera without distortion.

    Args:
        make: creates the messages.
        intrinsics: pinhole calibration.
        header: stamp and frame.
    """
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    whole_image = make(
        types.REGION_OF_INTEREST, x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return make(
        types.CAMERA_INFO,
        header=header,
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]),
        r=np.eye(3).ravel(),
        p=np.array([fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]),
        binning_x=0,
        binning_y=0,
        roi=whole_image,
    )


def region_array_message(make: MessageFactory, regions: RegionSet, header: Message) -> Message:
    """A `RegionArray` of all regions of an image, with masks cropped to their boxes.

    Args:
        make: creates the messages.
        regions: of the image.
        header: of the image.
    """
    height, width = regions.image_size
    return make(
        types.REGION_ARRAY,
        header=header,
        image_height=height,
        image_width=width,
        regions=[_region_message(make, region, header) for region in regions],
    )


def _region_message(make: MessageFactory, region: Region, header: Message) -> Message:
    box = region.box
    mask = region.mask.astype(np.uint8) * np.uint8(255)
    return make(
        types.REGION,
        id=region.id,
        label=region.label,
        score=region.score,
        box=make(
            types.REGION_OF_INTEREST,
            x_offset=box.x,
            y_offset=box.y,
            height=box.height,
            width=box.width,
            do_rectify=False,
        ),
        mask=image_message(make, mask, "mono8", header),
    )
