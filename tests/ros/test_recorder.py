"""The recorder alone: what it does when the disk is slow, small or gone."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.logging import get_logger
from rclpy.serialization import serialize_message
from smolrgpt_ros.msg import SpatialAnswer
from std_msgs.msg import Header

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.question_bag import read_recorded_questions
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.messages.conversions import (
    image_to_message,
    intrinsics_to_camera_info,
    regions_to_array,
    time_from_ns,
)
from smolrgpt_ros.query.recorder import QUEUE_LENGTH, QuestionRecorder

SIZE = (480, 640)
PIXELS = np.zeros((*SIZE, 3), np.uint8)
FRAME_BYTES = PIXELS.nbytes + PIXELS.nbytes // 3 * 2


def samples(stamp_ns: int) -> Moment:
    header = Header(stamp=time_from_ns(stamp_ns), frame_id="eye")
    messages = (
        image_to_message(PIXELS, "rgb8", header),
        image_to_message(np.zeros(SIZE, np.uint16), "16UC1", header),
        intrinsics_to_camera_info(CameraIntrinsics(640, 480, 500.0, 500.0, 319.5, 239.5), header),
        regions_to_array(RegionSet(SIZE, ()), header),
    )
    return Moment(*[StampedMessage(stamp_ns, serialize_message(message)) for message in messages])


def ask(recorder: QuestionRecorder, number: int, frame: Moment) -> None:
    question = f"question {number}"
    answer = SpatialAnswer(question=question)
    recorder.record(AskedQuestion(question, stamp_ns=frame.rgb.stamp_ns), answer, frame, None)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond this: what a full disk does, for this process alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def make_recorder(tmp_path: Path) -> Iterator[Any]:
    started = []

    def make(limit_bytes: int = 0) -> QuestionRecorder:
        started.append(
            QuestionRecorder(tmp_path / "bags", "regions", limit_bytes, get_logger("recorder"))
        )
        return started[-1]

    yield make
    for recorder in started:
        recorder.close()


def contents(folder: Path) -> tuple[list[str], int, str]:
    """Texts of the questions, number of color images, and damage of the only recording."""
    (path,) = folder.iterdir()
    with BagReader(path) as bag:
        texts = [item.asked.text for item in read_recorded_questions(bag)]
        images = len(list(bag.messages(["/rgb"])))
        return texts, images, bag.damage


def test_nothing_is_written_before_the_first_question(make_recorder: Any, tmp_path: Path) -> None:
    make_recorder().close()
    assert not (tmp_path / "bags").exists()


def test_a_flood_is_recorded_as_far_as_the_disk_follows(make_recorder: Any, tmp_path: Path) -> None:
    recorder, total = make_recorder(), 20 * QUEUE_LENGTH
    frames = [samples(stamp_ns) for stamp_ns in range(1, 9)]
    for number in range(total):
        ask(recorder, number, frames[number % len(frames)])
    recorder.close()
    texts, images, damage = contents(tmp_path / "bags")
    assert recorder.lost > 0
    assert len(texts) == recorder.written == total - recorder.lost >= QUEUE_LENGTH
    assert images == len(frames)
    assert not damage
    assert recorder.diagnostic("recording").level == b"\x01"


def test_a_full_disk_ends_the_recording(make_recorder: Any, tmp_path: Path, wait_for: Any) -> None:
    recorder = make_recorder()
    with largest_file(int(2.5 * FRAME_BYTES)):
        for number in range(6):
            ask(recorder, number, samples(number + 1))
        wait_for(lambda: recorder.written + recorder.lost == 6, "the disk")
    assert "File too large" in recorder.failure
    assert recorder.diagnostic("recording").level == b"\x02"
    ask(recorder, 6, samples(7))
    recorder.close()
    texts, images, damage = contents(tmp_path / "bags")
    assert texts == ["question 0", "question 1"]
    assert images == 2
    assert damage
    assert (recorder.written, recorder.lost) == (2, 5)


def test_the_limit_ends_the_recording_properly(
    make_recorder: Any, tmp_path: Path, wait_for: Any
) -> None:
    recorder = make_recorder(limit_bytes=int(1.5 * FRAME_BYTES))
    for number in range(4):
        ask(recorder, number, samples(number + 1))
    wait_for(lambda: recorder.written + recorder.lost == 4, "the disk")
    texts, images, damage = contents(tmp_path / "bags")
    assert (texts, images, damage) == (["question 0", "question 1"], 2, "")
    assert "record_limit" in recorder.failure


def test_the_same_stamp_after_a_reset_is_another_frame(make_recorder: Any, tmp_path: Path) -> None:
    recorder = make_recorder()
    before, after = samples(5), samples(5)
    for number, frame in enumerate([before, before, after, after]):
        ask(recorder, number, frame)
    recorder.close()
    assert contents(tmp_path / "bags")[1] == 2
