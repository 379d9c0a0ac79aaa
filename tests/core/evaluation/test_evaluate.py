"""Answerers measured on a data set on disk, through the public command."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.answer.scoring import normalized_answer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.record_frames import read_image
from smolrgpt_core.data.warehouse_format import SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation.answer_files import score_files
from smolrgpt_core.evaluation.challenge_scores import challenge_scores
from smolrgpt_core.evaluation.evaluation import evaluate
from smolrgpt_core.evaluation.predictions import (
    AnswererChoice,
    Camera,
    ImageJob,
    predict,
)
from smolrgpt_core.files import read_rgb, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.mask_labels import mask_labels

GEOMETRIC = AnswererChoice("geometric")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def blank(record: WarehouseRecord) -> WarehouseRecord:
    """Without its answer."""
    question = record.conversations[:1]
    return replace(record, conversations=question, normalized_answer="", freeform_answer="")


@pytest.fixture
def copied(data_set: Path, tmp_path: Path) -> Path:
    """A copy of the data set that may be damaged."""
    return Path(shutil.copytree(data_set, tmp_path / "warehouse"))


def test_command_scores_geometry_beside_the_baselines(data_set: Path, tmp_path: Path) -> None:
    out, json_file = tmp_path / "new" / "report", tmp_path / "scores.json"
    result = run("--answerer", "geometric", "--data", data_set, "--out", out, "--json", json_file)
    assert result.exit_code == 0, result.output
    figures = json.loads(json_file.read_text())
    assert list(figures["answerers"]) == [
        "geometric", "most frequent answer", "question without image",
    ]  # fmt: skip
    finals = {
        name: item["scores"]["Final_weighted_score"] for name, item in figures["answerers"].items()
    }
    assert finals["geometric"] > 80 > 60 > finals["question without image"]
    assert f"{finals['geometric']:.2f}" in result.stdout
    predictions = json.loads((out / "predictions.json").read_text())
    assert [set(item) for item in predictions] == [{"id", "normalized_answer"}] * len(predictions)
    scored = challenge_scores(score_files(data_set / "test.json", out / "predictions.json"))
    assert scored == pytest.approx(figures["answerers"]["geometric"]["scores"])
    page = (out / "report.html").read_text()
    assert "most frequent answer" in page
    assert page.count("<img") >= 3


def test_baselines_never_learn_from_what_they_are_asked(data_set: Path) -> None:
    """Whoever has seen the very questions before guesses more than 9 of 10 right."""
    folder = SplitFolder(data_set, "train")
    records = folder.read_records()
    found = evaluate(folder, GEOMETRIC).systems
    assert [item.name for item in found[1:]] == ["most frequent answer", "question without image"]
    for item in found[1:]:
        assert "other half" in item.about
        assert item.scores["Overall_acc"] < 60
        assert len(item.predictions) == len(records)


def test_workers_answer_alike(data_set: Path) -> None:
    folder = SplitFolder(data_set, "test")
    records = folder.read_records()
    alone, together = (predict(folder, records, GEOMETRIC, workers=n) for n in (1, 2))
    assert [(a.id, a.answer) for a in alone] == [(b.id, b.answer) for b in together]
    assert [item.id for item in alone] == [record.id for record in records]


def test_truth_is_not_looked_at(data_set: Path) -> None:
    folder = SplitFolder(data_set, "test")
    records = folder.read_records()
    seen, unseen = (
        predict(folder, items, GEOMETRIC) for items in (records, [*map(blank, records)])
    )
    assert [item.answer for item in seen] == [item.answer for item in unseen]


def test_split_without_answers_gives_predictions_only(copied: Path, tmp_path: Path) -> None:
    folder = SplitFolder(copied, "test")
    folder.write_records(map(blank, folder.read_records()))
    result = run("--data", copied, "--out", tmp_path / "out", "--limit", 5)
    assert result.exit_code == 0, result.output
    assert "no ground-truth answers" in result.stdout
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 5
    assert not (tmp_path / "out" / "report.html").exists()


def test_broken_files_refuse_their_questions_only(copied: Path) -> None:
    folder = SplitFolder(copied, "test")
    records = folder.read_records()
    image = records[0].image
    path = folder.image_path(image)
    path.write_bytes(path.read_bytes()[:500])
    found = evaluate(folder, GEOMETRIC).systems[0]
    of_image = [item for item, record in zip(found.predictions, records, strict=True)
                if record.image == image]  # fmt: skip
    assert {item.status for item in of_image} == {Status.BAD_INPUT}
    assert all(image in item.message and item.answer == "" for item in of_image)
    assert found.refusals["BAD_INPUT"] == len(of_image) < len(records)


def test_a_broken_mask_refuses_its_question_only(copied: Path) -> None:
    folder = SplitFolder(copied, "test")
    records = folder.read_records()
    broken = replace(records[0], rle=({"size": [1, 2], "counts": "!!"}, *records[0].rle[1:]))
    without = replace(records[1], rle=records[1].rle[1:])
    predictions = predict(folder, [broken, without, *records[2:]], GEOMETRIC)
    statuses = Counter(item.status for item in predictions)
    assert statuses[Status.BAD_INPUT] == 2
    assert statuses[Status.OK] >= len(records) - 6


def test_missing_calibration_says_how_to_give_it(copied: Path) -> None:
    folder = SplitFolder(copied, "test")
    cameras = folder.read_cameras()
    folder.cameras_path.unlink()
    result = run("--data", copied, "--limit", 3)
    assert "3 BAD_INPUT" in result.stdout
    (prediction, *_) = predict(folder, folder.read_records()[:1], GEOMETRIC)
    assert "--intrinsics" in prediction.message
    pinhole = cameras[folder.read_records()[0].image].intrinsics
    given = f"{pinhole.fx},{pinhole.fy},{pinhole.cx},{pinhole.cy}"
    result = run("--data", copied, "--limit", 3, "--intrinsics", given)
    assert "BAD_INPUT" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "val"), "val.json"),
        (("--answerer", "oracle"), "oracle"),
        (("--checkpoint", "/no/such/folder"), "/no/such/folder"),
        (("--intrinsics", "1,2"), "four numbers"),
        (("--depth-scale", "0.001"), "--intrinsics"),
    ],
)
def test_wrong_calls(data_set: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("--data", data_set, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_masks_of_one_image_are_regions_once(data_set: Path) -> None:
    folder = SplitFolder(data_set, "test")
    records = folder.read_records()
    of_image = [item for item in records if item.image == records[0].image]
    frame, asked = read_image(folder, of_image, folder.read_cameras()[records[0].image])
    masks = {item["counts"] for record in of_image for item in record.rle}
    assert len(frame.regions) == len(masks)
    for item in asked:
        labels = [frame.regions[id].label for id in item.region_ids]
        assert len(labels) == len(item.record.rle)
        assert set(labels) <= {"pallet", "buffer", "transporter", "shelf"}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("How far is the pallet <mask> from the buffer region <mask>?", ("pallet", "buffer")),
        ("Of the pallets <mask> <mask> and shelf <mask>, ...", ("pallet", "pallet", "shelf")),
        ("Which of the AGVs <mask>, <mask> is empty?", ("transporter", "transporter")),
        ("<mask> or the rack <mask>?", ("", "shelf")),
        ("Is the region <mask> left of the pallet <mask>?", ("", "pallet")),
        ("Wie weit ist die Palette <mask>?", ("pallet",)),
        ("How many pallets do you see?", ()),
        ("How far is the box <mask> from the wooden crate <mask>?", ("box", "wooden crate")),
        ("Which of the boxes <mask> <mask> is nearest to the object <mask>?", ("box", "box", "")),
        ("How far is box <mask> from drum <mask>?", ("box", "drum")),
        (
            "How far is the robot arm <mask> from the pallet jack <mask>?",
            ("robot arm", "pallet jack"),
        ),
        ("Given the boxes in the image <mask> <mask>, ...", ("boxes", "boxes")),
        ("Is the box region <mask> left of the masked bin <mask>?", ("box", "bin")),
        ("How far is the pallet <mask> from the can <mask>?", ("pallet", "can")),
        ("How far is the pallet <mask> from the robot <mask>?", ("pallet", "")),
        ("How far is the left box <mask> from this tote <mask>?", ("box", "tote")),
        (
            "How many of the berries <mask> <mask> are in the zone <mask>?",
            ("berry", "berry", "buffer"),
        ),
        (
            "Between the people <mask> <mask> and the Kiste <mask>, ...",
            ("person", "person", "kiste"),
        ),
        ("How far is the box behind <mask>?", ("",)),
        ("How far is the cardboard box touching <mask>?", ("",)),
        ("Is person <mask> above or below cone <mask>?", ("person", "cone")),
        ("Is the forklift <mask> nearer than person <mask>?", ("forklift", "person")),
        (
            "How far are the forklifts <mask> <mask> from buffer <mask>?",
            ("forklift", "forklift", "buffer"),
        ),
    ],
)
def test_labels_are_the_nouns_of_the_text(text: str, labels: tuple[str, ...]) -> None:
    assert mask_labels(text) == labels


class Reader:
    """Answers every question, and keeps what it was asked."""

    free_text = True

    def __init__(self) -> None:
        self.asked: list[SpatialQuestion] = []

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        self.asked.append(question)
        return SpatialAnswer(Status.OK, question.category, side=Side.LEFT)


def test_visualized_depth_is_not_read_as_millimeters(data_set: Path, tmp_path: Path) -> None:
    shutil.copytree(data_set, tmp_path / "data")
    folder = SplitFolder(tmp_path / "data", "test")
    record = folder.read_records()[0]
    levels = np.full(read_rgb(folder.image_path(record.image)).shape[:2], 150, np.uint8)
    write_image(folder.depth_path(record.image), levels)
    (prediction,) = predict(folder, [record], GEOMETRIC)
    assert (prediction.status, prediction.answer) == (Status.BAD_INPUT, "")
    assert "visualization without a unit" in prediction.message


def test_words_that_only_a_model_can_read_reach_a_model_only(data_set: Path) -> None:
    folder = SplitFolder(data_set, "test")
    record = next(item for item in folder.read_records() if item.category == "left_right")
    text = "Peering at <mask>, would its companion <mask> dwell leftward of it, or contrariwise?"
    strange = replace(record, conversations=(Turn("human", f"<image>\n{text}"),))
    camera = folder.read_cameras()[record.image]
    job = ImageJob(folder, [strange], camera, None)
    reader: Any = Reader()
    (prediction,) = job.answers(reader, AnswererChoice("model"))
    assert prediction.answer == "left"
    assert [question.text for question in reader.asked] == [text]
    assert reader.asked[0].category is Category.LEFT_RIGHT
    (refused,) = job.answers(GeometricAnswerer(), AnswererChoice("geometric"))
    assert refused.status is Status.BAD_QUESTION
    nameless = replace(strange, category="")
    (unknown,) = ImageJob(folder, [nameless], camera, None).answers(reader, AnswererChoice("model"))
    assert unknown.status is Status.BAD_QUESTION


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (SpatialAnswer(Status.OK, Category.DISTANCE, value=3.456), "3.46"),
        (SpatialAnswer(Status.OK, Category.COUNT, value=2.0), "2"),
        (SpatialAnswer(Status.OK, Category.LEFT_RIGHT, side=Side.RIGHT), "right"),
        (SpatialAnswer(Status.OK, Category.MCQ, region_id=9), "1"),
        (SpatialAnswer(Status.OK, Category.LIST, answer_ids=(11, 7)), "2, 0"),
        (SpatialAnswer(Status.OK, Category.LIST), "none"),
        # Without a mask for each, by id.
        (SpatialAnswer(Status.OK, Category.LIST, answer_ids=(11, 5)), "11, 5"),
        (SpatialAnswer(Status.OK, Category.TRUTH, truth=False), "no"),
        (SpatialAnswer(Status.OK, Category.QUANTITY, value=3.0, unit="h"), "3"),
        (SpatialAnswer(Status.OK, Category.QUANTITY, value=1.256, unit="m", option="B"), "B"),
    ],
)
def test_answers_are_written_as_the_data_set_does(answer: SpatialAnswer, expected: str) -> None:
    assert normalized_answer(answer, (7, 9, 11)) == expected


def test_a_camera_of_another_size_is_refused(data_set: Path) -> None:
    folder = SplitFolder(data_set, "test")
    record: WarehouseRecord = folder.read_records()[0]
    with pytest.raises(SpatialError, match="calibrated"):
        read_image(folder, [record], Camera((80, 80, 10, 10)).record((20, 20)))
