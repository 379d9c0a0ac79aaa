"""A question leaves the page as a recording, and a correction as a training example."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_depth
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.bug_report import question_zip
from smolrgpt_core.page.conversation import AnswerDesk, Exchange, VisitorState
from smolrgpt_core.page.corrections import Corrections, expected
from smolrgpt_core.quality.check import check_dataset


def asked(frame: RGBDFrame, text: str, region_ids: tuple[int, ...] = ()) -> Exchange:
    conversation = VisitorState(AnswerDesk(GeometricAnswerer()))
    return conversation.ask(frame, AskedQuestion(text, None, region_ids))


def replayed(path: Path) -> list[dict]:
    done = CliRunner().invoke(app, ["replay", str(path), "--answerer", "geometric"])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("How far is <mask> from <mask>?", (10, 13)),
        ("How many pallets are in buffer 1?", ()),
        ("Is pallet 10 left or right of pallet 13?", ()),
        ("Which pallets are in buffer 1?", ()),
        ("What are the dimensions of pallet 10?", ()),
        ("How heavy is pallet 10?", ()),
    ],
)
def test_an_exported_question_has_the_same_answer_when_it_is_replayed(
    frame: RGBDFrame, tmp_path: Path, text: str, ids: tuple[int, ...]
) -> None:
    exchange = asked(frame, text, ids)
    path = tmp_path / "report.zip"
    path.write_bytes(question_zip(exchange))
    (line,) = replayed(path)
    assert line["id"] == "report_q00000"
    assert line["question"] == text
    given = exchange.answer
    assert (line["status"], line["text"]) == (given.status.name, given.text)
    assert line["message"] == given.message
    assert line["recorded"]["text"] == given.text
    assert line["frame_id"] == frame.frame_id


def test_what_is_known_of_the_mounting_is_exported(frame: RGBDFrame, tmp_path: Path) -> None:
    mounted = replace(frame, up=np.array([0.0, -1.0, 0.0]), camera_height=9.0)
    exchange = asked(mounted, "How far is pallet 10 from the camera?")
    assert exchange.answer.message, "depth contradicts the mounting"
    path = tmp_path / "mounted.zip"
    path.write_bytes(question_zip(exchange))
    (line,) = replayed(path)
    assert line["message"] == exchange.answer.message


def test_a_zip_has_only_the_recording(frame: RGBDFrame) -> None:
    content = question_zip(asked(frame, "How many pallets are there?"))
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert names == ["smolrgpt_question/metadata.yaml", "smolrgpt_question/smolrgpt_question.mcap"]


@pytest.mark.parametrize(
    ("text", "ids", "right", "normalized"),
    [
        ("How far is <mask> from <mask>?", (10, 13), "3.4 m", "3.40"),
        ("How far is pallet 10 from pallet 13?", (), "3,5", "3.50"),
        ("How many pallets are in buffer 1?", (), "7", "7"),
        ("Is pallet 10 left or right of pallet 13?", (), "Left", "left"),
        ("Which of pallets 10, 11 and 13 is nearest to buffer 1?", (), "13", "2"),
    ],
)
def test_a_correction_is_a_training_example_of_a_clean_data_set(
    frame: RGBDFrame,
    tmp_path: Path,
    text: str,
    ids: tuple[int, ...],
    right: str,
    normalized: str,
) -> None:
    exchange = asked(frame, text, ids)
    stored = Corrections(tmp_path / "data").store(exchange, right)
    split = SplitFolder(tmp_path / "data", "train")
    (record,) = split.read_records()
    assert stored.path == split.records_path
    assert record.id == stored.id
    assert record.normalized_answer == normalized
    assert record.question.count("<mask>") == len(record.rle)
    report = check_dataset(tmp_path / "data")
    assert report.clean, report.to_json()
    depth = read_depth(split.depth_path(record.image))
    assert np.nanmax(np.abs(depth - frame.depth)) < 0.001
    assert split.read_cameras()[record.image].intrinsics == frame.intrinsics


def test_corrections_of_one_frame_share_its_image(frame: RGBDFrame, tmp_path: Path) -> None:
    corrections = Corrections(tmp_path)
    turned = replace(frame, rgb=np.ascontiguousarray(frame.rgb[:, ::-1]))
    for exchange in (
        asked(frame, "How many pallets are in buffer 1?"),
        asked(frame, "How far is pallet 10 from pallet 13?"),
        asked(turned, "How many pallets are in buffer 1?"),
    ):
        corrections.store(exchange, "2")
    split = SplitFolder(tmp_path, "train")
    records = split.read_records()
    assert len({record.id for record in records}) == 3
    assert len({record.image for record in records}) == 2
    assert len(split.read_cameras()) == 2
    assert check_dataset(tmp_path).clean
    told = json.loads((tmp_path / "train" / "provenance.json").read_text())
    assert told["answered_by_a_person"] == [record.id for record in records]
    assert told["questions"][records[0].id]["asked"]["question"].startswith("How many pallets")


@pytest.mark.parametrize(
    ("text", "right", "told"),
    [
        ("How far is pallet 10 from pallet 13?", "far", "meters"),
        ("How far is pallet 10 from pallet 13?", "-1", "meters"),
        ("How far is pallet 10 from pallet 13?", "nan", "meters"),
        ("How far is pallet 10 from pallet 13?", "", "meters"),
        ("How many pallets are in buffer 1?", "2.5", "number of objects"),
        ("Is pallet 10 left or right of pallet 13?", "up", '"left" or "right"'),
        ("Which of pallets 10, 11 and 13 is nearest to buffer 1?", "12", "the id of one"),
        ("What are the dimensions of pallet 10?", "1", "only distances"),
        ("How heavy is pallet 10?", "1", "only distances"),
    ],
)
def test_what_is_no_answer_is_not_stored(
    frame: RGBDFrame, tmp_path: Path, text: str, right: str, told: str
) -> None:
    with pytest.raises(SpatialError, match=told):
        Corrections(tmp_path / "data").store(asked(frame, text), right)
    assert not (tmp_path / "data").exists()


def test_what_is_expected_is_shown_before(frame: RGBDFrame) -> None:
    assert "meters" in expected(asked(frame, "How far is pallet 10 from pallet 13?"))
    with pytest.raises(SpatialError, match="only distances"):
        expected(asked(frame, "Is buffer 1 empty?"))
