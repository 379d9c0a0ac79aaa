"""The simulated camera as a process of its own, seen through its topics."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from builtin_interfaces.msg import Time
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import RegionArray, SceneTruth

from smolrgpt_core.geometry.back_projection import project
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import (
    depth_from_image,
    regions_from_array,
    regions_from_instances,
)
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.sim import (
    LABEL_ID_RANGES,
    SimulatedFrame,
    WarehouseConfig,
    WarehouseRenderer,
    build_scene,
)
from smolrgpt_core.simulated_data.camera_messages import encode_depth
from smolrgpt_ros.messages.conversions import time_from_ns
from smolrgpt_ros.messages.sim_messages import frame_messages
from smolrgpt_ros.messages.truth_conversions import truth_from_message
from smolrgpt_ros.nodes.sim_camera_node import FrameRing
from smolrgpt_ros.parameters.sim_camera import SimCameraParameters

ROOT = Path(__file__).resolve().parents[2]
TOPICS = {
    "rgb": Image,
    "depth": Image,
    "camera_info": CameraInfo,
    "regions": RegionArray,
    "instances": Image,
    "ground_truth": SceneTruth,
}
FRAMES = 40
PHASE_S = 5.0
"""Real seconds in which a frame that is due comes on any machine; waited for once at most."""

RATE_HZ = 30.0
HALF_PERIOD_NS = int(0.5e9 / RATE_HZ) + 1
"""No shorter than the half, or the timer would be due one step later every now and then."""


def parameters(**values: object) -> list[str]:
    """Command line arguments that set parameters."""
    return [item for name, value in values.items() for item in ("-p", f"{name}:={value}")]


class Listener:
    """All topics of one camera, ordered by stamp."""

    def __init__(self, graph: Any, namespace: str) -> None:
        self.received = {
            name: graph.collect(
                kind,
                f"{namespace}/{name}",
                10 if name == "ground_truth" else qos_profile_sensor_data,
            )
            for name, kind in TOPICS.items()
        }

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Frames of which every message has come, oldest first."""
        by_stamp: dict[int, dict[str, Any]] = {}
        for name, messages in self.received.items():
            for message in list(messages):
                by_stamp.setdefault(time_to_ns(message.header.stamp), {})[name] = message
        return [by_stamp[t] for t in sorted(by_stamp) if by_stamp[t].keys() == TOPICS.keys()]


class SimulatedTime:
    """The clock of one camera: it goes on only when the frame of the moment has come.

    Args:
        graph: whose node publishes.
        topic: of the clock.
        listener: to the camera.
        wait_for: the fixture.
    """

    def __init__(self, graph: Any, topic: str, listener: Listener, wait_for: Any) -> None:
        self._publisher = graph.node.create_publisher(Clock, topic, 1)
        self._listener, self._wait_for = listener, wait_for
        self.now_ns = 10**12

    def go_on(self, by_ns: int) -> None:
        """Half a period or the like; says so again and again, as the node may not listen yet."""
        self.now_ns += by_ns
        self._say()

    def frame_comes(self) -> bool:
        """Whether all messages of this moment are there; the clock stands still meanwhile."""
        self._say()
        newest = self._listener.frames[-1:]
        return bool(newest) and time_to_ns(newest[0]["rgb"].header.stamp) == self.now_ns

    def _say(self) -> None:
        self._publisher.publish(Clock(clock=time_from_ns(self.now_ns)))

    def find_a_frame(self) -> None:
        """Go on in halves of the period until frames come at one of the two."""

        def found() -> bool:
            self.go_on(HALF_PERIOD_NS)
            return bool(self._listener.frames)

        self._wait_for(found, "the first frame")
        # A whole period brings a frame in any phase, and the clock has not gone on before it came.
        for _ in range(2):
            self.go_on(2 * HALF_PERIOD_NS)
            self._wait_for(self.frame_comes, "a frame after a whole period")
        self.go_on(HALF_PERIOD_NS)
        deadline = time.monotonic() + PHASE_S
        while not self.frame_comes():
            if time.monotonic() > deadline:
                self.go_on(HALF_PERIOD_NS)
                self._wait_for(self.frame_comes, "a frame after the other half")
            time.sleep(0.02)

    def next_frame(self) -> None:
        """A frame comes after two halves of the period; one after the first half is seen, too."""
        self.go_on(HALF_PERIOD_NS)
        self.go_on(HALF_PERIOD_NS)
        self._wait_for(self.frame_comes, f"all messages of {self.now_ns / 1e9:.3f} s")


@dataclass
class Drive:
    """Frames of a camera that drives, and the seconds of a processor that one took it."""

    frames: list[dict[str, Any]]
    processor_s: float


@pytest.fixture(scope="module")
def drive(start_node: Any, graph: Any, wait_for: Any) -> Drive:
    """In simulated time, so that what else this machine does changes no stamp."""
    listener = Listener(graph, "/driving")
    clock = SimulatedTime(graph, "/driving/clock", listener, wait_for)
    settings = parameters(
        motion="drive", frame_count=3, rate=RATE_HZ, depth_encoding="32FC1", use_sim_time=True
    )
    names = ["-r", "__ns:=/driving", "-r", "/clock:=/driving/clock"]
    node = start_node("sim_camera_node", *names, *settings)
    clock.find_a_frame()

    def pictures() -> set[bytes]:
        clock.next_frame()
        return {frame["rgb"].data.tobytes() for frame in listener.frames[-3:]}

    wait_for(lambda: len(pictures()) == 3, "all three pictures, rendered")
    process = psutil.Process(node.process.pid)
    before = process.cpu_times()
    for _ in range(FRAMES):
        clock.next_frame()
    after = process.cpu_times()
    assert node.stop(signal.SIGTERM) == 0, node.output
    taken_s = after.user - before.user + after.system - before.system
    return Drive(listener.frames[-FRAMES:], taken_s / FRAMES)


@pytest.fixture(scope="module")
def driving(drive: Drive) -> list[dict[str, Any]]:
    return drive.frames


@pytest.fixture(scope="module")
def standing(start_node: Any, graph: Any, wait_for: Any) -> dict[str, Any]:
    """One frame of a small noisy camera that stands; the camera has ended well."""
    listener = Listener(graph, "/standing")
    settings = parameters(seed=3, width=320, height=240, noise=True, frame_id="eye", rate=5.0)
    node = start_node("sim_camera_node", "-r", "__ns:=/standing", *settings)
    wait_for(lambda: listener.frames, "a frame", timeout=40)
    assert "scene 3 (" in node.output
    assert node.stop(signal.SIGINT) == 0, node.output
    return listener.frames[-1]


@pytest.fixture(scope="module")
def overview() -> SimulatedFrame:
    """What the driving camera sees at first, rendered here."""
    scene = build_scene(0, WarehouseConfig())
    with WarehouseRenderer(scene, SimCameraParameters().intrinsics) as renderer:
        return renderer.render(scene.camera_poses(3)[0])


def test_frames_are_complete_and_at_the_rate(drive: Drive) -> None:
    """Evenly stamped, and cheap enough that a processor of its own can keep up."""
    stamps = [time_to_ns(frame["rgb"].header.stamp) for frame in drive.frames]
    assert np.diff(stamps).tolist() == [2 * HALF_PERIOD_NS] * (FRAMES - 1)
    assert drive.processor_s < 1 / RATE_HZ
    assert {f[name].header.frame_id for f in drive.frames for name in TOPICS} == {
        "camera_color_optical_frame"
    }


def test_camera_drives_round(driving: list[dict[str, Any]]) -> None:
    pictures = [frame["rgb"].data.tobytes() for frame in driving[:7]]
    assert len(set(pictures)) == 3
    assert pictures[:3] == pictures[3:6]
    assert pictures[0] == pictures[6]


def test_messages_agree(driving: list[dict[str, Any]]) -> None:
    frame = driving[0]
    intrinsics = intrinsics_from_camera_info(frame["camera_info"])
    size = (intrinsics.height, intrinsics.width)
    assert size == (480, 640)
    assert rgb_pixels(frame["rgb"]).shape == (*size, 3)
    regions = regions_from_array(frame["regions"])
    assert regions.image_size == size
    truth = frame["ground_truth"]
    assert [item.id for item in truth.objects] == [region.id for region in regions]
    labels = InstanceLabels.parse([f"{item.id}:{item.label}" for item in truth.objects])
    same_regions = regions_from_instances(frame["instances"], labels)
    assert np.array_equal(same_regions.to_label_image(), regions.to_label_image())
    assert {r.id: r.label for r in same_regions} == {r.id: r.label for r in regions}


def test_depth_fits_the_truth(driving: list[dict[str, Any]]) -> None:
    frame = driving[0]
    depth, regions = depth_from_image(frame["depth"]), regions_from_array(frame["regions"])
    intrinsics = intrinsics_from_camera_info(frame["camera_info"])
    pallets = [item for item in frame["ground_truth"].objects if item.label == "pallet"]
    assert frame["depth"].encoding == "32FC1"
    assert len(pallets) >= 3
    for pallet in pallets:
        center = pallet.pose.position
        radius = np.linalg.norm([pallet.size.x, pallet.size.y, pallet.size.z]) / 2
        measured = np.nanmedian(depth[regions.full_mask(pallet.id)])
        assert abs(measured - center.z) < radius
        row, column = project(np.array([[center.x, center.y, center.z]]), intrinsics)[0]
        box = regions[pallet.id].box
        reach = intrinsics.fx * radius / center.z
        assert abs(column - (box.x + box.width / 2)) < reach
        assert abs(row - (box.y + box.height / 2)) < reach


def test_frame_is_the_rendered_one(driving: list[dict[str, Any]], overview: SimulatedFrame) -> None:
    match = [f for f in driving if np.array_equal(rgb_pixels(f["rgb"]), overview.frame.rgb)]
    assert match
    depth = depth_from_image(match[0]["depth"])
    assert np.array_equal(depth, overview.frame.depth, equal_nan=True)


def test_truth_survives_the_way(overview: SimulatedFrame) -> None:
    message = frame_messages(overview, "eye", "16UC1").by_topic["ground_truth"]
    truth = truth_from_message(message)
    assert truth.seed == overview.truth.seed
    assert truth.up == pytest.approx(overview.truth.up)
    for received, sent in zip(truth.objects, overview.truth.objects, strict=True):
        for item in ("id", "label", "buffer_ids", "loaded"):
            assert getattr(received, item) == getattr(sent, item)
        for item in ("center", "size", "rotation"):
            assert getattr(received, item) == pytest.approx(getattr(sent, item), abs=1e-9)
        assert received.visible_fraction == pytest.approx(sent.visible_fraction)


def test_noisy_millimeters(standing: dict[str, Any]) -> None:
    depth = standing["depth"]
    assert (depth.encoding, depth.width, depth.height) == ("16UC1", 320, 240)
    assert {standing[name].header.frame_id for name in TOPICS} == {"eye"}
    assert standing["ground_truth"].seed == 3
    scene = build_scene(3, WarehouseConfig())
    intrinsics = SimCameraParameters(width=320, height=240).intrinsics
    with WarehouseRenderer(scene, intrinsics) as renderer:
        clean = renderer.render(scene.camera_poses(1)[0]).frame.depth
    noisy = depth_from_image(depth)
    lost = np.isnan(noisy) & np.isfinite(clean)
    assert 0.005 < lost.mean() < 0.3
    assert np.nanmedian(np.abs(noisy - clean)) < 0.1
    assert np.nanmax(np.abs(noisy - clean)) > 0


def test_depth_encodings() -> None:
    depth = np.array([[np.nan, 1.2344, 70.0]], np.float32)
    assert encode_depth(depth, "16UC1").tolist() == [[0, 1234, 0]]
    meters = encode_depth(depth, "32FC1")
    assert np.array_equal(meters, depth, equal_nan=True)


def test_ids_fit_into_the_instance_image() -> None:
    assert max(max(ids) for ids in LABEL_ID_RANGES.values()) <= np.iinfo(np.uint8).max


def test_ring_waits_for_the_next_frame() -> None:
    ring: FrameRing = FrameRing(3)
    assert ring.advance() is None
    shown = []
    for frame in ("a", "b", "c"):
        ring.add(frame)  # type: ignore[arg-type]
        shown += [ring.advance(), ring.advance()]
    assert shown == ["a", "a", "b", "b", "c", "a"]


def test_header_is_shared(overview: SimulatedFrame) -> None:
    messages = frame_messages(overview, "eye", "16UC1")
    messages.set_stamp(Time(sec=5))
    by_topic = messages.by_topic
    assert {by_topic[name].header.stamp.sec for name in TOPICS} == {5}
    assert {region.mask.header.stamp.sec for region in by_topic["regions"].regions} == {5}


@pytest.mark.parametrize(
    ("name", "value"), [("rate", 0.0), ("motion", "fly"), ("width", 12), ("seed", -1)]
)
def test_parameters_out_of_range(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        SimCameraParameters(**{name: value})  # type: ignore[arg-type]


def test_wrong_parameter_ends_the_node(start_node: Any) -> None:
    node = start_node("sim_camera_node", *parameters(motion="fly"))
    assert node.wait() == 1
    assert "motion must be one of static, drive" in node.output


def test_shipped_profile_makes_room_for_images(start_node: Any, wait_for: Any) -> None:
    """Also that a camera that still renders ends well."""
    profile = str(ROOT / "config" / "fastdds.xml")
    node = start_node("sim_camera_node", environment={"FASTRTPS_DEFAULT_PROFILES_FILE": profile})

    def segments() -> list[int]:
        maps = Path(f"/proc/{node.process.pid}/maps").read_text()
        names = set(re.findall(r"/dev/shm/fastrtps_[0-9a-f]{16}$", maps, re.MULTILINE))
        return [Path(name).stat().st_size for name in names]

    wait_for(lambda: any(size > 16 * 2**20 for size in segments()), "a segment of 16 MiB")
    assert node.stop(signal.SIGTERM) == 0, node.output
    assert "Error" not in node.output


def test_yaml_shows_the_defaults() -> None:
    text = (ROOT / "config" / "warehouse.yaml").read_text()
    shown = yaml.safe_load(text)["/**"]["sim_camera"]["ros__parameters"]
    assert shown == {item.name: item.default for item in fields(SimCameraParameters)}
