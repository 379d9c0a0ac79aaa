"""A recording made without ROS is what the simulated camera sends over ROS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.types import CAMERA_TOPICS, OWN_PACKAGE
from smolrgpt_core.recordings.bag_types import known_types
from smolrgpt_core.sim import RenderOptions, SensorNoise
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import FIRST_STAMP_NS, write_simulated_bag
from smolrgpt_ros.messages.conversions import message_class, time_from_ns
from smolrgpt_ros.messages.sim_messages import FrameMessages, frame_messages

ROOT = Path(__file__).resolve().parents[2]

DRIVE = SimulatedDrive(
    seed=5,
    frame_count=2,
    rate_hz=30.0,
    depth_encoding="32FC1",
    frame_id="eye",
    intrinsics=CameraIntrinsics.from_vertical_fov(160, 120, 60.0),
    options=RenderOptions(shadows=False, supersampling=1),
    noise=SensorNoise(),
)


@pytest.fixture(scope="module", params=["sqlite3", "mcap"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "drive"
    write_simulated_bag(path, DRIVE, request.param)
    return path


@pytest.fixture(scope="module")
def sent() -> list[FrameMessages]:
    """What the node would send at the times of the recording."""
    frames = [frame_messages(item, DRIVE.frame_id, DRIVE.depth_encoding) for item in DRIVE.frames()]
    for index, frame in enumerate(frames):
        frame.set_stamp(time_from_ns(FIRST_STAMP_NS + round(index / DRIVE.rate_hz * 1e9)))
    return frames


def test_messages_are_those_of_the_node(recording: Path, sent: list[FrameMessages]) -> None:
    with Reader(recording) as reader:
        messages = [(c.topic, c.msgtype, t, raw) for c, t, raw in reader.messages()]
    assert len(messages) == len(sent) * len(CAMERA_TOPICS)
    for topic, type_name, time_ns, raw in messages:
        name = topic.removeprefix("/")
        assert type_name == CAMERA_TOPICS[name].type_name
        frame = sent[0 if time_ns == FIRST_STAMP_NS else 1]
        # Through the wire, which holds some numbers as float32.
        kind = message_class(type_name)
        expected = deserialize_message(serialize_message(frame.by_topic[name]), kind)
        assert deserialize_message(bytes(raw), kind) == expected


def test_metadata_is_what_ros2_bag_play_needs(recording: Path) -> None:
    metadata = yaml.safe_load((recording / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["message_count"] == 2 * len(CAMERA_TOPICS)
    assert all((recording / name).is_file() for name in information["relative_file_paths"])
    offered = {
        topic["topic_metadata"]["name"]: topic["topic_metadata"]["offered_qos_profiles"][0]
        for topic in information["topics_with_message_count"]
    }
    assert {name: (q["reliability"], q["depth"]) for name, q in offered.items()} == {
        **{f"/{name}": ("best_effort", 5) for name in CAMERA_TOPICS},
        "/ground_truth": ("reliable", 10),
    }


def test_offered_quality_is_that_of_the_node(recording: Path, start_node: Any, graph: Any,
                                             wait_for: Any) -> None:  # fmt: skip
    start_node("sim_camera_node", "-r", "__ns:=/offering", "-p", "width:=64", "-p", "height:=64")
    names = [f"/offering/{name}" for name in CAMERA_TOPICS]
    publishers = graph.node.get_publishers_info_by_topic
    wait_for(lambda: all(publishers(name) for name in names), "publishers", timeout=30)
    with Reader(recording) as reader:
        extensions = {c.topic: c.ext for c in reader.connections}
        recorded = {
            topic: extension.offered_qos_profiles[0]
            for topic, extension in extensions.items()
            if isinstance(extension, ConnectionExtRosbag2)
        }
    for name in CAMERA_TOPICS:
        (publisher,) = publishers(f"/offering/{name}")
        quality = publisher.qos_profile
        offered = recorded[f"/{name}"]
        assert publisher.topic_type == CAMERA_TOPICS[name].type_name
        assert quality.reliability.name == offered.reliability.name
        assert quality.durability.name == offered.durability.name


def test_definitions_have_the_hashes_of_the_built_interfaces() -> None:
    built = ROOT / "install" / OWN_PACKAGE / "share" / OWN_PACKAGE / "msg"
    if not built.is_dir():
        pytest.skip("the package was built elsewhere")
    types = known_types()
    for file in built.glob("*.json"):
        description = json.loads(file.read_text())
        name = f"{OWN_PACKAGE}/msg/{file.stem}"
        expected = {item["type_name"]: item["hash_string"] for item in description["type_hashes"]}
        assert types.hash_rihs01(name) == expected[name]


def test_depth_keeps_its_readings(sent: list[FrameMessages]) -> None:
    depth = np.frombuffer(sent[0].by_topic["depth"].data, np.float32)
    assert 0 < np.count_nonzero(np.isnan(depth)) < depth.size / 2
