"""A recording's calibration is applied as camera_info says, or its frames are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.errors import Status
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.frame_source import (
    DEPTH_LOST,
    UNDISTORTED,
    FrameSource,
    RecordedFrame,
)
from smolrgpt_core.recordings.options import ReplayOptions, TopicChoice
from smolrgpt_core.recordings.replay import replay
from smolrgpt_core.recordings.topics import choose_topics

QUESTION = AskedQuestion("How far is pallet 1 from pallet 2?")
BARREL = np.array([-0.3, 0.1, 0.0, 0.0, 0.0])


def bag(wall: Any, path: Path, depth: Any = None, rgb_topic: str = "/rgb", **info: Any) -> Path:
    """One frame of the wall at 3 m, with changes of its calibration."""
    frame = wall.frame(wall.START_NS, 3.0)
    frame["/camera_info"] = replace(frame["/camera_info"], **info)
    if depth is not None:
        frame["/depth"] = replace(frame["/depth"], data=depth.view(np.uint8).ravel())
    frame = {rgb_topic if topic == "/rgb" else topic: item for topic, item in frame.items()}
    return wall.write(path / "bag", list(frame.items()))


def matrices(focal: float, cx: float, cy: float) -> dict[str, Any]:
    return {
        "k": np.array([focal, 0, cx, 0, focal, cy, 0, 0, 1.0]),
        "p": np.array([focal, 0, cx, 0, 0, focal, cy, 0, 0, 0, 1.0, 0]),
    }


def answered(path: Path) -> Any:
    return replay(path, [QUESTION], GeometricAnswerer(), ReplayOptions()).answers[0].answer


def decoded(path: Path, **settings: Any) -> RecordedFrame:
    with BagReader(path) as reader:
        choice = choose_topics(reader, TopicChoice())
        source = FrameSource(reader, choice, RegionLabels(), SensorSettings(**settings))
        first = {n: next(reader.messages([t])).serialized for n, t in choice.by_input.items()}
        return source.decode(first)


def test_binned_and_cut_images(wall: Any, tmp_path: Path) -> None:
    two = {"width": 128, "height": 96, "binning_x": 2, "binning_y": 2}
    whole = wall.frame(wall.START_NS, 3.0)["/camera_info"].roi
    part = replace(whole, x_offset=40, y_offset=30, width=64, height=48)
    cut = {"width": 160, "height": 120, "roi": part}
    plain = answered(bag(wall, tmp_path / "plain")).value
    assert plain == pytest.approx(3.0, rel=0.05)
    for name, info in (
        ("binned", {**two, **matrices(80.0, 63.5, 47.5)}),
        ("cut", {**cut, **matrices(40.0, 71.5, 53.5)}),
    ):
        assert answered(bag(wall, tmp_path / name, **info)).value == pytest.approx(plain)


def test_binning_beside_the_size_of_the_image(wall: Any, tmp_path: Path) -> None:
    info = {"binning_x": 2, "binning_y": 2, **matrices(80.0, 63.5, 47.5)}
    answer = answered(bag(wall, tmp_path, **info))
    assert answer.status is Status.BAD_INPUT
    assert "binning 2x2, which yields no rgb image of 64x48" in answer.message


def test_distortion_is_removed_and_reported(wall: Any, tmp_path: Path) -> None:
    path = bag(wall, tmp_path, d=BARREL)
    rectified, plain = decoded(path), decoded(path, rectify="never")
    assert (rectified.warnings, plain.warnings) == ((UNDISTORTED,), ())
    assert rectified.frame.regions[1].box.x < plain.frame.regions[1].box.x == 8
    assert decoded(bag(wall, tmp_path / "0")).warnings == ()


def test_a_topic_of_rectified_images_is_left_as_it_is(wall: Any, tmp_path: Path) -> None:
    path = bag(wall, tmp_path, rgb_topic="/camera/image_rect_color", d=BARREL)
    assert decoded(path).frame.regions[1].box.x == 8


def test_much_depth_that_marks_no_reading_is_reported(wall: Any, tmp_path: Path) -> None:
    depth = np.full((48, 64), 3000, np.uint16)
    depth[::2, ::2] = 65535
    path = bag(wall, tmp_path, depth)
    assert decoded(path).warnings == (DEPTH_LOST,)
    assert np.isnan(decoded(path).frame.depth[::2, ::2]).all()
    assert "25.0% of the depth pixels are invalid" in answered(path).message
