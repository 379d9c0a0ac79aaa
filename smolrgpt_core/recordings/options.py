"""Options for reading recordings. Independent of rosbags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.errors import bad_input, bad_setting
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.stamps import DEFAULT_SYNC_TOLERANCE_S
from smolrgpt_core.recordings.motion import MotionConfig
from smolrgpt_core.synthesis.margins import AmbiguityMargins

MEASURED_MARGINS = AmbiguityMargins(center_std_m=0.25, ratio_std=0.1112)
"""Wider than for the truth: a measured center may be off by some decimeters. Distances that are
compared differ by 0.5 m and 20 % at least; what stands in a zone is 0.5 m from its edge."""


@dataclass(frozen=True)
class TopicChoice:
    """Topics by content; empty: found automatically.

    Attributes:
        rgb, depth, camera_info: of the camera.
        regions: RegionArray messages, or those of a detector (`messages.detections`).
        instances: instance images (pixel value = region id), instead of `regions`.

    Raises:
        SpatialError: BAD_INPUT when both regions and instances are named, or one topic twice.
    """

    rgb: str = ""
    depth: str = ""
    camera_info: str = ""
    regions: str = ""
    instances: str = ""

    def __post_init__(self) -> None:
        if self.regions and self.instances:
            raise bad_input(
                f"regions must come from one topic, either regions ({self.regions}) or instances "
                f"({self.instances})",
            )
        named = [topic for topic in self.by_input.values() if topic]
        if len(named) != len(set(named)):
            raise bad_setting("topics", "different from each other", named)

    @property
    def by_input(self) -> dict[str, str]:
        """Topic of each input; the regions are always under "regions"."""
        return {
            "rgb": self.rgb,
            "depth": self.depth,
            "camera_info": self.camera_info,
            "regions": self.regions or self.instances,
        }


@dataclass(frozen=True)
class RecordingOptions:
    """Options for converting a recording to a data set.

    Attributes:
        topics: those that are given; the others are found automatically.
        labels: labels by id, and the label map.
        sensor: for reading the images.
        sync_tolerance_s: largest difference between the stamps of rgb, depth and regions.
        motion: which frames are different enough.
        every: use only every N-th complete frame.
        limit: maximum number of frames to write; 0 = all.
        split: of the data set; a recording is one scene, so it is never divided.
        questions_per_frame: maximum number.
        margins: which questions are too close to call.
        reviewed: a person's answers to questions of the recording, by id (`recordings.review`).
        seed: of the choice and the wording of the questions.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    topics: TopicChoice = field(default_factory=TopicChoice)
    labels: RegionLabels = field(default_factory=RegionLabels)
    sensor: SensorSettings = field(default_factory=SensorSettings)
    sync_tolerance_s: float = DEFAULT_SYNC_TOLERANCE_S
    motion: MotionConfig = field(default_factory=MotionConfig)
    every: int = 1
    limit: int = 0
    split: str = SPLITS[0]
    questions_per_frame: int = 8
    margins: AmbiguityMargins = MEASURED_MARGINS
    reviewed: Mapping[str, float | int | str] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        lowest = {
            "sync_tolerance_s": 0.0,
            "every": 1,
            "limit": 0,
            "questions_per_frame": 1,
            "seed": 0,
        }
        for name, low in lowest.items():
            value = getattr(self, name)
            if not low <= value < float("inf"):
                raise bad_setting(name, f"at least {low}", value)
        if self.split not in SPLITS:
            raise bad_setting("split", f"one of {', '.join(SPLITS)}", self.split)


@dataclass(frozen=True)
class ReplayOptions:
    """Options for reading a recording; the defaults are those of the query node.

    Attributes:
        topics: those that are given; the others are found automatically.
        labels: labels by id, and the label map.
        sensor: for reading the images.
        sync_tolerance_s: largest difference between stamps, and of a requested one to the image.
        every_frame: ask questions without a stamp about every frame, not only about the latest.
    """

    topics: TopicChoice = field(default_factory=TopicChoice)
    labels: RegionLabels = field(default_factory=RegionLabels)
    sensor: SensorSettings = field(default_factory=SensorSettings)
    sync_tolerance_s: float = DEFAULT_SYNC_TOLERANCE_S
    every_frame: bool = False
