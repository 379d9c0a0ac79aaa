"""The inputs of a node: they are received, and diagnosed when they are silent.

Messages are kept serialized; only the stamp is read from them, because most frames are never asked
about.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    QoSCompatibility,
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.compressed import ALL_RAW, TRANSPORTS, Transports, transported
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.stamps import read_stamp_ns
from smolrgpt_core.messages.types import SENSOR_QUEUE_DEPTH
from smolrgpt_ros.inputs.frame_buffer import FrameUnavailableError
from smolrgpt_ros.inputs.silence import Silence, cause_of_silence
from smolrgpt_ros.messages.conversions import message_class
from smolrgpt_ros.runtime.listening import Listener

LATCHABLE = ("camera_info", "regions")
"""Inputs that may be published once and latched (transient local), because they may be constant."""

LATCHED = QoSProfile(
    depth=1,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)
"""Receives earlier messages from publishers with the same quality of service."""

RECEIVED_ONCE = 16
"""Messages to remember until the other subscription receives its copy; more than can be queued."""

LATCHED_PERIOD_S = 0.25
"""Polling interval for such publishers."""

InputTypes: TypeAlias = Mapping[str, tuple[str, type]]
"""Relative topic name and message type of each input."""

WARNING_PERIOD_S = 10.0
"""Smallest interval of warnings about messages, so that a bad publisher cannot fill the disk."""


@dataclass
class InputStatistics:
    """Message counts of one input since activation."""

    received: int = 0
    lost: int = 0


def input_types(
    region_source: str, transports: Transports = ALL_RAW
) -> dict[str, tuple[str, type]]:
    """Relative topic name and message type of each input."""
    images = {name: transported(name, transport) for name, transport in transports.items()}
    return {
        **{name: (topic, message_class(kind)) for name, (topic, kind) in images.items()},
        "camera_info": ("camera_info", CameraInfo),
        "regions": (region_source, region_type(region_source)),
    }


def region_type(region_source: str) -> type:
    """The message class of a key of `REGION_SOURCES`.

    Raises:
        ModuleNotFoundError: the package is not installed; the message says how to install it.
    """
    source = REGION_SOURCES[region_source]
    package = source.type_name.partition("/")[0]
    try:
        return message_class(source.type_name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"region_source {region_source!r} needs the messages of {package}, which are not "
            f"installed: {source.remedy}",
            name=package,
        ) from error


def input_topics(node: Node, types: InputTypes) -> dict[str, str]:
    """Full topic name of each input, with namespace and remappings.

    Args:
        node: provides namespace and remappings.
        types: relative topic name and message type of each input.
    """
    return {name: _resolved(node, *topic.split("/")) for name, (topic, _) in types.items()}


def _resolved(node: Node, name: str, *transport: str) -> str:
    """As in image_transport: remapping `rgb` also remaps `rgb/compressed`."""
    base = node.resolve_topic_name(name)
    # A name is resolved once: what it is remapped to may itself be the name of another rule.
    return node.resolve_topic_name("/".join([base, *transport])) if transport else base


class SensorInputs:
    """Subscriptions to the inputs, alive from construction to `close`.

    They have their own node and thread. On the node that serves questions, each of the 120 messages
    per second would make rclpy rebuild the wait set of about forty entities and pass three threads:
    18 to 23 % of a core for four inputs of 640x480 at 30 Hz, compared with 6 % here. And a separate
    thread is never busy with an answer.

    A second subscription receives what latching publishers sent before this node started. It exists
    only while there is such a publisher: others would warn about incompatible quality of service.
    Messages that both subscriptions receive are used once.

    Args:
        node: provides names, remappings and graph.
        add: called with name, stamp in nanoseconds and serialized message, on the thread of the
            inputs.
        types: relative topic name and message type of each input.
        reliability: `best_effort` or `reliable`.
    """

    def __init__(
        self,
        node: Node,
        add: Callable[[str, int, bytes], None],
        types: InputTypes,
        reliability: str,
    ) -> None:
        self.topics = input_topics(node, types)
        self.statistics = {name: InputStatistics() for name in types}
        self._types = {name: type_ for name, (_, type_) in types.items()}
        self._qos = QoSProfile(
            depth=SENSOR_QUEUE_DEPTH,
            reliability=QoSReliabilityPolicy[reliability.upper()],
            durability=qos_profile_sensor_data.durability,
        )
        self._add = add
        self._graph = node
        self._listener = Listener(node, "inputs")
        self._node = self._listener.node
        self._latched: dict[str, Subscription] = {}
        self._latchable = [name for name in LATCHABLE if name in types]
        self._received_once = {name: deque[int](maxlen=RECEIVED_ONCE) for name in self._latchable}
        for name in types:
            self._subscribe(name)
        self._node.create_timer(
            LATCHED_PERIOD_S,
            self._follow_latching_publishers,
            # On real time: a paused simulation must not hide a calibration.
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._listener.start()

    def close(self) -> None:
        """End all subscriptions."""
        self._listener.close()

    def _subscribe(self, name: str, is_latched: bool = False) -> Subscription:
        return self._node.create_subscription(
            self._types[name],
            self.topics[name],
            self._receiver(name),
            LATCHED if is_latched else self._qos,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._loss_counter(name)),
        )

    def _follow_latching_publishers(self) -> None:
        """Add the second subscription of an input while there is a latching publisher."""
        for name in self._latchable:
            publishers = self._graph.get_publishers_info_by_topic(self.topics[name])
            latches = any(_latches(publisher.qos_profile) for publisher in publishers)
            if latches and name not in self._latched:
                self._latched[name] = self._subscribe(name, is_latched=True)
            elif not latches and name in self._latched:
                self._node.destroy_subscription(self._latched.pop(name))

    def _receiver(self, name: str) -> Callable[[bytes], None]:
        statistics, topic = self.statistics[name], self.topics[name]

        def receive(serialized: bytes) -> None:
            if name in self._latched and self._came_before(name, serialized):
                return
            try:
                stamp_ns = read_stamp_ns(serialized)
            except struct.error:
                self._graph.get_logger().warning(
                    f"{len(serialized)} bytes from {name} ({topic}) are not a valid message; check "
                    "who publishes there",
                    throttle_duration_sec=WARNING_PERIOD_S,
                )
                return
            statistics.received += 1
            self._add(name, stamp_ns, serialized)

        return receive

    def _came_before(self, name: str, serialized: bytes) -> bool:
        """Whether the other subscription of this input has received the same message."""
        waiting, content = self._received_once[name], hash(serialized)
        if content in waiting:
            waiting.remove(content)
            return True
        waiting.append(content)
        return False

    def _loss_counter(self, name: str) -> Callable[[QoSMessageLostInfo], None]:
        statistics = self.statistics[name]

        def count(event: QoSMessageLostInfo) -> None:
            statistics.lost += event.total_count_change

        return count

    def publisher_count(self, name: str) -> int:
        """Number of publishers on the topic of an input."""
        return self._graph.count_publishers(self.topics[name])

    def explain(self, error: FrameUnavailableError) -> SpatialError:
        """The refusal, extended by what the graph shows about silent inputs."""
        if not error.silent:
            return error
        causes = {name: self.cause_of_silence(name) for name in error.silent}
        is_quality_of_service = causes[error.silent[0]].is_quality_of_service
        status = Status.QOS_INCOMPATIBLE if is_quality_of_service else error.status
        return SpatialError(status, f"{error.message}: {_joined(causes)}")

    def cause_of_silence(self, name: str) -> Silence:
        """Why an input is silent, as far as the graph shows."""
        return cause_of_silence(
            self._graph,
            self.topics[name],
            self._types[name],
            self._qos,
            self._remedy_without_publisher(name),
        )

    def _remedy_without_publisher(self, name: str) -> str:
        """What to do; often the camera publishes the same images with another transport."""
        for transport in TRANSPORTS.get(name, ()):
            topic = _resolved(self._graph, *transported(name, transport)[0].split("/"))
            if topic != self.topics[name] and self._graph.count_publishers(topic):
                return (
                    f"{topic} has a publisher: set {name}_transport to {transport}, and activate "
                    "again"
                )
        return "start the source, or remap to its topic"


def _joined(causes: Mapping[str, Silence]) -> str:
    """All advice in one sentence; inputs are named if their advice differs."""
    inputs: dict[str, list[str]] = {}
    for name, cause in causes.items():
        inputs.setdefault(cause.advice, []).append(name)
    if len(inputs) == 1:
        return next(iter(inputs))
    return "; ".join(f"{', '.join(names)}: {advice}" for advice, names in inputs.items())


def _latches(offered: QoSProfile) -> bool:
    compatibility, _ = qos_check_compatible(offered, LATCHED)
    return bool(compatibility != QoSCompatibility.ERROR)
