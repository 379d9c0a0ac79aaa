"""The warehouse set of the AI City Challenge as a public benchmark."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.language.placeholders import numbered
from smolrgpt_core.public_benchmarks.benchmark import score
from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
from smolrgpt_core.public_benchmarks.models import ModelOptions
from smolrgpt_core.public_benchmarks.predictions import Predictions, read_predictions
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.scoring import JudgedRecords
from smolrgpt_core.public_benchmarks.workers import reply_to
from smolrgpt_core.regions import Box, encode_rle

BENCHMARK = BENCHMARKS["ai-city"]
SCORES = Path(__file__).resolve().parents[2] / "data" / "warehouse_scores"
MASK = encode_rle(np.eye(4, dtype=bool))


@pytest.fixture
def ai_city(folder) -> Path:
    return folder / "ai_city"


def record(id: str, category: str, truth: Any) -> dict[str, Any]:
    """A row as published, with as many masks as a choice needs."""
    masks = int(truth) + 1 if category == "mcq" else 1
    words = f"<image>\nWhich of {'<mask> ' * masks}is it?"
    return {
        "id": id, "image": "x.png", "category": category, "normalized_answer": truth, "rle":
        [MASK] * masks, "conversations": [{"from": "human", "value": words}], "freeform_answer": "",
    }  # fmt: skip


def test_the_figures_of_the_challenges_script(tmp_path) -> None:
    truths = json.loads((SCORES / "gt.json").read_text())
    rows = [record(row["id"], row["category"], row["normalized_answer"]) for row in truths]
    (tmp_path / "val.json").write_text(json.dumps(rows))
    given = read_predictions(SCORES / "pred.json", BENCHMARK.question_id)
    report = score(BENCHMARK, BENCHMARK.read(tmp_path), given, ())
    assert list(report.outcomes) == ["official", "rules"]
    expected = json.loads((SCORES / "expected.json").read_text())
    keys = {
        "final weighted score": "Final_weighted_score", "overall": "Overall_acc",
        "qualitative": "Qual_overall_acc", "quantitative": "Quan_overall_acc",
        "left_right": "Qual_left_right_acc", "mcq": "Qual_mcq_acc", "count": "Quan_count_acc",
        "distance": "Quan_distance_acc", "count err": "Quan_count_err",
        "distance absrel": "Quan_distance_absrel", "count rmse": "Quan_count_rmse",
        "distance a1": "Quan_distance_a1",
    }  # fmt: skip
    figures = report.outcomes["official"].figures
    for name, key in keys.items():
        assert figures[name].value == pytest.approx(expected[key], rel=1e-12), name
    assert figures["overall"].of == expected["Total_count"]
    assert figures["mcq"].of == expected["Qual_mcq_count"]


def test_sentences_are_read_by_rules_and_not_by_the_script(ai_city) -> None:
    data = BENCHMARK.read(ai_city)
    rows = {row["id"]: row for row in json.loads((ai_city / "val.json").read_text())}
    for field, right in (("normalized_answer", ("official", "rules")),
                         ("freeform_answer", ("rules",))):  # fmt: skip
        texts = {id: str(row[field]) for id, row in rows.items()}
        report = score(BENCHMARK, data, Predictions(texts, JudgedRecords()), ())
        for name in ("official", "rules"):
            accuracy = report.outcomes[name].figures["final weighted score"].value
            assert (accuracy == 100) is (name in right), (field, name)


def test_a_model_gets_image_depth_calibration_and_masks(ai_city) -> None:
    data = BENCHMARK.read(ai_city)
    assert len(data.records) == 17
    assert Counter(record.category for record in data.records)["mcq"] == 4
    assert [record.id for record in data.records if record.problems == ("no image",)] == ["lost"]
    distance = next(r for r in data.records if "far apart" in r.question)
    question = question_of(distance, BENCHMARK.asked(distance))
    words = "Considering the pallet <mask> and the pallet <mask>, how far apart are they?"
    assert question.prompt == numbered(words)
    assert question.masked == words
    assert question.labels == ["pallet", "pallet"]
    assert question.camera is not None
    assert question.depth is not None
    answer = load_benchmark_model("geometric", ModelOptions()).answer(question)
    assert float(answer.text.removesuffix(" m")) == pytest.approx(float(distance.truth), rel=0.1)


def test_what_other_questions_name_is_there_once(ai_city) -> None:
    data = BENCHMARK.read(ai_city)
    every: dict[Any, set[Any]] = {}
    for record in data.records:
        if record.image is None:
            continue
        masks = [
            region.mask.rle()["counts"]
            for region in (*record.stored_regions, *record.other_regions)
            if not isinstance(region.mask, Box)
        ]
        assert len(set(masks)) == len(masks)
        every.setdefault(record.image.name, set()).add(frozenset(masks))
    assert len(every) == 2
    assert all(len(sets) == 1 for sets in every.values()), "all questions have the same masks"
    question = question_of(next(item for item in data.records if len(item.stored_regions) == 2))
    ids = [region.id for region in (*question.regions, *question.others)]
    assert len(set(ids)) == len(ids)
    assert ids[:2] == [0, 1]


def test_a_yes_or_no_question_about_a_side_is_answered_with_the_side(ai_city) -> None:
    data = BENCHMARK.read(ai_city)
    record = next(item for item in data.records if item.question.startswith("Does the transporter"))
    model = load_benchmark_model("geometric", ModelOptions())
    asked = BENCHMARK.asked(record)
    assert model.answer(question_of(record, asked)).text == record.truth
    assert model.answer(question_of(record)).text in ("yes", "no")


def test_awkward_rows_are_named_and_none_is_dropped_in_silence(ai_city, tmp_path) -> None:
    shutil.copytree(ai_city, tmp_path / "set")
    path = tmp_path / "set" / "val.json"
    good, *_ = rows = json.loads(path.read_text())
    rows += [
        {**good, "id": "broken", "rle": [{"size": [120, 160], "counts": "!"}, *good["rle"][1:]]},
        {**good, "id": "few", "rle": good["rle"][1:]},
        {**good, "id": "untrue", "normalized_answer": None},
        {**good, "id": "beyond", "normalized_answer": "7"},
        {**good, "id": "outside", "image": "../x.png"},
        dict(good),
    ]
    path.write_text(json.dumps(rows))
    data = BENCHMARK.read(path)
    reasons = [row.reason for row in data.rejected]
    assert len(reasons) == 5
    for reason, words in zip(
        reasons, ("one mask for each <mask>", "got nothing", "one of 2 regions", "plain file name",
                  "occurs twice"), strict=True,
    ):  # fmt: skip
        assert words in reason
    broken = next(record for record in data.records if record.id == "broken")
    assert "mask 0 does not decode" in broken.problems[0]
    reply = reply_to(load_benchmark_model("geometric", ModelOptions()), (broken, None))
    assert reply.text is None
    assert reply.status == "BAD_INPUT"


def test_one_command_for_geometry_the_packaged_model_and_guessing(ai_city, tmp_path) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["benchmark", "ai-city", "--data", str(ai_city), "--output", str(tmp_path), "--model",
              "geometric", "--model", "nano", "--model", "guess"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rules = {
        name: json.loads((tmp_path / name / "result.json").read_text())["scorers"]["rules"]
        for name in ("geometric", "nano", "guess")
    }
    scores = {name: rule["figures"]["final weighted score"] for name, rule in rules.items()}
    assert {score["of"] for score in scores.values()} == {17}
    assert scores["geometric"]["value"] > scores["guess"]["value"] + 20
    assert scores["nano"]["value"] > scores["guess"]["value"]
