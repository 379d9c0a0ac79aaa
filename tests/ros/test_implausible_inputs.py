"""Depth that is none and calibrations of another image on a running node: right, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import SpatialAnswer

from smolrgpt_core.errors import Status

PART = "spatial_query: answers"
BARREL = [-0.3, 0.1, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def node(start_node: Any) -> Any:
    return start_node("spatial_query_node", "-p", "answerer:=geometric", "-p", "input_wait:=0.5")


@pytest.fixture
def operator(
    graph: Any, node: Any, camera: Any, make_operator: Any, wait_for: Any
) -> Iterator[Any]:
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer before the test", 30.0)
    yield operator
    operator.restart()
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer after the test", 30.0)
    assert node.process.poll() is None


@pytest.fixture
def told(graph: Any, wait_for: Any) -> Callable[[str, str], DiagnosticStatus]:
    """Waits until the diagnostics of the answers have a value."""
    reports = graph.collect(DiagnosticArray, "/diagnostics")

    def newest() -> DiagnosticStatus:
        parts = [part for array in reports[-1:] for part in array.status if part.name == PART]
        return parts[0] if parts else DiagnosticStatus()

    def wait_for_value(key: str, value: str) -> DiagnosticStatus:
        def has_value() -> bool:
            return any(item.key == key and value in item.value for item in newest().values)

        wait_for(has_value, f"{key} = {value} in the diagnostics")
        return newest()

    return wait_for_value


def refused(answer: SpatialAnswer, status: Status, *words: str) -> None:
    assert Status(answer.status) is status, answer.message
    for word in words:
        assert word in answer.message


def with_marks(message: Image) -> None:
    """A third of the pixels is 65535."""
    depth = np.frombuffer(message.data, np.uint16).copy()
    depth[np.random.default_rng(0).random(depth.size) < 1 / 3] = 65535
    message.data = depth.tobytes()


def scaled(message: CameraInfo, factor: float, **fields: int) -> None:
    """K and P of `factor` times the resolution."""
    for name in ("k", "p"):
        values = getattr(message, name)
        for index in (0, 2, 4, 5) if name == "k" else (0, 2, 5, 6):
            is_center = index in ((2, 5) if name == "k" else (2, 6))
            shift = 0.5 if is_center else 0.0
            values[index] = (values[index] + shift) * factor - shift
    for name, value in fields.items():
        setattr(message, name, value)


def test_marks_of_no_reading_are_reported(operator: Any, camera: Any, told: Any) -> None:
    with camera.fault(changes={"depth": with_marks}):
        operator.restart()
        answer = operator.ask_distance()
        assert answer.value == pytest.approx(3.0, rel=0.05)
        assert "of the depth pixels are invalid" in answer.message
        report = told("depth_saturated", "32.6%")
        assert report.level == DiagnosticStatus.WARN
        assert "65.535 m (no reading)" in report.message


def test_range_of_the_camera(operator: Any) -> None:
    assert "min_depth and max_depth" in operator.set(min_depth=70.0).reason
    assert operator.set(max_depth=2.0).successful
    refused(operator.ask_distance(), Status.NO_VALID_DEPTH, "farther than max_depth = 2 m")
    assert operator.set(max_depth=60.0).successful


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_calibration_of_another_resolution(operator: Any, camera: Any, factor: float) -> None:
    with camera.fault(changes={"camera_info": lambda message: scaled(message, factor)}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "K of camera_info", "principal point")


def test_binning_is_applied(operator: Any, camera: Any) -> None:
    def binned(message: CameraInfo) -> None:
        scaled(message, 2.0, width=320, height=240, binning_x=2, binning_y=2)

    with camera.fault(changes={"camera_info": binned}):
        operator.restart()
        assert operator.ask_distance().value == pytest.approx(3.0, rel=0.05)


def test_distortion_is_taken_out(operator: Any, camera: Any, told: Any) -> None:
    with camera.fault(changes={"camera_info": lambda message: setattr(message, "d", BARREL)}):
        operator.restart()
        rectified = operator.ask_distance()
        told("rectification", "plumb_bob distortion is removed")
        assert operator.set(rectify="never").successful
        plain = operator.ask_distance()
        told("rectification", "none: rectify is never")
        assert operator.set(rectify="auto").successful
    assert plain.value == pytest.approx(3.0, rel=0.05)
    # A barrel shows the pallets, half way to the rim, nearer to the middle than they are.
    assert rectified.value > 1.04 * plain.value


def test_a_fisheye_lens_without_coefficients(operator: Any, camera: Any) -> None:
    def ideal(message: CameraInfo) -> None:
        message.d, message.distortion_model = [0.0] * 4, "equidistant"

    with camera.fault(changes={"camera_info": ideal}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "'equidistant'", "set rectify to never")
        assert operator.set(rectify="never").successful
        assert operator.ask_distance().value == pytest.approx(3.0, rel=0.05)
        assert operator.set(rectify="auto").successful


def test_p_of_a_turned_camera_against_k(operator: Any, camera: Any) -> None:
    def turned(message: CameraInfo) -> None:
        message.r = [0.9998, 0.0, 0.02, 0.0, 1.0, 0.0, -0.02, 0.0, 0.9998]
        message.p[0] = message.p[5] = 150.0

    with camera.fault(changes={"camera_info": turned}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "fx=150", "fx=100", "rectify to never")
        assert operator.set(rectify="never").successful
        # P is that of the rectified image; 100 pixels are 2 m then.
        assert operator.ask_distance().value == pytest.approx(2.0, rel=0.05)
        assert operator.set(rectify="auto").successful


def test_calibration_of_another_camera(operator: Any, camera: Any, told: Any) -> None:
    def of_depth(message: CameraInfo) -> None:
        message.header.frame_id = "depth_optical_frame"

    with camera.fault(changes={"camera_info": of_depth}):
        operator.restart()
        answer = operator.ask_distance()
        assert Status(answer.status) is Status.OK
        assert "camera_info is in frame 'depth_optical_frame'" in answer.message
        report = told("rectification", "not needed")
        assert "is it the calibration of this image?" in report.message


def test_a_slash_before_frame_ids(operator: Any, camera: Any) -> None:
    def slashed(message: Any) -> None:
        message.header.frame_id = f"/{message.header.frame_id}"

    with camera.fault(changes={"rgb": slashed}):
        operator.restart()
        answer = operator.ask_distance()
        assert Status(answer.status) is Status.OK
        assert "camera_info is in frame" not in answer.message
        assert answer.header.frame_id == "camera_optical_frame"


def test_a_calibration_that_changes(operator: Any, camera: Any, wait_for: Any) -> None:
    def zoomed(message: CameraInfo) -> None:
        for values, places in ((message.k, (0, 4)), (message.p, (0, 5))):
            for place in places:
                values[place] = 150.0

    before = operator.ask_distance().value
    with camera.fault(changes={"camera_info": zoomed}):
        wait_for(
            lambda: operator.ask_distance().value == pytest.approx(before / 1.5, rel=0.05),
            "an answer by the new calibration",
        )


def test_depth_of_eight_bits_and_of_another_size(operator: Any, camera: Any) -> None:
    def shown(message: Image) -> None:
        message.encoding, message.step = "mono8", message.width
        message.data = bytes(message.width * message.height)

    def half(message: Image) -> None:
        depth = np.frombuffer(message.data, np.uint16).reshape(message.height, message.width)
        message.height, message.width = message.height // 2, message.width // 2
        message.step, message.data = 2 * message.width, depth[::2, ::2].tobytes()

    with camera.fault(changes={"depth": shown}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "'mono8'", "8 bits show depth")
    with camera.fault(changes={"depth": half}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "80x60", "160x120", "aligned_depth")


def test_a_distortion_that_is_not_known(operator: Any, camera: Any) -> None:
    def odd(message: CameraInfo) -> None:
        message.d, message.distortion_model = BARREL, "mei"

    with camera.fault(changes={"camera_info": odd}):
        operator.restart()
        refused(operator.ask_distance(), Status.BAD_INPUT, "'mei'", "set rectify to never")
