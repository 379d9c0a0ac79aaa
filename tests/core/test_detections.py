"""Messages of detectors become regions; they are made from the definitions of their packages."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from typer.testing import CliRunner

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.detections import (
    UNTRACKED_IDS,
    regions_from_detections,
    regions_from_yolo_detections,
)
from smolrgpt_core.messages.making import camera_info_message, header_message, image_message
from smolrgpt_core.messages.region_sources import SOURCES_BY_TYPE
from smolrgpt_core.messages.types import CAMERA_INFO, DETECTION_ARRAY, IMAGE, YOLO_DETECTION_ARRAY
from smolrgpt_core.recordings.options import ReplayOptions, TopicChoice
from smolrgpt_core.recordings.replay import replay
from smolrgpt_core.regions import Box, RegionSet

SIZE = (120, 160)

# As vision_msgs 4.1 and yolo_msgs of yolo_ros define them.
DEFINITIONS = {
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id"
    ),
    DETECTION_ARRAY: "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
    "yolo_msgs/msg/Point2D": "float64 x\nfloat64 y",
    "yolo_msgs/msg/Vector2": "float64 x\nfloat64 y",
    "yolo_msgs/msg/Pose2D": "yolo_msgs/Point2D position\nfloat64 theta",
    "yolo_msgs/msg/BoundingBox2D": "yolo_msgs/Pose2D center\nyolo_msgs/Vector2 size",
    "yolo_msgs/msg/BoundingBox3D": (
        "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\nstring frame_id"
    ),
    "yolo_msgs/msg/Mask": "int32 height\nint32 width\nyolo_msgs/Point2D[] data",
    "yolo_msgs/msg/KeyPoint2D": "int32 id\nyolo_msgs/Point2D point\nfloat64 score",
    "yolo_msgs/msg/KeyPoint2DArray": "yolo_msgs/KeyPoint2D[] data",
    "yolo_msgs/msg/KeyPoint3D": "int32 id\ngeometry_msgs/Point point\nfloat64 score",
    "yolo_msgs/msg/KeyPoint3DArray": "yolo_msgs/KeyPoint3D[] data\nstring frame_id",
    "yolo_msgs/msg/Detection": (
        "int32 class_id\nstring class_name\nfloat64 score\nstring id\n"
        "yolo_msgs/BoundingBox2D bbox\n"
        "yolo_msgs/BoundingBox3D bbox3d\nyolo_msgs/Mask mask\nyolo_msgs/KeyPoint2DArray keypoints\n"
        "yolo_msgs/KeyPoint3DArray keypoints3d"
    ),
    YOLO_DETECTION_ARRAY: "std_msgs/Header header\nyolo_msgs/Detection[] detections",
}


def all_types() -> Typestore:
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


TYPES = all_types()


def make(type_name: str, /, **fields: Any) -> Any:
    return TYPES.types[type_name](**fields)


HEADER = header_message(make, 5 * 10**9, "eye")


def pose(package: str, x: float, y: float, theta: float) -> Any:
    position = make(f"{package}/msg/Point2D", x=x, y=y)
    return make(f"{package}/msg/Pose2D", position=position, theta=theta)


def vector(kind: str) -> Any:
    return make(f"geometry_msgs/msg/{kind}", x=0.0, y=0.0, z=0.0)


def geometry_pose() -> Any:
    orientation = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    return make("geometry_msgs/msg/Pose", position=vector("Point"), orientation=orientation)


def hypothesis(label: str, score: float) -> Any:
    uncertain = make(
        "geometry_msgs/msg/PoseWithCovariance", pose=geometry_pose(), covariance=np.zeros(36)
    )
    found = make("vision_msgs/msg/ObjectHypothesis", class_id=label, score=score)
    return make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=found, pose=uncertain)


def detection(box: tuple[float, ...], id: str = "", labels: dict[str, float] | None = None) -> Any:
    """A vision_msgs/Detection2D; box: center x and y, width, height, and an angle if turned."""
    x, y, width, height, *theta = box
    bounding = make(
        "vision_msgs/msg/BoundingBox2D",
        center=pose("vision_msgs", x, y, *(theta or [0.0])),
        size_x=width,
        size_y=height,
    )
    labels = {"pallet": 0.9} if labels is None else labels
    results = [hypothesis(label, score) for label, score in labels.items()]
    return make("vision_msgs/msg/Detection2D", header=HEADER, results=results, bbox=bounding, id=id)


def detections(*items: Any) -> Any:
    return over_the_wire(make(DETECTION_ARRAY, header=HEADER, detections=list(items)))


def yolo(
    box: tuple[float, ...],
    id: str = "",
    outline: list[tuple[float, float]] | None = None,
    label: str = "pallet",
    score: float = 0.9,
    size: tuple[int, int] = SIZE,
) -> Any:
    """A yolo_msgs/Detection."""
    x, y, width, height = box
    points = [make("yolo_msgs/msg/Point2D", x=float(x), y=float(y)) for x, y in outline or []]
    return make(
        "yolo_msgs/msg/Detection",
        class_id=1,
        class_name=label,
        score=score,
        id=id,
        bbox=make(
            "yolo_msgs/msg/BoundingBox2D",
            center=pose("yolo_msgs", x, y, 0.0),
            size=make("yolo_msgs/msg/Vector2", x=width, y=height),
        ),
        bbox3d=make(
            "yolo_msgs/msg/BoundingBox3D",
            center=geometry_pose(),
            size=vector("Vector3"),
            frame_id="",
        ),
        mask=make("yolo_msgs/msg/Mask", height=size[0], width=size[1], data=points),
        keypoints=make("yolo_msgs/msg/KeyPoint2DArray", data=[]),
        keypoints3d=make("yolo_msgs/msg/KeyPoint3DArray", data=[], frame_id=""),
    )


def yolo_array(*items: Any) -> Any:
    return over_the_wire(make(YOLO_DETECTION_ARRAY, header=HEADER, detections=list(items)))


def over_the_wire(message: Any) -> Any:
    name = message.__msgtype__
    return TYPES.deserialize_cdr(TYPES.serialize_cdr(message, name), name)


def ids(regions: RegionSet) -> list[int]:
    return [region.id for region in regions]


def test_boxes_are_filled_and_cut_at_the_border() -> None:
    message = detections(
        detection((50.0, 40.0, 20.0, 10.0)),
        detection((2.0, 118.0, 10.0, 10.0)),
        detection((400.0, 40.0, 20.0, 10.0)),
        detection((80.2, 60.4, 0.2, 0.2)),
        detection((100.3, 40.0, 10.8, 10.0)),
    )
    regions = regions_from_detections(message, SIZE)
    assert [region.box for region in regions] == [
        Box(40, 35, 20, 10),
        Box(0, 113, 7, 7),
        Box(80, 60, 1, 1),
        Box(95, 35, 11, 10),
    ]
    assert ids(regions) == [1, 2, 4, 5]
    assert all(region.mask.all() for region in regions)
    assert {(region.label, region.score) for region in regions} == {("pallet", 0.9)}


def test_a_turned_box_is_turned() -> None:
    message = detections(detection((80.0, 60.0, 60.0, 20.0, math.pi / 6)))
    ((region),) = regions_from_detections(message, SIZE)
    full = RegionSet(SIZE, (region,)).full_mask(region.id)
    assert region.area == pytest.approx(60 * 20, rel=0.15)
    # x points right and y down, so a positive angle turns clockwise in the picture.
    along, across = (math.cos(math.pi / 6), math.sin(math.pi / 6)), (0.5, -math.cos(math.pi / 6))
    for distance, direction, inside in [(26, along, True), (14, across, False), (6, across, True)]:
        x, y = 80 + distance * direction[0], 60 + distance * direction[1]
        assert bool(full[round(y), round(x)]) is inside


def test_outlines_give_back_the_mask() -> None:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (70, 50), 25, 1, -1)
    cv2.rectangle(mask, (70, 50), (150, 119), 1, -1)
    ((contour, *_), _) = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = [(float(x), float(y)) for x, y in contour[:, 0]]
    box = (80.0, 60.0, 10.0, 10.0)
    (region, fallback) = regions_from_yolo_detections(
        yolo_array(yolo(box, outline=outline), yolo(box, outline=outline[:2])), SIZE
    )
    np.testing.assert_array_equal(RegionSet(SIZE, (region,)).full_mask(region.id), mask == 1)
    assert fallback.box == Box(75, 55, 10, 10)


def test_tracked_ids_are_stable() -> None:
    boxes = [(30.0 * n, 40.0, 20.0, 20.0) for n in range(1, 5)]

    def frame(*names: str) -> Any:
        return yolo_array(*[yolo(box, name) for box, name in zip(boxes, names, strict=True)])

    first, second = frame("7", "", "12", "a-3"), frame("a-3", "12", "7", "")
    one, two = (ids(regions_from_yolo_detections(item, SIZE)) for item in (first, second))
    assert one[:3] == [7, UNTRACKED_IDS + 1, 12]
    assert two == [one[3], 12, 7, UNTRACKED_IDS + 3]
    assert one[3] not in (7, 12)
    assert ids(regions_from_yolo_detections(frame("", "", "", ""), SIZE)) == [1, 2, 3, 4]


def test_the_same_tracking_id_twice_is_refused() -> None:
    box = (50.0, 40.0, 20.0, 10.0)
    with pytest.raises(SpatialError, match="7"):
        regions_from_detections(detections(detection(box, "7"), detection(box, "7")), SIZE)


def test_the_best_hypothesis_is_the_label() -> None:
    box = (50.0, 40.0, 20.0, 10.0)
    message = detections(
        detection(box, labels={"shelf": 0.2, "Pallet": 0.7}), detection(box, labels={})
    )
    best, none = regions_from_detections(message, SIZE)
    assert (best.label, best.score) == ("pallet", 0.7)
    assert (none.label, none.score) == ("", 1.0)


@pytest.mark.parametrize(
    "message",
    [
        detections(detection((math.nan, 40.0, 20.0, 10.0))),
        detections(detection((50.0, 40.0, math.inf, 10.0))),
        detections(detection((50.0, 40.0, 1e9, 1e9))),
        detections(detection((50.0, 40.0, 20.0, 10.0), labels={"pallet": math.nan})),
    ],
)
def test_numbers_that_are_none_are_refused(message: Any) -> None:
    with pytest.raises(SpatialError, match="check the detector") as caught:
        regions_from_detections(message, SIZE)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (detections(detection((50.0, 40.0, -20.0, -10.0))), "-20x-10 pixels; its size must be"),
        (detections(detection((50.0, 40.0, 0.0, 0.0))), "0x0 pixels; its size must be positive"),
        (detections(detection((50.0, 40.0, 20.0, 10.0, 90.0))), "theta must be in radians"),
        (detections(detection((0.3, 0.4, 0.1, 0.1)), detection((0.9, 0.8, 0.2, 0.3))), "fractions"),
        (
            yolo_array(yolo((0.5, 0.5, 0.2, 0.1), outline=[(0.4, 0.4), (0.6, 0.4), (0.6, 0.6)])),
            "their coordinates look like fractions",
        ),
    ],
)
def test_boxes_that_are_none_are_refused(message: Any, reason: str) -> None:
    read = SOURCES_BY_TYPE[message.__msgtype__].read
    with pytest.raises(SpatialError, match=reason) as caught:
        read(message, SIZE, RegionLabels())
    assert caught.value.status is Status.BAD_INPUT


def test_tracking_ids_that_mean_none() -> None:
    boxes = [(30.0 * n, 40.0, 20.0, 20.0) for n in range(1, 5)]

    def frame(*names: str) -> list[int]:
        items = [detection(box, name) for box, name in zip(boxes, names, strict=True)]
        return ids(regions_from_detections(detections(*items), SIZE))

    assert frame("-1", "-1", "None", "") == [1, 2, 3, 4]
    assert frame("7", "-1", "none", "8") == [7, UNTRACKED_IDS + 1, UNTRACKED_IDS + 2, 8]
    with pytest.raises(SpatialError, match="3 detections have the tracking id '0'"):
        frame("0", "0", "0", "")


def test_masks_of_another_image_are_refused() -> None:
    outline = [(1.0, 1.0), (20.0, 1.0), (20.0, 20.0)]
    message = yolo_array(yolo((10.0, 10.0, 20.0, 20.0), outline=outline, size=(480, 640)))
    with pytest.raises(SpatialError, match="masks are for an image of 640x480"):
        regions_from_yolo_detections(message, SIZE)


BOXES = {"7": (40.0, 60.0, 20.0, 20.0), "12": (120.0, 60.0, 20.0, 20.0)}


def record(bag: Path, kind: str, found: Any) -> None:
    """Write a recording of one frame with what a detector found."""
    intrinsics = CameraIntrinsics(160, 120, 100.0, 100.0, 79.5, 59.5)
    rgb, depth = np.full((*SIZE, 3), 90, np.uint8), np.full(SIZE, 3000, np.uint16)
    messages = {
        "/rgb": (IMAGE, image_message(make, rgb, "rgb8", HEADER)),
        "/depth": (IMAGE, image_message(make, depth, "16UC1", HEADER)),
        "/camera_info": (CAMERA_INFO, camera_info_message(make, intrinsics, HEADER)),
        "/detector/found": (kind, found),
    }
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, (type_name, message) in messages.items():
            connection = writer.add_connection(topic, type_name, typestore=TYPES)
            writer.write(connection, 1, TYPES.serialize_cdr(message, type_name))


@pytest.mark.parametrize("kind", [DETECTION_ARRAY, YOLO_DETECTION_ARRAY])
def test_a_recording_of_a_detector_is_replayed(kind: str, tmp_path: Path) -> None:
    """Recordings bring the definitions along, so the packages are not needed."""
    found = (
        detections(*[detection(box, id) for id, box in BOXES.items()])
        if kind == DETECTION_ARRAY
        else yolo_array(*[yolo(box, id) for id, box in BOXES.items()])
    )
    bag = tmp_path / "bag"
    record(bag, kind, found)
    asked = AskedQuestion("How far is pallet 7 from pallet 12?")
    for choice in (TopicChoice(), TopicChoice(regions="/detector/found")):
        (item,) = replay(bag, [asked], GeometricAnswerer(), ReplayOptions(topics=choice)).answers
        assert item.answer.ok
        assert item.answer.region_ids == (7, 12)
        # What is seen is 2.4 m apart; both centers are taken to lie a little behind it.
        assert item.answer.value == pytest.approx(2.404, abs=0.001)


def test_class_indices_of_a_detector_are_mapped(tmp_path: Path) -> None:
    message = detections(*[detection(box, labels={"0": 0.9}) for box in BOXES.values()])
    bag, questions = tmp_path / "bag", tmp_path / "questions.jsonl"
    record(bag, DETECTION_ARRAY, message)
    questions.write_text('{"question": "How many pallets do you see?"}\n')

    def replayed(*options: str) -> tuple[dict[str, Any], str]:
        words = ["replay", str(bag), "--questions", str(questions), "--answerer", "geometric"]
        result = CliRunner().invoke(app, [*words, *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout), result.stderr

    refused, said = replayed()
    assert refused["status"] == "BAD_QUESTION"
    assert 'labels of unknown class in this frame: "0"' in refused["message"]
    assert "labels: " not in said
    answer, said = replayed("--label-map", "0:pallet")
    assert (answer["status"], answer["value"]) == ("OK", 2)
    assert "labels: 0 -> pallet" in said


def counted(message: Any, tmp_path: Path) -> SpatialAnswer:
    """How many pallets there are in a recording of what a detector found."""
    record(tmp_path / "bag", message.__msgtype__, message)
    asked = AskedQuestion("How many pallets do you see?")
    (item,) = replay(tmp_path / "bag", [asked], GeometricAnswerer(), ReplayOptions()).answers
    assert item.answer.ok, item.answer.message
    return item.answer


def test_detections_of_a_larger_image_are_reported(tmp_path: Path) -> None:
    boxes = [tuple(2 * value for value in box) for box in BOXES.values()]
    answer = counted(detections(*[detection(box) for box in boxes]), tmp_path)
    # One of the two is outside, and cannot be counted.
    assert (answer.value, answer.confidence) == (1, 0.45)
    assert "1 of 2 detections have their center outside of the image of 160x120" in answer.message


def test_detections_outside_of_the_image_are_reported_where_none_is_left(tmp_path: Path) -> None:
    answer = counted(detections(detection((400.0, 40.0, 20.0, 10.0))), tmp_path)
    assert (answer.value, answer.confidence) == (0, 0.45)
    assert "1 of 1 detections" in answer.message


def test_an_object_that_is_detected_twice_is_reported(tmp_path: Path) -> None:
    boxes = [*BOXES.values(), (40.5, 60.0, 20.0, 20.5)]
    answer = counted(detections(*[detection(box) for box in boxes]), tmp_path)
    assert (answer.value, answer.confidence) == (3, 0.45)
    assert "pallet 1 and pallet 3 cover the same pixels" in answer.message


def test_low_scores_of_what_is_counted_are_reported(tmp_path: Path) -> None:
    scores = dict(zip(BOXES.values(), (0.04, 0.8), strict=True))
    items = [detection(box, labels={"pallet": score}) for box, score in scores.items()]
    answer = counted(detections(*items), tmp_path)
    assert answer.message == "1 of the 2 have a score below 0.25 (the lowest 0.04)"


@pytest.mark.parametrize("scores", [(0.0, 0.0), (0.3, 0.9)])
def test_good_detections_are_not_doubted(tmp_path: Path, scores: tuple[float, ...]) -> None:
    items = [
        detection(box, labels={"pallet": score})
        for box, score in zip(BOXES.values(), scores, strict=True)
    ]
    answer = counted(detections(*items), tmp_path)
    assert (answer.value, answer.message) == (2, "")
    assert answer.confidence > 0.99


def test_every_source_has_a_reader() -> None:
    empty = make(DETECTION_ARRAY, header=HEADER, detections=[])
    assert len(SOURCES_BY_TYPE[DETECTION_ARRAY].read(empty, SIZE, RegionLabels())) == 0
