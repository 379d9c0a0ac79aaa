"""From a recorded answer to a corrected record, and to nothing without a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.readers import DatasetConfig, SampleIterator, open_dataset
from smolrgpt_core.data.warehouse_format import SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.quality.check import check_dataset
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.frame_source import FrameSource
from smolrgpt_core.recordings.options import RecordingOptions, TopicChoice
from smolrgpt_core.recordings.question_bag import (
    ANSWERS,
    QuestionBagWriter,
    RecordedMounting,
    read_mountings,
    read_recorded_questions,
)
from smolrgpt_core.recordings.review import read_answers
from smolrgpt_core.recordings.topics import choose_topics

COUNT, NEAREST, UNREADABLE, DISTANCE, SIDE = (f"asked_q0000{number}" for number in range(5))


@pytest.fixture(scope="module")
def proposals(question_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the first pass."""
    out = tmp_path_factory.mktemp("first") / "data"
    result = CliRunner().invoke(app, ["bag2data", str(question_recording), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "recorded, to be reviewed" in result.output
    return out


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    content = (folder / "review" / "questions.jsonl").read_text()
    return {line["id"]: line for line in map(json.loads, content.splitlines())}


def answered(path: Path, entries: dict[str, dict[str, Any]], answers: dict[str, Any]) -> Path:
    filled = [entry | {"answer": answers.get(id)} for id, entry in entries.items()]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in filled))
    return path


def converted(bag: Path, out: Path, file: Path) -> dict[str, WarehouseRecord]:
    convert_recording(bag, out, RecordingOptions(reviewed=read_answers(file)))
    records = SplitFolder(out, "train").read_records()
    return {record.id: record for record in records if record.id.startswith("asked_q")}


def test_proposals_are_no_training_data(proposals: Path) -> None:
    found = lines(proposals)
    assert list(found) == [COUNT, NEAREST, DISTANCE, SIDE]
    assert all(line["answer"] is None for line in found.values())
    assert all((proposals / "review" / line["picture"]).is_file() for line in found.values())
    assert found[SIDE]["proposal"] in ("left", "right")
    assert found[SIDE]["regions"] == found[DISTANCE]["regions"]
    assert found[COUNT]["status"] == "OK"
    records = SplitFolder(proposals, "train").read_records()
    assert records
    assert not [record.id for record in records if record.id.startswith("asked_q")]


def test_answers_of_a_person_become_records(
    question_recording: Path, proposals: Path, tmp_path: Path
) -> None:
    entries = lines(proposals)
    nearest = entries[NEAREST]["regions"][2]
    wrong_side = {"left": "right", "right": "left"}[entries[SIDE]["proposal"]]
    answers = {COUNT: "ok", NEAREST: int(nearest.split()[1]), DISTANCE: 3.456, SIDE: wrong_side}
    file = answered(tmp_path / "questions.jsonl", entries, answers)
    records = converted(question_recording, tmp_path / "data", file)
    assert list(records) == [COUNT, NEAREST, DISTANCE, SIDE]
    assert records[COUNT].normalized_answer == f"{entries[COUNT]['proposal']:.0f}"
    assert records[DISTANCE].normalized_answer == "3.46"
    assert records[DISTANCE].freeform_answer == (
        "The pallet [Region 0] is 3.46 m from the pallet [Region 1]."
    )
    assert records[SIDE].normalized_answer == wrong_side
    assert records[NEAREST].normalized_answer == "2"
    assert records[NEAREST].freeform_answer == "The pallet [Region 2] is nearest to the camera."
    for record in records.values():
        assert record.question.count("<mask>") == len(record.rle)
    provenance = json.loads((tmp_path / "data" / "train" / "provenance.json").read_text())
    assert provenance["answered_by_a_person"] == list(records)
    assert provenance["report"]["reviewed"] == 4
    assert not (tmp_path / "data" / "review").exists()


def test_the_records_are_what_training_reads(
    question_recording: Path, proposals: Path, tmp_path: Path
) -> None:
    file = answered(tmp_path / "questions.jsonl", lines(proposals), {DISTANCE: 2.0, COUNT: "ok"})
    records = converted(question_recording, tmp_path / "data", file)
    dataset = open_dataset(DatasetConfig("warehouse", tmp_path / "data"), group_by_image=True)
    (sample,) = SampleIterator(dataset)
    assert len(sample.conversations) == len(SplitFolder(tmp_path / "data", "train").read_records())
    with BagReader(question_recording) as bag:
        recorded = read_recorded_questions(bag)[3].asked
    (talk,) = [item for item in sample.conversations if "2.00 m" in item.turns[-1].text]
    assert talk.normalized_answer == records[DISTANCE].normalized_answer == "2.00"
    assert len(sample.masks(talk)) == len(recorded.region_ids)
    assert sample.depth is not None
    assert np.isfinite(sample.depth.read_meters()).any()
    assert check_dataset(tmp_path / "data").clean


@pytest.mark.parametrize(
    ("id", "answer", "message"),
    [
        (COUNT, 1.5, "expected a number of objects"),
        (COUNT, True, "expected a number of objects"),
        (DISTANCE, -1, "expected meters"),
        (DISTANCE, "far", "expected meters"),
        (SIDE, "above", 'expected "left" or "right"'),
        (NEAREST, 4000, "expected the id of one of the regions"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(
    question_recording: Path, proposals: Path, tmp_path: Path, id: str, answer: Any, message: str
) -> None:
    file = answered(tmp_path / "questions.jsonl", lines(proposals), {id: answer})
    with pytest.raises(SpatialError, match=f"{id}: {message}"):
        converted(question_recording, tmp_path / "data", file)
    assert not (tmp_path / "data").exists()


def test_a_file_of_another_recording_is_refused(question_recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "elsewhere_q00000", "answer": 1}\n')
    with pytest.raises(SpatialError, match="the file of another recording"):
        converted(question_recording, tmp_path / "data", file)
    file.write_text('{"id": "asked_q00000"}\n')
    command = ["bag2data", str(question_recording), "--out", str(tmp_path / "data")]
    result = CliRunner().invoke(app, [*command, "--reviewed", str(file)])
    assert result.exit_code == 2


def test_recorded_questions_are_asked_again(question_recording: Path) -> None:
    result = CliRunner().invoke(app, ["replay", str(question_recording)])
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["id"] for line in found] == [COUNT, NEAREST, UNREADABLE, DISTANCE, SIDE]
    for line in found:
        recorded = line.pop("recorded")
        assert {name: line[name] for name in ("status", "value", "region_id", "side")} == {
            name: recorded[name] for name in ("status", "value", "region_id", "side")
        }


def test_a_question_whose_answer_was_cut_off_is_dropped(
    question_recording: Path, rewritten: Callable[..., Path], tmp_path: Path
) -> None:
    def cut(topic: str, message: Any, number: int) -> Any:
        return None if topic == ANSWERS and number == 4 else message

    bag = rewritten(question_recording, tmp_path / "cut", cut)
    with BagReader(question_recording) as whole, BagReader(bag) as shorter:
        expected = [item.asked for item in read_recorded_questions(whole)]
        assert [item.asked for item in read_recorded_questions(shorter)] == expected[:4]


def test_a_recording_keeps_how_the_camera_is_mounted(
    question_recording: Path, tmp_path: Path
) -> None:
    with BagReader(question_recording) as bag:
        (stamp,) = {item.asked.stamp_ns for item in read_recorded_questions(bag)}
    said = {"stamp_ns": stamp, "up": [0.0, -1.0, 0.0], "camera_height": 0.5}
    writer = QuestionBagWriter(tmp_path / "mounted")
    mounting = RecordedMounting.from_json(said)
    with BagReader(question_recording) as bag:
        for item in read_recorded_questions(bag):
            writer.write(item.asked, recorded_answer(bag, item.number), frame_of(bag), mounting)
    writer.close()
    with BagReader(tmp_path / "mounted") as bag:
        assert read_mountings(bag) == {stamp: mounting}
        source = FrameSource(
            bag, choose_topics(bag, TopicChoice()), RegionLabels(), SensorSettings()
        )
        frame = source.decode(frame_of(bag)).frame
    assert frame.up is not None
    assert (frame.up.tolist(), frame.camera_height) == (said["up"], 0.5)


def frame_of(bag: BagReader) -> dict[str, bytes]:
    """The serialized messages of the first frame of a recording, by input."""
    topics = ("/rgb", "/depth", "/camera_info", "/regions")
    return {topic[1:]: next(bag.messages([topic])).serialized for topic in topics}


def recorded_answer(bag: BagReader, number: int) -> bytes:
    return list(bag.messages([ANSWERS]))[number].serialized
