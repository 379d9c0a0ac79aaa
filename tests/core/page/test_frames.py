"""Sources of frames, and what a visitor may open."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import encode_image, write_depth, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.frames import CachedFrames, RecordedFrames, SimulatedHall
from smolrgpt_core.page.library import MAX_CACHED_SOURCES, Library
from smolrgpt_core.page.uploads import UploadedFile, image_size
from smolrgpt_core.region_files import write_regions


def test_a_hall_is_the_same_for_the_same_seed_and_has_different_views(frame: RGBDFrame) -> None:
    hall = SimulatedHall(0)
    assert np.array_equal(hall.frame(0).rgb, frame.rgb)
    assert not np.array_equal(hall.frame(1).rgb, frame.rgb)
    with pytest.raises(SpatialError, match="0 to 7, got 8"):
        hall.frame(8)


def test_frames_of_a_recording_come_in_any_order(recording: Path) -> None:
    source = RecordedFrames(recording)
    assert source.count == 3
    stamps = [source.frame(index).stamp_ns for index in (2, 0, 1)]
    assert stamps[1] < stamps[2] < stamps[0]


def test_a_recording_without_frames_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpatialError, match="no such recording"):
        RecordedFrames(tmp_path / "none")


class Counting:
    """A source that counts how often it is asked."""

    name, count, is_live = "counting", 4, False

    def __init__(self, frame: RGBDFrame) -> None:
        self._frame = frame
        self.asked: list[int] = []

    def frame(self, index: int) -> RGBDFrame:
        self.asked.append(index)
        return self._frame


def test_the_latest_frames_stay_available(frame: RGBDFrame) -> None:
    source = Counting(frame)
    cached = CachedFrames(source, size=2)
    for index in (0, 1, 0, 2, 0, 1):
        cached.frame(index)
    assert source.asked == [0, 1, 2, 1]


def test_visitors_share_a_hall(recording: Path) -> None:
    library = Library([recording.parent])
    first = library.hall(3)
    assert library.hall(3) is first
    for seed in range(10, 10 + MAX_CACHED_SOURCES):
        library.hall(seed)
    assert library.hall(3) is not first, "not all are kept"
    with pytest.raises(SpatialError, match="seed"):
        library.hall(-1)


def test_recordings_are_found_and_opened_under_the_roots_only(
    recording: Path, tmp_path: Path
) -> None:
    library = Library([recording.parent])
    assert library.recordings() == [recording]
    assert library.recording(recording).count == 3
    with pytest.raises(SpatialError, match="only files under"):
        Library([tmp_path]).recording(recording)
    assert Library().recordings() == []


@pytest.fixture
def sent(frame: RGBDFrame, tmp_path: Path) -> dict[str, UploadedFile]:
    """The files of a frame as a browser sends them."""
    write_image(tmp_path / "rgb.png", frame.rgb)
    write_depth(tmp_path / "depth.png", frame.depth)
    write_regions(tmp_path / "regions.json", frame.regions)
    names = {"rgb": "rgb.png", "depth": "depth.png", "regions": "regions.json"}
    return {
        kind: UploadedFile(name, (tmp_path / name).read_bytes()) for kind, name in names.items()
    }


def pinhole(frame: RGBDFrame) -> tuple[float, ...]:
    camera = frame.intrinsics
    return camera.fx, camera.fy, camera.cx, camera.cy


def test_uploaded_files_are_a_frame(sent: dict[str, UploadedFile], frame: RGBDFrame) -> None:
    found = Library().photograph(sent, pinhole(frame)).frame(0)
    assert np.array_equal(found.rgb, frame.rgb)
    assert np.nanmax(np.abs(found.depth - frame.depth)) < 0.001
    assert [region.name for region in found.regions] == [item.name for item in frame.regions]


def test_an_uploaded_image_is_found_by_its_own_name_in_a_region_file(
    sent: dict[str, UploadedFile], frame: RGBDFrame
) -> None:
    height, width = frame.regions.image_size
    region = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [2, 3, 20, 10]}
    content = {
        "images": [{"id": 1, "file_name": "hall.png", "height": height, "width": width}],
        "annotations": [region],
        "categories": [{"id": 1, "name": "pallet"}],
    }
    sent["regions"] = UploadedFile("coco.json", json.dumps(content).encode())
    assert "not 'rgb.png'" in Library().photograph(sent, pinhole(frame)).frame(0).regions.doubt
    sent["rgb"] = replace(sent["rgb"], name="hall.png")
    assert not Library().photograph(sent, pinhole(frame)).frame(0).regions.doubt


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares any size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(head))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.parametrize(
    ("kind", "name", "content", "told"),
    [
        ("rgb", "rgb.exe", b"MZ", "must be .png or .jpg"),
        ("rgb", "../../etc/rgb.png", b"\x89PNG\r\n\x1a\nbroken", "damaged"),
        ("rgb", "rgb.png", png_of(60_000, 60_000), "60000x60000 pixels"),
        ("rgb", "rgb.jpg", b"\xff\xd8\xff\xe0\x00\x00\x00", "PNG or JPEG"),
        ("depth", "depth.npy", b"\x80\x04\x95pickle", "NumPy array"),
        ("depth", "depth.png", b"x" * (33 * 2**20), "at most"),
        ("regions", "regions.json", b"[" * 100_000, "JSON"),
        ("regions", "regions.xml", b"<a/>", "must be .json or .png"),
    ],
)
def test_uploads_that_cannot_be_used_are_refused(
    sent: dict[str, UploadedFile],
    frame: RGBDFrame,
    kind: str,
    name: str,
    content: bytes,
    told: str,
) -> None:
    with pytest.raises(SpatialError, match=told) as refused:
        Library().photograph({**sent, kind: UploadedFile(name, content)}, pinhole(frame)).frame(0)
    assert "smolrgpt_page_" not in refused.value.message, "no place on this machine is told"


def test_a_missing_file_and_a_wrong_calibration_are_refused(
    sent: dict[str, UploadedFile], frame: RGBDFrame
) -> None:
    with pytest.raises(SpatialError, match="focal lengths"):
        Library().photograph(sent, (0.0, 0.0, 0.0, 0.0)).frame(0)
    with pytest.raises(SpatialError, match="all of fx, fy, cx and cy"):
        Library().photograph(sent, (300.0, None, None, None))
    with pytest.raises(SpatialError, match="needs the calibration"):
        Library().photograph(sent, (None,) * 4)
    del sent["depth"]
    with pytest.raises(SpatialError, match=r"depth file is missing.*--depth-model"):
        Library().photograph(sent, pinhole(frame))


def test_the_size_of_an_image_is_read_without_decoding_it() -> None:
    image = np.zeros((30, 50, 3), np.uint8)
    assert image_size(encode_image(image, ".png")) == (50, 30)
    assert image_size(encode_image(image, ".jpg")) == (50, 30)
