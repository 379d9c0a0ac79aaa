"""Recordings whose images are in other encodings, or compressed, show the same frames."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import depth_from_image
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.types import COMPRESSED_IMAGE
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.bag_types import known_types
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.frame_source import FrameSource, RecordedFrame
from smolrgpt_core.recordings.options import RecordingOptions, TopicChoice
from smolrgpt_core.recordings.topics import choose_topics

TYPES = known_types()
INPUTS = ("/rgb", "/depth", "/camera_info", "/regions")
Change = Callable[[Any], tuple[str, Any]]
"""A message as it is in the changed recording, and its topic."""


def copy(recording: Path, path: Path, frames: int, changes: dict[str, Change]) -> Path:
    """The first frames of a recording, with changed messages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connections: dict[str, Any] = {}
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    with BagReader(recording) as bag, writer:
        for name in INPUTS:
            for number, (topic, _, raw) in enumerate(bag.messages([name])):
                message = bag.decode(topic, raw)
                if number == frames:
                    break
                if name in changes:
                    topic, message = changes[name](message)
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
                serialized = TYPES.serialize_cdr(message, kind)
                writer.write(connections[topic], number + 1, bytes(serialized))
    return path


def first_frame(bag_path: Path, wanted: TopicChoice) -> tuple[RecordedFrame, TopicChoice]:
    with BagReader(bag_path) as bag:
        choice = choose_topics(bag, wanted)
        source = FrameSource(bag, choice, RegionLabels(), SensorSettings())
        serialized = {
            name: next(bag.messages([topic])).serialized for name, topic in choice.by_input.items()
        }
        return source.decode(serialized), choice


def image(topic: str, encoding: str, pixels: Callable[[Any], NDArray]) -> Change:
    def change(message: Any) -> tuple[str, Any]:
        array = np.ascontiguousarray(pixels(message))
        data = array.view(np.uint8).ravel()
        return topic, replace(
            message, encoding=encoding, step=data.size // message.height, data=data
        )

    return change


def compressed(topic: str, form: str, content: Callable[[Any], bytes]) -> Change:
    def change(message: Any) -> tuple[str, Any]:
        data = np.frombuffer(content(message), np.uint8)
        return topic, TYPES.types[COMPRESSED_IMAGE](message.header, form, data)

    return change


def bgr(message: Any) -> NDArray[np.uint8]:
    return rgb_pixels(message)[:, :, ::-1]


def millimeters(message: Any) -> NDArray[np.uint16]:
    return np.nan_to_num(depth_from_image(message) * 1000).round().astype(np.uint16)


def meters(message: Any) -> NDArray[np.float32]:
    return depth_from_image(message)


def file(suffix: str, pixels: NDArray) -> bytes:
    return cv2.imencode(suffix, np.ascontiguousarray(pixels))[1].tobytes()


def with_header(body: bytes, a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, a, b) + body


def inverse_depth(message: Any) -> bytes:
    with np.errstate(invalid="ignore"):
        units = np.nan_to_num(10100 / meters(message) + 1 - 1010).clip(0)
    return with_header(file(".png", units.astype(np.uint16)), 10100, 1 - 1010)


EXACT = {
    "8UC3": {"/rgb": image("/rgb", "8UC3", bgr)},
    "BGR8": {"/rgb": image("/rgb", "BGR8", bgr)},
    "rgb16": {"/rgb": image("/rgb", "rgb16", lambda m: rgb_pixels(m).astype("<u2") * 257)},
    "16SC1": {"/depth": image("/depth", "16SC1", millimeters)},
    "Z16": {"/depth": image("/depth", "Z16", millimeters)},
    "64FC1": {"/depth": image("/depth", "64FC1", lambda m: meters(m).astype("<f8"))},
    "png": {"/rgb": compressed("/rgb/compressed", "png", lambda m: file(".png", bgr(m)))},
    "compressedDepth": {
        "/depth": compressed(
            "/depth/compressedDepth", "16UC1; compressedDepth png",
            lambda m: with_header(file(".png", millimeters(m))),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_the_same_frame(recording: Path, case: str, tmp_path: Path) -> None:
    """All topics are found by what their first image is."""
    expected, _ = first_frame(recording, TopicChoice(regions="/regions"))
    found, _ = first_frame(copy(recording, tmp_path / "bag", 2, EXACT[case]), TopicChoice())
    np.testing.assert_array_equal(found.frame.rgb, expected.frame.rgb)
    np.testing.assert_allclose(found.frame.depth, expected.frame.depth, rtol=1e-6)
    assert found.meters_per_unit == expected.meters_per_unit
    assert found.frame.stamp_ns == expected.frame.stamp_ns
    assert found.frame.frame_id == expected.frame.frame_id
    assert found.frame.intrinsics == expected.frame.intrinsics


COMPRESSED = {
    "/rgb": compressed(
        "/camera/color/image_raw/compressed", "rgb8; jpeg compressed bgr8",
        lambda m: file(".jpg", bgr(m)),
    ),
    "/depth": compressed(
        "/camera/depth/image_raw/compressedDepth", "32FC1; compressedDepth png", inverse_depth
    ),
    "/camera_info": lambda message: ("/camera/color/camera_info", message),
}  # fmt: skip


def test_lossy_compression(recording: Path, tmp_path: Path) -> None:
    expected, _ = first_frame(recording, TopicChoice(regions="/regions"))
    found, choice = first_frame(copy(recording, tmp_path / "bag", 1, COMPRESSED), TopicChoice())
    assert choice.rgb == "/camera/color/image_raw/compressed"
    assert choice.depth == "/camera/depth/image_raw/compressedDepth"
    assert choice.camera_info == "/camera/color/camera_info"
    difference = found.frame.rgb.astype(float) - expected.frame.rgb
    assert np.abs(difference).mean() < 5
    near = expected.frame.depth < 8
    np.testing.assert_allclose(
        found.frame.depth[near], expected.frame.depth[near], atol=8**2 / 10100
    )


def test_raw_images_go_first_and_others_can_be_named(recording: Path, tmp_path: Path) -> None:
    both = tmp_path / "bag"
    connections = {}
    with BagReader(recording) as bag, Writer(both, version=9) as writer:
        for topic in INPUTS:
            raw = next(bag.messages([topic])).serialized
            message = bag.decode(topic, raw)
            messages = [(topic, message)]
            if topic == "/rgb":
                messages.append(EXACT["png"]["/rgb"](message))
            for name, item in messages:
                connections[name] = writer.add_connection(name, item.__msgtype__, typestore=TYPES)
                writer.write(
                    connections[name], 1, bytes(TYPES.serialize_cdr(item, item.__msgtype__))
                )
    assert first_frame(both, TopicChoice())[1].rgb == "/rgb"
    assert first_frame(both, TopicChoice(rgb="/rgb/compressed"))[1].rgb == "/rgb/compressed"


def test_what_is_no_depth_is_not_found(recording: Path, tmp_path: Path) -> None:
    def jpeg(message: Any) -> bytes:
        return file(".jpg", (millimeters(message) // 40).astype(np.uint8))

    change = {"/depth": compressed("/depth/compressed", "16UC1; jpeg compressed ", jpeg)}
    bag = copy(recording, tmp_path / "bag", 1, change)
    with pytest.raises(SpatialError, match="no topic found for depth") as caught:
        first_frame(bag, TopicChoice())
    assert "/depth/compressed  sensor_msgs/msg/CompressedImage" in caught.value.message
    with pytest.raises(SpatialError, match="JPEG changes depth values"):
        first_frame(bag, TopicChoice(depth="/depth/compressed"))


def test_the_same_data_set(recording: Path, every_frame: RecordingOptions, tmp_path: Path) -> None:
    changes = {**EXACT["png"], **EXACT["compressedDepth"]}
    convert_recording(copy(recording, tmp_path / "raw" / "bag", 4, {}), tmp_path / "1", every_frame)
    bag = copy(recording, tmp_path / "compressed" / "bag", 4, changes)
    report = convert_recording(bag, tmp_path / "2", every_frame)
    assert report.topics["rgb"] == "/rgb/compressed"
    first, second = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name != "provenance.json"
        }
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert first == second
    assert len(first) > 8


def test_replay_command(recording: Path, tmp_path: Path) -> None:
    """Found by itself and named, with the answer of the plain recording; one image is damaged."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "Which pallet is nearest to the camera?"}\n')

    def asked(bag: Path, *options: str) -> list[dict[str, Any]]:
        words = ["replay", str(bag), "--questions", str(questions), "--answerer", "geometric"]
        result = CliRunner().invoke(app, [*words, "--every-frame", *options])
        assert result.exit_code == 0, result.output
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        for answer in answers:
            del answer["latency_s"]
        return answers

    plain = asked(copy(recording, tmp_path / "plain", 2, {}))
    changes = {**EXACT["png"], **EXACT["compressedDepth"]}
    bag = copy(recording, tmp_path / "compressed", 2, changes)
    assert asked(bag) == plain
    assert [answer["status"] for answer in plain] == ["OK"] * 2
    named = ["--rgb", "/rgb/compressed", "--depth", "/depth/compressedDepth"]
    assert asked(bag, *named) == plain

    count = 0

    def second_is_cut(message: Any) -> tuple[str, Any]:
        nonlocal count
        count += 1
        topic, item = EXACT["compressedDepth"]["/depth"](message)
        return topic, replace(item, data=item.data[:-200]) if count == 2 else item

    cut = asked(copy(recording, tmp_path / "cut", 2, {**changes, "/depth": second_is_cut}))
    answered, refused = cut
    assert (refused["status"], answered) == ("BAD_INPUT", plain[0])
    assert "truncated or damaged" in refused["message"]
