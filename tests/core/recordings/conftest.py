"""One small recording from the simulator, and changed copies of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.language import Category
from smolrgpt_core.messages.making import (
    answer_message,
    camera_info_message,
    header_message,
    image_message,
    region_array_message,
)
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.types import SPATIAL_ANSWER
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.bag_types import known_types
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.frame_source import FrameSource
from smolrgpt_core.recordings.motion import MotionConfig
from smolrgpt_core.recordings.options import RecordingOptions, ReplayOptions, TopicChoice
from smolrgpt_core.recordings.question_bag import QuestionBagWriter
from smolrgpt_core.recordings.replay import Replay, replay
from smolrgpt_core.recordings.report import RecordingReport
from smolrgpt_core.recordings.topics import choose_topics
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import write_simulated_bag

FRAMES = 12

DRIVE = SimulatedDrive(
    seed=3,
    frame_count=FRAMES,
    intrinsics=CameraIntrinsics.from_vertical_fov(160, 120, 60.0),
    options=RenderOptions(shadows=False, supersampling=1, min_region_pixels=20),
)

EVERY_FRAME = RecordingOptions(motion=MotionConfig(min_change=0.0))


def rewrite(
    source: Path,
    path: Path,
    change: Callable[[str, Any, int], Any] = lambda topic, message, number: message,
    storage: str = "sqlite3",
) -> Path:
    """Copy a recording; change(topic, message, n-th of it) gives the new message, or None."""
    types, connections = known_types(), {}
    counts: Counter[str] = Counter()
    plugin = StoragePlugin[storage.upper()]
    with Reader(source) as reader, Writer(path, version=9, storage_plugin=plugin) as writer:
        for old, time_ns, raw in reader.messages():
            message = change(old.topic, types.deserialize_cdr(raw, old.msgtype), counts[old.topic])
            counts[old.topic] += 1
            if message is None:
                continue
            if old.topic not in connections:
                connections[old.topic] = writer.add_connection(
                    old.topic, old.msgtype, typestore=types
                )
            serialized = (
                message if isinstance(message, bytes) else types.serialize_cdr(message, old.msgtype)
            )
            writer.write(connections[old.topic], time_ns, serialized)
    return path


class Wall:
    """Recordings of a wall: pallet 1 is as far from pallet 2 as the wall from the camera."""

    START_NS = 1_700_000_000 * 10**9
    PERIOD_NS = 100_000_000
    INTRINSICS = CameraIntrinsics(64, 48, 40.0, 40.0, 31.5, 23.5)
    REGIONS = RegionSet(
        (48, 64),
        tuple(Region.from_box(i, "pallet", Box(x, 20, 8, 8)) for i, x in ((1, 8), (2, 48))),
    )

    def __init__(self) -> None:
        self.types = known_types()

    def make(self, type_name: str, /, **fields: Any) -> Any:
        """A message."""
        return self.types.types[type_name](**fields)

    def frame(self, stamp_ns: int, meters: float, gray: int = 90) -> dict[str, Any]:
        """The messages of a moment, by topic, in the order in which they are received."""
        headers = (header_message(self.make, stamp_ns, "eye") for _ in range(4))
        rgb = np.full((48, 64, 3), gray, np.uint8)
        depth = np.full((48, 64), int(1000 * meters), np.uint16)
        return {
            "/rgb": image_message(self.make, rgb, "rgb8", next(headers)),
            "/depth": image_message(self.make, depth, "16UC1", next(headers)),
            "/camera_info": camera_info_message(self.make, self.INTRINSICS, next(headers)),
            "/regions": region_array_message(self.make, self.REGIONS, next(headers)),
        }

    def frames(self, *meters: float, start_ns: int = START_NS) -> list[tuple[str, Any]]:
        """Frames one period apart."""
        return [
            item
            for index, value in enumerate(meters)
            for item in self.frame(start_ns + index * self.PERIOD_NS, value).items()
        ]

    def write(
        self,
        path: Path,
        messages: Sequence[tuple[str, Any]],
        storage: str = "mcap",
        compression: CompressionMode = CompressionMode.NONE,
        types: Typestore | None = None,
    ) -> Path:
        """Record messages by topic, received 10 ms apart in this order."""
        types = types or self.types
        plugin = StoragePlugin[storage.upper()]
        writer = Writer(path, version=9, storage_plugin=plugin)
        if compression is not CompressionMode.NONE:
            writer.set_compression(compression, CompressionFormat.ZSTD)
        with writer:
            connections: dict[str, Connection] = {}
            for number, (topic, message) in enumerate(messages):
                kind = message.__msgtype__
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=types)
                raw = bytes(types.serialize_cdr(message, kind))
                writer.write(connections[topic], self.START_NS + number * 10_000_000, raw)
        return path

    def distances(self, bag: Path) -> list[float]:
        """Between the pallets, in each complete frame."""
        return self.values(self.replay(bag))

    def values(self, found: Replay) -> list[float]:
        """What was answered, to the meter: which frame it is about."""
        values = [item.answer.value for item in found.answers if item.answer.ok]
        return [float(round(value)) for value in values if value is not None]

    def replay(self, bag: Path, label_map: str = "") -> Replay:
        """How far the pallets are from each other, asked about every frame."""
        asked = AskedQuestion("How far is pallet 1 from pallet 2?")
        labels = RegionLabels(label_map=LabelMap.parse(label_map))
        options = ReplayOptions(labels=labels, every_frame=True)
        return replay(bag, [asked], GeometricAnswerer(), options)


@pytest.fixture(scope="session")
def wall() -> Wall:
    return Wall()


@pytest.fixture(scope="session")
def drive() -> SimulatedDrive:
    return DRIVE


@pytest.fixture(scope="session")
def every_frame() -> RecordingOptions:
    return EVERY_FRAME


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drive in SQLite."""
    path = tmp_path_factory.mktemp("recordings") / "drive"
    write_simulated_bag(path, DRIVE)
    return path


@pytest.fixture(scope="session")
def mcap_recording(recording: Path) -> Path:
    """The same in MCAP."""
    return rewrite(recording, recording.parent / "mcap" / "drive", storage="mcap")


@dataclass(frozen=True)
class Converted:
    """A data set made from every frame of a recording; do not change its files."""

    folder: Path
    report: RecordingReport


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Converted]:
    """The data set of a recording, which is converted once: converted(recording)."""

    @cache
    def convert(recording: Path) -> Converted:
        folder = tmp_path_factory.mktemp("converted") / "data"
        return Converted(folder, convert_recording(recording, folder, EVERY_FRAME))

    return convert


@pytest.fixture(scope="session")
def rewritten() -> Callable[..., Path]:
    """A changed copy of any recording: rewritten(source, path, change)."""
    return rewrite


@pytest.fixture
def changed(recording: Path, tmp_path: Path) -> Callable[..., Path]:
    """A changed copy: changed(change, storage="mcap")."""

    def make(change: Callable[[str, Any, int], Any], storage: str = "sqlite3") -> Path:
        return rewrite(recording, tmp_path / "changed", change, storage)

    return make


ASKED = (
    AskedQuestion("How many pallets are visible?"),
    AskedQuestion("Which pallet is nearest to the camera?"),
    AskedQuestion("How heavy is it?"),
    AskedQuestion("", Category.DISTANCE),
    AskedQuestion("", Category.LEFT_RIGHT),
)


@pytest.fixture(scope="session")
def question_recording(recording: Path) -> Path:
    """The first frame of the drive with the questions `ASKED`, as the node records them."""
    path, types = recording.parent / "asked", known_types()
    with BagReader(recording) as bag:
        topics = ("/rgb", "/depth", "/camera_info", "/regions")
        messages = [next(bag.messages([topic])) for topic in topics]
        first = {item.topic.removeprefix("/"): item.serialized for item in messages}
        choice = choose_topics(bag, TopicChoice())
        source = FrameSource(bag, choice, RegionLabels(), SensorSettings())
        frame = source.decode(first).frame
    pair = tuple(region.id for region in frame.regions.with_label("pallet")[:2])

    def make(type_name: str, /, **fields: Any) -> Any:
        return types.types[type_name](**fields)

    writer = QuestionBagWriter(path)
    for item in ASKED:
        ids = pair if item.category else ()
        asked = replace(item, region_ids=ids, stamp_ns=frame.stamp_ns)
        (answer,) = ask_batch(frame, [asked], GeometricAnswerer())
        header = header_message(make, frame.stamp_ns, "eye")
        message = answer_message(make, answer, asked.text, header, {})
        writer.write(asked, bytes(types.serialize_cdr(message, SPATIAL_ANSWER)), first)
        first = {}
    writer.close()
    return path
