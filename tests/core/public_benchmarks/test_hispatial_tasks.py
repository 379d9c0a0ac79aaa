"""HiSpatial's custom tasks: made from simulation, asked, read and scored."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.public_benchmarks.benchmark import score
from smolrgpt_core.public_benchmarks.hispatial_tasks import (
    CAMERA,
    DIRECTION,
    SOLVING,
    VECTOR,
    vector_by_rules,
)
from smolrgpt_core.public_benchmarks.predictions import Predictions
from smolrgpt_core.public_benchmarks.quantity_readers import length_by_rules
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.scoring import ByModels, JudgedRecords
from smolrgpt_core.simulated_data.benchmark_set import VIEWS, BenchmarkSet
from smolrgpt_core.simulated_data.hispatial_set import COUNTS, HISPATIAL_SET
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene

BENCHMARK = BENCHMARKS["hispatial-tasks"]
QUESTIONS, SEED = 12, 9510000


@pytest.fixture
def tasks(folder) -> Path:
    return folder / "hispatial_tasks"


def small() -> Randomization:
    usual = Randomization()
    return replace(usual, camera=replace(usual.camera, width=160, height=120))


def test_the_truth_is_the_simulators(tmp_path) -> None:
    BenchmarkSet(HISPATIAL_SET, QUESTIONS, SEED, small()).write(tmp_path / "set", lambda _: None)
    stored = json.loads((tmp_path / "set" / HISPATIAL_SET.file).read_text())
    found = Counter(item["qa_info"]["category"] for item in stored)
    assert found == HISPATIAL_SET.wanted(QUESTIONS)
    settings = SimulationSettings(9, SEED, VIEWS, randomization=small())
    views: dict[int, list[Any]] = {}
    for item in stored:
        index, view = map(int, Path(item["file_path"]).stem.split("_"))
        if index not in views:
            views[index] = [seen for seen, _ in render_scene(settings, index)]
        check(item, views[index][view])


def check(item: dict[str, Any], seen: Any) -> None:
    """The true answer from the centers that the simulator knows."""

    def center(number: int) -> np.ndarray:
        x1, y1, x2, y2 = item["bbox"][number]
        ids = [region.id for region in seen.frame.regions
               if (region.box.x, region.box.y, region.box.x + region.box.width,
                   region.box.y + region.box.height) == (x1, y1, x2, y2)]  # fmt: skip
        assert len(ids) == 1
        return np.asarray(seen.truth[ids[0]].center)

    task, truth = item["qa_info"]["category"], item["conversations"][1]["value"]
    if task == CAMERA:
        assert length_by_rules(truth) == pytest.approx(np.linalg.norm(center(0)), abs=0.006)
    if task == DIRECTION:
        found = re.search(r"(?:from|relative to) the [a-z ]+ Region \[([01])\]", item["text_q"])
        assert found is not None
        anchor = int(found[1])
        way = center(1 - anchor) - center(anchor)
        assert vector_by_rules(truth) == pytest.approx(way / np.linalg.norm(way), abs=0.02)


@pytest.mark.parametrize(
    ("answer", "way"),
    [
        ("0.60, 0.00, 0.80", (0.6, 0, 0.8)),
        ("(-0.6, 0, -0.8)", (-0.6, 0, -0.8)),
        ("The direction is [3.0, 0.0, 4.0].", (0.6, 0, 0.8)),
        ("\u22120.6 0 .8", (-0.6, 0, 0.8)),
        ("x 0.6, y 0.0", None),
        ("0, 0, 0", None),
        ("1 2 3 4", None),
        ("to the left", None),
        ("v1.2.3", None),
        ("9e999 0 0", None),
    ],
)
def test_a_direction_is_three_numbers(answer, way) -> None:
    found = vector_by_rules(answer)
    assert (None if found is None else tuple(found)) == (
        None if way is None else pytest.approx(way)
    )


def scored(tasks: Path, texts: dict[str, str], judged: dict[str, Any] | None = None) -> Any:
    given = Predictions(texts, JudgedRecords())
    return score(BENCHMARK, BENCHMARK.read(tasks), given, (), None, ByModels(judged)).outcomes


def test_tolerances_and_kinds(tasks) -> None:
    records = BENCHMARK.read(tasks).records
    truths = {record.id: str(record.truth) for record in records}
    exact = scored(tasks, truths)["rules"].figures
    assert {exact[task].value for task in COUNTS} == {100}
    assert exact["direction error"].value == 0
    far, near = {}, {}
    for record in records:
        if record.category == CAMERA:
            meters = length_by_rules(str(record.truth))
            assert meters is not None
            far[record.id], near[record.id] = f"{1.26 * meters} m", f"{1.24 * meters} m"
        if record.category == DIRECTION:
            way = vector_by_rules(str(record.truth))
            assert way is not None
            aside = np.cross(way, [0.3, 0.5, 0.8])
            aside /= np.linalg.norm(aside)
            far[record.id], near[record.id] = (
                ", ".join(map(str, way + np.tan(np.deg2rad(degrees)) * aside))
                for degrees in (31, 29)
            )
    for answers, value in ((far, 0), (near, 100)):
        figures = scored(tasks, answers)["rules"].figures
        assert figures[CAMERA].value == figures[DIRECTION].value == value
        assert figures[SOLVING].value == 0, "no answer is wrong"


def test_a_judge_is_asked_about_problem_solving_alone(chat_server, tasks, tmp_path) -> None:
    chat_server.answer = '{"your_mark": 1, "answer_in_meters": 1, "response_in_meters": 1.2}'
    records = BENCHMARK.read(tasks).records
    answers = tmp_path / "answers.jsonl"
    lines = [json.dumps({"id": record.id, "prediction": "So it is."}) for record in records]
    answers.write_text("\n".join(lines))
    done = CliRunner().invoke(
        app, ["benchmark", "hispatial-tasks", "--data", str(tasks), "--predictions", str(answers),
              "--judge", chat_server.url, "--output", str(tmp_path), "--json",
              str(tmp_path / "told.json")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    solving = sum(record.category == SOLVING for record in records)
    assert len(chat_server.asked) == solving
    told = json.loads((tmp_path / "told.json").read_text())["scorers"]
    assert told["judge"]["figures"][SOLVING] == {"value": 100, "unit": "%", "of": solving}
    assert told["judge"]["figures"][CAMERA]["value"] == 0
    assert told["rules"]["figures"][SOLVING]["value"] == 0


def test_a_reply_of_the_judge_that_does_not_decide_is_unread(tasks) -> None:
    records = BENCHMARK.read(tasks).records
    texts = {record.id: "So it is." for record in records}
    judged = {id: {"your_mark": "one", "answer_in_meters": 1} for id in texts}
    outcome = scored(tasks, texts, judged)["judge"]
    assert outcome.unread == len(records)
    assert outcome.figures[SOLVING].value == 0


def test_what_is_not_named_is_for_answerers_that_measure(tasks) -> None:
    records = BENCHMARK.read(tasks).records
    named = next(record for record in records if record.category == SOLVING)
    question = question_of(named, BENCHMARK.asked(named))
    assert question.others
    assert [region.id for region in question.others] == list(
        range(len(question.regions), len(question.regions) + len(question.others))
    )
    vector = next(record for record in records if record.source == VECTOR)
    assert BENCHMARK.asked(vector) is None
    assert vector.question.endswith("x to the right, y down, z forward.")
    assert "unit vector" not in question_of(vector).masked


def test_geometry_and_guessing_by_one_command(tasks, tmp_path) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["benchmark", "hispatial-tasks", "--data", str(tasks), "--output", str(tmp_path),
              "--model", "geometric", "--model", "guess", "--limit", "8"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    figures = {
        name: json.loads((tmp_path / name / "result.json").read_text())["scorers"]["rules"][
            "figures"
        ]
        for name in ("geometric", "guess")
    }
    for task in (CAMERA, DIRECTION):
        assert figures["geometric"][task]["value"] > figures["guess"][task]["value"] + 20
    assert figures["geometric"]["direction error"]["value"] < 10
