"""Turns the serialized messages of one moment into an `RGBDFrame`, once for all its questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.conversions import (
    depth_from_image,
    intrinsics_from_camera_info,
    is_distorted,
    regions_from_array,
    regions_from_instances,
    rgb_from_image,
)
from smolrgpt_ros.frame_buffer import FrameSamples
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.serialized import without_stamp

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
        _check_resolution(rgb, camera_info)
        frame = RGBDFrame(
            rgb=rgb_from_image(rgb),
            depth=depth_from_image(depth, self._depth_scale),
            intrinsics=intrinsics_from_camera_info(camera_info),
            regions=self._regions(samples.regions.payload),
            stamp_ns=samples.rgb.stamp_ns,
            frame_id=rgb.header.frame_id,
        )
        return DecodedFrame(frame, _warnings(rgb, depth, camera_info))

    def _regions(self, serialized: bytes) -> RegionSet:
        if self._region_source == "regions":
            return regions_from_array(deserialize_message(serialized, RegionArray))
        return regions_from_instances(deserialize_message(serialized, Image), self._instance_labels)


def _check_resolution(rgb: Image, camera_info: CameraInfo) -> None:
    if (rgb.width, rgb.height) != (camera_info.width, camera_info.height):
        raise SpatialError(
            Status.BAD_INPUT,
            f"camera_info is for {camera_info.width}x{camera_info.height}, the rgb image is "
            f"{rgb.width}x{rgb.height}; remap `camera_info` to the calibration of this image",
        )


def _warnings(rgb: Image, depth: Image, camera_info: CameraInfo) -> tuple[str, ...]:
    warnings = []
    if is_distorted(camera_info):
        warnings.append(
            "camera_info has lens distortion: distances are right only for rectified images "
            "(image_rect), as made by image_proc"
        )
    if depth.header.frame_id != rgb.header.frame_id:
        warnings.append(
            f"depth is in frame {depth.header.frame_id!r}, rgb in {rgb.header.frame_id!r}: depth "
            "must be registered to the rgb image (aligned_depth_to_color)"
        )
    return tuple(warnings)
