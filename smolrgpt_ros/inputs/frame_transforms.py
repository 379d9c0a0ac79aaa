"""Transforms from the optical frame of an image to another frame, with tf2 if it is installed.

The transform is at the stamp of the image, interpolated by tf2 and never extrapolated: on a moving
robot, a later one would put objects in the wrong place.
"""

from __future__ import annotations

import os
import threading
import time
from types import ModuleType

from geometry_msgs.msg import Transform
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.rigid_transform import RigidTransform
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.runtime.listening import Listener

TRANSFORM_TOPICS = ("/tf", "/tf_static")

POLL_S = 0.02
"""Polling interval for a missing transform, as in tf2 itself, whose own waiting blocks while a
simulation is paused and cannot be interrupted."""

REMEDY = "`ros2 run tf2_tools view_frames` shows all frames"


def load_tf2(needed_by: str) -> ModuleType:
    """The module `tf2_ros`.

    Args:
        needed_by: the parameter that needs it, for the message.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to install it.
    """
    try:
        # Part of a ROS installation only, and optional.
        import tf2_ros
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "tf2_ros":
            raise
        package = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-tf2-ros"
        raise ModuleNotFoundError(
            f"{needed_by} needs tf2_ros, which is not installed; run `apt install {package}`, or "
            f"leave {needed_by} at its default",
            name="tf2_ros",
        ) from error
    return tf2_ros


class TransformListener:
    """Subscribes to tf from construction to `close`. Thread-safe.

    tf has its own node and thread, like the inputs: there may be a thousand messages per second.

    Args:
        node: provides names, remappings and clock.
        needed_by: as in `load_tf2`.

    Attributes:
        tf2: the module `tf2_ros`.
        buffer: the tf2 buffer.
        closed: set by `close`.

    Raises:
        ModuleNotFoundError: tf2 is not installed; the message says how to install it.
    """

    def __init__(self, node: Node, needed_by: str) -> None:
        self.tf2 = load_tf2(needed_by)
        # Without a node, to which it would add a service and a time jump handling that is wrong in
        # some versions.
        self.buffer = self.tf2.Buffer()
        self.closed = threading.Event()
        remappings = {topic: node.resolve_topic_name(topic) for topic in TRANSFORM_TOPICS}
        self._listener = Listener(node, "transforms", remappings)
        self._subscriptions = self.tf2.TransformListener(
            self.buffer, self._listener.node, spin_thread=False
        )
        self._jumps = node.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._forget,
        )
        self._listener.start()

    def close(self) -> None:
        """End the subscriptions, and release waiting threads."""
        self.closed.set()
        self._jumps.unregister()
        self._listener.close()

    def _forget(self, jump: TimeJump) -> None:
        """Clear the buffer after a reset of simulated time; tf2 would reject older transforms."""
        self.buffer.clear()


class FrameTransforms:
    """Transforms to one frame.

    Args:
        listener: to tf.
        target_frame: frame to transform to.
        parameter: parameter that names this frame, for messages.

    Attributes:
        target_frame: as above.
        source_frame: frame id of the last image; empty before the first.
        failure: why the last transform failed; empty if it did not.
    """

    def __init__(self, listener: TransformListener, target_frame: str, parameter: str) -> None:
        self.target_frame = target_frame
        self.source_frame = ""
        self.failure = ""
        self._parameter = parameter
        self._listener = listener

    def wait(self, source_frame: str, stamp_ns: int, timeout_s: float) -> RigidTransform:
        """The transform from `source_frame` to `target_frame` at a time.

        Args:
            source_frame: of the image.
            stamp_ns: of the image.
            timeout_s: seconds of real time to wait for it; if it cannot arrive any more, because it
                is older than the buffer, there is no wait.

        Raises:
            SpatialError: NO_TRANSFORM; there is no such transform.
            ClosedError: the listener was closed meanwhile.
        """
        self.source_frame = source_frame
        deadline_s = time.monotonic() + timeout_s
        while True:
            # Before the lookup, so that a transform arriving in between does not count as too late.
            newest_ns = self._newest_ns(source_frame)
            try:
                found = self._look(source_frame, stamp_ns)
            except self._listener.tf2.TransformException as error:
                is_gone = newest_ns is not None and newest_ns >= stamp_ns
                if is_gone or time.monotonic() >= deadline_s:
                    raise self._refusal(source_frame, stamp_ns, newest_ns, error) from error
            else:
                self.failure = ""
                return found
            if self._listener.closed.wait(POLL_S):
                raise ClosedError

    def newest_ns(self) -> int | None:
        """Stamp of the latest transform for the last image; None if there is none, 0 if it is
        static.
        """
        return self._newest_ns(self.source_frame) if self.source_frame else None

    def _look(self, source_frame: str, stamp_ns: int) -> RigidTransform:
        time_ = Time(nanoseconds=stamp_ns)
        found = self._listener.buffer.lookup_transform(self.target_frame, source_frame, time_)
        return _rigid(found.transform)

    def _newest_ns(self, source_frame: str) -> int | None:
        try:
            newest = self._listener.buffer.lookup_transform(self.target_frame, source_frame, Time())
        except self._listener.tf2.TransformException:
            return None
        return time_to_ns(newest.header.stamp)

    def _refusal(
        self, source_frame: str, stamp_ns: int, newest_ns: int | None, cause: Exception
    ) -> SpatialError:
        refusal = SpatialError(
            Status.NO_TRANSFORM,
            f"no transform from {source_frame!r} to {self.target_frame!r} ({self._parameter}) at "
            f"{stamp_ns / 1e9:.3f} s, the stamp of the image: {_advice(stamp_ns, newest_ns)}; "
            f"tf2 reports: {str(cause).strip()}",
        )
        self.failure = refusal.message
        return refusal


def _rigid(transform: Transform) -> RigidTransform:
    turn, shift = transform.rotation, transform.translation
    return RigidTransform((turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z))


def _advice(stamp_ns: int, newest_ns: int | None) -> str:
    """What an operator can do."""
    if newest_ns is None:
        return f"the two frames are not connected; start the node that publishes them, {REMEDY}"
    age_s = (stamp_ns - newest_ns) / 1e9
    if age_s > 0:
        return (
            f"the latest one is {age_s:.3f} s older; its publisher is late, has stopped, or uses "
            f"another clock: check it, or raise input_wait, {REMEDY}"
        )
    return (
        f"the image is older than the tf2 buffer: the latest transform is {-age_s:.3f} s "
        "newer; ask about a newer image"
    )
