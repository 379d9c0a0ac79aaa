"""Reads ground truth from messages, to check answers."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from numpy.typing import NDArray

from smolrgpt_core.geometry.rigid_transform import rotation_matrix
from smolrgpt_core.truth import ObjectTruth, SceneTruth
from smolrgpt_ros.msg import ObjectTruth as ObjectTruthMessage
from smolrgpt_ros.msg import SceneTruth as SceneTruthMessage


def truth_from_message(message: SceneTruthMessage) -> SceneTruth:
    """Inverse of `camera_messages.truth_message` for a frame with at least one object.

    Raises:
        ValueError: the frame has no object.
    """
    if not message.objects:
        raise ValueError(
            "the ground truth of this frame has no object, so the up direction is unknown"
        )
    objects = tuple(map(_object_from_message, message.objects))
    return SceneTruth(
        seed=message.seed,
        objects=objects,
        up=objects[0].rotation[:, 2],
        camera_height=message.camera_height,
    )


def _object_from_message(message: ObjectTruthMessage) -> ObjectTruth:
    return ObjectTruth(
        id=message.id,
        label=message.label,
        center=_vector(message.pose.position),
        size=_vector(message.size),
        rotation=_rotation(message.pose.orientation),
        visible_fraction=message.visible_share,
        buffer_ids=tuple(message.buffer_ids),
        cargo_id=message.cargo_id if message.loaded else None,
    )


def _rotation(orientation: Quaternion) -> NDArray[np.float64]:
    return rotation_matrix(orientation.x, orientation.y, orientation.z, orientation.w)


def _vector(message: Point | Vector3) -> NDArray[np.float64]:
    return np.array([message.x, message.y, message.z])
