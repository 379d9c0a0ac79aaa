"""Centers in another frame with the real tf2, from the graph to the answer.

tf2 comes with a ROS installation only. What of this needs no tf2 is in `test_target_frame.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from lifecycle_msgs.msg import Transition
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.stamps import time_to_ns

pytest.importorskip("tf2_ros")

PUBLISHER = Path(__file__).with_name("transform_process.py")
SPEED = 5.0
"""Meters per second of the robot, so that 10 ms are 5 cm."""
DISTANCE = "How far is pallet 1 from pallet 2?"


@pytest.fixture(scope="module")
def start_s(graph: Any) -> float:
    """When the robot was at the origin of the map."""
    return graph.node.get_clock().now().nanoseconds / 1e9


@pytest.fixture
def publisher(start_command: Any, start_s: float) -> Iterator[Any]:
    """What publishes tf; ends with the test."""
    process = start_command(sys.executable, PUBLISHER, repr(start_s), SPEED)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def operator(
    graph: Any, start_node: Any, camera: Any, make_operator: Any, wait_for: Any
) -> Iterator[Any]:
    process = start_node(
        "spatial_query_node",
        *["-p", "target_frame:=map", "-p", "input_wait:=0.5", "-p", "buffer_size:=300"],
    )
    operator = make_operator(graph)
    # Nobody publishes tf before the first test.
    wait_for(lambda: operator.ask_distance().status == Status.NO_TRANSFORM, "a refusal")
    yield operator
    assert process.stop() == 0
    client = graph.client(SpatialQuery, "/spatial_query")
    wait_for(lambda: not client.service_is_ready(), "the end of the service")


def check_places(answer: SpatialAnswer, start_s: float) -> None:
    """Both pallets stand 3 m before the camera, on a robot that drives along x."""
    assert Status(answer.status) is Status.OK, answer.message
    assert answer.centers_frame == "map"
    assert answer.header.frame_id == "camera_optical_frame"
    robot_x = SPEED * (time_to_ns(answer.header.stamp) / 1e9 - start_s)
    first, second = answer.centers
    # The place at the stamp of the image, and not the newest one.
    assert first.x == pytest.approx(robot_x + 3.0, abs=0.05)
    assert second.x == pytest.approx(robot_x + 3.0, abs=0.05)
    assert first.y == pytest.approx(1.5, abs=0.2)
    assert second.y == pytest.approx(-1.5, abs=0.2)
    assert first.z == pytest.approx(1.5, abs=0.3)


def test_a_missing_transform_is_a_refusal(operator: Any) -> None:
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.NO_TRANSFORM
    for words in ("'camera_optical_frame'", "'map'", "not connected", "tf2 says"):
        assert words in answer.message


def test_centers_are_those_of_the_moment_of_the_image(
    operator: Any, publisher: Any, start_s: float, wait_for: Any
) -> None:
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "the first transform")
    for _ in range(3):
        check_places(operator.ask(DISTANCE), start_s)


def test_tf_that_has_stopped_is_a_refusal_and_the_next_answer_is_correct(
    operator: Any, publisher: Any, start_command: Any, start_s: float, wait_for: Any
) -> None:
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "the first transform")
    publisher.stop()
    wait_for(lambda: operator.ask(DISTANCE).status == Status.NO_TRANSFORM, "the refusal")
    answer = operator.ask(DISTANCE)
    assert "has stopped" in answer.message
    again = start_command(sys.executable, PUBLISHER, repr(start_s), SPEED)
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "an answer")
    check_places(operator.ask(DISTANCE), start_s)
    again.stop()


def test_an_image_from_before_the_transforms(
    operator: Any, start_command: Any, start_s: float, wait_for: Any
) -> None:
    # A new listener, which knows nothing of the tests before.
    operator.restart()
    wait_for(lambda: operator.ask(DISTANCE).status == Status.NO_TRANSFORM, "a refusal")
    before = operator.ask(DISTANCE).header.stamp
    publisher = start_command(sys.executable, PUBLISHER, repr(start_s), SPEED)
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "the first transform")
    assert operator.set(input_wait=60.0).successful
    patient = {"max_age": Duration(sec=60), "timeout": Duration(sec=55)}
    answer = operator.ask(DISTANCE, stamp=before, **patient)
    assert operator.set(input_wait=0.5).successful
    assert Status(answer.status) is Status.NO_TRANSFORM
    assert "ask about a newer image" in answer.message
    assert answer.latency_total < 50.0  # it is not waited for
    check_places(operator.ask(DISTANCE), start_s)
    publisher.stop()


def test_deactivation_unsubscribes(
    operator: Any, publisher: Any, graph: Any, wait_for: Any
) -> None:
    for topic in ("/tf", "/tf_static"):
        wait_for(lambda name=topic: graph.node.count_subscribers(name) == 1, topic)
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    for topic in ("/tf", "/tf_static"):
        wait_for(lambda name=topic: graph.node.count_subscribers(name) == 0, topic)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
