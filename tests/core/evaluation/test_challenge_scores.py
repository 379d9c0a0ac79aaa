"""The challenge's scores, against what its own script printed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation import challenge_scores, score_files
from smolrgpt_core.evaluation.challenge_scores import is_right
from smolrgpt_core.evaluation.given_answers import read_given
from smolrgpt_core.question import Category

FIXTURE = Path(__file__).resolve().parents[2] / "data" / "warehouse_scores"


def write(path: Path, entries: object) -> Path:
    path.write_text(json.dumps(entries))
    return path


def entry(id: str, answer: object, category: str = "") -> dict:
    return {"id": id, "normalized_answer": answer} | ({"category": category} if category else {})


def test_every_figure_equals_the_challenge_script() -> None:
    expected = json.loads((FIXTURE / "expected.json").read_text())
    assert challenge_scores(score_files(FIXTURE / "gt.json", FIXTURE / "pred.json")) == expected


def test_the_order_of_the_predictions_matters_in_the_last_digit_only(tmp_path: Path) -> None:
    expected = json.loads((FIXTURE / "expected.json").read_text())
    entries = json.loads((FIXTURE / "pred.json").read_text())
    random.Random(3).shuffle(entries)
    shuffled = challenge_scores(
        score_files(FIXTURE / "gt.json", write(tmp_path / "pred.json", entries))
    )
    assert shuffled == pytest.approx(expected, rel=1e-12)


def test_command_prints_and_writes_the_same_json(tmp_path: Path) -> None:
    arguments = ["score", str(FIXTURE / "gt.json"), str(FIXTURE / "pred.json")]
    result = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "scores.json")])
    assert result.exit_code == 0
    expected = json.loads((FIXTURE / "expected.json").read_text())
    assert json.loads(result.stdout) == json.loads((tmp_path / "scores.json").read_text())
    assert json.loads(result.stdout) == expected
    assert list(json.loads(result.stdout)) != []


AWKWARD = [
    ("left_right", "left", "Left side", True),
    ("left_right", "left", "It is on the LEFT.", True),
    ("left_right", "right", "left", False),
    ("left_right", "right", "neither", False),
    ("count", 3, "3.0", True),
    ("count", 3, "three", True),
    ("count", "3", 3.0, True),
    ("count", 3, "There are 3 pallets.", True),
    ("count", 0, "none", True),
    ("count", 3, 4, False),
    ("mcq", "6", 6, True),
    ("mcq", 6, "[Region 6]", True),
    ("mcq", "6", "6.0", True),
    ("mcq", "6", "region 7", False),
    ("distance", 5.0, "5.49 m", True),
    ("distance", 5.0, "4.5", True),
    ("distance", 5.0, 5.51, False),
    ("distance", "5.0", "about 510 cm", True),
    ("distance", 0.0, 0, True),
    ("distance", 0.0, 0.3, False),
    ("distance", 5.0, "", False),
    ("distance", 5.0, None, False),
    ("distance", 5.0, float("nan"), False),
]


@pytest.mark.parametrize(("category", "truth", "given", "right"), AWKWARD)
def test_awkward_answers(category: str, truth: object, given: object, right: bool) -> None:
    kind = Category[category.upper()]
    true_answer = read_given(truth, kind)
    assert true_answer is not None
    assert is_right(kind, true_answer, read_given(given, kind)) is right


def test_unreadable_predictions_are_wrong_and_named(tmp_path: Path) -> None:
    truth = [entry("a", 3, "count"), entry("b", "left", "left_right"), entry("c", 2.0, "distance")]
    given = [entry("a", "many"), entry("b", "left"), entry("c", "far away")]
    paths = [write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", given)]
    result = CliRunner().invoke(app, ["score", *map(str, paths)])
    scores = json.loads(result.stdout)
    assert (scores["Quan_count_acc"], scores["Qual_left_right_acc"]) == (0.0, 100.0)
    assert scores["Quan_distance_err"] == pytest.approx(100)
    assert scores["Final_weighted_score"] == pytest.approx(100 / 3)
    assert "Qual_mcq_acc" not in scores
    assert "1 of count, 1 of distance" in result.stderr


@pytest.mark.parametrize(
    ("truth", "given", "message"),
    [
        ([entry("a", 3, "count")], [entry("b", 3)], "1 questions have no prediction: 'a'"),
        ([entry("a", 3, "count")], [entry("a", 3), entry("b", 1)], "'b'"),
        ([entry("a", 3, "count")], [entry("a", 3), entry("a", 4)], "'a' is there twice"),
        ([entry("a", 3, "weight")], [entry("a", 3)], "'weight'"),
        ([entry("a", "heavy", "count")], [entry("a", 3)], "'heavy' is no answer"),
        ([entry("a", 3, "count")], [{"id": "a"}], "expected a normalized_answer"),
        ([entry("a", 3, "count")], [3], "entry 0"),
        ([entry("a", 3, "count")], {"a": 3}, "expected a list"),
        ([], [], "empty list"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, truth: object, given: object, message: str
) -> None:
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", given)
    with pytest.raises(SpatialError, match=message) as caught:
        score_files(*paths)
    assert caught.value.status is Status.BAD_INPUT
    assert ".json" in caught.value.message


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    cut = tmp_path / "pred.json"
    cut.write_text((FIXTURE / "pred.json").read_text()[:200])
    result = CliRunner().invoke(app, ["score", str(FIXTURE / "gt.json"), str(cut)])
    assert result.exit_code == 2
    assert str(cut) in result.stderr
