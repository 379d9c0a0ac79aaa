"""Centers in another frame: the real node without tf2, and with a stand-in for it.

The stand-in (`tf2_stand_in`) knows one transform that a test writes into a file; the real tf2 is in
`test_target_frame_with_tf2.py`.
"""

from __future__ import annotations

import array
import importlib.util
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_ros.parameters.query import QueryParameters

STAND_IN = Path(__file__).parent / "tf2_stand_in"
OPTICAL = "camera_optical_frame"
TO_BODY = [-0.5, 0.5, -0.5, 0.5]
SHIFT = [10.0, 20.0, 1.5]
LONG_NS = 10**12
LONG = Duration(sec=55)
DISTANCE = "How far is pallet 1 from pallet 2?"


@pytest.fixture(scope="module")
def transform_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tf") / "transform.json"


@pytest.fixture
def give(graph: Any, transform_file: Path) -> Iterator[Callable[..., None]]:
    """Tell the stand-in of a transform that holds from and to these nanoseconds from now."""

    def give(from_ns: int = -LONG_NS, to_ns: int = LONG_NS, target: str = "map") -> None:
        now_ns = graph.node.get_clock().now().nanoseconds
        known = {
            "frames": [target, OPTICAL],
            "rotation": TO_BODY,
            "translation": SHIFT,
            "from_ns": now_ns + from_ns,
            "to_ns": now_ns + to_ns,
        }
        draft = transform_file.with_suffix(".draft")
        draft.write_text(json.dumps(known))
        draft.replace(transform_file)

    yield give
    transform_file.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def with_stand_in(transform_file: Path) -> dict[str, str]:
    paths = [str(STAND_IN), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TF2_STAND_IN_FILE": str(transform_file),
    }


@pytest.fixture(scope="module")
def operator(
    graph: Any, start_node: Any, camera: Any, make_operator: Any, wait_for: Any, with_stand_in: Any
) -> Iterator[Any]:
    """Of a node that wants centers in the map; the namespace has a tf of its own."""
    names = ["/tf:=/robot/tf", "/tf_static:=/robot/tf_static"]
    process = start_node(
        "spatial_query_node",
        *[argument for name in names for argument in ("-r", name)],
        *["-p", "target_frame:=map", "-p", "input_wait:=0.5"],
        environment=with_stand_in,
    )
    operator = make_operator(graph)
    not_yet = (Status.NOT_ACTIVE, Status.NO_RGB, Status.NO_DEPTH, Status.NO_CAMERA_INFO)
    wait_for(lambda: operator.ask_distance().status not in not_yet, "the node")
    wait_for(lambda: operator.ask_distance().status == Status.NO_TRANSFORM, "a refusal")
    yield operator
    assert process.stop() == 0
    client = graph.client(SpatialQuery, "/spatial_query")
    wait_for(lambda: not client.service_is_ready(), "the end of the service")


def in_the_map(answer: SpatialAnswer) -> bool:
    """Whether the centers are where `give` and the camera of the tests put the pallets."""
    first, second = answer.centers
    # Both are 3 m ahead of the camera, pallet 1 left of it and pallet 2 right of it.
    return (
        answer.centers_frame == "map"
        and first.x == pytest.approx(10.0 + 3.0, abs=0.2)
        and first.y > 20.5 > 19.5 > second.y
        and first.z == pytest.approx(1.5, abs=0.5)
    )


def test_centers_are_in_the_target_frame(
    operator: Any, give: Any, graph: Any, wait_for: Any
) -> None:
    give()
    markers = graph.collect(MarkerArray, "/spatial_query/markers", 1)
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.OK, answer.message
    assert in_the_map(answer)
    assert answer.header.frame_id == OPTICAL
    assert answer.value == pytest.approx(3.0, abs=0.3)
    assert answer.latency_transform > 0
    wait_for(lambda: operator.ask(DISTANCE) and markers, "markers")
    # The picture is one of the camera, and so are its markers.
    sphere = next(marker for marker in markers[-1].markers if marker.ns == "centers")
    assert (sphere.header.frame_id, sphere.pose.position.x < 0) == (OPTICAL, True)


def test_vectors_are_in_the_target_frame(
    operator: Any, give: Any, start_node: Any, graph: Any, make_operator: Any, wait_for: Any,
    with_stand_in: Any, show: Any, hall: SimulatedFrame,
) -> None:  # fmt: skip
    show(hall.frame, period_s=0.2, prefix="hall/")
    arguments = [*apart("in_map", "/hall/"), "-p", "target_frame:=map"]
    process = start_node("spatial_query_node", *arguments, environment=with_stand_in)
    in_map = make_operator(graph, "/in_map/spatial_query", "/in_map/spatial_query")
    give()
    where = "Where is pallet 16?"
    wait_for(lambda: in_map.ask(where).status == Status.OK, "an answer")
    true = {item.id: item for item in hall.truth.objects}
    position = answer_from_message(in_map.ask(where))
    assert position.vector is not None
    np.testing.assert_allclose(position.vector, to_map(true[16].center) + SHIFT, atol=0.1)
    np.testing.assert_allclose(position.vector, position.centers[0], atol=1e-6)
    assert position.centers_frame == "map"
    numbers = ", ".join(f"{number:.2f}" for number in position.vector)
    assert position.text == f"Pallet 16 is at ({numbers}) m."
    direction = answer_from_message(in_map.ask("In which direction is pallet 24 from pallet 16?"))
    offset = to_map(true[24].center - true[16].center)
    assert direction.vector is not None
    np.testing.assert_allclose(direction.vector, offset / np.linalg.norm(offset), atol=0.05)
    numbers = ", ".join(f"{number:.2f}" for number in direction.vector)
    assert f"({numbers})" in direction.text
    size = answer_from_message(in_map.ask(category=Category.SIZE, region_ids=[16]))
    assert size.vector is not None
    np.testing.assert_allclose(size.vector, true[16].size, atol=0.05)
    assert size.centers_frame == "map"
    assert process.stop() == 0


def to_map(optical: np.ndarray) -> np.ndarray:
    """By `TO_BODY`: ahead, to the left, up."""
    x, y, z = optical
    return np.array([z, -x, -y])


def test_a_missing_transform_is_a_refusal(operator: Any, give: Any) -> None:
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.NO_TRANSFORM
    for words in (repr(OPTICAL), "'map'", "not connected", "view_frames", "does not exist"):
        assert words in answer.message
    assert list(answer.region_ids) == [1, 2]
    assert answer.centers_frame == answer.header.frame_id == OPTICAL
    assert math.isnan(answer.centers[0].x)
    assert answer.latency_total > 0.5
    give()
    assert in_the_map(operator.ask(DISTANCE))


def test_centers_without_depth_need_no_transform(operator: Any, camera: Any, wait_for: Any) -> None:
    def hide_the_pallets(depth: Image) -> None:
        rows = slice(45 * depth.step, 75 * depth.step)
        depth.data[rows] = array.array("B", bytes(30 * depth.step))

    with camera.fault(changes={"depth": hide_the_pallets}):
        wait_for(lambda: operator.ask_distance().status == Status.NO_VALID_DEPTH, "the fault")
        answer = operator.ask(category=Category.LEFT_RIGHT, region_ids=[1, 2])
    assert Status(answer.status) is Status.OK, answer.message
    assert math.isnan(answer.centers[0].x)
    assert answer.centers_frame == "map"
    wait_for(lambda: operator.ask_distance().status == Status.NO_TRANSFORM, "the pallets")


def test_what_publishes_it_has_stopped(operator: Any, give: Any) -> None:
    give(to_ns=-3 * 10**9)
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.NO_TRANSFORM
    age = re.search(r"the latest one is ([\d.]+) s older", answer.message)
    assert age is not None, answer.message
    assert 2.5 < float(age[1]) < 30.0
    assert "has stopped" in answer.message
    give()
    assert in_the_map(operator.ask(DISTANCE))


def test_an_image_from_before_the_transforms_is_not_waited_for(operator: Any, give: Any) -> None:
    assert operator.set(input_wait=60.0).successful
    give(from_ns=60 * 10**9, to_ns=120 * 10**9)
    answer = operator.ask(DISTANCE, timeout=LONG)
    assert operator.set(input_wait=0.5).successful
    assert Status(answer.status) is Status.NO_TRANSFORM
    assert "ask about a newer image" in answer.message
    assert answer.latency_total < 50.0


def test_waiting_ends_with_the_transform_and_keeps_nobody_else_waiting(
    operator: Any, give: Any, graph: Any
) -> None:
    assert operator.set(input_wait=60.0).successful
    waiting = operator.ask_async(DISTANCE, timeout=LONG)
    refused = operator.ask("How far is pallet 1 from pallet 9?")
    assert Status(refused.status) is Status.UNKNOWN_REGION
    assert not waiting.done()
    give()
    answer = graph.result(waiting).answer
    assert in_the_map(answer)
    assert answer.latency_transform > 0
    assert answer.latency_total < 50.0


def test_waiting_ends_with_the_timeout_of_the_request(operator: Any) -> None:
    assert operator.set(input_wait=60.0).successful
    answer = operator.ask(DISTANCE, timeout=Duration(sec=2))
    assert Status(answer.status) is Status.NO_TRANSFORM
    assert 2.0 <= answer.latency_total < 50.0


def test_waiting_ends_with_deactivation(operator: Any, give: Any, graph: Any) -> None:
    assert operator.set(input_wait=60.0).successful
    waiting = operator.ask_async(DISTANCE, timeout=LONG)
    # Its answer comes while the question before waits for the transform.
    refused = operator.ask("How far is pallet 1 from pallet 9?")
    assert Status(refused.status) is Status.UNKNOWN_REGION
    assert not waiting.done()
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert Status(graph.result(waiting).answer.status) is Status.NOT_ACTIVE
    assert graph.node.count_subscribers("/robot/tf") == 0
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    give()
    assert in_the_map(operator.ask(DISTANCE))
    assert operator.set(input_wait=0.5).successful


def test_tf_is_that_of_the_remappings(operator: Any, graph: Any, wait_for: Any) -> None:
    for topic in ("tf", "tf_static"):
        wait_for(lambda name=topic: graph.node.count_subscribers(f"/robot/{name}"), topic)
        assert graph.node.count_subscribers(f"/{topic}") == 0


def test_nothing_stays_of_an_activation(operator: Any, graph: Any, wait_for: Any) -> None:
    def threads() -> int:
        stats = graph.call(Trigger, "/spatial_query/stats", Trigger.Request())
        return json.loads(stats.message)["threads"]

    before = threads()
    for _ in range(5):
        operator.restart()
    wait_for(lambda: threads() == before, f"{before} threads")


def test_diagnostics_tell_of_the_transform(
    operator: Any, give: Any, graph: Any, wait_for: Any
) -> None:
    received = graph.collect(DiagnosticArray, "/diagnostics")

    def newest() -> DiagnosticStatus | None:
        parts = received[-1].status if received else []
        return next((part for part in parts if part.name == "spatial_query: transforms"), None)

    def level_is(level: bytes) -> bool:
        status = newest()
        return status is not None and status.level == level

    operator.ask(DISTANCE)
    wait_for(lambda: level_is(DiagnosticStatus.WARN), "a warning")
    warning = newest()
    assert warning is not None
    assert "not connected" in warning.message
    give(to_ns=2 * 10**9)
    assert in_the_map(operator.ask(DISTANCE))
    wait_for(lambda: level_is(DiagnosticStatus.OK), "a good status")
    good = newest()
    assert good is not None
    values = {item.key: item.value for item in good.values}
    assert (values["target_frame"], values["source_frame"]) == ("map", OPTICAL)
    assert -2.0 < float(values["newest_age_s"]) < 30.0


def test_without_a_target_frame_centers_are_in_the_optical_frame(operator: Any, graph: Any) -> None:
    assert operator.set(target_frame="").successful
    operator.restart()
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.OK, answer.message
    assert answer.centers_frame == answer.header.frame_id == OPTICAL
    assert answer.centers[0].z == pytest.approx(3.0, abs=0.2)
    assert answer.latency_transform == 0.0
    assert graph.node.count_subscribers("/robot/tf") == 0
    assert not operator.set(target_frame="/map").successful


def test_the_name_of_a_frame_has_no_slash_before_it() -> None:
    for wrong in ("/map", " map"):
        with pytest.raises(ValueError, match="target_frame must be the name"):
            QueryParameters(target_frame=wrong)


def apart(name: str, inputs: str = "/") -> list[str]:
    """Arguments that keep a node apart from the one of the other tests, with its inputs there."""
    remaps = [f"{topic}:={inputs}{topic}" for topic in ("rgb", "depth", "camera_info", "regions")]
    return [part for remap in (f"__ns:=/{name}", *remaps) for part in ("-r", remap)]


@pytest.mark.skipif(importlib.util.find_spec("tf2_ros") is not None, reason="tf2 is installed")
def test_without_tf2_configuring_fails_and_says_what_to_install(
    start_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any
) -> None:
    process = start_node(
        "spatial_query_node",
        *[*apart("bare"), "-p", "target_frame:=map"],
        environment={"ROS_DISTRO": "jazzy"},
    )
    operator = make_operator(graph, "/bare/spatial_query", "/bare/spatial_query")
    wait_for(lambda: "configure failed" in operator.ask_distance().message, "the attempt")
    refused = operator.ask_distance()
    assert Status(refused.status) is Status.NOT_ACTIVE
    assert "apt install ros-jazzy-tf2-ros" in refused.message
    # The parameter can be repaired without a restart.
    assert operator.set(target_frame="").successful
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    # And one that is set later fails when it takes effect.
    assert operator.set(target_frame="map").successful
    assert not operator.change(Transition.TRANSITION_ACTIVATE)
    assert "tf2-ros" in operator.ask_distance().message
    assert operator.set(target_frame="").successful
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    assert process.stop() == 0


def test_a_clock_that_goes_back_makes_the_node_forget(
    start_node: Any, graph: Any, give: Any, transform_file: Path, wait_for: Any, with_stand_in: Any
) -> None:
    process = start_node(
        "spatial_query_node",
        *[*apart("simulated"), "-p", "target_frame:=map", "-p", "use_sim_time:=true"],
        environment=with_stand_in,
    )
    publisher = graph.node.create_publisher(Clock, "/clock", 1)
    received = graph.collect(DiagnosticArray, "/diagnostics")

    def time_is(seconds: int) -> bool:
        publisher.publish(Clock(clock=Time(sec=seconds)))
        stamps = [message.header.stamp.sec for message in list(received)[-4:]]
        return seconds in stamps and graph.node.count_subscribers("/tf") > 0

    wait_for(lambda: time_is(100), "the first time")
    give()
    wait_for(lambda: time_is(200), "a later time")
    assert transform_file.exists()
    wait_for(lambda: time_is(50), "a time before")
    assert not transform_file.exists()
    assert process.stop() == 0
