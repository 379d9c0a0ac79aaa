"""Decodes the serialized messages of a frame into an `RGBDFrame`, once for all its questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.compressed import ALL_RAW, Transports, plain_image
from smolrgpt_core.messages.frozen_images import FrozenImagesTest
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
from smolrgpt_ros.inputs.mounting import BY_DEPTH, Mounting
from smolrgpt_ros.inputs.sensor_inputs import input_types
from smolrgpt_ros.messages.conversions import deserialized

CACHED_FRAMES = 4
"""Number of decoded frames in the cache."""


@dataclass(frozen=True)
class DecodedFrame:
    """A frame with warnings and processing facts for an operator."""

    frame: RGBDFrame
    warnings: tuple[str, ...]
    facts: Mapping[str, str]
    regions: RegionSet


class FrameDecoder:
    """Decodes frames and caches the last ones. Used by one thread at a time.

    Args:
        region_source: a key of `REGION_SOURCES`.
        settings: for reading the images.
        labels: labels by id, and the label map.
        transports: of the images.
        rgb_topic: full name of the topic of the color image.
        find_mounting: mounting of the camera, from frame id and stamp in nanoseconds; None: from
            depth.

    Attributes:
        newest_regions: the regions decoded last; None before the first.
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
        self._frozen = FrozenImagesTest()
        self._cache: OrderedDict[tuple[Hashable, ...], DecodedFrame] = OrderedDict()

    def decode(self, samples: Moment) -> tuple[DecodedFrame, bool]:
        """The frame, and whether it had to be decoded.

        Raises:
            SpatialError: BAD_INPUT when a message cannot be used, or as `MountingSource.find`.
        """
        # Another message with the same calibration may be the nearest one now.
        calibration = without_stamp(samples.camera_info.payload)
        key = (samples.rgb, samples.depth, samples.regions, calibration)
        if key in self._cache:
            return self._cache[key], False
        decoded = self._cache[key] = self._decode(samples)
        if len(self._cache) > CACHED_FRAMES:
            self._cache.popitem(last=False)
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
        frame = replace(
            frame,
            depth_doubt=self._frozen.doubt(depth, frame),
            up=mounting.up,
            camera_height=mounting.camera_height,
        )
        warnings = alignment_warnings(rgb, depth)
        if frame.depth_doubt:
            warnings += (frame.depth_doubt,)
        warnings += tuple(filter(None, (regions.doubt, frame.calibration_note)))
        if frame.depth_loss.is_reported:
            warnings += (str(frame.depth_loss),)
        facts = frame_facts(frame, camera_info, self._settings, self._rgb_topic)
        facts["up"] = mounting.source
        return DecodedFrame(frame, warnings, facts, regions)

    def _message(self, samples: Moment, name: str) -> Message:
        shown = self._region_source if name == "regions" else name
        return deserialized(getattr(samples, name).payload, self._types[name], shown)
