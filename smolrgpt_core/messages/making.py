"""Converts core types to messages, for the message classes of any library.

The factory that creates the messages determines the library; it gets arrays as NumPy arrays and
everything else as plain Python values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages import types
from smolrgpt_core.messages.answers import LATENCY_STAGES
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


def image_message(
    make: MessageFactory, pixels: NDArray[Any], encoding: str, header: Message
) -> Message:
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


def answer_message(
    make: MessageFactory,
    answer: SpatialAnswer,
    question: str,
    header: Message,
    latency_s: Mapping[str, float],
) -> Message:
    """A `SpatialAnswer`.

    Args:
        make: creates the messages.
        answer: an answer or a refusal.
        question: as the client asked it.
        header: stamp and optical frame of the images that the answer is about; empty if none.
        latency_s: seconds by stage: any of `messages.answers.LATENCY_STAGES`; others are 0.
    """
    frame_id = answer.centers_frame or header.frame_id
    return make(
        types.SPATIAL_ANSWER,
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
        model_value=_number(answer.model_value),
        agreement=int(answer.agreement),
        region_ids=np.array(answer.region_ids, np.uint32),
        centers=[_xyz_message(make, types.POINT, center) for center in answer.centers],
        centers_frame=frame_id if len(answer.centers) else "",
        valid_depth=np.array(answer.valid_depth, np.float32),
        has_truth=answer.truth is not None,
        truth=bool(answer.truth),
        answer_ids=np.array(answer.answer_ids, np.uint32),
        relation=answer.relation,
        has_vector=answer.vector is not None,
        vector=_xyz_message(make, types.VECTOR, answer.vector),
        option=answer.option,
        understood=answer.understood,
        steps=list(answer.steps),
        **{f"latency_{stage}": float(latency_s.get(stage, 0.0)) for stage in LATENCY_STAGES},
    )


def _xyz_message(
    make: MessageFactory, type_name: str, vector: NDArray[np.float64] | None
) -> Message:
    x, y, z = [float("nan")] * 3 if vector is None else vector.tolist()
    return make(type_name, x=x, y=y, z=z)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
