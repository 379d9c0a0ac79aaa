"""Recordings from the simulator: whole or not at all, and the same for the same drive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from rosbags.rosbag2 import Reader

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.messages.types import CAMERA_TOPICS
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import write_simulated_bag


def contents(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(c.topic, time_ns, bytes(raw)) for c, time_ns, raw in reader.messages()]


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_same_drive_gives_the_same_messages(
    storage: Literal["sqlite3", "mcap"], recording: Path, drive: SimulatedDrive, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    short = replace(drive, frame_count=2)
    write_simulated_bag(
        tmp_path / "drive", short, storage, progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(1, 2), (2, 2)]
    assert contents(tmp_path / "drive")[:6] == contents(recording)[:6]
    assert {topic for topic, _, _ in contents(tmp_path / "drive")} == {
        f"/{name}" for name in CAMERA_TOPICS
    }
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_interrupted_recording_leaves_nothing(drive: SimulatedDrive, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_simulated_bag(tmp_path / "drive", drive, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_existing_recording_is_left_alone(drive: SimulatedDrive, tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    with pytest.raises(SpatialError, match="already exists"):
        write_simulated_bag(tmp_path / "drive", drive)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate_hz", 0.0), ("frame_count", 0), ("depth_encoding", "8UC1"), ("frame_id", "")],
)
def test_drive_out_of_range(field: str, value: object) -> None:
    with pytest.raises(SpatialError, match=field):
        SimulatedDrive(**{field: value})  # type: ignore[arg-type]
