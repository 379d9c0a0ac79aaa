"""How a camera is mounted, by tf or an IMU: real nodes, a real IMU, the stand-in for tf2."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu
from smolrgpt_ros.msg import SpatialAnswer
from std_msgs.msg import Header

from smolrgpt_core.errors import Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.question_bag import read_mountings
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_ros.messages.conversions import time_from_ns

STAND_IN = Path(__file__).parent / "tf2_stand_in"
OPTICAL = "camera_optical_frame"
IMU_FRAME = "imu_link"
LONG_NS = 10**12
HOW_TALL = "How tall is pallet 16?"
HALF_TURN = np.array([-1.0, -1.0, 1.0])
"""Of the optical axes, for a camera that hangs upside down."""


@pytest.fixture(scope="module")
def upside_down(hall: SimulatedFrame) -> RGBDFrame:
    """The hall as a camera that hangs upside down sees it."""
    frame = hall.frame
    labels = frame.regions.to_label_image()[::-1, ::-1]
    names = {region.id: region.label for region in frame.regions}
    return RGBDFrame(
        np.ascontiguousarray(frame.rgb[::-1, ::-1]),
        np.ascontiguousarray(frame.depth[::-1, ::-1]),
        frame.intrinsics,
        RegionSet.from_label_image(np.ascontiguousarray(labels), names),
    )


@pytest.fixture(scope="module")
def true_up(hall: SimulatedFrame) -> np.ndarray:
    """Up in the optical frame of the camera that hangs upside down."""
    return HALF_TURN * hall.truth.up


def rotation_to(up: np.ndarray) -> list[float]:
    """Quaternion (x, y, z, w) that turns the optical frame so that `up` becomes z."""
    axis, angle = np.cross(up, [0, 0, 1]), np.arccos(up[2])
    x, y, z = axis / np.linalg.norm(axis) * np.sin(angle / 2)
    return [float(x), float(y), float(z), float(np.cos(angle / 2))]


class ImuPublisher:
    """Sends readings at 100 Hz until `stop`.

    Args:
        graph: whose node publishes.
        topic: of the IMU.
        frame_id: of it.
        acceleration: m/s2.
        shaking: added with alternating sign.
    """

    def __init__(
        self, graph: Any, topic: str, frame_id: str, acceleration: Any, shaking: float = 0.0
    ) -> None:
        self._graph, self._frame_id, self._shaking = graph, frame_id, shaking
        self._acceleration = np.asarray(acceleration)
        self._publisher = graph.node.create_publisher(Imu, topic, qos_profile_sensor_data)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        sign = 1.0
        while not self._end.wait(0.01):
            sign = -sign
            x, y, z = (float(value) for value in self._acceleration + sign * self._shaking)
            stamp = time_from_ns(self._graph.node.get_clock().now().nanoseconds)
            header = Header(stamp=stamp, frame_id=self._frame_id)
            self._publisher.publish(Imu(header=header, linear_acceleration=Vector3(x=x, y=y, z=z)))

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        self._graph.node.destroy_publisher(self._publisher)


@pytest.fixture
def imu(graph: Any) -> Iterator[Callable[..., ImuPublisher]]:
    """Call: imu(topic, frame_id, acceleration, shaking=2.0)."""
    started: list[ImuPublisher] = []

    def start(*arguments: Any, **options: Any) -> ImuPublisher:
        started.append(ImuPublisher(graph, *arguments, **options))
        return started[-1]

    yield start
    for publisher in started:
        publisher.stop()


@pytest.fixture(scope="module")
def shown(show: Any, upside_down: RGBDFrame) -> Any:
    return show(upside_down, period_s=0.2, prefix="ceiling/")


class Asked:
    """A node with a source of up, and the file of its stand-in for tf2."""

    def __init__(
        self, name: str, operator: Any, file: Path, diagnostics: list[DiagnosticArray]
    ) -> None:
        self._name, self._operator, self._file = name, operator, file
        self._diagnostics = diagnostics

    def give(self, target: str, up: np.ndarray, height: float = 2.5) -> None:
        """Tell of a transform from the image to a frame in which `up` is z."""
        known = {
            "frames": [target, OPTICAL],
            "rotation": rotation_to(up),
            "translation": [0.0, 0.0, height],
            "from_ns": 0,
            "to_ns": 4 * 10**18,
        }
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(known))
        draft.replace(self._file)

    def ask(self) -> SpatialAnswer:
        return self._operator.ask(HOW_TALL)

    def source(self) -> str:
        """What the diagnostics of the answers say about up."""
        for status in self._diagnostics[-1].status if self._diagnostics else []:
            if status.name == f"{self._name}: answers":
                return next((v.value for v in status.values if v.key == "up"), "")
        return ""


@pytest.fixture
def start(
    graph: Any, start_node: Any, make_operator: Any, wait_for: Any, shown: Any, tmp_path: Path
) -> Iterator[Callable[..., Asked]]:
    """Start a node with a source of up: start("tf", "-p", "gravity_frame:=odom")."""
    nodes = []

    def start(
        source: str, *arguments: str, has_tf2: bool = True, prefix: str = "/ceiling/"
    ) -> Asked:
        name, file = f"up_by_{source}", tmp_path / "transform.json"
        path = os.pathsep.join(filter(None, [str(STAND_IN), os.environ.get("PYTHONPATH", "")]))
        environment = {"PYTHONPATH": path, "TF2_STAND_IN_FILE": str(file)} if has_tf2 else {}
        topics = ("rgb", "depth", "camera_info", "regions")
        names = [f"__node:={name}", f"spatial_query:={name}", f"imu:=/{name}/imu"]
        names += [f"{topic}:={prefix}{topic}" for topic in topics]
        rules = [part for rule in names for part in ("-r", rule)]
        values = ["-p", f"up_source:={source}", "-p", "input_wait:=0.5", *arguments]
        nodes.append(start_node("spatial_query_node", *rules, *values, environment=environment))
        operator = make_operator(graph, node=f"/{name}", service=f"/{name}")
        asked = Asked(name, operator, file, graph.collect(DiagnosticArray, "/diagnostics"))
        absent = (Status.NOT_ACTIVE, Status.NO_RGB, Status.NO_DEPTH, Status.NO_CAMERA_INFO,
                  Status.NO_REGIONS, Status.OUT_OF_SYNC)  # fmt: skip
        wait_for(lambda: asked.ask().status not in absent, "the node and its inputs")
        return asked

    yield start
    for node in nodes:
        assert node.stop() == 0, node.output


@pytest.fixture
def height(hall: SimulatedFrame) -> float:
    return next(item.size[2] for item in hall.truth.objects if item.id == 16)


def is_correct(answer: SpatialAnswer, height: float) -> bool:
    return answer.status == Status.OK and answer.value == pytest.approx(height, abs=0.05)


def test_depth_alone_takes_the_ceiling_camera_for_an_upright_one(
    start: Any, height: float, wait_for: Any
) -> None:
    """Or nobody would need another source in this view."""
    asked = start("depth")
    assert not is_correct(asked.ask(), height)
    wait_for(lambda: asked.source() == "depth", "the diagnostics")


def test_up_by_tf(start: Any, true_up: np.ndarray, height: float, wait_for: Any) -> None:
    asked = start("tf", "-p", "gravity_frame:=odom")
    refused = asked.ask()
    assert Status(refused.status) is Status.NO_TRANSFORM
    for words in (repr(OPTICAL), "'odom' (gravity_frame)", "not connected"):
        assert words in refused.message
    asked.give("odom", true_up)
    assert is_correct(asked.ask(), height), asked.ask()
    wait_for(lambda: asked.source() == "tf: odom, 2.50 m below the camera", "the diagnostics")


def test_up_that_contradicts_the_floor_is_doubted(
    start: Any, show: Any, hall: SimulatedFrame
) -> None:
    show(hall.frame, period_s=0.2, prefix="hall/")
    asked = start("tf", prefix="/hall/")
    right, down, forward = hall.truth.up
    asked.give("base_link", np.array([right, -forward, down]))
    assert "tilted by 90 degrees against the up direction of tf or the IMU" in asked.ask().message


def test_height_of_the_camera_by_tf(
    start: Any, show: Any, hall: SimulatedFrame, height: float, wait_for: Any, tmp_path: Path
) -> None:
    show(hall.frame, period_s=0.2, prefix="hall/")
    options = ["floor_frame:=base_footprint", "record:=true", f"record_folder:={tmp_path}/bags"]
    options = [part for option in options for part in ("-p", option)]
    asked = start("depth", *options, prefix="/hall/")
    refused = asked.ask()
    assert Status(refused.status) is Status.NO_TRANSFORM
    assert "'base_footprint' (floor_frame)" in refused.message
    camera_height = hall.truth.camera_height
    asked.give("base_footprint", hall.truth.up, camera_height)
    assert is_correct(asked.ask(), height), asked.ask()
    source = f"depth; height from tf: {camera_height:.2f} m above base_footprint"
    wait_for(lambda: asked.source() == source, "the diagnostics")
    asked.give("base_footprint", hall.truth.up, camera_height + 0.8)
    wait_for(lambda: "its mounting puts" in asked.ask().message, "the contradiction")
    asked.give("base_footprint", hall.truth.up, -0.3)
    wait_for(lambda: "0.30 m below the floor" in asked.ask().message, "a refusal")
    (bag,) = (tmp_path / "bags").iterdir()
    with BagReader(bag) as reader:
        recorded = {mounting.camera_height for mounting in read_mountings(reader).values()}
    assert recorded == {camera_height, camera_height + 0.8}


def test_up_by_an_imu_in_another_frame(
    start: Any, imu: Any, true_up: np.ndarray, height: float, wait_for: Any
) -> None:
    asked = start("imu")
    silent = asked.ask()
    assert Status(silent.status) is Status.STALE
    assert "nothing has ever arrived from the IMU (/up_by_imu/imu)" in silent.message
    shaken = imu("/up_by_imu/imu", IMU_FRAME, [0.0, 0.0, 9.8], shaking=2.0)
    wait_for(lambda: "not been at rest" in asked.ask().message, "a refusal")
    shaken.stop()
    resting = imu("/up_by_imu/imu", IMU_FRAME, [0.0, 0.0, 9.8])
    wait_for(lambda: f"'{IMU_FRAME}' (of /up_by_imu/imu)" in asked.ask().message, "no transform")
    asked.give(IMU_FRAME, true_up)
    assert is_correct(asked.ask(), height), asked.ask()
    wait_for(lambda: asked.source() == "imu: /up_by_imu/imu", "the diagnostics")
    resting.stop()
    wait_for(lambda: "s ago" in asked.ask().message, "a refusal of an IMU that has stopped")
    assert Status(asked.ask().status) is Status.STALE


def test_imu_in_the_frame_of_the_image_needs_no_tf2(
    start: Any, imu: Any, true_up: np.ndarray, height: float, wait_for: Any
) -> None:
    asked = start("imu", has_tf2=False)
    other = imu("/up_by_imu/imu", IMU_FRAME, [0.0, 0.0, 9.8])
    wait_for(lambda: "tf2_ros, which is not installed" in asked.ask().message, "a refusal")
    other.stop()
    imu("/up_by_imu/imu", OPTICAL, 9.8 * true_up)
    wait_for(lambda: is_correct(asked.ask(), height), "the correct answer")


def test_auto_takes_what_is_there_and_says_which(
    start: Any, imu: Any, true_up: np.ndarray, height: float, wait_for: Any
) -> None:
    asked = start("auto")
    asked.ask()
    wait_for(lambda: asked.source().startswith("depth: no transform"), "depth")
    assert "nothing has ever arrived from the IMU" in asked.source()
    imu("/up_by_auto/imu", OPTICAL, 9.8 * true_up)
    wait_for(lambda: is_correct(asked.ask(), height), "the correct answer")
    wait_for(lambda: asked.source() == "imu: /up_by_auto/imu", "the IMU")
    asked.give("base_link", true_up)
    wait_for(lambda: asked.ask() and asked.source().startswith("tf: base_link"), "tf")
    assert is_correct(asked.ask(), height)
