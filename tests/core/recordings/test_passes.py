"""Stamps that repeat, stand still or go back: never color of one moment with depth of another."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import Status
from smolrgpt_core.messages.input_stamps import StampOrder, Succession
from smolrgpt_core.recordings.bag_reader import RecordedMessage
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.options import RecordingOptions, ReplayOptions
from smolrgpt_core.recordings.replay import replay
from smolrgpt_core.recordings.report import NoFrameError
from smolrgpt_core.recordings.synchronization import read_moments, synchronize

HOW_FAR = "How far is pallet 1 from pallet 2?"

Messages = list[tuple[str, Any]]


def without(messages: Messages, *left_out: tuple[str, int]) -> Messages:
    """Without the n-th message on a topic."""
    counts: dict[str, int] = {}
    kept = []
    for topic, message in messages:
        number = counts[topic] = counts.get(topic, -1) + 1
        if (topic, number) not in left_out:
            kept.append((topic, message))
    return kept


def late(messages: Messages, topic: str, by: int) -> Messages:
    """Messages on a topic are received so many frames later."""
    others = [item for item in messages if item[0] != topic]
    frames = [others[index : index + 3] for index in range(0, len(others), 3)]
    waiting = [item for item in messages if item[0] == topic]
    order: Messages = []
    for index, frame in enumerate([*frames, *[[]] * by]):
        order += frame
        order += waiting[index - by : index - by + 1] if index >= by else []
    return order


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("shift_ms", [0, 40])
def test_started_again(wall: Any, tmp_path: Path, storage: str, shift_ms: int) -> None:
    first = wall.frames(*[2.0] * 12)
    second = wall.frames(*[4.0] * 15, start_ns=wall.START_NS + shift_ms * 10**6)
    found = wall.replay(wall.write(tmp_path / "bag", [*first, *second], storage))
    assert [round(item.answer.value) for item in found.answers] == [2] * 12 + [4] * 15
    assert not found.skipped
    assert "stamps go back in rgb (2 passes)" in found.notes[0]


def test_two_frames_and_the_same_images(wall: Any, tmp_path: Path) -> None:
    bag = wall.write(tmp_path / "bag", [*wall.frames(2.0, 3.0), *wall.frames(4.0, 5.0)])
    assert wall.distances(bag) == [2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("lost", ["/depth", "/regions"])
def test_what_is_lost_in_one_pass_is_not_taken_from_another(
    wall: Any, tmp_path: Path, lost: str
) -> None:
    messages = [*wall.frames(*[2.0] * 20), *wall.frames(*[4.0] * 20)]
    once = wall.replay(wall.write(tmp_path / "once", without(messages, (lost, 7))))
    assert [round(item.answer.value) for item in once.answers] == [2] * 19 + [4] * 20
    assert once.skipped.total() == 1
    second = [(lost, number) for number in range(20, 40)]
    never = wall.replay(wall.write(tmp_path / "never", without(messages, *second)))
    assert [round(item.answer.value) for item in never.answers] == [2] * 20
    assert never.skipped == {f"stamps go back: unclear which {lost[1:]} belongs to it": 20}


@pytest.mark.parametrize("by", [1, 3, 12])
def test_late_regions(wall: Any, tmp_path: Path, by: int) -> None:
    """The regions of the first pass arrive when the second has begun."""
    messages = [*wall.frames(*[2.0] * 10)]
    again = wall.frames(*[4.0] * 10)
    for topic, message in again:
        if topic == "/regions":
            message.regions[0].box.x_offset = 0
    messages = late([*messages, *again], "/regions", by)
    found = wall.replay(wall.write(tmp_path / "bag", messages))
    values = [round(value) for value in wall.values(found)]
    # Moved to the left, pallet 1 of the second pass is further from pallet 2: 4 m become 4.8 m.
    assert set(values) <= {2, 5}
    assert len(values) + found.skipped.total() == 20
    assert (len(values) == 20) is (by < 10)


def test_three_passes_of_different_length(wall: Any, tmp_path: Path) -> None:
    parts = [wall.frames(*[meters] * n) for meters, n in ((2.0, 9), (3.0, 4), (4.0, 14))]
    messages = without([item for part in parts for item in part], ("/depth", 9), ("/rgb", 15))
    found = wall.replay(wall.write(tmp_path / "bag", messages))
    # The depth of the first image of the second pass is lost, and an image of the third.
    assert [round(i.answer.value) for i in found.answers] == [2] * 9 + [3] * 3 + [4] * 13
    assert found.skipped.total() == 1


@pytest.mark.parametrize("changes", [{"/rgb"}, {"/depth"}, {"/rgb", "/depth"}])
def test_stamp_that_stands_still(wall: Any, tmp_path: Path, changes: set[str]) -> None:
    shares = ("/depth" in changes, "/rgb" in changes)
    moments = [
        wall.frame(wall.START_NS, 2.0 + index * shares[0], 90 + index * shares[1])
        for index in range(3)
    ]
    later = wall.frames(5.0, 6.0, start_ns=wall.START_NS + 10**9)
    bag = wall.write(tmp_path / "bag", [*(i for m in moments for i in m.items()), *later])
    found = wall.replay(bag)
    assert [round(item.answer.value) for item in found.answers] == [5, 6]
    assert found.skipped.total() == 3
    assert "3 of 5 messages of" in found.notes[0]
    assert "repeat although the messages differ" in found.notes[0]


def test_one_input_stands_still_for_a_while(wall: Any, tmp_path: Path) -> None:
    """Frames before and after are used."""
    frames = [wall.frame(wall.START_NS + n * wall.PERIOD_NS, 2.0 + n) for n in range(9)]
    for frame in frames[4:6]:
        frame["/depth"].header.stamp = frames[3]["/depth"].header.stamp
    bag = wall.write(tmp_path / "bag", [item for frame in frames for item in frame.items()])
    assert wall.distances(bag) == [2.0, 3.0, 4.0, 8.0, 9.0, 10.0]


def test_messages_that_come_twice(wall: Any, tmp_path: Path) -> None:
    messages = [item for item in wall.frames(2.0, 3.0, 4.0) for _ in range(2)]
    found = wall.replay(wall.write(tmp_path / "bag", messages))
    assert [round(item.answer.value) for item in found.answers] == [2, 3, 4]
    assert found.skipped == {"repeated image": 3}


def test_question_about_a_stamp_of_two_passes(wall: Any, tmp_path: Path) -> None:
    bag = wall.write(tmp_path / "bag", [*wall.frames(2.0, 3.0), *wall.frames(4.0, 5.0, 6.0)])
    stamps = [wall.START_NS, wall.START_NS + 2 * wall.PERIOD_NS, 0]
    asked = [AskedQuestion(HOW_FAR, stamp_ns=stamp_ns) for stamp_ns in stamps]
    found = replay(bag, asked, GeometricAnswerer(), ReplayOptions())
    both, only, newest = (item.answer for item in found.answers)
    assert both.status is Status.OUT_OF_SYNC
    assert "several frames of the recording have the requested stamp" in both.message
    assert only.value is not None
    assert newest.value is not None
    assert round(only.value) == round(newest.value) == 6


@pytest.mark.parametrize("topic", ["/rgb", "/depth", "/regions"])
def test_stamps_that_are_zero(wall: Any, tmp_path: Path, topic: str) -> None:
    messages = wall.frames(2.0, 3.0, 4.0)
    for name, message in messages:
        if name == topic:
            message.header.stamp.sec = message.header.stamp.nanosec = 0
    bag = wall.write(tmp_path / "bag", messages)
    found = wall.replay(bag)
    assert "3 messages of" in found.answers[0].answer.message
    assert "have stamps that are 0" in found.answers[0].answer.message
    reason = "without a stamp" if topic == "/rgb" else f"{topic[1:]} without a stamp"
    assert found.skipped == {reason: 3}
    with pytest.raises(NoFrameError, match=f"{reason}: 3"):
        convert_recording(bag, tmp_path / "data", RecordingOptions())


def test_command_reports_what_was_skipped(wall: Any, tmp_path: Path) -> None:
    frozen = [item for value in (2.0, 3.0) for item in wall.frame(wall.START_NS, value).items()]
    later = wall.frames(4.0, start_ns=wall.START_NS + 10**9)
    bag = wall.write(tmp_path / "bag", [*frozen, *later])
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"question": HOW_FAR}))
    command = ["replay", str(bag), "--questions", str(questions), "--every-frame"]
    result = CliRunner().invoke(app, [*command, "--answerer", "geometric"])
    assert result.exit_code == 0
    assert [round(json.loads(line)["value"]) for line in result.stdout.splitlines()] == [4]
    assert "skipped 1 of 3 color images: repeated image" in result.stderr
    assert "2 of 3 messages of depth (/depth) have stamps that repeat" in result.stderr


SECOND = 10**9


@pytest.mark.parametrize(
    ("stamps", "last"),
    [
        ([(1, "a"), (2, "b")], Succession.NEXT),
        ([(1, "a"), (1, "a")], Succession.AGAIN),
        ([(1, "a"), (1, "b")], Succession.STILL),
        ([(1, "a"), (1, "b"), (1, "b")], Succession.STILL),
        ([(1, "a"), (1, "b"), (2, "b")], Succession.NEXT),
        ([(1, "a"), (3, "b"), (2, "c")], Succession.NEXT),
        ([(1, "a"), (3, "b"), (1, "a")], Succession.RESTART),
        ([(1, "a"), (3, "b"), (2, "c"), (2, "d")], Succession.RESTART),
        ([(2 * SECOND, "a"), (SECOND - 1, "b")], Succession.RESTART),
        ([(2 * SECOND, "a"), (SECOND, "b")], Succession.NEXT),
        ([(3, "a"), (4, "b"), (3, "c"), (4, "d")], Succession.NEXT),
        ([(9, "a"), (1, "b"), (2, "c"), (3, "d")], Succession.RESTART),
        ([(9, "a"), (1, "b"), (2, "c"), (10, "d"), (8, "e")], Succession.NEXT),
    ],
)
def test_successions(stamps: list[tuple[int, str]], last: Succession) -> None:
    order = StampOrder()
    assert [order.add(*item) for item in stamps][-1] is last


TOPICS = {name: f"/{name}" for name in ("rgb", "depth", "camera_info", "regions")}
DELAYS_S = {"rgb": 0.005, "depth": 0.01, "camera_info": 0.006, "regions": 0.3}


class RandomBag:
    """Passes of random length with lost messages; each message says of which moment it is."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        begin_s, found = 1000.0, []
        for number_of_pass in range(rng.integers(1, 5)):
            count, shift_s = rng.integers(20, 60), rng.choice([0.0, 0.004, 0.013])
            for index, name in itertools.product(range(count), TOPICS):
                delay_s = DELAYS_S[name] + 0.02 * rng.random()
                received_s = begin_s + index * 0.1 + delay_s
                stamp_s = 500 + index * 0.1 + shift_s
                if rng.random() > 0.1:
                    found.append((received_s, name, stamp_s, f"{number_of_pass} {index}"))
            begin_s += count * 0.1 + rng.choice([0.02, 3.0])
        self._messages = [
            RecordedMessage(f"/{name}", int(received_s * 1e9), serialized(stamp_s, moment))
            for received_s, name, stamp_s, moment in sorted(found)
        ]

    def messages(self, topics: Sequence[str]) -> Iterator[RecordedMessage]:
        return (item for item in self._messages if item.topic in topics)


def serialized(stamp_s: float, text: str) -> bytes:
    seconds, nanoseconds = divmod(round(stamp_s * 1e9), 10**9)
    return b"\0\1\0\0" + struct.pack("<iI", seconds, nanoseconds) + text.encode()


def test_random_passes() -> None:
    images = used = 0
    for seed in range(40):
        bag: Any = RandomBag(seed)
        found = synchronize(bag, TOPICS, 0.02)
        assert found.images == len(found.moments) + found.skipped.total()
        images, used = images + found.images, used + len(found.moments)
        for _, messages in read_moments(bag, TOPICS, found.moments):
            moments = {name: content[12:].split() for name, content in messages.items()}
            assert moments["rgb"] == moments["depth"] == moments["regions"]
            assert moments["camera_info"][0] == moments["rgb"][0]
    # Those with depth and regions, and where passes differ, with a calibration: 0.9 ** 2 or ** 3.
    assert 0.7 < used / images < 0.84


def with_frozen_depth(wall: Any) -> Messages:
    """Depth of the first frame again and again, while color changes."""
    messages: Messages = []
    for index in range(4):
        stamp_ns = wall.START_NS + index * wall.PERIOD_NS
        messages += wall.frame(stamp_ns, 2.0, gray=60 + 40 * index).items()
    return messages


def test_depth_that_stands_still_is_doubted(wall: Any, tmp_path: Path) -> None:
    found = wall.replay(wall.write(tmp_path / "bag", with_frozen_depth(wall)))
    told = ["does the depth camera stand still?" in item.answer.message for item in found.answers]
    assert told == [False, True, True, True]
    assert all(item.answer.confidence <= 0.45 for item in found.answers[1:])
    same = wall.replay(wall.write(tmp_path / "same", wall.frames(2.0, 2.0, 3.0)))
    assert not any("stand still" in item.answer.message for item in same.answers)


def test_depth_that_stands_still_is_skipped(wall: Any, tmp_path: Path) -> None:
    bag = wall.write(tmp_path / "bag", with_frozen_depth(wall))
    with pytest.raises(NoFrameError, match="depth or color stands still: 3"):
        convert_recording(bag, tmp_path / "data", RecordingOptions())


def with_frozen_color(wall: Any, *meters: float) -> Messages:
    """The color image of the first frame again and again, while depth is that of each moment."""
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    messages = wall.frames(*meters)
    for topic, message in messages:
        if topic == "/rgb":
            message.data = image.ravel()
    return messages


def test_color_that_stands_still_is_doubted(wall: Any, tmp_path: Path) -> None:
    moved = wall.write(tmp_path / "moved", with_frozen_color(wall, 2.0, 2.1, 3.0))
    found = [item.answer for item in wall.replay(moved).answers]
    doubted = ["does the color camera stand still?" in answer.message for answer in found]
    assert doubted == [False, False, True]
    assert found[2].confidence <= 0.45
