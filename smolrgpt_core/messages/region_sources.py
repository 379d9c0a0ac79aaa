"""Sources of regions: topic names, message types and conversions.

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
"""Converts a message to regions, with its own labels or those given for instance ids."""


@dataclass(frozen=True)
class RegionSource:
    """A message type that contains regions.

    Attributes:
        type_name: of the messages.
        reader: converts them to regions.
        remedy: how to install the package of the messages, if it is not part of ROS.
    """

    type_name: str
    reader: MessageReader
    remedy: str = ""

    def read(
        self, message: Message, image_size: tuple[int, int], labels: RegionLabels
    ) -> RegionSet:
        """The regions of a message, with labels mapped to classes.

        Args:
            message: of this type.
            image_size: (height, width) of the rgb image.
            labels: labels by id, and the label map.

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
        "build yolo_msgs from https://github.com/mgonzs13/yolo_ros in this workspace, or apt "
        "install ros-$ROS_DISTRO-yolo-msgs if your distribution has it",
    ),
    "detections": RegionSource(
        DETECTION_ARRAY,
        lambda message, size, labels: regions_from_detections(message, size),
        "apt install ros-$ROS_DISTRO-vision-msgs",
    ),
}
"""Sources by topic name, which is also the value of the parameter `region_source`."""

SOURCES_BY_TYPE = {
    **{source.type_name: source for source in REGION_SOURCES.values()},
    OLD_YOLO_DETECTION_ARRAY: REGION_SOURCES["yolo_detections"],
}
