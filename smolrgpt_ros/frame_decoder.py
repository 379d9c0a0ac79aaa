"""Turns the serialized messages of one moment into an `RGBDFrame`, once for all its questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.reading import (
    alignment_warnings,
    frame_from_messages,
    regions_from_array,
    regions_from_instances,
)
from smolrgpt_core.messages.stamps import without_stamp
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.conversions import rgb_from_image
from smolrgpt_ros.frame_buffer import FrameSamples
from smolrgpt_ros.msg import RegionArray

KEPT_FRAMES = 4
"""Decoded frames that are kept, so that questions about the same moment decode it once."""


@dataclass(frozen=True)
class DecodedFrame:
    """A frame, and what an operator should know about the messages that it came from."""

    frame: RGBDFrame
    warnings: tuple[str, ...]


class FrameDecoder:
    """Decodes frames and keeps the last ones. Used by one thread at a time.

    Args:
        region_source: `regions` or `instances`, the type of the regions input.
        depth_scale: metres per unit of the depth image, 0 = by encoding.
        instance_labels: labels of the ids of an instance image.
    """

    def __init__(
        self, region_source: str, depth_scale: float, instance_labels: InstanceLabels
    ) -> None:
        self._region_source = region_source
        self._depth_scale = depth_scale
        self._instance_labels = instance_labels
        self._kept: OrderedDict[tuple[Hashable, ...], DecodedFrame] = OrderedDict()

    def decode(self, samples: FrameSamples) -> tuple[DecodedFrame, bool]:
        """The frame, and whether it had to be decoded.

        Raises:
            SpatialError: BAD_INPUT when a message cannot be used.
        """
        # A later message with the same calibration may have become the nearest one since.
        calibration = without_stamp(samples.camera_info.payload)
        key = (samples.rgb, samples.depth, samples.regions, calibration)
        if key in self._kept:
            return self._kept[key], False
        decoded = self._kept[key] = self._decode(samples)
        if len(self._kept) > KEPT_FRAMES:
            self._kept.popitem(last=False)
        return decoded, True

    def _decode(self, samples: FrameSamples) -> DecodedFrame:
        rgb = deserialize_message(samples.rgb.payload, Image)
        depth = deserialize_message(samples.depth.payload, Image)
        camera_info = deserialize_message(samples.camera_info.payload, CameraInfo)
        regions = self._regions(samples.regions.payload)
        frame = frame_from_messages(
            rgb, depth, camera_info, regions, self._depth_scale, rgb_from_image
        )
        return DecodedFrame(frame, alignment_warnings(rgb, depth, camera_info))

    def _regions(self, serialized: bytes) -> RegionSet:
        if self._region_source == "regions":
            return regions_from_array(deserialize_message(serialized, RegionArray))
        return regions_from_instances(deserialize_message(serialized, Image), self._instance_labels)
