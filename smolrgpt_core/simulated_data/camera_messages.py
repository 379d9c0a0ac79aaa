"""Messages of a simulated camera, for the message classes of any library."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import depth_to_units
from smolrgpt_core.messages import types
from smolrgpt_core.messages.making import (
    camera_info_message,
    image_message,
    region_array_message,
)
from smolrgpt_core.messages.types import Message, MessageFactory
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.sim.drive import DepthEncoding
from smolrgpt_core.truth import ObjectTruth, SceneTruth


def frame_messages(
    make: MessageFactory,
    simulated: SimulatedFrame,
    header: Message,
    depth_encoding: DepthEncoding,
) -> dict[str, Message]:
    """Messages of a simulated camera for one frame, by topic of `CAMERA_TOPICS`.

    Args:
        make: creates the messages.
        simulated: frame and ground truth.
        header: stamp and optical frame of all messages.
        depth_encoding: of the depth image.
    """
    frame = simulated.frame
    ids = frame.regions.to_label_image().astype(np.uint8)
    depth = encode_depth(frame.depth, depth_encoding)
    return {
        "rgb": image_message(make, frame.rgb, "rgb8", header),
        "depth": image_message(make, depth, depth_encoding, header),
        "camera_info": camera_info_message(make, frame.intrinsics, header),
        "regions": region_array_message(make, frame.regions, header),
        "instances": image_message(make, ids, "mono8", header),
        types.GROUND_TRUTH: truth_message(make, simulated.truth, header),
    }


def encode_depth(depth: NDArray[np.float32], encoding: DepthEncoding) -> NDArray:
    """Pixels of a depth image (H, W) from depth (H, W) in meters, NaN = no reading."""
    return depth_to_units(depth) if encoding == "16UC1" else depth.astype(np.float32)


def truth_message(make: MessageFactory, truth: SceneTruth, header: Message) -> Message:
    """A `SceneTruth` with poses in the optical frame of the header.

    Args:
        make: creates the messages.
        truth: ground truth of the frame.
        header: of the images.
    """
    objects = [_object_message(make, item) for item in truth.objects]
    return make(
        types.SCENE_TRUTH,
        header=header,
        seed=truth.seed,
        camera_height=truth.camera_height,
        objects=objects,
    )


def _object_message(make: MessageFactory, item: ObjectTruth) -> Message:
    x, y, z, w = quaternion(item.rotation)
    pose = make(
        types.POSE,
        position=_vector_message(make, types.POINT, item.center),
        orientation=make(types.QUATERNION, x=x, y=y, z=z, w=w),
    )
    return make(
        types.OBJECT_TRUTH,
        id=item.id,
        label=item.label,
        pose=pose,
        size=_vector_message(make, types.VECTOR, item.size),
        visible_share=item.visible_fraction,
        buffer_ids=np.array(item.buffer_ids, np.uint32),
        loaded=item.loaded,
        cargo_id=item.cargo_id or 0,
    )


def _vector_message(make: MessageFactory, type_name: str, vector: NDArray[np.float64]) -> Message:
    x, y, z = vector.tolist()
    return make(type_name, x=x, y=y, z=z)


def quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w) of a rotation matrix (3, 3)."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    half_angle = float(np.linalg.norm(vector)) / 2
    x, y, z = (vector * np.sinc(half_angle / np.pi) / 2).tolist()
    return x, y, z, float(np.cos(half_angle))
