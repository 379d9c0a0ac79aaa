"""The query node with images that image_transport compressed, over DDS."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.errors import Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category
from smolrgpt_core.messages.compressed import ALL_RAW
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.options import ReplayOptions
from smolrgpt_core.recordings.question_bag import read_recorded_questions
from smolrgpt_core.recordings.replay import replay
from smolrgpt_ros.inputs.sensor_inputs import input_topics, input_types

A, B = 10100.0, 1.0 - 1010.0
"""Parameters of image_transport: 100 as depth_quantization, 10 m as the farthest."""

FORMS = ("16UC1; compressedDepth png", "16UC1; compressedDepth rvl", "32FC1; compressedDepth")


class Republisher:
    """Sends the images of the camera of these tests compressed, as image_transport does."""

    def __init__(self, graph: Any) -> None:
        self._node = graph.node
        self.depth_format = "16UC1; compressedDepth png"
        self.cut = False
        self._publishers = {
            topic: self._node.create_publisher(CompressedImage, topic, qos_profile_sensor_data)
            for topic in ("/front/rgb/compressed", "/front/depth/compressedDepth")
        }
        for topic, callback in (("rgb", self._on_rgb), ("depth", self._on_depth)):
            self._node.create_subscription(Image, topic, callback, qos_profile_sensor_data)

    def _on_rgb(self, image: Image) -> None:
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        content = cv2.imencode(".jpg", pixels)[1].tobytes()
        content = content[:-50] if self.cut else content
        self._publish("/front/rgb/compressed", image, "rgb8; jpeg compressed bgr8", content)

    def _on_depth(self, image: Image) -> None:
        form = self.depth_format
        units = np.frombuffer(image.data, "<u2").reshape(image.height, image.width)
        if form.startswith("32FC1"):
            units = (A / (units / 1000) + B).round().astype(np.uint16)
        body = rvl_of_a_wall(units) if "rvl" in form else cv2.imencode(".png", units)[1].tobytes()
        content = struct.pack("<iff", 0, A, B) + body
        self._publish("/front/depth/compressedDepth", image, form, content)

    def _publish(self, topic: str, image: Image, form: str, content: bytes) -> None:
        message = CompressedImage(header=image.header, format=form)
        message.data.frombytes(content)
        self._publishers[topic].publish(message)


def rvl_of_a_wall(depth: np.ndarray) -> bytes:
    """One depth everywhere: no zeros, all pixels, the first difference, then differences of 0."""
    assert len(np.unique(depth)) == 1
    numbers = [0, depth.size, 2 * int(depth[0, 0])]
    groups = []
    for number in numbers:
        while True:
            group, number = number & 7, number >> 3
            groups.append(group | (8 if number else 0))
            if not number:
                break
    groups += [0] * (depth.size - 1)
    groups += [0] * (-len(groups) % 8)
    words = [groups[start : start + 8] for start in range(0, len(groups), 8)]
    numbers = [int("".join(f"{group:x}" for group in word), 16) for word in words]
    return struct.pack(f"<II{len(numbers)}I", *depth.shape[::-1], *numbers)


@pytest.fixture(scope="module")
def republisher(graph: Any, camera: Any) -> Republisher:
    return Republisher(graph)


def test_names_are_those_of_image_transport(graph: Any) -> None:
    rules = ["rgb:=camera/image_raw", "depth/compressedDepth:=/camera/depth/compressed"]
    arguments = ["--ros-args", *(word for rule in rules for word in ("-r", rule))]
    node = Node("names", namespace="robot", context=graph.context, cli_args=arguments)
    transports = {"rgb": "compressed", "depth": "compressedDepth"}
    topics = input_topics(node, input_types("regions", transports))
    raw = input_topics(node, input_types("regions", ALL_RAW))
    node.destroy_node()
    assert topics == {
        "rgb": "/robot/camera/image_raw/compressed",
        "depth": "/camera/depth/compressed",
        "camera_info": "/robot/camera_info",
        "regions": "/robot/regions",
    }
    assert (raw["rgb"], raw["depth"]) == ("/robot/camera/image_raw", "/robot/depth")


REMAPPED = ("-r", "rgb:=/front/rgb", "-r", "depth:=/front/depth")
COMPRESSED = ("-p", "rgb_transport:=compressed", "-p", "depth_transport:=compressedDepth")


@pytest.fixture
def query_node(start_node: Any, graph: Any, wait_for: Any) -> Iterator[Any]:
    """Start the one query node of a test; it ends with the test."""
    client = graph.client(SpatialQuery, "/spatial_query")
    started = []

    def start(*arguments: str) -> Any:
        started.append(start_node("spatial_query_node", *REMAPPED, *arguments))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    wait_for(lambda: not client.service_is_ready(), "the end of the service", timeout=30.0)


def test_answers_refusals_and_a_recording(
    query_node: Any, republisher: Republisher, graph: Any, make_operator: Any, wait_for: Any,
    camera_frame: RGBDFrame, tmp_path: Path,
) -> None:  # fmt: skip
    process = query_node(*COMPRESSED, "-p", "record:=true", "-p", f"record_folder:={tmp_path}")
    operator = make_operator(graph)
    asked = AskedQuestion("", Category.DISTANCE, (1, 2))
    (expected,) = ask_batch(camera_frame, [asked], GeometricAnswerer())
    for form in FORMS:
        republisher.depth_format = form
        changed_ns = graph.node.get_clock().now().nanoseconds

        def is_about_this_form(since_ns: int = changed_ns) -> bool:
            answer = operator.ask_distance()
            return answer.status == Status.OK and time_to_ns(answer.header.stamp) > since_ns

        wait_for(is_about_this_form, form, timeout=30.0)
        answer = operator.ask_distance()
        assert answer.value == pytest.approx(expected.value, abs=0.005)
        assert answer.valid_depth == pytest.approx([1.0, 1.0])
    republisher.cut = True
    wait_for(lambda: operator.ask_distance().status == Status.BAD_INPUT, "a refusal")
    refused = operator.ask_distance()
    assert "truncated or damaged" in refused.message
    republisher.cut = False
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    assert process.stop() == 0
    assert "Traceback" not in process.output
    (bag,) = tmp_path.iterdir()
    with BagReader(bag) as reader:
        types = {topic.name: topic.type_name for topic in reader.topics}
        recorded = read_recorded_questions(reader)
    assert types["/rgb/compressed"] == types["/depth/compressedDepth"]
    assert types["/rgb/compressed"] == "sensor_msgs/msg/CompressedImage"
    questions = [item.asked for item in recorded]
    again = replay(bag, questions, GeometricAnswerer(), ReplayOptions()).answers
    assert [item.answer.status for item in again] == [item.answer.status for item in recorded]
    values = [item.answer.value for item in again if item.answer.value is not None]
    assert values == pytest.approx([i.answer.value for i in recorded if i.answer.value is not None])


def test_a_camera_that_sends_compressed_images_only(
    query_node: Any, republisher: Republisher, graph: Any, make_operator: Any, wait_for: Any
) -> None:
    query_node("-p", "input_wait:=0.1")
    operator = make_operator(graph)
    wait_for(lambda: "has a publisher" in operator.ask_distance().message, "advice", timeout=30.0)
    message = operator.ask_distance().message
    assert "/front/rgb/compressed has a publisher: set rgb_transport to compressed" in message
    refused = operator.set(rgb_transport="theora")
    assert not refused.successful
    assert "raw, compressed" in refused.reason
    assert operator.set(rgb_transport="compressed").successful
    assert operator.set(depth_transport="compressedDepth").successful
    operator.restart()
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer", timeout=30.0)
