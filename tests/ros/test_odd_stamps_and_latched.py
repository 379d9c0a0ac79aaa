"""Cameras whose stamps repeat or are 0, and calibrations that are sent once: in a running node."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import RegionArray, SpatialAnswer
from std_msgs.msg import Header

from smolrgpt_core.errors import Status

LATCHED = QoSProfile(
    depth=1,
    reliability=QoSReliabilityPolicy.RELIABLE,
    durability=QoSDurabilityPolicy.TRANSIENT_LOCAL,
)


@pytest.fixture(scope="module")
def node(start_node: Any) -> Any:
    return start_node("spatial_query_node", "-p", "input_wait:=0.5")


@pytest.fixture
def operator(graph: Any, node: Any, camera: Any, make_operator: Any, wait_for: Any) -> Any:
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer before the test")
    return operator


class Reports:
    """The newest diagnostics, by part."""

    def __init__(self, graph: Any) -> None:
        self._received = graph.collect(DiagnosticArray, "/diagnostics")

    def status(self, name: str) -> DiagnosticStatus:
        found = [
            status
            for array in self._received[-1:]
            for status in array.status
            if status.name == f"spatial_query: {name}"
        ]
        return found[0] if found else DiagnosticStatus()


@pytest.fixture(scope="module")
def reports(graph: Any) -> Reports:
    return Reports(graph)


def stands_still(header: Header) -> Any:
    """A change that gives every message one stamp; all depth images but the first show 9 m."""
    is_first = True

    def change(message: Any) -> None:
        nonlocal is_first
        message.header.stamp = header.stamp
        if isinstance(message, Image) and message.encoding == "16UC1":
            if not is_first:
                far = np.full(message.width * message.height, next(millimeters), np.uint16)
                message.data = far.tobytes()
            is_first = False

    millimeters = itertools.count(9000)
    return change


@pytest.mark.parametrize("inputs", [("rgb", "depth", "regions"), ("depth",)])
def test_camera_that_froze(
    operator: Any, camera: Any, graph: Any, reports: Reports, wait_for: Any, inputs: tuple[str, ...]
) -> None:
    frozen = stands_still(Header(stamp=graph.node.get_clock().now().to_msg()))
    with camera.fault(changes=dict.fromkeys(inputs, frozen)):
        answers: list[SpatialAnswer] = []

        def is_refused() -> bool:
            answers.append(operator.ask_distance())
            return "repeat" in answers[-1].message

        wait_for(is_refused, "the refusal")
        # What is answered until then is about the frames before: 3 m.
        values = [answer.value for answer in answers if answer.status == Status.OK]
        assert values == pytest.approx([3.0] * len(values), abs=0.3)
        assert answers[-1].status == Status.STALE
        assert f"the stamps of {inputs[0]} (/{inputs[0]}) repeat" in answers[-1].message
        wait_for(lambda: "stamps repeat" in reports.status(inputs[0]).message, "the diagnostics")
        assert reports.status(inputs[0]).level == DiagnosticStatus.ERROR
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer after it")


@pytest.mark.parametrize("name", ["rgb", "depth", "regions"])
def test_stamps_that_are_zero(
    operator: Any, camera: Any, reports: Reports, wait_for: Any, name: str
) -> None:
    def zero(message: Any) -> None:
        message.header.stamp.sec = message.header.stamp.nanosec = 0

    with camera.fault(changes={name: zero}):
        answers: list[SpatialAnswer] = []

        def is_refused() -> bool:
            answers.append(operator.ask_distance())
            return "are 0" in answers[-1].message

        wait_for(is_refused, "the refusal")
        assert answers[-1].status == Status.STALE
        wait_for(lambda: "stamps are 0" in reports.status(name).message, "the diagnostics")
        operator.restart()
        refused = operator.ask_distance()
        assert refused.status == Status.STALE
        assert f"the stamps of {name} (/{name}) are 0" in refused.message


@contextlib.contextmanager
def latched(graph: Any, camera: Any, kind: type, name: str) -> Iterator[Any]:
    """A publisher that latches, in place of the camera's; yields what sends a message."""
    with camera.without_publisher(name):
        publisher = graph.node.create_publisher(kind, name, LATCHED)

        def send() -> None:
            stamp = graph.node.get_clock().now().to_msg()
            publisher.publish(camera.message(name, Header(stamp=stamp, frame_id="eye")))

        try:
            yield send
        finally:
            graph.node.destroy_publisher(publisher)


def test_calibration_that_was_sent_once(
    operator: Any, camera: Any, graph: Any, wait_for: Any
) -> None:
    with latched(graph, camera, CameraInfo, "camera_info") as send:
        send()
        operator.restart()
        wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")


def test_regions_that_were_sent_once_are_too_old_and_not_missing(
    operator: Any, camera: Any, graph: Any, wait_for: Any
) -> None:
    with latched(graph, camera, RegionArray, "regions") as send:
        send()
        operator.restart()
        wait_for(
            lambda: operator.ask_distance().status in (Status.STALE, Status.OUT_OF_SYNC),
            "a refusal",
        )


def test_latching_camera_that_goes_on_is_received_once(
    operator: Any, camera: Any, graph: Any, reports: Reports, wait_for: Any
) -> None:
    with latched(graph, camera, CameraInfo, "camera_info") as send:
        send()
        operator.restart()
        wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
        for _ in range(10):
            send()
            operator.ask_distance()

        def received() -> str:
            values = {item.key: item.value for item in reports.status("camera_info").values}
            return values.get("received", "")

        wait_for(lambda: received() == "11", "each message once")
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer after it")

    def durabilities() -> set[QoSDurabilityPolicy]:
        subscriptions = graph.node.get_subscriptions_info_by_topic("/camera_info")
        return {item.qos_profile.durability for item in subscriptions}

    # A publisher that does not latch is not bothered with a second subscription.
    wait_for(lambda: durabilities() == {QoSDurabilityPolicy.VOLATILE}, "one subscription")
