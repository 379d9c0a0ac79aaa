"""One small recording from the simulator, and changed copies of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.recordings.bag_types import known_types
from smolrgpt_core.recordings.motion import MotionConfig
from smolrgpt_core.recordings.options import RecordingOptions
from smolrgpt_core.recordings.simulated_bag import write_simulated_bag
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.sim.drive import SimulatedDrive

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
    types, connections, counts = known_types(), {}, Counter()
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


@pytest.fixture
def changed(recording: Path, tmp_path: Path) -> Callable[..., Path]:
    """A changed copy: changed(change, storage="mcap")."""

    def make(change: Callable[[str, Any, int], Any], storage: str = "sqlite3") -> Path:
        return rewrite(recording, tmp_path / "changed", change, storage)

    return make
