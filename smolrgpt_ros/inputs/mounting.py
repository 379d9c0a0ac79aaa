"""Mounting of the camera: up direction from tf or an IMU, and height from tf.

Geometry estimates anything unknown from the floor seen in depth.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu

from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.inputs.frame_transforms import (
    FrameTransforms,
    TransformListener,
)
from smolrgpt_ros.inputs.gravity import Gravity
from smolrgpt_ros.parameters.query import UP_AUTO, UP_BY_IMU, UP_BY_TF, QueryParameters
from smolrgpt_ros.runtime.listening import Listener

IMU_TOPIC = "imu"
SILENCE_S = 1.0
"""An IMU without messages for this long has stopped."""


@dataclass(frozen=True)
class Mounting:
    """Mounting of a camera, as far as known, with its source.

    Attributes:
        up: unit vector (3,) in the optical frame; None: estimated from depth.
        camera_height: above the floor, meters; None: estimated from depth.
        source: text for the operator.
    """

    up: NDArray[np.float64] | None
    camera_height: float | None
    source: str


BY_DEPTH = Mounting(None, None, "depth")


class MountingSource:
    """Mounting from `up_source`: `depth`, `tf`, `imu`, or with `auto` the first available of these.

    With `floor_frame`, tf also gives the height of the camera.

    Args:
        node: provides names and graph.
        parameters: of the node.
        listener: to tf; None if tf2 is neither installed nor needed.
    """

    def __init__(
        self, node: Node, parameters: QueryParameters, listener: TransformListener | None
    ) -> None:
        self._source = parameters.up_source
        self._gravity = self._floor = None
        if listener:
            self._gravity = FrameTransforms(listener, parameters.gravity_frame, "gravity_frame")
        if listener and parameters.floor_frame:
            self._floor = FrameTransforms(listener, parameters.floor_frame, "floor_frame")
        self._imu = ImuUp(node, listener) if self._source in (UP_BY_IMU, UP_AUTO) else None

    def find(self, frame_id: str, stamp_ns: int, wait_s: float) -> Mounting:
        """Mounting of the camera of an image.

        Args:
            frame_id: optical frame of the image.
            stamp_ns: of the image.
            wait_s: seconds to wait for a transform; `auto` does not wait for up.

        Raises:
            SpatialError: NO_TRANSFORM, or STALE for an IMU without usable readings (neither for the
                up direction with `auto`); BAD_INPUT for a camera below the floor.
        """
        try:
            found = self._find_up(frame_id, stamp_ns, wait_s)
            return self._with_height(found, frame_id, stamp_ns, wait_s) if self._floor else found
        except ClosedError as error:
            raise SpatialError(
                Status.NOT_ACTIVE, "the node was deactivated while waiting for tf; ask again"
            ) from error

    def close(self) -> None:
        """End the subscriptions."""
        if self._imu:
            self._imu.close()

    def _find_up(self, frame_id: str, stamp_ns: int, wait_s: float) -> Mounting:
        if self._source == UP_AUTO:
            return self._first_known(frame_id, stamp_ns)
        if self._source == UP_BY_TF:
            return self._by_tf(frame_id, stamp_ns, wait_s)
        if self._source == UP_BY_IMU:
            return self._by_imu(frame_id, stamp_ns, wait_s)
        return BY_DEPTH

    def _with_height(
        self, found: Mounting, frame_id: str, stamp_ns: int, wait_s: float
    ) -> Mounting:
        assert self._floor is not None
        height = float(self._floor.wait(frame_id, stamp_ns, wait_s).translation[2])
        if height <= 0:
            raise bad_input(
                f"according to tf, the camera ({frame_id}) is {-height:.2f} m below the floor, the "
                f"x-y plane of {self._floor.target_frame!r} (floor_frame); use a frame on the "
                "floor, such as base_footprint",
            )
        source = f"{found.source}; height from tf: {height:.2f} m above {self._floor.target_frame}"
        return replace(found, camera_height=height, source=source)

    def _first_known(self, frame_id: str, stamp_ns: int) -> Mounting:
        reasons = []
        for look in (self._by_tf, self._by_imu):
            try:
                return look(frame_id, stamp_ns, 0.0)
            except SpatialError as error:
                reasons.append(error.message)
        return Mounting(None, None, f"depth: {'; '.join(reasons)}")

    def _by_tf(self, frame_id: str, stamp_ns: int, wait_s: float) -> Mounting:
        if self._gravity is None:
            raise SpatialError(Status.NO_TRANSFORM, "tf2_ros is not installed")
        transform = self._gravity.wait(frame_id, stamp_ns, wait_s)
        up = transform.rotate_back(np.array([0.0, 0.0, 1.0]))
        height = transform.translation[2]
        source = f"tf: {self._gravity.target_frame}, {height:.2f} m below the camera"
        return Mounting(up, None, source)

    def _by_imu(self, frame_id: str, stamp_ns: int, wait_s: float) -> Mounting:
        assert self._imu is not None
        up = self._imu.find(frame_id, stamp_ns, wait_s)
        return Mounting(up, None, f"imu: {self._imu.topic}")


class ImuUp:
    """Up direction from an IMU, rotated into the frame of an image. Thread-safe.

    Args:
        node: provides names and graph.
        listener: to tf; None: only an IMU with the frame id of the image can be used.

    Attributes:
        topic: full name.
    """

    def __init__(self, node: Node, listener: TransformListener | None) -> None:
        self.topic = node.resolve_topic_name(IMU_TOPIC)
        self._transforms = listener
        self._gravity = Gravity()
        self._frame_id = ""
        self._received_s: float | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._listener = Listener(node, IMU_TOPIC)
        self._listener.node.create_subscription(
            Imu, self.topic, self._receive, qos_profile_sensor_data
        )
        self._listener.start()

    def find(self, frame_id: str, stamp_ns: int, wait_s: float) -> NDArray[np.float64]:
        """Up as a unit vector (3,) in an optical frame.

        Args:
            frame_id: optical frame.
            stamp_ns: of the image.
            wait_s: seconds to wait for IMU and transform.

        Raises:
            SpatialError: STALE or NO_TRANSFORM; see `MountingSource.find`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._cause_of_silence(), wait_s)
            cause = self._cause_of_silence()
            up, imu_frame = self._gravity.up, self._frame_id
        if cause or up is None:
            raise SpatialError(
                Status.STALE,
                f"the up direction is unknown: {cause}; start it, remap `{IMU_TOPIC}`, or set "
                "up_source to another source",
            )
        if imu_frame == frame_id:
            return up
        if self._transforms is None:
            raise SpatialError(
                Status.NO_TRANSFORM,
                f"the IMU is in frame {imu_frame!r}, the image in {frame_id!r}: the transform "
                "between them needs tf2_ros, which is not installed",
            )
        to_imu = FrameTransforms(self._transforms, imu_frame, f"of {self.topic}")
        return to_imu.wait(frame_id, stamp_ns, wait_s).rotate_back(up)

    def close(self) -> None:
        """End the subscription, and release waiting threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._listener.close()

    def _cause_of_silence(self) -> str:
        """Why the IMU does not give the up direction; empty if it does."""
        if self._received_s is None:
            return f"nothing has ever arrived from the IMU ({self.topic})"
        silence_s = time.monotonic() - self._received_s
        if silence_s > SILENCE_S:
            return f"the last message from the IMU ({self.topic}) arrived {silence_s:.1f} s ago"
        if self._gravity.up is None:
            return f"the IMU ({self.topic}) gives no direction: {self._gravity.doubt}"
        return ""

    def _receive(self, message: Imu) -> None:
        read = message.linear_acceleration, message.angular_velocity
        acceleration, turning = (np.array([vector.x, vector.y, vector.z]) for vector in read)
        with self._changed:
            if message.header.frame_id != self._frame_id:
                self._frame_id, self._gravity = message.header.frame_id, Gravity()
            self._received_s = time.monotonic()
            if np.isfinite([acceleration, turning]).all():
                stamp_s = time_to_ns(message.header.stamp) / 1e9
                self._gravity.add(stamp_s, acceleration, turning)
            self._changed.notify_all()
