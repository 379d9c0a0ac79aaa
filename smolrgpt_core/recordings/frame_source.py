"""Decodes the messages of one moment of a recording into a frame, as the query node does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.messages.reading import (
    DEPTH_ENCODINGS,
    alignment_warnings,
    frame_from_messages,
)
from smolrgpt_core.messages.region_sources import READERS
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.types import Message
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.options import TopicChoice


@dataclass(frozen=True)
class RecordedFrame:
    """A frame, and how its depth goes into whole numbers without loss."""

    frame: RGBDFrame
    metres_per_unit: float
    warnings: tuple[str, ...]


class FrameSource:
    """Decodes frames of a recording.

    Args:
        bag: the recording.
        choice: its topics.
        labels: of the ids in an instance image.
        settings: how its images are read.
    """

    def __init__(
        self, bag: BagReader, choice: TopicChoice, labels: InstanceLabels, settings: SensorSettings
    ) -> None:
        self._bag = bag
        self._topics = choice.by_input
        self._labels = labels
        self._settings = settings
        types = {topic.name: topic.type_name for topic in bag.topics}
        self._read_regions = READERS[types[self._topics["regions"]]]

    def decode(self, serialized: Mapping[str, bytes]) -> RecordedFrame:
        """The frame of a moment.

        Raises:
            SpatialError: BAD_INPUT when a message is broken or they do not fit together.
        """
        messages = {
            name: self._bag.decode(self._topics[name], content)
            for name, content in serialized.items()
        }
        rgb, depth, camera_info = (messages[name] for name in ("rgb", "depth", "camera_info"))
        regions = self._read_regions(messages["regions"], (rgb.height, rgb.width), self._labels)
        frame = frame_from_messages(rgb, depth, camera_info, regions, self._settings)
        warnings = alignment_warnings(rgb, depth, camera_info)
        return RecordedFrame(frame, self._metres_per_unit(depth), warnings)

    def _metres_per_unit(self, depth: Message) -> float:
        dtype, scale = DEPTH_ENCODINGS[depth.encoding]
        if np.issubdtype(dtype, np.floating):
            return CameraRecord.depth_scale
        return self._settings.depth_scale or scale
