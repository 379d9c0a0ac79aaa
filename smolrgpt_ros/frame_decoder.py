"""Turns the serialized messages of one moment into an `RGBDFrame`, once for all its questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

from rclpy.serialization import deserialize_message

from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.compressed import ALL_RAW, Transports, plain_image
from smolrgpt_core.messages.reading import (
    alignment_warnings,
    frame_facts,
    frame_from_messages,
)
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.stamps import without_stamp
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.messages.types import Message
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.inputs import input_types
from smolrgpt_ros.mounting import BY_DEPTH, Mounting

KEPT_FRAMES = 4
"""Decoded frames that are kept, so that questions about the same moment decode it once."""


@dataclass(frozen=True)
class DecodedFrame:
    """A frame, and what an operator should know about it: what is in doubt, what was done."""

    frame: RGBDFrame
    warnings: tuple[str, ...]
    facts: Mapping[str, str]
    regions: RegionSet


class FrameDecoder:
    """Decodes frames and keeps the last ones. Used by one thread at a time.

    Args:
        region_source: a key of `REGION_SOURCES`.
        settings: how the images are read.
        labels: how regions get their labels.
        transports: how images come.
        rgb_topic: full name of the topic of the colour image.
        find_mounting: says how the camera of an image is mounted, by its frame and stamp in
            nanoseconds; None: depth tells.

    Attributes:
        newest_regions: those that were decoded last; None before the first.
    """

    def __init__(
        self,
        region_source: str,
        settings: SensorSettings,
        labels: RegionLabels,
        transports: Transports = ALL_RAW,
        rgb_topic: str = "",
        find_mounting: Callable[[str, int], Mounting] | None = None,
    ) -> None:
        self._find_mounting = find_mounting
        self._rgb_topic = rgb_topic
        self.newest_regions: RegionSet | None = None
        self._region_source = region_source
        types = input_types(region_source, transports)
        self._types = {name: type_ for name, (_, type_) in types.items()}
        self._settings = settings
        self._labels = labels
        self._kept: OrderedDict[tuple[Hashable, ...], DecodedFrame] = OrderedDict()

    def decode(self, samples: Moment) -> tuple[DecodedFrame, bool]:
        """The frame, and whether it had to be decoded.

        Raises:
            SpatialError: BAD_INPUT when a message cannot be used, or as `MountingSource.find`.
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

    def _decode(self, samples: Moment) -> DecodedFrame:
        rgb = plain_image(self._message(samples, "rgb"))
        depth = plain_image(self._message(samples, "depth"), is_depth=True)
        camera_info = self._message(samples, "camera_info")
        message = self._message(samples, "regions")
        size = (rgb.height, rgb.width)
        regions = REGION_SOURCES[self._region_source].read(message, size, self._labels)
        self.newest_regions = regions
        frame = frame_from_messages(
            rgb, depth, camera_info, regions, self._settings, self._rgb_topic
        )
        mounting = BY_DEPTH
        if self._find_mounting:
            mounting = self._find_mounting(frame.frame_id, frame.stamp_ns)
        frame = replace(frame, up=mounting.up, camera_height=mounting.camera_height)
        warnings = alignment_warnings(rgb, depth)
        if frame.depth_loss.is_told:
            warnings += (str(frame.depth_loss),)
        facts = frame_facts(frame, camera_info, self._settings, self._rgb_topic)
        facts["up"] = mounting.source
        return DecodedFrame(frame, warnings, facts, regions)

    def _message(self, samples: Moment, name: str) -> Message:
        said = self._region_source if name == "regions" else name
        return _deserialize(getattr(samples, name).payload, self._types[name], said)


def _deserialize(serialized: bytes, kind: type, name: str) -> Message:
    """A message from the bytes that came over the wire.

    Raises:
        SpatialError: BAD_INPUT when they are no message of this type.
    """
    try:
        return deserialize_message(serialized, kind)
    except RuntimeError as error:  # what rclpy's RMWError is, which it does not export
        raise bad_input(
            f"the {len(serialized)} bytes of the newest {name} are no {kind.__name__}: {error}; "
            "what publishes there is broken, or means harm",
        ) from error
