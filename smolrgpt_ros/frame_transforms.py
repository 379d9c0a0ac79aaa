"""From the optical frame of an image to another one, with tf2 where a ROS installation has it.

The transform is that at the stamp of the image, interpolated by tf2 and never extrapolated: on a
moving robot a newer one would put an object where it is not.
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

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.rigid_transform import RigidTransform
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.listening import Listener

TRANSFORM_TOPICS = ("/tf", "/tf_static")

POLL_S = 0.02
"""How often a transform that is not there yet is looked for, as tf2 itself does. Its own waiting
stands still with a paused simulation and cannot be ended."""

REMEDY = "`ros2 run tf2_tools view_frames` shows all frames"


class TransformsClosedError(Exception):
    """The node was deactivated while a transform was waited for."""


def load_tf2(needed_by: str) -> ModuleType:
    """The module `tf2_ros`.

    Args:
        needed_by: the parameter without whose value nobody would need it.

    Raises:
        ModuleNotFoundError: that says how to get it, when it is not installed.
    """
    try:
        # It comes with ROS only, and few need it.
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
    """Listens to tf from construction to `close`. Thread-safe.

    tf is heard on a node and a thread of its own, as the inputs are: it may come a thousand times
    a second.

    Args:
        node: whose names, remappings and clock are used.
        needed_by: as `load_tf2`.

    Attributes:
        tf2: the module `tf2_ros`.
        buffer: of it, with what was heard.
        closed: set by `close`.

    Raises:
        ModuleNotFoundError: that says how to get tf2, when it is not installed.
    """

    def __init__(self, node: Node, needed_by: str) -> None:
        self.tf2 = load_tf2(needed_by)
        # Without a node, which it would give a service and the handling of jumps that some of its
        # versions do wrong.
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
        """End the subscriptions, and release everybody who waits."""
        self.closed.set()
        self._jumps.unregister()
        self._listener.close()

    def _forget(self, jump: TimeJump) -> None:
        """After a reset of simulated time, tf2 would drop what is older than what it has."""
        self.buffer.clear()


class FrameTransforms:
    """Transforms to one frame.

    Args:
        listener: to tf.
        target_frame: frame that is transformed to.
        said: how an operator knows that frame, such as the name of a parameter.

    Attributes:
        target_frame: the same.
        source_frame: the frame of the image that was asked about last; empty before the first.
        failure: why the last one could not be transformed; empty if it could.
    """

    def __init__(self, listener: TransformListener, target_frame: str, said: str) -> None:
        self.target_frame = target_frame
        self.source_frame = ""
        self.failure = ""
        self._said = said
        self._listener = listener

    def wait(self, source_frame: str, stamp_ns: int, timeout_s: float) -> RigidTransform:
        """The transform from `source_frame` to `target_frame` at a time.

        Args:
            source_frame: of the image.
            stamp_ns: of the image.
            timeout_s: seconds of real time to wait for it; one that cannot come any more, because
                it is older than what is kept, is not waited for.

        Raises:
            SpatialError: NO_TRANSFORM.
            TransformsClosedError: when the listener is closed meanwhile.
        """
        self.source_frame = source_frame
        deadline_s = time.monotonic() + timeout_s
        while True:
            # Before the look, so that what comes between the two is not taken for too late.
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
                raise TransformsClosedError

    def newest_ns(self) -> int | None:
        """Stamp of the newest transform for the last image; None if there is none, 0 if it holds
        for ever.
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
            f"no transform from {source_frame!r} to {self.target_frame!r} ({self._said}) at "
            f"{stamp_ns / 1e9:.3f} s, the stamp of the image: {_advice(stamp_ns, newest_ns)}; "
            f"tf2 says: {str(cause).strip()}",
        )
        self.failure = refusal.message
        return refusal


def _rigid(transform: Transform) -> RigidTransform:
    turn, shift = transform.rotation, transform.translation
    return RigidTransform((turn.x, turn.y, turn.z, turn.w), (shift.x, shift.y, shift.z))


def _advice(stamp_ns: int, newest_ns: int | None) -> str:
    """What an operator can do."""
    if newest_ns is None:
        return f"the two frames are not connected; start what publishes them to tf, {REMEDY}"
    age_s = (stamp_ns - newest_ns) / 1e9
    if age_s > 0:
        return (
            f"the newest one is {age_s:.3f} s older; what publishes it to tf is late, has stopped, "
            f"or has another clock: look after it, or raise input_wait, {REMEDY}"
        )
    return (
        f"the image is older than the transforms that are kept, the newest one is {-age_s:.3f} s "
        "newer; ask about a newer image"
    )
