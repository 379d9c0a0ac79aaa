"""Every reason for no answer, provoked on a real graph; after each one the next question works.

One node process answers for the whole module; a camera of the test publishes what it looks at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import RegionArray, SpatialAnswer
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.messages.conversions import image_to_message, time_from_ns

NODE = "/spatial_query"
LONG = Duration(sec=55)

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def node(start_node: Any, slow_answer: Any) -> Any:
    script = Path(__file__).parent / "node_with_scripted_answerer.py"
    arguments = {"answerer": "scripted", "max_pending": "2", "input_wait": "0.5"}
    return start_node(
        script,
        *[a for k, v in arguments.items() for a in ("-p", f"{k}:={v}")],
        environment=slow_answer.environment,
    )


@pytest.fixture
def ask_slowly(operator: Any, node: Any, wait_for: Any) -> Callable[..., Any]:
    """Ask a question whose answer is held back; returns its future when it is being answered."""

    def ask(**fields: Any) -> Any:
        before = node.output.count("a slow answer")
        future = operator.ask_async(category=Category.LEFT_RIGHT, region_ids=[1, 2], **fields)
        wait_for(lambda: node.output.count("a slow answer") > before, "the slow answer")
        return future

    return ask


@pytest.fixture
def pending(operator: Any) -> Callable[[], int]:
    """How many questions wait or are being answered."""

    def count() -> int:
        response = operator.graph.call(Trigger, f"{NODE}/stats", Trigger.Request())
        return json.loads(response.message)["queue"]["pending"]

    return count


@pytest.fixture
def operator(
    graph: Any, node: Any, camera: Any, make_operator: Any, wait_for: Any
) -> Iterator[Any]:
    """Before and after each test, the node answers; so no test leaves it broken."""
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer before the test")
    yield operator
    answers: list[SpatialAnswer] = []

    def is_answered() -> bool:
        answers.append(operator.ask_distance())
        return answers[-1].status == Status.OK

    wait_for(is_answered, "an answer after the test")
    assert node.process.poll() is None
    assert answers[-1].value == pytest.approx(3.0, abs=0.3)


def refused(answer: SpatialAnswer, status: Status, *words: str) -> None:
    """The refusal has the status, and a message that tells an operator what to do."""
    assert Status(answer.status) is status, answer.message
    for word in words:
        assert word in answer.message
    assert answer.text == ""
    assert not answer.has_value


@pytest.fixture
def until(operator: Any, wait_for: Any) -> Callable[..., SpatialAnswer]:
    """The first answer with a status; a busy machine needs time to take a change in.

    Call: until(Status.NO_RGB) or until(Status.OK, "How many pallets do you see?").
    """

    def ask(status: Status, question: str = "", **fields: Any) -> SpatialAnswer:
        answers: list[SpatialAnswer] = []

        def has_status() -> bool:
            answer = operator.ask(question) if question else operator.ask_distance(**fields)
            answers.append(answer)
            return answer.status == status

        wait_for(has_status, status.name)
        return answers[-1]

    return ask


def set_encoding(encoding: str) -> Change:
    return lambda message: setattr(message, "encoding", encoding)


def test_good_answer(operator: Any) -> None:
    answer = operator.ask("How far is pallet 1 from pallet 2?")
    assert Status(answer.status) is Status.OK
    assert (answer.category, answer.unit, answer.has_value) == (Category.DISTANCE, "m", True)
    assert answer.header.frame_id == "camera_optical_frame"
    assert answer.header.stamp.sec > 0
    assert list(answer.region_ids) == [1, 2]
    assert answer.centers[0].x < 0 < answer.centers[1].x
    assert 0 < answer.latency_answer <= answer.latency_total
    assert operator.ask("How many pallets do you see?").value == 2.0


def test_no_camera(operator: Any, camera: Any, until: Any) -> None:
    with camera.fault(silent={"rgb", "depth", "camera_info", "regions"}):
        operator.restart()
        answer = until(Status.NO_RGB)
    refused(answer, Status.NO_RGB, "rgb (/rgb)", "regions (/regions)", "sends nothing")
    assert answer.latency_total >= 0.5


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("depth", Status.NO_DEPTH),
        ("camera_info", Status.NO_CAMERA_INFO),
        ("regions", Status.NO_REGIONS),
    ],
)
def test_one_silent_topic(
    operator: Any, camera: Any, until: Any, name: str, status: Status
) -> None:
    with camera.fault(silent={name}):
        operator.restart()
        refused(until(status), status, f"/{name}", "/test has a publisher", "check that node")


def test_nobody_publishes(operator: Any, camera: Any, until: Any) -> None:
    with camera.without_publisher("regions"):
        operator.restart()
        refused(until(Status.NO_REGIONS), Status.NO_REGIONS, "there is no publisher", "remap")


def test_camera_that_stopped(operator: Any, camera: Any, until: Any, wait_for: Any) -> None:
    with camera.fault(silent={"rgb", "depth", "regions"}):
        answer = operator.ask_distance(max_age=Duration(nanosec=1_000_000), timeout=Duration(sec=3))
        refused(answer, Status.STALE, "max_age is 0.001 s")
        wait_for(lambda: "sends nothing" in until(Status.STALE).message, "a silent camera")
        refused(until(Status.STALE), Status.STALE, "rgb (/rgb)", "sends nothing")


@pytest.mark.parametrize(
    ("late", "named"), [("rgb", "depth"), ("depth", "depth"), ("regions", "regions")]
)
def test_stamps_one_second_apart(
    operator: Any, camera: Any, until: Any, late: str, named: str
) -> None:
    with camera.fault(offsets_s={late: -1.0}):
        operator.restart()
        answer = until(Status.OUT_OF_SYNC)
    refused(answer, Status.OUT_OF_SYNC, "sync_tolerance")
    milliseconds = re.search(rf"{named} is (\d+) ms", answer.message)
    assert milliseconds
    # The nearest of the others, which come at least every second even on a busy machine.
    assert 0 < int(milliseconds[1]) < 2000


def test_stamps_of_another_clock(operator: Any, camera: Any, until: Any) -> None:
    inputs = ("rgb", "depth", "camera_info", "regions")
    with camera.fault(offsets_s=dict.fromkeys(inputs, 60.0)):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "ahead of this node's clock")
    with camera.fault(offsets_s=dict.fromkeys(inputs, -60.0)):
        operator.restart()
        refused(until(Status.STALE), Status.STALE, "synchronize the clocks")
    operator.restart()


@pytest.mark.parametrize("name", ["rgb", "depth"])
def test_wrong_encoding(operator: Any, camera: Any, until: Any, name: str) -> None:
    with camera.fault(changes={name: set_encoding("no_such")}):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "must be one of", "'no_such'")


def set_image(encoding: str, step: int, data: bytes, big_endian: bool = False) -> Change:
    def change(message: Image) -> None:
        message.encoding, message.step, message.is_bigendian = encoding, step, int(big_endian)
        message.data = type(message.data)("B", data)

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("rgb", set_image("bayer_rggb8", 160, bytes(160 * 100)), ("needs 19200 bytes",)),
        ("rgb", set_image("mono8", 80, bytes(80 * 120)), ("its step is 80",)),
        ("rgb", set_image("mono8", 480, bytes(480 * 120)), ("implies 3",)),
        ("rgb", set_image("yuv422", 320, bytes(320 * 121)), ("needs 38400 bytes",)),
        ("depth", set_image("16UC1", 300, bytes(300 * 120), True), ("its step is 300",)),
    ],
)
def test_images_that_drivers_fill_wrongly(
    operator: Any, camera: Any, until: Any, name: str, change: Change, words: tuple[str, ...]
) -> None:
    with camera.fault(changes={name: change}):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "fills sensor_msgs/Image", *words)
    operator.restart()


def test_padded_big_endian_depth_beside_a_mosaic(operator: Any, camera: Any, until: Any) -> None:
    row = np.full(160, 3000, ">u2").tobytes() + b"\xff" * 32
    changes = {
        "depth": set_image("16UC1", len(row), row * 120, big_endian=True),
        "rgb": set_image("bayer_grbg8", 160, bytes(160 * 120)),
    }
    expected = operator.ask_distance().value
    with camera.fault(changes=changes):
        operator.restart()
        answer = until(Status.OK)
    assert answer.value == pytest.approx(expected)
    operator.restart()


def test_depth_in_the_wrong_unit(operator: Any, camera: Any, until: Any) -> None:
    def in_millimeters(message: Image) -> None:
        millimeters = np.frombuffer(message.data, np.uint16).reshape(message.height, message.width)
        wrong = image_to_message(millimeters.astype(np.float32), "32FC1", message.header)
        message.encoding, message.step, message.data = wrong.encoding, wrong.step, wrong.data

    with camera.fault(changes={"depth": in_millimeters}):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "median depth is 3000 m", "depth scale")
        assert operator.set(depth_scale=0.001).successful
        assert until(Status.OK).value == pytest.approx(3.0, abs=0.3)
        assert operator.set(depth_scale=0.0).successful
    operator.restart()


def test_calibration_of_another_resolution(operator: Any, camera: Any, until: Any) -> None:
    with camera.fault(changes={"camera_info": lambda message: setattr(message, "width", 320)}):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "camera_info is for 320x120", "remap")
    operator.restart()


def test_all_depth_missing(operator: Any, camera: Any, until: Any) -> None:
    def without_readings(message: Image) -> None:
        message.data = type(message.data)("B", bytes(len(message.data)))

    with camera.fault(changes={"depth": without_readings}):
        operator.restart()
        answer = until(Status.NO_VALID_DEPTH)
    refused(answer, Status.NO_VALID_DEPTH, "depth")
    assert list(answer.region_ids) == [1, 2]


def test_mask_of_another_size(operator: Any, camera: Any, until: Any) -> None:
    def larger_box(message: RegionArray) -> None:
        message.regions[1].box.width += 1

    with camera.fault(changes={"regions": larger_box}):
        operator.restart()
        refused(until(Status.BAD_INPUT), Status.BAD_INPUT, "region 2", "crop the mask to the box")


def test_unknown_region(operator: Any) -> None:
    answer = operator.ask("How far is <mask> from <mask>?", region_ids=[1, 99])
    refused(answer, Status.UNKNOWN_REGION, "99", "pallet 1, 2; buffer 3")


def test_more_placeholders_than_ids(operator: Any) -> None:
    answer = operator.ask("How far is <mask> from <mask>?", region_ids=[1])
    refused(answer, Status.BAD_QUESTION, "2 <mask>", "1 region id")


def test_question_that_cannot_be_read(operator: Any) -> None:
    refused(operator.ask("Colorless green ideas sleep furiously"), Status.BAD_QUESTION)
    refused(operator.ask(category=12, region_ids=[1]), Status.BAD_QUESTION, "MCQ", "got 12")
    refused(operator.ask(category=5, region_ids=[1]), Status.BAD_QUESTION, "TRUTH", "in words")
    refused(operator.ask_distance(timeout=Duration(sec=-1)), Status.BAD_QUESTION, "negative")
    refused(operator.ask_distance(timeout=Duration(sec=61)), Status.BAD_QUESTION, "max_timeout")


def test_answerer_that_fails(operator: Any, node: Any, wait_for: Any) -> None:
    answer = operator.ask(category=Category.MCQ, region_ids=[1, 2, 3])
    refused(answer, Status.MODEL_ERROR, "the engine caught fire", "log of /spatial_query")
    assert answer.category == Category.MCQ
    wait_for(lambda: "Traceback" in node.output, "the traceback in the log")


def test_more_questions_than_places(
    operator: Any, slow_answer: Any, ask_slowly: Any, pending: Any, wait_for: Any
) -> None:
    with slow_answer.held():
        slow = ask_slowly(timeout=LONG)
        waiting = operator.ask_async(category=Category.DISTANCE, region_ids=[1, 2], timeout=LONG)
        wait_for(lambda: pending() == 2, "both places to be taken")
        refused(operator.ask_distance(), Status.BUSY, "max_pending", "again")
    for future in (slow, waiting):
        assert operator.graph.result(future).answer.status == Status.OK


def test_answer_that_comes_too_late(operator: Any, slow_answer: Any, ask_slowly: Any) -> None:
    with slow_answer.held():
        slow = ask_slowly(timeout=Duration(sec=3))
        waiting = operator.ask_distance(timeout=Duration(nanosec=200_000_000))
        refused(waiting, Status.TIMEOUT, "other questions were answered first")
        answer = operator.graph.result(slow).answer
    refused(answer, Status.TIMEOUT, "still busy", "raise the timeout")
    assert answer.latency_total >= 3.0


def test_quality_of_service_that_cannot_match(operator: Any, until: Any) -> None:
    assert operator.set(input_reliability="reliable").successful
    operator.restart()
    answer = until(Status.QOS_INCOMPATIBLE)
    assert operator.set(input_reliability="best_effort").successful
    operator.restart()
    refused(answer, Status.QOS_INCOMPATIBLE, "(/rgb)", "/test", "reliab", "input_reliability")


def test_node_that_is_not_active(operator: Any) -> None:
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    activate = f"`ros2 lifecycle set {NODE} activate`"
    refused(operator.ask_distance(), Status.NOT_ACTIVE, "is inactive", activate)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    configure = f"`ros2 lifecycle set {NODE} configure`"
    refused(operator.ask_distance(), Status.NOT_ACTIVE, "is unconfigured", configure, activate)
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)


def test_answerer_that_cannot_be_made(operator: Any) -> None:
    assert operator.set(answerer="broken").successful
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    assert not operator.change(Transition.TRANSITION_CONFIGURE)
    refused(operator.ask_distance(), Status.NOT_ACTIVE, "unconfigured", "no weights here")
    assert operator.set(answerer="scripted").successful
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)


def test_deactivated_during_questions(
    operator: Any, slow_answer: Any, ask_slowly: Any, pending: Any, wait_for: Any
) -> None:
    with slow_answer.held():
        slow = ask_slowly(timeout=LONG)
        waiting = operator.ask_async(category=Category.DISTANCE, region_ids=[1, 2], timeout=LONG)
        wait_for(lambda: pending() == 2, "the second question")
        assert operator.change(Transition.TRANSITION_DEACTIVATE)
        refused(operator.graph.result(waiting).answer, Status.NOT_ACTIVE)
        assert not slow.done()
    assert operator.graph.result(slow).answer.status == Status.OK
    assert operator.change(Transition.TRANSITION_ACTIVATE)


def test_deactivated_while_a_question_waits_for_a_frame(
    operator: Any, camera: Any, pending: Any, wait_for: Any
) -> None:
    assert operator.set(input_wait=50.0).successful
    with camera.fault(silent={"rgb"}):
        operator.restart()
        waiting = operator.ask_async(category=Category.DISTANCE, region_ids=[1, 2], timeout=LONG)
        wait_for(lambda: pending() == 1, "the question")
        assert operator.set(input_wait=0.5).successful
        assert operator.change(Transition.TRANSITION_DEACTIVATE)
        refused(operator.graph.result(waiting).answer, Status.NOT_ACTIVE, "is inactive")
        assert operator.change(Transition.TRANSITION_ACTIVATE)


def test_requested_stamp(operator: Any, until: Any) -> None:
    stamp = until(Status.OK).header.stamp
    again = operator.ask_distance(stamp=stamp, max_age=LONG)
    assert again.header.stamp == stamp
    assert again.latency_convert == 0.0  # the frame was decoded for the first question
    assert operator.set(sync_tolerance=0.5).successful  # a busy machine has gaps between frames
    soon_ns = operator.graph.node.get_clock().now().nanoseconds + 2_000_000_000
    waited = operator.ask_distance(stamp=time_from_ns(soon_ns), timeout=LONG, max_age=LONG)
    assert operator.set(sync_tolerance=0.02).successful
    assert abs(time_to_ns(waited.header.stamp) - soon_ns) <= 500_000_000
    past = operator.ask_distance(stamp=Time(sec=stamp.sec - 30))
    refused(past, Status.STALE, "requested stamp", "max_age")


def test_regions_from_an_instance_image(operator: Any, until: Any) -> None:
    assert operator.set(region_source="instances", instance_labels=["1-2:box", "3:zone"]).successful
    operator.restart()
    assert until(Status.OK, "How many boxes do you see?").value == 2.0
    unknown = operator.ask(category=Category.DISTANCE, region_ids=[1, 9])
    refused(unknown, Status.UNKNOWN_REGION, "box 1, 2; zone 3")
    assert operator.set(region_source="regions", instance_labels=[""]).successful
    operator.restart()


def test_labels_are_mapped_and_reported(operator: Any, until: Any, wait_for: Any) -> None:
    how_many, part = "How many pallets do you see?", "spatial_query: labels"
    labels = ["1-2:0", "3:Buffer_03"]
    assert operator.set(region_source="instances", instance_labels=labels).successful
    operator.restart()
    refused(until(Status.BAD_QUESTION, how_many), Status.BAD_QUESTION, '"0"', "label_map")
    assert operator.set(label_map="0:pallet").successful
    assert until(Status.OK, how_many).value == 2.0
    diagnostics = Diagnostics(operator.graph)
    told = "0 -> pallet; Buffer_03 -> buffer"
    wait_for(lambda: diagnostics.reports and told in str(diagnostics.reports[-1]), "a report")
    assert diagnostics.value(part, "label_map") == "0:pallet"
    assert diagnostics.value(part, "unknown") == ""
    assert "label_map" in operator.set(label_map="0").reason
    given = {"region_source": "regions", "instance_labels": [""], "label_map": ""}
    assert operator.set(**given).successful
    operator.restart()


def test_answers_and_images_are_published(operator: Any, wait_for: Any) -> None:
    answers = operator.graph.collect(SpatialAnswer, f"{NODE}/answers")
    markers = operator.graph.collect(MarkerArray, f"{NODE}/markers")
    pictures = operator.graph.collect(Image, f"{NODE}/annotated_image")
    count = operator.graph.node.count_publishers

    def ask_until_seen() -> bool:
        operator.ask_distance()
        return bool(answers and markers and pictures)

    wait_for(lambda: count(f"{NODE}/markers") == 1, "the one publisher of markers")
    wait_for(ask_until_seen, "answers, markers and pictures")
    operator.ask("What?")
    wait_for(lambda: answers[-1].question == "What?", "the refusal on ~/answers")
    kinds = [marker.type for marker in markers[0].markers if marker.action == Marker.ADD]
    assert kinds.count(Marker.SPHERE) == 2
    assert kinds.count(Marker.LINE_LIST) == 1
    assert markers[0].markers[1].header.frame_id == "camera_optical_frame"
    assert pictures[0].encoding == "rgb8"
    assert pictures[0].width >= 160


class Diagnostics:
    """The newest report of the node by name of its parts."""

    def __init__(self, graph: Any) -> None:
        self.reports = graph.collect(DiagnosticArray, "/diagnostics")

    def level(self, name: str) -> bytes:
        return self._status(name).level

    def message(self, name: str) -> str:
        return self._status(name).message

    def value(self, name: str, key: str) -> str:
        return {item.key: item.value for item in self._status(name).values}[key]

    def _status(self, name: str) -> DiagnosticStatus:
        return {status.name: status for status in self.reports[-1].status}[name]


def test_diagnostics_of_a_good_state(operator: Any, camera: Any, wait_for: Any) -> None:
    diagnostics = Diagnostics(operator.graph)
    rgb = "spatial_query: rgb"

    def is_good() -> bool:
        if not diagnostics.reports:
            return False
        rate_hz = float(diagnostics.value(rgb, "rate_hz"))
        is_at_its_rate = rate_hz == pytest.approx(camera.rate_hz, rel=0.4)
        return diagnostics.level(rgb) == DiagnosticStatus.OK and is_at_its_rate

    wait_for(is_good, "a report of inputs at their rate")
    assert diagnostics.value(rgb, "topic") == "/rgb"
    assert diagnostics.value(rgb, "publishers") == "1"
    assert diagnostics.value(rgb, "lost") == "0"
    assert diagnostics.value("spatial_query", "state") == "active"
    assert int(diagnostics.value("spatial_query: answers", "ok")) > 0


def test_diagnostics_of_doubtful_inputs(operator: Any, camera: Any, wait_for: Any) -> None:
    diagnostics = Diagnostics(operator.graph)

    other_frame: Change = lambda message: setattr(message.header, "frame_id", "infra1")  # noqa: E731
    with camera.fault(changes={"depth": other_frame}):
        operator.restart()
        wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
        name = "spatial_query: answers"
        wait_for(lambda: diagnostics.reports and "registered" in diagnostics.message(name), "WARN")
        assert diagnostics.level(name) == DiagnosticStatus.WARN
    operator.restart()


def test_diagnostics_of_a_silent_input(operator: Any, camera: Any, wait_for: Any) -> None:
    diagnostics = Diagnostics(operator.graph)
    with camera.fault(silent={"depth"}):
        operator.restart()
        wait_for(
            lambda: (
                diagnostics.reports
                and diagnostics.level("spatial_query: depth") == DiagnosticStatus.ERROR
            ),
            "an ERROR for depth",
        )
        wait_for(
            lambda: diagnostics.level("spatial_query") == DiagnosticStatus.ERROR,
            "the same overall",
        )
        assert "sends nothing" in diagnostics.message("spatial_query")


def test_wrong_parameter_is_refused_with_the_reason(operator: Any) -> None:
    for wrong, word in (
        ({"max_age": -1.0}, "max_age"),
        ({"region_source": "thin air"}, "regions, instances"),
        ({"instance_labels": ["ten:pallet"]}, "10-59:pallet"),
        ({"answerer": "oracle"}, "geometric"),
        ({"device": "tpu"}, "cuda:1"),
        ({"record_folder": ""}, "record_folder"),
        ({"max_pending": 3}, "read-only"),
    ):
        result = operator.set(**wrong)
        assert not result.successful
        assert word in result.reason


def test_topic_of_another_type(operator: Any, camera: Any, wait_for: Any) -> None:
    other = type(operator.graph)("other")
    answers: list[SpatialAnswer] = []

    def ask_until_other_is_known() -> bool:
        answers.append(operator.ask_distance())
        return "/other" in answers[-1].message

    try:
        with camera.without_publisher("depth"):
            other.node.create_publisher(CameraInfo, "depth", qos_profile_sensor_data)
            operator.restart()
            wait_for(ask_until_other_is_known, "the other publisher")
    finally:
        other.close()
    refused(answers[-1], Status.NO_DEPTH, "CameraInfo", "expected sensor_msgs/msg/Image")
