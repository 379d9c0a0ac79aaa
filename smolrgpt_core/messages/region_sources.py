"""Where regions come from: topics by name, the type of their messages, and how they are read.

The query node and recordings use the same sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.detections import (
    regions_from_detections,
    regions_from_yolo_detections,
)
from smolrgpt_core.messages.reading import regions_from_array, regions_from_instances
from smolrgpt_core.messages.types import (
    DETECTION_ARRAY,
    IMAGE,
    OLD_YOLO_DETECTION_ARRAY,
    REGION_ARRAY,
    YOLO_DETECTION_ARRAY,
    Message,
)
from smolrgpt_core.regions import RegionSet

MessageReader = Callable[[Message, tuple[int, int], InstanceLabels], RegionSet]
"""Makes regions of a message, with the labels that it has, or those of instance ids."""


@dataclass(frozen=True)
class RegionSource:
    """A kind of messages with regions.

    Attributes:
        type_name: of the messages.
        reader: makes regions of them.
        remedy: how to get the package of the messages, where ROS alone does not bring it.
    """

    type_name: str
    reader: MessageReader
    remedy: str = ""

    def read(
        self, message: Message, image_size: tuple[int, int], labels: RegionLabels
    ) -> RegionSet:
        """The regions of a message, with the classes that their labels mean.

        Args:
            message: of this type.
            image_size: (height, width) of the rgb image.
            labels: how regions get their labels.

        Raises:
            SpatialError: BAD_INPUT when the message cannot be used.
        """
        regions = self.reader(message, image_size, labels.by_number or InstanceLabels())
        return labels.label_map.apply(regions)


REGION_SOURCES = {
    "regions": RegionSource(
        REGION_ARRAY, lambda message, size, labels: regions_from_array(message)
    ),
    "instances": RegionSource(
        IMAGE, lambda message, size, labels: regions_from_instances(message, labels)
    ),
    "yolo_detections": RegionSource(
        YOLO_DETECTION_ARRAY,
        lambda message, size, labels: regions_from_yolo_detections(message, size),
        "build yolo_msgs of https://github.com/mgonzs13/yolo_ros in this workspace, or apt install "
        "ros-$ROS_DISTRO-yolo-msgs where your distribution has it",
    ),
    "detections": RegionSource(
        DETECTION_ARRAY,
        lambda message, size, labels: regions_from_detections(message, size),
        "apt install ros-$ROS_DISTRO-vision-msgs",
    ),
}
"""By the name of their topic and the value of the parameter `region_source`."""

SOURCES_BY_TYPE = {
    **{source.type_name: source for source in REGION_SOURCES.values()},
    OLD_YOLO_DETECTION_ARRAY: REGION_SOURCES["yolo_detections"],
}
