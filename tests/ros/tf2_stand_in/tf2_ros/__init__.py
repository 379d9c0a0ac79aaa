"""Not tf2: stands in its place where it is not installed, for the path of the node around it.

It has the names and the signatures that the node uses, and knows one transform, from a JSON file
that a test writes. It neither reads /tf nor interpolates. What the node makes of the real tf2 is
seen in `test_target_frame_with_tf2.py` alone, which runs where ROS is installed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from std_msgs.msg import Empty

FILE = Path(os.environ["TF2_STAND_IN_FILE"])


class TransformException(Exception):  # noqa: N818, the name is tf2's
    """Any reason for no transform."""


class Buffer:
    """Knows what the file says: frames, rotation, translation, and from when to when they hold."""

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time
    ) -> TransformStamped:
        known = self._read()
        if [target_frame, source_frame] != known.get("frames"):
            raise TransformException(f"{target_frame} or {source_frame} does not exist.")
        stamp_ns = time.nanoseconds or known["to_ns"]
        if not known["from_ns"] <= stamp_ns <= known["to_ns"]:
            raise TransformException(f"{stamp_ns} would require extrapolation.")
        found = TransformStamped(child_frame_id=source_frame)
        found.header.frame_id = target_frame
        found.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        x, y, z, w = known["rotation"]
        found.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
        x, y, z = known["translation"]
        found.transform.translation = Vector3(x=x, y=y, z=z)
        return found

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """Done when the file knows the frames; never, if it does not at once."""
        future = Future()
        if [target_frame, source_frame] == self._read().get("frames"):
            future.set_result(True)
        return future

    def clear(self) -> None:
        FILE.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        return json.loads(FILE.read_text()) if FILE.exists() else {}


class TransformListener:
    """Subscribes to the topics of tf, for the graph to see; of a type that everybody has."""

    def __init__(self, buffer: Buffer, node: Node, *, spin_thread: bool = False) -> None:
        assert not spin_thread
        for topic in ("/tf", "/tf_static"):
            node.create_subscription(Empty, topic, lambda _: None, 1)

    def unregister(self) -> None:
        """Would end the subscriptions."""
