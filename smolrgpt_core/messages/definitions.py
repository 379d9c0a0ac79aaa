"""Definitions of messages for recordings without them.

Those of this project are its `.msg` files, inside this package or in the source tree. Those of
detectors, for recordings from before ROS 2 Iron, are from the `.msg` files of vision_msgs
(https://github.com/ros-perception/vision_msgs) and yolo_msgs (https://github.com/mgonzs13/yolo_ros);
they are tried on the bytes of a message, newest first.
"""

from __future__ import annotations

from pathlib import Path

from smolrgpt_core.messages.types import (
    DETECTION_ARRAY,
    OLD_YOLO_DETECTION_ARRAY,
    OWN_PACKAGE,
    YOLO_DETECTION_ARRAY,
)

INSTALLED = Path(__file__).parent / "msg"
"""Where pip and colcon install the files of `msg/`."""

IN_SOURCE_TREE = Path(__file__).resolve().parents[2] / "msg"

VISION_MSGS_3 = {
    "vision_msgs/msg/BoundingBox2D": (
        "geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n"
    ),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id\n"
    ),
    DETECTION_ARRAY: "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
}
"""Galactic. Version 4 (Humble and newer) has the same byte layout: only names differ."""

VISION_MSGS_2 = {
    **VISION_MSGS_3,
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "string id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nsensor_msgs/Image source_img\nbool is_tracking\n"
        "string tracking_id\n"
    ),
}
"""Foxy."""

YOLO_MSGS = {
    "yolo_msgs/msg/Point2D": "float64 x\nfloat64 y\n",
    "yolo_msgs/msg/Vector2": "float64 x\nfloat64 y\n",
    "yolo_msgs/msg/Pose2D": "yolo_msgs/Point2D position\nfloat64 theta\n",
    "yolo_msgs/msg/BoundingBox2D": "yolo_msgs/Pose2D center\nyolo_msgs/Vector2 size\n",
    "yolo_msgs/msg/BoundingBox3D": (
        "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\nstring frame_id\n"
    ),
    "yolo_msgs/msg/Mask": "int32 height\nint32 width\nyolo_msgs/Point2D[] data\n",
    "yolo_msgs/msg/KeyPoint2D": "int32 id\nyolo_msgs/Point2D point\nfloat64 score\n",
    "yolo_msgs/msg/KeyPoint2DArray": "yolo_msgs/KeyPoint2D[] data\n",
    "yolo_msgs/msg/KeyPoint3D": "int32 id\ngeometry_msgs/Point point\nfloat64 score\n",
    "yolo_msgs/msg/KeyPoint3DArray": "yolo_msgs/KeyPoint3D[] data\nstring frame_id\n",
    "yolo_msgs/msg/Detection": (
        "int32 class_id\nstring class_name\nfloat64 score\nstring id\n"
        "yolo_msgs/BoundingBox2D bbox\nyolo_msgs/BoundingBox3D bbox3d\nyolo_msgs/Mask mask\n"
        "yolo_msgs/KeyPoint2DArray keypoints\nyolo_msgs/KeyPoint3DArray keypoints3d\n"
    ),
    YOLO_DETECTION_ARRAY: "std_msgs/Header header\nyolo_msgs/Detection[] detections\n",
}

YOLOV8_MSGS = {
    name.replace("yolo_msgs", "yolov8_msgs"): text.replace("yolo_msgs", "yolov8_msgs")
    for name, text in YOLO_MSGS.items()
}
"""The package before it was renamed."""

DETECTOR_DEFINITIONS = {
    DETECTION_ARRAY: (VISION_MSGS_3, VISION_MSGS_2),
    YOLO_DETECTION_ARRAY: (YOLO_MSGS,),
    OLD_YOLO_DETECTION_ARRAY: (YOLOV8_MSGS,),
}
"""Definitions by message type, in the order in which they are tried."""


def own_definitions() -> dict[str, str]:
    """Text of each `.msg` file by type name, such as "smolrgpt_ros/msg/Region".

    Raises:
        FileNotFoundError: the installation does not contain the files.
    """
    folder = next((path for path in (INSTALLED, IN_SOURCE_TREE) if path.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            f"{INSTALLED} is missing: reinstall smolrgpt, because its message definitions are "
            "missing"
        )
    return {
        f"{OWN_PACKAGE}/msg/{path.stem}": path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.msg"))
    }
