"""Names of the message types and topics of an RGB-D camera, and the quality of service offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

Message: TypeAlias = Any
"""Any object with the fields of a `.msg` file, from any library."""

Reliability = Literal["best_effort", "reliable"]

TIME = "builtin_interfaces/msg/Time"
HEADER = "std_msgs/msg/Header"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
REGION_OF_INTEREST = "sensor_msgs/msg/RegionOfInterest"
POINT = "geometry_msgs/msg/Point"
QUATERNION = "geometry_msgs/msg/Quaternion"
POSE = "geometry_msgs/msg/Pose"
VECTOR = "geometry_msgs/msg/Vector3"
STRING = "std_msgs/msg/String"
DETECTION_ARRAY = "vision_msgs/msg/Detection2DArray"
YOLO_DETECTION_ARRAY = "yolo_msgs/msg/DetectionArray"
OLD_YOLO_DETECTION_ARRAY = "yolov8_msgs/msg/DetectionArray"
"""The former package name; the fields are the same."""

OWN_PACKAGE = "smolrgpt_ros"
REGION = f"{OWN_PACKAGE}/msg/Region"
REGION_ARRAY = f"{OWN_PACKAGE}/msg/RegionArray"
OBJECT_TRUTH = f"{OWN_PACKAGE}/msg/ObjectTruth"
SCENE_TRUTH = f"{OWN_PACKAGE}/msg/SceneTruth"
SPATIAL_ANSWER = f"{OWN_PACKAGE}/msg/SpatialAnswer"


class MessageFactory(Protocol):
    """Creates a message of a type such as "sensor_msgs/msg/Image"; arrays are NumPy arrays."""

    def __call__(self, type_name: str, /, **fields: Any) -> Message:
        """A message with these fields; all fields must be given."""
        ...


@dataclass(frozen=True)
class OfferedTopic:
    """A topic that a simulated camera publishes.

    Attributes:
        type_name: of its messages.
        queue_depth: number of messages queued for a slow subscriber.
        reliability: None: set by a parameter of the camera.
    """

    type_name: str
    queue_depth: int
    reliability: Reliability | None = None


SENSOR_QUEUE_DEPTH = 5
"""As in the sensor data profile of ROS."""

GROUND_TRUTH = "ground_truth"

CAMERA_TOPICS = {
    "rgb": OfferedTopic(IMAGE, SENSOR_QUEUE_DEPTH),
    "depth": OfferedTopic(IMAGE, SENSOR_QUEUE_DEPTH),
    "camera_info": OfferedTopic(CAMERA_INFO, SENSOR_QUEUE_DEPTH),
    "regions": OfferedTopic(REGION_ARRAY, SENSOR_QUEUE_DEPTH),
    "instances": OfferedTopic(IMAGE, SENSOR_QUEUE_DEPTH),
    GROUND_TRUTH: OfferedTopic(SCENE_TRUTH, 10, "reliable"),
}
"""Topics of the simulated camera by relative name, both live and in recordings."""
