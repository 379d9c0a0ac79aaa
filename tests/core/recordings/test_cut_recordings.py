"""A recording that was cut off is used up to the cut, and the cut is reported."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.options import RecordingOptions
from smolrgpt_core.sim.drive import SimulatedDrive


def cut(recording: Path, path: Path, share: float) -> Path:
    """A copy of which the file with the messages ends early."""
    shutil.copytree(recording, path)
    (file,) = (item for item in path.iterdir() if item.suffix in (".db3", ".mcap"))
    os.truncate(file, int(share * file.stat().st_size))
    return path


@pytest.fixture(params=["recording", "mcap_recording"])
def either(request: pytest.FixtureRequest) -> Path:
    """Both storages."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("share", [0.7, 0.99])
def test_what_lies_before_the_cut_is_used(
    either: Path, share: float, converted: Any, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    whole = converted(either)
    bag = cut(either, tmp_path / "drive", share)
    report = convert_recording(bag, tmp_path / "data", every_frame)
    assert report.damage
    assert 0.3 * whole.report.frames < report.frames < whole.report.frames
    for image in sorted((tmp_path / "data" / "train" / "images").iterdir()):
        assert image.read_bytes() == (whole.folder / "train/images" / image.name).read_bytes()


def test_cut_before_the_first_message(either: Path, tmp_path: Path) -> None:
    bag = cut(either, tmp_path / "drive", 0.001)
    with pytest.raises(SpatialError, match="drive"):
        convert_recording(bag, tmp_path / "data", RecordingOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_metadata_that_was_never_written(
    either: Path, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    bag = tmp_path / "drive"
    shutil.copytree(either, bag)
    (bag / "metadata.yaml").unlink()
    report = convert_recording(bag, tmp_path / "data", every_frame)
    assert "metadata.yaml is missing" in report.damage
    assert report.images == drive.frame_count


def test_messages_that_sqlite_has_not_merged(
    recording: Path, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    bag = tmp_path / "drive"
    shutil.copytree(recording, bag)
    (bag / "drive.db3-wal").write_bytes(b"pages")
    report = convert_recording(bag, tmp_path / "data", replace(every_frame, limit=1))
    assert "drive.db3-wal contains messages that are not read" in report.damage


def test_single_file(
    either: Path, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    (file,) = (item for item in either.iterdir() if item.name != "metadata.yaml")
    report = convert_recording(file, tmp_path / "data", every_frame)
    assert report.images == drive.frame_count
    assert not report.damage


@pytest.mark.parametrize("name", ["missing", "empty", "text.mcap"])
def test_no_recording(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mcap").write_text("nothing of the kind")
    with pytest.raises(SpatialError, match=name):
        BagReader(tmp_path / name)
