"""Which frame a question of a replay is about, and what becomes of what goes wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, read_questions
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.recordings.options import ReplayOptions
from smolrgpt_core.recordings.replay import replay
from smolrgpt_core.simulated_data.bag import FIRST_STAMP_NS

HOW_MANY = AskedQuestion("How many pallets are visible?")
PERIOD_NS = 100_000_000
LAST_NS = FIRST_STAMP_NS + 11 * PERIOD_NS
MS = 1_000_000

Change = Callable[..., Path]


class FrameTeller(GeometricAnswerer):
    """Answers with the stamp of the frame; fails at a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        self.calls.append(len(questions))
        if any(question.category is Category.MCQ for question in questions):
            raise RuntimeError("the engine caught fire")
        told = SpatialAnswer(Status.OK, Category.COUNT, value=float(frame.stamp_ns))
        return [told for _ in questions]


def told(bag: Path, *asked: AskedQuestion, **options: Any) -> list[tuple[Status, int]]:
    found = replay(bag, asked, FrameTeller(), ReplayOptions(**options))
    for item in found.answers:
        assert not item.answer.ok or item.answer.value == item.stamp_ns
    return [(item.answer.status, item.stamp_ns) for item in found.answers]


def at(stamp_ns: int) -> AskedQuestion:
    return replace(HOW_MANY, stamp_ns=stamp_ns)


def test_stamps_choose_the_frame_as_in_the_node(recording: Path) -> None:
    second_ns = FIRST_STAMP_NS + PERIOD_NS
    assert told(recording, HOW_MANY, at(second_ns), at(second_ns - 20 * MS)) == [
        (Status.OK, LAST_NS),
        (Status.OK, second_ns),
        (Status.OK, second_ns),
    ]
    assert told(recording, at(second_ns - 21 * MS), at(LAST_NS + 21 * MS)) == [
        (Status.STALE, 0),
        (Status.TIMEOUT, 0),
    ]
    assert told(recording, at(second_ns - 21 * MS), sync_tolerance_s=0.03)[0][0] is Status.OK


def test_newest_complete_frame_and_one_without_depth(changed: Change) -> None:
    def without_last_depth(topic: str, message: Any, number: int) -> Any:
        return None if topic == "/depth" and number == 11 else message

    bag = changed(without_last_depth)
    assert told(bag, HOW_MANY, at(LAST_NS)) == [
        (Status.OK, LAST_NS - PERIOD_NS),
        (Status.TIMEOUT, 0),
    ]


def test_an_input_that_never_came(changed: Change) -> None:
    def unstamped(topic: str, message: Any, number: int) -> Any:
        if topic == "/regions":
            message.header.stamp.sec = message.header.stamp.nanosec = 0
        return message

    assert told(changed(unstamped), HOW_MANY) == [(Status.NO_REGIONS, 0)]


def test_every_frame(recording: Path) -> None:
    found = told(recording, HOW_MANY, at(FIRST_STAMP_NS), every_frame=True)
    stamps = [FIRST_STAMP_NS + n * PERIOD_NS for n in range(12)]
    assert found == [(Status.OK, ns) for ns in [*stamps, FIRST_STAMP_NS]]


def test_questions_about_one_frame_are_asked_together(recording: Path) -> None:
    answerer = FrameTeller()
    bad = AskedQuestion("How heavy is it?")
    found = replay(recording, [HOW_MANY, bad, at(LAST_NS)], answerer, ReplayOptions())
    statuses = [item.answer.status for item in found.answers]
    assert statuses == [Status.OK, Status.BAD_QUESTION, Status.OK]
    assert answerer.calls == [2]


def test_an_answerer_that_fails_is_a_status(recording: Path) -> None:
    nearest = AskedQuestion("Which pallet is nearest to the camera?", stamp_ns=FIRST_STAMP_NS)
    found = replay(recording, [nearest, HOW_MANY], FrameTeller(), ReplayOptions()).answers
    assert [item.answer.status for item in found] == [Status.MODEL_ERROR, Status.OK]
    assert "caught fire" in found[0].answer.message
    assert found[0].answer.category is Category.MCQ


def test_a_frame_that_cannot_be_decoded(changed: Change) -> None:
    def cut_short(topic: str, message: Any, number: int) -> Any:
        if topic == "/rgb" and number == 11:
            return replace(message, data=message.data[:100])
        return message

    assert told(changed(cut_short), HOW_MANY, at(FIRST_STAMP_NS)) == [
        (Status.BAD_INPUT, 0),
        (Status.OK, FIRST_STAMP_NS),
    ]


def write_lines(path: Path, *lines: Any) -> Path:
    path.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "line 2"),
        ([1], "expected an object"),
        ({"text": "?"}, "unknown field 'text'"),
        ({"question": 3}, "question must be text"),
        ({"category": "weight"}, "category must be one of distance"),
        ({"region_ids": [1.5]}, "region_ids must be a list"),
        ({"region_ids": [-1]}, "region_ids must be a list"),
        ({"stamp": {"sec": -1}}, "stamp must have the form"),
        ({"stamp": {"nanosec": 10**9}}, "stamp must have the form"),
        ({"stamp": 1.0}, "stamp must have the form"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, message: str) -> None:
    path = write_lines(tmp_path / "questions.jsonl", {"question": "How many pallets?"}, line)
    with pytest.raises(SpatialError, match=message) as caught:
        read_questions(path)
    assert "questions.jsonl: line 2" in str(caught.value)


def test_a_text_file_has_a_question_in_each_line(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text("How many pallets?\n\n  Wie weit ist Palette 7 entfernt?\n", encoding="utf-8")
    assert read_questions(path) == [
        (1, AskedQuestion("How many pallets?")),
        (3, AskedQuestion("Wie weit ist Palette 7 entfernt?")),
    ]
    path.write_bytes(b"How many pallets?\n\xff\n")
    with pytest.raises(SpatialError, match="line 2"):
        read_questions(path)


def test_lines_are_what_a_client_sends(tmp_path: Path) -> None:
    question = AskedQuestion(
        "Is <mask> left of <mask>?", Category.LEFT_RIGHT, (7, 2), 5 * 10**9 + 1
    )
    path = write_lines(tmp_path / "questions.jsonl", {}, "", question.to_json())
    assert read_questions(path) == [(1, AskedQuestion("")), (3, question)]
    assert question.to_json()["stamp"] == {"sec": 5, "nanosec": 1}


def test_command(recording: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "questions.jsonl", HOW_MANY.to_json(), {"question": "How heavy?"})
    out = tmp_path / "answers.jsonl"
    command = ["replay", str(recording), "--questions", str(path)]
    printed = CliRunner().invoke(app, command)
    written = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert (printed.exit_code, written.exit_code) == (0, 0)
    first, second = (json.loads(line) for line in printed.stdout.splitlines())
    assert (first["line"], first["status"], first["unit"]) == (1, "OK", "objects")
    assert first["stamp"] == {"sec": LAST_NS // 10**9, "nanosec": LAST_NS % 10**9}
    assert (second["line"], second["status"]) == (2, "BAD_QUESTION")
    assert len(out.read_text().splitlines()) == 2


def test_command_says_what_is_wrong(recording: Path, tmp_path: Path) -> None:
    questions = write_lines(tmp_path / "questions.jsonl", HOW_MANY.to_json())
    bad = write_lines(tmp_path / "bad.jsonl", {"answer": 1})

    def status(bag: Path, file: Path, *more: str) -> int:
        command = ["replay", str(bag), "--questions", str(file), *more]
        return CliRunner().invoke(app, command).exit_code

    assert status(recording, bad) == 2
    assert status(recording, questions, "--answerer", "oracle") == 2
    assert status(tmp_path / "nothing", questions) == 1
    assert status(recording, questions, "--depth", "/nowhere") == 1
    assert CliRunner().invoke(app, ["replay", str(recording)]).exit_code == 2


def test_what_lies_before_a_cut_is_asked_about(mcap_recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "drive.mcap"
    (source,) = mcap_recording.glob("*.mcap")
    file.write_bytes(source.read_bytes())
    os.truncate(file, int(0.9 * file.stat().st_size))
    questions = write_lines(tmp_path / "questions.jsonl", at(FIRST_STAMP_NS).to_json())
    result = CliRunner().invoke(app, ["replay", str(file), "--questions", str(questions)])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["status"] == "OK"
    assert "truncated or damaged" in result.stderr
