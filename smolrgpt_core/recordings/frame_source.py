"""Decodes messages of a recording into a frame, as the query node does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.depth import REPORTED_LOSS
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.label_map import RegionLabels, label_changes
from smolrgpt_core.messages.camera_info import rectification
from smolrgpt_core.messages.compressed import plain_image
from smolrgpt_core.messages.encodings import depth_encoding
from smolrgpt_core.messages.frozen_images import FrozenImagesTest
from smolrgpt_core.messages.older import current_camera_info
from smolrgpt_core.messages.reading import alignment_warnings, frame_from_messages
from smolrgpt_core.messages.region_sources import SOURCES_BY_TYPE
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.types import Message
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.options import TopicChoice
from smolrgpt_core.recordings.question_bag import read_mountings

UNDISTORTED = (
    "lens distortion was removed; set rectify to never if the images are already rectified"
)
DEPTH_LOST = f"of some frames over {REPORTED_LOSS:.0%} of the depth was out of range or invalid"


@dataclass(frozen=True)
class RecordedFrame:
    """A frame, and the scale that stores its depth losslessly as integers."""

    frame: RGBDFrame
    meters_per_unit: float
    warnings: tuple[str, ...]


class FrameSource:
    """Decodes frames of a recording.

    Args:
        bag: the recording.
        choice: its topics.
        labels: labels by id, and the label map.
        settings: for reading its images.

    Attributes:
        label_changes: labels that were read as classes so far.
    """

    def __init__(
        self, bag: BagReader, choice: TopicChoice, labels: RegionLabels, settings: SensorSettings
    ) -> None:
        self.label_changes: dict[str, str] = {}
        self._bag = bag
        self._topics = choice.by_input
        self._labels = labels
        self._settings = settings
        types = {topic.name: topic.type_name for topic in bag.topics}
        self._source = SOURCES_BY_TYPE[types[self._topics["regions"]]]
        self._mountings = read_mountings(bag)
        self._frozen = FrozenImagesTest()

    def decode(self, serialized: Mapping[str, bytes]) -> RecordedFrame:
        """The frame of a moment.

        Raises:
            SpatialError: BAD_INPUT when a message is broken, or the messages do not match.
        """
        messages = {
            name: self._bag.decode(self._topics[name], content)
            for name, content in serialized.items()
        }
        rgb = plain_image(messages["rgb"])
        depth = plain_image(messages["depth"], is_depth=True)
        camera_info = current_camera_info(messages["camera_info"])
        regions = self._source.read(messages["regions"], (rgb.height, rgb.width), self._labels)
        self.label_changes.update(label_changes(regions))
        frame = frame_from_messages(
            rgb, depth, camera_info, regions, self._settings, rgb_topic=self._topics["rgb"]
        )
        depth_doubt = self._frozen.doubt(depth, frame)
        if depth_doubt:
            frame = replace(frame, depth_doubt=depth_doubt)
        if frame.stamp_ns in self._mountings:
            frame = self._mountings[frame.stamp_ns].applied(frame)
        warnings = alignment_warnings(rgb, depth) + self._processing(frame, camera_info)
        warnings += tuple(filter(None, (regions.doubt, frame.calibration_note)))
        return RecordedFrame(frame, self._meters_per_unit(depth), warnings)

    def _processing(self, frame: RGBDFrame, camera_info: Message) -> tuple[str, ...]:
        """Warnings about how frames were processed."""
        size, topic = (frame.intrinsics.height, frame.intrinsics.width), self._topics["rgb"]
        found = rectification(camera_info, size, self._settings.rectify, topic)
        notes = {UNDISTORTED: found.lens is not None, DEPTH_LOST: frame.depth_loss.is_reported}
        return tuple(note for note, holds in notes.items() if holds)

    def _meters_per_unit(self, depth: Message) -> float:
        dtype, scale = depth_encoding(depth.encoding)
        if np.issubdtype(dtype, np.floating):
            return CameraRecord.depth_scale
        return self._settings.depth_scale or scale
