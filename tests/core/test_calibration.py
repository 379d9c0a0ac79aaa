"""Confidences: the fit on made-up answers, the file, and when two answers agree."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from smolrgpt_core.answerer_settings import AgreementTolerances
from smolrgpt_core.answerers.calibration import (
    Calibration,
    ConfidenceCurve,
    Evidence,
    read_calibration,
    write_calibration,
)
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE
from smolrgpt_core.checkpoints.weights import (
    INDEX_FILE,
    WEIGHTS_FILE,
    check_weights,
    in_folder,
    weights_files,
    weights_fingerprint,
)
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation.calibration_fit import (
    MIN_SHIFT_SAMPLES,
    MIN_SLOPE_SAMPLES,
    JudgedAnswer,
    fit_curve,
    fit_curves,
    judged_answers,
    shifted_curve,
)
from smolrgpt_core.evaluation.challenge_scores import score_answer
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem
from smolrgpt_core.evaluation.predictions import NO_ANSWER, Prediction
from smolrgpt_core.evaluation.reliability import reliability
from smolrgpt_core.language import Category

CURVE = ConfidenceCurve(0.5, -0.25, 40, 30)


def overconfident(count: int, seed: int) -> tuple[list[float], list[bool]]:
    """Answers that are right less often than their confidence says: half of its log-odds."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(3.0, 1.5, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(0.5 * odds - 0.5)))
    return (1 / (1 + np.exp(-odds))).tolist(), right.tolist()


def error(confidences: list[float], right: list[bool]) -> float:
    found = reliability(confidences, right)
    assert found is not None
    return found.expected_calibration_error


def test_the_fit_finds_the_curve_and_holds_on_other_answers() -> None:
    curve = fit_curve(*overconfident(4000, seed=0))
    assert (curve.slope, curve.intercept) == (
        pytest.approx(0.5, abs=0.05),
        pytest.approx(-0.5, abs=0.1),
    )
    confidences, right = overconfident(20_000, seed=1)
    assert error(confidences, right) > 0.15
    assert error([curve(item) for item in confidences], right) < 0.02


def test_few_answers_give_the_fraction_of_correct_ones() -> None:
    confidences, right = overconfident(MIN_SLOPE_SAMPLES - 1, seed=2)
    curve = fit_curve(confidences, right)
    assert curve.slope == 0
    expected = (sum(right) + 1) / (len(right) + 2)
    assert curve(0.1) == curve(0.9) == pytest.approx(expected)


@pytest.mark.parametrize("right", [True, False])
def test_no_number_of_answers_makes_certainty(right: bool) -> None:
    confidences, _ = overconfident(500, seed=3)
    found = [fit_curve(confidences, [right] * 500)(item) for item in (0.0, 0.5, 1.0)]
    assert all(0 < item < 1 for item in found)
    assert (np.array(found) > 0.99).all() == right


def test_answers_that_confidence_parts_stay_short_of_certainty() -> None:
    confidences, right = [0.9] * 50 + [0.99] * 50, [False] * 50 + [True] * 50
    curve = fit_curve(confidences, right)
    assert curve(0.9) == pytest.approx(1 / 52, rel=1e-3)
    assert curve(0.99) == pytest.approx(51 / 52, rel=1e-3)


def test_more_confidence_never_means_less() -> None:
    confidences, right = overconfident(500, seed=4)
    assert fit_curve(confidences, [not item for item in right]).slope == 0


def system(name: str, prediction: Prediction) -> EvaluatedSystem:
    scored = score_answer(prediction.id, Category.COUNT, 2, prediction.answer)
    return EvaluatedSystem(name, "", [prediction], [scored])


@pytest.mark.parametrize(
    ("refusal", "evidence"),
    [
        (Status.CANNOT_TELL, [Evidence.MODEL]),
        (Status.UNKNOWN_REGION, [Evidence.MODEL]),
        (Status.NO_VALID_DEPTH, [Evidence.MODEL, Evidence.MODEL_ONLY]),
    ],
)
def test_what_geometry_decides_to_refuse_says_nothing_of_the_model_alone(
    refusal: Status, evidence: list[Evidence]
) -> None:
    said = system("model", Prediction("a", "2", Status.OK, confidence=0.75))
    measured = system("geometric", Prediction("a", NO_ANSWER, refusal))
    judged = judged_answers(said, measured, AgreementTolerances())
    assert [item.evidence for item in judged] == evidence
    assert all((item.correct, item.confidence) == (True, 0.75) for item in judged)


def test_answers_about_doubted_inputs_are_not_fitted() -> None:
    said = system("model", Prediction("a", "2", Status.OK, confidence=0.75))
    for doubted, answers in ((False, 4), (True, 0)):
        prediction = Prediction("a", "2", Status.OK, confidence=0.45, is_doubted=doubted)
        measured = system("geometric", prediction)
        assert len(judged_answers(said, measured, AgreementTolerances())) == answers


@pytest.mark.parametrize("is_correct", [True, False])
def test_a_curve_is_shifted_the_farther_the_more_answers_differ_from_it(is_correct: bool) -> None:
    found = [
        shifted_curve(CURVE, [0.8] * count, [is_correct] * count)(0.8) for count in (1, 10, 1000)
    ]
    expected = sorted([CURVE(0.8), *found], reverse=not is_correct)
    assert [CURVE(0.8), *found] == expected
    assert found[-1] > 0.99 if is_correct else found[-1] < 0.01
    assert shifted_curve(CURVE, [0.8], [is_correct]).slope == CURVE.slope


def test_a_shifted_curve_is_as_sure_as_its_answers_are_right() -> None:
    confidences, right = overconfident(4000, seed=0)
    curve = shifted_curve(fit_curve([0.5] * 4, [True, False] * 2), confidences, right)
    assert curve(0.5) == pytest.approx(np.mean(right), abs=0.001)


def test_what_is_measured_has_a_curve_of_its_own() -> None:
    def judged(measure: str, hits: int, misses: int) -> list[JudgedAnswer]:
        rights = [True] * hits + [False] * misses
        values = (Category.QUANTITY, Evidence.MODEL, 0.8)
        return [JudgedAnswer("a", *values, right, measure) for right in rights]

    few = judged("Volume", 0, MIN_SHIFT_SAMPLES - 1)
    curves = fit_curves([*judged("Height", 95, 5), *judged("Width", 5, 95), *few])
    assert list(curves["model"]) == ["quantity", "quantity of Height", "quantity of Width"]
    calibration = Calibration("short", curves, weights_sha256="0a" * 32)
    height, width, other = (
        calibration.confidence(Evidence.MODEL, Category.QUANTITY, 0.8, measure)
        for measure in ("Height", "Width", "Volume")
    )
    assert width < 0.1 < other < 0.9 < height
    assert other == calibration.confidence(Evidence.MODEL, Category.QUANTITY, 0.8)


def test_a_few_answers_of_geometry_alone_make_no_curve() -> None:
    def judged(evidence: Evidence, count: int) -> list[JudgedAnswer]:
        return [JudgedAnswer("a", Category.COUNT, evidence, 0.9, True)] * count

    few, enough = MIN_SLOPE_SAMPLES - 1, MIN_SLOPE_SAMPLES
    assert list(fit_curves(judged(Evidence.GEOMETRY_ONLY, few))) == []
    assert list(fit_curves(judged(Evidence.GEOMETRY_ONLY, enough))) == ["geometry_only"]
    assert list(fit_curves(judged(Evidence.GEOMETRY, 1))) == ["geometry"]


def test_certain_and_unknown_confidences() -> None:
    curve = ConfidenceCurve(1e308, 1e308, 1, 1)
    assert curve(1.0) == 1.0
    assert CURVE(0.0) < CURVE(0.5) < CURVE(1.0) < 1
    assert math.isnan(CURVE(math.nan))


def test_expected_calibration_error() -> None:
    found = reliability([0.95, 0.95, 0.55, 0.55, math.nan], [True, False, True, True, True])
    assert found is not None
    assert [(item.answers, item.right) for item in found.bins] == [(2, 1.0), (2, 0.5)]
    assert found.answers == 4
    assert found.expected_calibration_error == pytest.approx(0.45)
    assert (found.right, found.confidence) == (0.75, pytest.approx(0.75))
    assert reliability([math.nan], [True]) is None
    assert error([1.0, 0.0], [True, False]) == 0


@pytest.fixture
def calibration() -> Calibration:
    curves = {Evidence.MODEL_WITH_GEOMETRY.value: {"distance": CURVE}}
    return Calibration("short", curves, AgreementTolerances(0.2, 0.1), "hall/val", 50, "0a" * 32)


def test_file_gives_back_what_was_written(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "new" / "calibration.json"
    write_calibration(path, calibration)
    assert read_calibration(path) == calibration
    assert [item.name for item in path.parent.iterdir()] == ["calibration.json"]
    assert calibration.confidence(Evidence.MODEL_WITH_GEOMETRY, Category.DISTANCE, 0.9) == CURVE(
        0.9
    )
    assert math.isnan(calibration.confidence(Evidence.MODEL_WITH_GEOMETRY, Category.COUNT, 0.9))
    assert math.isnan(calibration.confidence(Evidence.MODEL, Category.DISTANCE, 0.9))


def test_answers_of_every_category_are_calibrated(calibration: Calibration, tmp_path: Path) -> None:
    curves = {Evidence.MODEL.value: {item.name.lower(): CURVE for item in Category}}
    path = tmp_path / "calibration.json"
    write_calibration(path, replace(calibration, curves=curves))
    found = read_calibration(path)
    for category in Category:
        assert found.confidence(Evidence.MODEL, category, 0.9) == CURVE(0.9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format must be 1"),
        ({"answer_style": "haiku"}, "answer_style"),
        ({"curves": {"luck": {}}}, "'luck'"),
        ({"curves": {"model": {"color": {}}}}, "slope"),
        ({"curves": {"model": {"color": CURVE.__dict__}}}, "'color'"),
        ({"curves": {"model": {"color of Width": CURVE.__dict__}}}, "'color'"),
        ({"curves": {"model": {"count": {**CURVE.__dict__, "slope": -1.0}}}}, "slope must"),
        ({"curves": {"model": {"count": {**CURVE.__dict__, "intercept": math.nan}}}}, "intercept"),
        ({"curves": {"model": {"count": {**CURVE.__dict__, "right": 41}}}}, "right must"),
        ({"curves": [1]}, "curves"),
        ({"tolerances": {"distance_m": -1.0}}, "distance_m"),
        ({"color": "red"}, "color"),
        ({"weights_sha256": "0A" * 32}, "weights_sha256 must be"),
        ({"weights_sha256": ""}, "`smolrgpt calibrate` again"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    calibration: Calibration, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, calibration)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(SpatialError, match=words) as caught:
        read_calibration(path)
    assert caught.value.status is Status.BAD_INPUT
    assert str(path) in caught.value.message


def test_a_file_of_an_older_version_names_no_weights(
    calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, calibration)
    entries = json.loads(path.read_text())
    del entries["weights_sha256"]
    path.write_text(json.dumps(entries))
    with pytest.raises(
        SpatialError, match=r"what weights it was made for.*`smolrgpt calibrate` again"
    ):
        read_calibration(path)


def test_the_fingerprint_is_that_of_the_weights_however_they_are_spread(tmp_path: Path) -> None:
    noise = np.random.default_rng(5)
    tensors = {name: noise.random((300, 400), np.float32) for name in ("b", "a", "c")}
    tensors["h"] = noise.random(7).astype(np.float16)
    whole, first, second = (tmp_path / f"{name}.safetensors" for name in ("whole", "1", "2"))
    save_file(tensors, whole, {"format": "pt"})
    save_file({name: tensors[name] for name in ("c", "h")}, first)
    save_file({name: tensors[name] for name in ("b", "a")}, second)
    fingerprint = weights_fingerprint([whole])
    assert len(fingerprint) == 64
    assert weights_fingerprint([first, second]) == weights_fingerprint([second, first])
    assert weights_fingerprint([first, second]) == fingerprint
    assert weights_fingerprint([first]) != fingerprint
    changes = ({"a": tensors["a"] + 1}, {"b": tensors["b"].reshape(400, 300)}, {"d": tensors["h"]})
    for change in changes:
        save_file(tensors | change, whole)
        assert weights_fingerprint([whole]) != fingerprint


def test_weights_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpatialError, match="none: cannot be read"):
        weights_fingerprint([tmp_path / "none"])
    path = tmp_path / "model.safetensors"
    save_file({"a": np.ones((9, 9), np.float32)}, path)
    content = path.read_bytes()
    for broken in (content[:-1], content[:20], b"abc", b"\xff" * 40):
        path.write_bytes(broken)
        with pytest.raises(SpatialError, match="expected a safetensors file") as caught:
            weights_fingerprint([path])
        assert str(path) in caught.value.message


def test_the_files_of_a_checkpoint(tmp_path: Path) -> None:
    find = in_folder(tmp_path)
    assert weights_files(find) == []
    index, parts = tmp_path / INDEX_FILE, [tmp_path / f"part-{place}" for place in (1, 2)]
    index.write_text(json.dumps({"weight_map": {"a": "part-2", "b": "part-1", "c": "part-2"}}))
    parts[0].touch()
    with pytest.raises(SpatialError, match=r"index\.json: names the file 'part-2'"):
        weights_files(find)
    parts[1].touch()
    assert weights_files(find) == parts
    unreadable: list[Any] = [{}, [], {"weight_map": {}}, {"weight_map": {"a": "../part-1"}}]
    for broken in unreadable:
        index.write_text(json.dumps(broken))
        with pytest.raises(SpatialError, match=r"index\.json"):
            weights_files(find)
    (tmp_path / WEIGHTS_FILE).touch()
    assert weights_files(find) == [tmp_path / WEIGHTS_FILE]


def test_the_calibration_that_comes_with_the_package_is_of_its_weights() -> None:
    path = NANO / CALIBRATION_FILE
    fingerprint = weights_fingerprint([NANO / WEIGHTS_FILE])
    check_weights(path, read_calibration(path).weights_sha256, fingerprint)


@pytest.mark.parametrize(
    ("category", "first", "second", "expected"),
    [
        (Category.DISTANCE, 9.0, 10.0, True),
        (Category.DISTANCE, 10.0, 8.9, False),
        (Category.DISTANCE, 0.0, 0.04, True),
        (Category.DISTANCE, 0.0, 0.4, False),
        (Category.COUNT, 3.0, 3.0, True),
        (Category.COUNT, 30.0, 31.0, False),
        (Category.LEFT_RIGHT, "LEFT", "LEFT", True),
        (Category.LEFT_RIGHT, "LEFT", "RIGHT", False),
        (Category.MCQ, 7, 8, False),
    ],
)
def test_agreement(
    category: Category, first: float | str, second: float | str, expected: bool
) -> None:
    for pair in ((first, second), (second, first)):
        assert AgreementTolerances().agree(category, *pair) is expected


def test_tolerances_are_checked() -> None:
    assert replace(AgreementTolerances(), distance_m=1.0).agree(Category.DISTANCE, 0.0, 0.9)
    with pytest.raises(ValueError, match="distance_relative"):
        AgreementTolerances(distance_relative=-0.1)
