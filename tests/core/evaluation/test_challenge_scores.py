"""The challenge's scores, against what its own script printed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.answer.scoring import read_normalized
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation import challenge_scores, score_files
from smolrgpt_core.evaluation.challenge_scores import is_correct, read_by_script, read_prediction
from smolrgpt_core.language import Category

FIXTURE = Path(__file__).resolve().parents[2] / "data" / "warehouse_scores"


def write(path: Path, entries: object) -> Path:
    path.write_text(json.dumps(entries))
    return path


def entry(id: str, answer: object, category: str = "") -> dict:
    return {"id": id, "normalized_answer": answer} | ({"category": category} if category else {})


def test_every_figure_equals_the_challenge_script() -> None:
    expected = json.loads((FIXTURE / "expected.json").read_text())
    assert challenge_scores(score_files(FIXTURE / "gt.json", FIXTURE / "pred.json")) == expected


def test_the_order_of_the_predictions_does_not_matter(tmp_path: Path) -> None:
    expected = json.loads((FIXTURE / "expected.json").read_text())
    entries = json.loads((FIXTURE / "pred.json").read_text())
    random.Random(3).shuffle(entries)
    shuffled = challenge_scores(
        score_files(FIXTURE / "gt.json", write(tmp_path / "pred.json", entries))
    )
    assert shuffled == expected


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
    assert is_correct(kind, read_prediction(given, kind), read_normalized(truth, kind)) is right


AS_THE_SCRIPT = [
    ("left_right", "l", "left"),
    ("left_right", " R ", "right"),
    ("left_right", "Right-hand", "right"),
    ("mcq", "-1", 1),
    ("mcq", -1, 1),
    ("mcq", "pallet_3", 3),
    ("mcq", "Region [3]", 3),
    ("mcq", "The second one, 4", 1),
    ("mcq", 2.0, 2),
    ("count", "2.7", 2),
    ("count", -2.7, -2),
    ("distance", "-3", -3.0),
    ("distance", "5 m", None),
    ("distance", "three", None),
    ("distance", "nan", None),
    ("count", "1e400", None),
    ("count", True, None),
    ("count", None, None),
    ("left_right", "to the left", None),
]


@pytest.mark.parametrize(("category", "given", "value"), AS_THE_SCRIPT)
def test_predictions_are_read_as_the_challenge_script_does(
    category: str, given: object, value: object
) -> None:
    assert read_by_script(given, Category[category.upper()]) == value


# By the script's expressions, on a calculator with the same floating point.
AT_THE_LIMIT = [
    (2.0, 2.2, True), (1.0, 1.1, True), (6.1, 6.71, True), (5.0, 4.5, True), (3.0, 3.3, True),
    (0.7, 0.77, True), (4.3, 4.73, True), (7.0, 7.7, True), (3.0, 2.7, True), (2.0, 2.201, False),
    (2.0, 1.799, False), (0.0, 0.0, True), (0.0, 0.01, False),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "given", "right"), AT_THE_LIMIT)
def test_exactly_ten_percent_is_correct(truth: float, given: float, right: bool) -> None:
    assert is_correct(Category.DISTANCE, given, truth) is right


def test_all_distances_at_the_limit_are_scored_by_the_script_s_two_products() -> None:
    cents = range(10, 3000, 10)
    pairs = [(c / 100, round(c * share) / 100) for c in cents for share in (0.9, 1.1)]
    scored = [is_correct(Category.DISTANCE, given, truth) for truth, given in pairs]
    assert scored == [0.90 * truth <= given <= 1.10 * truth for truth, given in pairs]
    assert (len(pairs), sum(scored)) == (598, 532)


def test_a_true_count_of_zero_divides_by_one(tmp_path: Path) -> None:
    truth = [entry("c0", 0, "count"), entry("c1", 4, "count"), entry("c2", 0, "count")]
    given = [entry("c0", 2), entry("c1", 4), entry("c2", "lots")]
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", given)
    scores = challenge_scores(score_files(*paths))
    assert scores["Quan_count_err"] == pytest.approx((2 + 0 + 1) / 3 * 100)
    assert scores["Quan_count_acc"] == pytest.approx(100 / 3)
    assert scores["Quan_count_absrel"] == pytest.approx(2 / 1e-8 / 3)


def test_the_limits_of_the_challenge_as_a_file(tmp_path: Path) -> None:
    distances = {"d0": (2.0, 2.2), "d1": (1.0, 1.1), "d2": (5.0, 4.5), "d3": (6.1, 6.71)}
    truth = [entry("c0", 0, "count"), entry("c1", 4, "count")]
    truth += [entry(id, true, "distance") for id, (true, _) in distances.items()]
    given = [entry("c0", 2), entry("c1", 4)]
    given += [entry(id, said) for id, (_, said) in distances.items()]
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", given)
    scores = challenge_scores(score_files(*paths))
    assert scores["Quan_count_err"] == 99.9999995
    assert (scores["Quan_distance_correct"], scores["Quan_distance_acc"]) == (4, 100.0)
    assert scores["Final_weighted_score"] == 75.0


def test_what_the_script_cannot_read_is_reported(tmp_path: Path) -> None:
    truth = [entry("a", 3, "count"), entry("b", 2.0, "distance")]
    given = [entry("a", "three"), entry("b", "2.0 m")]
    paths = [write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", given)]
    result = CliRunner().invoke(app, ["score", *map(str, paths)])
    assert json.loads(result.stdout)["Final_weighted_score"] == 100.0
    assert "counted as wrong by the challenge's script" in result.stderr
    assert "1 of count, 1 of distance" in result.stderr


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
        ([entry("a", 3, "count")], [entry("a", 3), entry("a", 4)], "'a' occurs twice"),
        ([entry("a", 3, "weight")], [entry("a", 3)], "'weight'"),
        ([entry("a", "heavy", "count")], [entry("a", 3)], "'heavy' is not an answer"),
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
