"""A camera in a simulated warehouse: the topics of an RGB-D camera with a segmenter, and the truth.

Images are rendered by MuJoCo on a thread of their own, each pose once; a timer publishes them in
a loop. The ground truth goes out on its own topic, for those who check answers.
"""

from __future__ import annotations

import threading
from collections import Counter

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from smolrgpt_core.messages.types import CAMERA_TOPICS
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.messages.conversions import message_class
from smolrgpt_ros.messages.sim_messages import FrameMessages, frame_messages
from smolrgpt_ros.parameters.declaration import declare
from smolrgpt_ros.parameters.sim_camera import SimCameraParameters
from smolrgpt_ros.runtime.ending_signals import EndingSignals, limit_the_end
from smolrgpt_ros.runtime.node_process import run_node

NODE_NAME = "sim_camera"

RENDERING_GRACE_S = 3.0
"""Time to finish the image being rendered at shutdown; the first one takes longest."""


class FrameRing:
    """Frames along a closed path: one thread adds them, another publishes them in turn."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: list[FrameMessages] = []
        self._next = 0

    def add(self, frame: FrameMessages) -> None:
        """Append the next frame of the path."""
        self._frames.append(frame)

    def advance(self) -> FrameMessages | None:
        """The next frame; the last one again until the next is rendered; None before the first."""
        available = len(self._frames)
        if available == 0:
            return None
        shown = min(self._next, available - 1)
        self._next = (shown + 1) % self._size
        return self._frames[shown]


class SimCameraNode(Node):
    """See `docs/demo.md` for topics and parameters.

    Raises:
        ValueError: a parameter is out of range.
        rclpy.exceptions.ParameterException: a parameter has the wrong type.
    """

    def __init__(self) -> None:
        super().__init__(NODE_NAME)
        self.parameters = declare(self, SimCameraParameters)
        self._ring = FrameRing(self.parameters.pose_count)
        self._senders = {name: self._sender(name) for name in CAMERA_TOPICS}
        self.create_timer(1.0 / self.parameters.rate, self._send)
        self._stopping = threading.Event()
        self.failed = False
        self._rendering = threading.Thread(target=self._render_all, name="rendering", daemon=True)
        self._rendering.start()

    def stop_rendering(self) -> None:
        """Finish the image being rendered, or abandon it after the grace period."""
        self._stopping.set()
        self._rendering.join(RENDERING_GRACE_S)

    def _sender(self, name: str) -> Publisher:
        topic = CAMERA_TOPICS[name]
        reliability = topic.reliability or self.parameters.reliability
        quality = QoSProfile(
            depth=topic.queue_depth, reliability=QoSReliabilityPolicy[reliability.upper()]
        )
        return self.create_publisher(message_class(topic.type_name), name, quality)

    def _send(self) -> None:
        frame = self._ring.advance()
        if frame is None:
            return
        frame.set_stamp(self.get_clock().now().to_msg())
        for name, sender in self._senders.items():
            sender.publish(frame.by_topic[name])

    def _render_all(self) -> None:
        drive = self.parameters.drive
        try:
            for index, simulated in enumerate(drive.frames()):
                if self._stopping.is_set():
                    return
                if index == 0:
                    self._describe(simulated.frame.regions)
                self._ring.add(frame_messages(simulated, drive.frame_id, drive.depth_encoding))
        except Exception as error:
            self.get_logger().fatal(f"cannot render the warehouse: {error}")
            self.failed = True

    def _describe(self, regions: RegionSet) -> None:
        """Log what the camera shows."""
        parameters = self.parameters
        counts = Counter(region.label for region in regions)
        objects = ", ".join(f"{label} {count}" for label, count in counts.items())
        self.get_logger().info(
            f"scene {parameters.seed} ({objects}): {parameters.width}x{parameters.height} at "
            f"{parameters.rate:g} Hz on {self._senders['rgb'].topic_name}, "
            f"{self._senders['depth'].topic_name}, ..."
        )


def main(args: list[str] | None = None) -> None:
    """Run the camera until SIGINT or SIGTERM."""
    run_node(NODE_NAME, SimCameraNode, _serve, args)


def _serve(node: SimCameraNode, signals: EndingSignals) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not (signals.received or node.failed):
        executor.spin_once(timeout_sec=0.1)
    limit_the_end()
    executor.shutdown()
    node.stop_rendering()
    return 1 if node.failed else 0
