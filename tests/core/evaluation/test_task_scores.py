"""Data sets of a mixture of tasks: how answers are judged, and the command that scores them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.evaluation.evaluation import evaluate, evaluate_alone
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.evaluation.task_scores import AnswerForm, is_correct_answer
from smolrgpt_core.language import Category
from smolrgpt_core.simulated_data.randomization import CameraRandomization, Randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.synthesis.mixtures import MIXTURES

from .conftest import simulated


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions of all levels of HiSpatial; do not change its files."""
    root = tmp_path_factory.mktemp("tasks") / "levels"
    settings = SimulationSettings(
        scenes=3,
        seed=32,
        views=3,
        questions=16,
        split_fractions=(0.0, 0.0, 1.0),
        randomization=Randomization(camera=CameraRandomization(width=320, height=240)),
        mixture="hispatial",
    )
    return simulated(settings, root)


def test_a_mixture_is_scored_by_task(tasks: Path, tmp_path: Path) -> None:
    json_file = tmp_path / "scores.json"
    options = ["--data", tasks, "--json", json_file, "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, ["evaluate", *map(str, options)])
    assert result.exit_code == 0, result.output
    systems = json.loads(json_file.read_text())["answerers"]
    assert set(systems["geometric"]["tasks"]) <= set(MIXTURES["hispatial"].families)
    assert systems["geometric"]["scores"] == {}
    right, questions = (
        {
            name: sum(task[key] for task in system["tasks"].values())
            for name, system in systems.items()
        }
        for key in ("right", "questions")
    )
    assert set(questions.values()) == {len(SplitFolder(tasks, "test").read_records())}
    assert right["geometric"] > 0.85 * questions["geometric"]
    assert right["question without image"] < 0.5 * questions["geometric"]
    assert "relative_direction" in systems["geometric"]["reliability"]
    assert "mean of tasks" in result.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "final score" in page
    assert "relative_distance" in page or "localisation" in page


def test_words_mean_what_they_mean_in_the_mixture(tasks: Path, tmp_path: Path) -> None:
    """HiSpatial's "horizontal" is sideways alone: by our definition, such answers are wrong."""
    copied = tmp_path / "levels"
    for source in tasks.rglob("*"):
        if source.is_file() and source.name != "simulation.json":
            target = copied / source.relative_to(tasks)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
    geometric = AnswererChoice("geometric")
    meant, ours = (evaluate_alone(SplitFolder(root, "test"), geometric) for root in (tasks, copied))
    differ = [
        (record.question, known.correct)
        for record, known, other in zip(
            SplitFolder(tasks, "test").read_records(),
            meant.task_answers,
            ours.task_answers,
            strict=True,
        )
        if known.predicted != other.predicted
    ]
    assert differ
    assert sum(right for _, right in differ) > 0.8 * len(differ), differ


QUANTITY = AnswerForm(Category.QUANTITY, "m")


@pytest.mark.parametrize(
    ("form", "predicted", "truth", "right"),
    [
        (QUANTITY, "1.09", "1.00", True),
        (QUANTITY, "1.11", "1.00", False),
        (QUANTITY, "", "1.00", False),
        (QUANTITY, "tall", "1.00", False),
        (AnswerForm(Category.QUANTITY, "deg"), "-179.00", "179.50", True),
        (AnswerForm(Category.QUANTITY, "h"), "11", "12", False),
        (AnswerForm(Category.DISTANCE, "m"), "2.1", "2.00", True),
        (AnswerForm(Category.COUNT, "objects"), "3", "4", False),
        (AnswerForm(Category.TRUTH), "yes", "yes", True),
        (AnswerForm(Category.TRUTH), "left", "yes", False),
        (AnswerForm(Category.RELATION), "front", "front", True),
        (AnswerForm(Category.RELATION), "front", "behind", False),
        (AnswerForm(Category.MCQ), "0", "0", True),
        (AnswerForm(Category.LIST), "2, 0", "0, 2", True),
        (AnswerForm(Category.LIST, ordered=True), "2, 0", "0, 2", False),
        (AnswerForm(Category.LIST), "none", "none", True),
        (AnswerForm(Category.LIST), "", "none", False),
        (AnswerForm(Category.POSITION), "1.00, 2.00, 3.00", "1.05, 2.00, 3.00", True),
        (AnswerForm(Category.POSITION), "1.00, 2.00", "1.05, 2.00, 3.00", False),
        (AnswerForm(Category.LEFT_RIGHT, side="left"), "right", "no", True),
        (AnswerForm(Category.LEFT_RIGHT, side="left"), "left", "no", False),
        (AnswerForm(None), "B", "B", True),
        (AnswerForm(None), "C", "B", False),
        (None, "1.00", "1.00", False),
    ],
)
def test_an_answer_is_judged_by_the_form_of_its_question(
    form: AnswerForm | None, predicted: str, truth: str, right: bool
) -> None:
    assert is_correct_answer(form, predicted, truth) is right


def test_a_truth_of_another_form_is_named_and_not_scored(tasks: Path, tmp_path: Path) -> None:
    copied = tmp_path / "levels"
    shutil.copytree(tasks, copied)
    folder = SplitFolder(copied, "test")
    records = folder.read_records()
    broken = next(item for item in records if item.normalized_answer in ("yes", "no"))
    folder.write_records(
        replace(item, normalized_answer="1.00") if item is broken else item for item in records
    )
    found = evaluate(folder, AnswererChoice("geometric"))
    assert list(found.unscored) == [broken.id]
    assert 'expected "yes" or "no"' in found.unscored[broken.id]
    assert len(found.systems[0].judged) == len(records) - 1
