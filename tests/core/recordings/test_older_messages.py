"""Detections and calibrations of older distributions, and of ROS 1, also without definitions."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smolrgpt_core.messages.types import (
    CAMERA_INFO,
    DETECTION_ARRAY,
    OLD_YOLO_DETECTION_ARRAY,
    YOLO_DETECTION_ARRAY,
)
from smolrgpt_core.recordings.bag_types import BagTypes, BrokenMessageError

GALACTIC = {
    "vision_msgs/msg/BoundingBox2D": "geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id"
    ),
    DETECTION_ARRAY: "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
}
HUMBLE = {
    **GALACTIC,
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
}
FOXY = {
    **GALACTIC,
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "string id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nsensor_msgs/Image source_img\nbool is_tracking\n"
        "string tracking_id"
    ),
}
NOETIC = {
    **GALACTIC,
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "int64 id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nsensor_msgs/Image source_img"
    ),
}
UNKNOWN = {
    **GALACTIC,
    "vision_msgs/msg/ObjectHypothesis": "string name\nfloat64 score",
}
VERSIONS = {"humble": HUMBLE, "galactic": GALACTIC, "foxy": FOXY}


def types_with(definitions: Mapping[str, str], store: Stores = Stores.ROS2_JAZZY) -> Typestore:
    types = get_typestore(store)
    found = {}
    for name, text in definitions.items():
        found.update(get_types_from_msg(text, name))
    types.register(found)
    return types


class Make:
    """Messages of a set of types: fields that are not given are 0 or empty."""

    def __init__(self, types: Typestore) -> None:
        self._types = types

    def __call__(self, type_name: str, /, **fields: Any) -> Any:
        definition = self._types.get_msgdef(type_name)
        values = {name: self._value(form, fields.get(name)) for name, form in definition.fields}
        return definition.cls(**values)

    def _value(self, form: Any, given: Any) -> Any:
        if given is not None:
            return given
        kind, detail = form
        if kind.name == "BASE":
            return {"string": "", "bool": False}.get(detail[0], 0)
        if kind.name == "NAME":
            return self(detail)
        if kind.name == "ARRAY":
            return np.zeros(detail[1])
        return [] if detail[0][0].name == "NAME" else np.zeros(0, np.uint8)


def box_center(make: Make, definitions: Mapping[str, str], x: float, y: float) -> Any:
    if "vision_msgs/msg/Pose2D" in definitions:
        return make(
            "vision_msgs/msg/Pose2D", position=make("vision_msgs/msg/Point2D", x=x, y=y), theta=0.0
        )
    return make("geometry_msgs/msg/Pose2D", x=x, y=y, theta=0.0)


def detections(
    types: Typestore, definitions: Mapping[str, str], header: Any, label: Any = "pallet"
) -> Any:
    """The pallets 1 and 2 of the wall."""
    make, found = Make(types), []
    for number, x in ((1, 8), (2, 48)):
        box = make(
            "vision_msgs/msg/BoundingBox2D",
            center=box_center(make, definitions, x + 4.0, 24.0), size_x=8.0, size_y=8.0,
        )  # fmt: skip
        named = {"class_id": label, "id": label, "name": label, "score": 0.9}
        hypothesis = (
            make("vision_msgs/msg/ObjectHypothesis", **named)
            if "hypothesis" in definitions["vision_msgs/msg/ObjectHypothesisWithPose"]
            else None
        )
        result = make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, **named)
        found.append(
            make(
                "vision_msgs/msg/Detection2D", header=header, results=[result], bbox=box,
                id=str(number), is_tracking=True, tracking_id=str(number),
            )
        )  # fmt: skip
    return make(DETECTION_ARRAY, header=header, detections=found)


def record(wall: Any, path: Path, definitions: Mapping[str, str], storage: str = "mcap") -> Path:
    types = types_with(definitions)
    frame = wall.frame(wall.START_NS, 3.0)
    frame["/regions"] = detections(types, definitions, frame["/rgb"].header)
    return wall.write(path, list(frame.items()), storage, types=types)


def forget_definitions(bag: Path) -> None:
    """As ROS 2 before Iron records."""
    (file,) = bag.glob("*.db3")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE message_definitions")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("storage", ["mcap", "sqlite3", "without definitions"])
def test_detections(wall: Any, tmp_path: Path, version: str, storage: str) -> None:
    is_bare = storage == "without definitions"
    bag = record(wall, tmp_path / "bag", VERSIONS[version], "sqlite3" if is_bare else storage)
    if is_bare:
        forget_definitions(bag)
    assert wall.values(wall.replay(bag)) == [3.0]


def test_a_field_that_is_not_known_is_named(wall: Any, tmp_path: Path) -> None:
    found = wall.replay(record(wall, tmp_path / "bag", UNKNOWN))
    message = found.answers[0].answer.message
    assert "a ObjectHypothesis must have the field class_id or id, but has name, score" in message


def test_a_detection_of_no_version(wall: Any) -> None:
    with pytest.raises(BrokenMessageError, match="Detection2DArray cannot be decoded"):
        BagTypes({}).decode(b"\0\1\0\0" + b"\xff" * 40, DETECTION_ARRAY)


@pytest.mark.parametrize("kind", [YOLO_DETECTION_ARRAY, OLD_YOLO_DETECTION_ARRAY])
def test_yolo_detections_without_definitions(wall: Any, kind: str) -> None:
    (types,) = BagTypes({})._stores_for(kind)
    message = Make(types)(kind, detections=[Make(types)(kind.replace("Array", ""), id="7")])
    serialized = bytes(types.serialize_cdr(message, kind))
    none = MessageDefinition(MessageDefinitionFormat.NONE, "")
    assert BagTypes({kind: none}).decode(serialized, kind).detections[0].id == "7"


@pytest.mark.parametrize("typestore", ["copy", "ros2_humble"])
@pytest.mark.parametrize("compression", [[], ["--compress", "zstd", "--compress-mode", "message"]])
def test_ros1_bag_that_was_converted(
    wall: Any, tmp_path: Path, typestore: str, compression: list[str]
) -> None:
    """With `copy`, the calibration keeps the names of ROS 1: D, K, R and P."""
    types = types_with(NOETIC, Stores.ROS1_NOETIC)
    make, bag = Make(types), tmp_path / "hall.bag"
    stamp = make("builtin_interfaces/msg/Time", sec=wall.START_NS // 10**9, nanosec=7)
    header = make("std_msgs/msg/Header", seq=5, stamp=stamp, frame_id="eye")
    frame = wall.frame(wall.START_NS, 3.0)
    info = vars(frame["/camera_info"])
    letters = {name.upper(): info[name] for name in "dkrp"}
    messages = {
        **{name: make("sensor_msgs/msg/Image", **{**vars(frame[name]), "header": header})
           for name in ("/rgb", "/depth")},
        "/camera_info": make(CAMERA_INFO, **{**info, **letters, "header": header}),
        "/detections": detections(types, NOETIC, header, label=0),
    }  # fmt: skip
    with Ros1Writer(bag) as writer:
        for number, (topic, message) in enumerate(messages.items()):
            kind = message.__msgtype__
            connection = writer.add_connection(topic, kind, typestore=types)
            writer.write(connection, wall.START_NS + number, types.serialize_ros1(message, kind))
    command = [sys.executable, "-m", "rosbags.convert", "--src", str(bag), "--dst"]
    target = tmp_path / "hall"
    subprocess.run([*command, str(target), "--dst-typestore", typestore, *compression], check=True)
    # Detections of ROS 1 have class numbers, and no tracking.
    found = wall.replay(target, label_map="0:pallet")
    assert wall.values(found) == [3.0]
