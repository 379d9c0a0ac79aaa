"""Geometry beside others that measure as it does, and differ by one or are never uncertain."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answer import Agreement, SpatialAnswer
from smolrgpt_core.answerer_settings import CONFIDENT, AgreementTolerances, FusionSettings
from smolrgpt_core.answerers.base import UncertainAnswerError, UntrainedQuestionError
from smolrgpt_core.answerers.calibration import Calibration, ConfidenceCurve, Evidence
from smolrgpt_core.answerers.fused import UNCHECKED_CONFIDENCE, FusedAnswerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.answerers.likeness import LikenessTest
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation.calibration_fit import judged_answers
from smolrgpt_core.evaluation.challenge_scores import score_answer
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem
from smolrgpt_core.evaluation.predictions import NO_ANSWER, Prediction
from smolrgpt_core.language import Category, read_question

PALLET = {"length": 1.2, "width": 0.8}


@pytest.fixture
def frame(ray_caster, block):
    """Two pallets about as far away, and one that is nearer."""
    blocks = (
        block(10, "pallet", -1.2, 6.00, 0.4, **PALLET, top=0.8),
        block(11, "pallet", 1.2, 6.01, 1.0, **PALLET, top=0.8),
        block(12, "pallet", 0.0, 4.0, 0.3, **PALLET, top=0.6),
    )
    return ray_caster(blocks, height=3.0, pitch_deg=20).render()


@pytest.fixture
def doubtful(frame):
    """How many pallets are nearer than a distance that is that of one."""
    away = GeometricAnswerer().answer(frame, read_question("How far is pallet 10?", frame.regions))
    assert away.value is not None
    text = f"How many of pallets 10 and 12 are closer than {away.value + 0.003:.3f} m?"
    return read_question(text, frame.regions)


def fused(anything, model, right=0.95, looks=False, knows_colors=False, **ranges):
    curve = ConfidenceCurve(0.0, 2.944 if right == 0.95 else 0.4, 100, round(100 * right))
    confirmed = {"count": curve, "mcq": curve}
    curves = {
        Evidence.CONFIRMED_GEOMETRY.value: confirmed,
        Evidence.GEOMETRY_ONLY.value: {"relation": curve},
    }
    if knows_colors:
        curves[Evidence.MODEL_ONLY.value] = {"relation of Color": curve}
    cache = GeometryCache(looks=looks)
    likeness = LikenessTest(anything(**ranges), cache)
    calibration = Calibration("short", curves, AgreementTolerances(), weights_sha256="0" * 64)
    return FusedAnswerer(model, GeometricAnswerer(cache), likeness, calibration=calibration)


def likeliest():
    return GeometricAnswerer(certainty=0.0)


class Other(GeometricAnswerer):
    """Always counts one less."""

    def answer(self, frame, question):
        answer = super().answer(frame, question)
        assert answer.value is not None
        return replace(answer, value=answer.value - 1)


def test_an_uncertain_answer_comes_with_its_refusal(frame, doubtful) -> None:
    with pytest.raises(UncertainAnswerError, match="too close to call") as caught:
        GeometricAnswerer().answer(frame, doubtful)
    assert caught.value.status is Status.CANNOT_TELL
    assert caught.value.answer.value in (1, 2)
    assert 0.2 < caught.value.answer.confidence < 0.8
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.answer.text) == (caught.value.message, caught.value.answer.text)


def test_a_number_that_both_find_likeliest_is_answered_if_that_is_mostly_correct(
    frame, doubtful, anything
) -> None:
    answer = fused(anything, likeliest()).answer(frame, doubtful)
    assert answer.value == likeliest().answer(frame, doubtful).value
    assert answer.agreement is Agreement.AGREE
    assert answer.confidence == pytest.approx(0.95, abs=0.01)
    assert "the model confirms what is uncertain: too close to call" in answer.message


@pytest.mark.parametrize(
    ("model", "right", "ranges"),
    [
        (Other(certainty=0.0), 0.95, {}),
        (likeliest(), 0.6, {}),
        (likeliest(), 0.95, {"view_deg": (20.0, 40.0)}),
        (GeometricAnswerer(), 0.95, {}),
    ],
    ids=["another number", "seldom right", "unlike its training", "no answer"],
)
def test_it_stays_too_close_to_call_otherwise(
    frame, doubtful, anything, model, right, ranges
) -> None:
    with pytest.raises(SpatialError, match=r"^too close to call") as caught:
        fused(anything, model, right, **ranges).answer(frame, doubtful)
    assert caught.value.status is Status.CANNOT_TELL


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("How tall is pallet 10?", Other()),
        ("How wide is pallet 10?", GeometricAnswerer()),
    ],
)
def test_who_counts_depends_on_what_is_measured(frame, anything, text, source) -> None:
    often, seldom = ConfidenceCurve(0.0, 2.0, 100, 88), ConfidenceCurve(0.0, -2.0, 100, 12)
    curves = {
        Evidence.MODEL_AGAINST_GEOMETRY.value: {"quantity": seldom, "quantity of Height": often},
        Evidence.GEOMETRY_AGAINST_MODEL.value: {"quantity": often, "quantity of Height": seldom},
    }
    calibration = Calibration("short", curves, AgreementTolerances(), weights_sha256="0" * 64)
    cache = GeometryCache()
    settings = FusionSettings(prefer=CONFIDENT)
    both = FusedAnswerer(
        Other(), GeometricAnswerer(cache), LikenessTest(anything(), cache), settings, calibration
    )
    question = read_question(text, frame.regions)
    answer = both.answer(frame, question)
    assert answer.value == source.answer(frame, question).value
    assert answer.agreement is Agreement.DISAGREE
    assert answer.confidence == pytest.approx(often(0.5))


@pytest.mark.parametrize("model", [GeometricAnswerer(certainty=0.0), Other()])
def test_a_close_call_is_not_as_sure_as_the_clear_ones_of_a_calibration(
    frame, anything, model
) -> None:
    """Its questions have a margin, so all that both say is correct there."""
    away = GeometricAnswerer().answer(frame, read_question("How far is pallet 10?", frame.regions))
    assert away.value is not None
    always = {"count": ConfidenceCurve(0.0, 6.0, 400, 400)}
    curves = {item.value: always for item in Evidence}
    calibration = Calibration("short", curves, AgreementTolerances(), weights_sha256="0" * 64)
    cache = GeometryCache()
    geometry = GeometricAnswerer(cache)
    both = FusedAnswerer(model, geometry, LikenessTest(anything(), cache), calibration=calibration)
    confidences = []
    for margin in (0.04, 0.5):
        text = f"How many of pallets 10 and 12 are closer than {away.value + margin:.3f} m?"
        question = read_question(text, frame.regions)
        measured = geometry.answer(frame, question).confidence
        confidences.append((measured, both.answer(frame, question).confidence))
    (close, fused_close), (clear, fused_clear) = confidences
    assert 0.8 <= close < 0.95
    assert clear > 0.99
    assert fused_clear == pytest.approx(always["count"](0.5), abs=0.002)
    if isinstance(model, Other):
        assert fused_close == close
    else:
        assert close < fused_close < 0.98


def test_nobody_decides_between_equals(frame, anything) -> None:
    tie = read_question("Which of pallets 10 and 11 is nearest to the camera?", frame.regions)
    with pytest.raises(SpatialError, match=r"^too close to call"):
        fused(anything, likeliest()).answer(frame, tie)


@pytest.mark.parametrize(("likeliest", "confirmed"), [("2", True), ("3", False)])
def test_only_confirmed_answers_are_calibrated_as_such(likeliest: str, confirmed: bool) -> None:
    predicted = Prediction("a", "2", Status.OK, confidence=0.75)
    tie = Prediction("a", NO_ANSWER, Status.CANNOT_TELL, confidence=0.6, uncertain_answer=likeliest)
    model = EvaluatedSystem("model", "", [predicted], [score_answer("a", Category.COUNT, 2, "2")])
    geometry = EvaluatedSystem(
        "geometric", "", [tie], [score_answer("a", Category.COUNT, 2, NO_ANSWER)],
        uncertain=[score_answer("a", Category.COUNT, 2, likeliest)],
    )  # fmt: skip
    judged = judged_answers(model, geometry, AgreementTolerances())
    found = [item for item in judged if item.evidence is not Evidence.MODEL]
    expected = [(Evidence.CONFIRMED_GEOMETRY, 0.6, True)] if confirmed else []
    assert [(item.evidence, item.confidence, item.correct) for item in found] == expected


class Untrained(GeometricAnswerer):
    """Was trained on nothing."""

    def answer(self, frame, question):
        raise UntrainedQuestionError(Status.BAD_QUESTION, "not trained on this")


class Looking(GeometricAnswerer):
    """Knows every color."""

    def answer(self, frame, question):
        cache = GeometryCache(looks=True)
        return replace(GeometricAnswerer(cache, certainty=0.0).answer(frame, question), message="")


@pytest.mark.parametrize(("right", "status"), [(0.95, Status.OK), (0.6, Status.CANNOT_TELL)])
def test_a_model_that_knows_colors_answers_where_they_are_open(frame, anything, right, status):
    """By a calibration with colors alone, and never where the image has none."""
    question = read_question("What color is pallet 12?", frame.regions)
    mask = frame.regions.full_mask(12)
    left = mask & (np.arange(mask.shape[1]) < np.nonzero(mask)[1].mean())
    halves = np.full_like(frame.rgb, 160)
    halves[:60] = 225, 225, 225
    halves[mask], halves[left] = (235, 115, 20), (140, 95, 55)
    open_color = replace(frame, rgb=halves)
    with pytest.raises(UncertainAnswerError):
        GeometricAnswerer(GeometryCache(looks=True)).answer(open_color, question)
    both = fused(anything, Looking(), right, looks=True)
    assert outcome(both, open_color, question).status is Status.CANNOT_TELL
    knowing = fused(anything, Looking(), right, looks=True, knows_colors=True)
    found = outcome(knowing, open_color, question)
    assert found.status is status
    if status is Status.OK:
        assert found.confidence == pytest.approx(right, abs=0.01)
        assert "from the model only" in found.message
    gray = replace(frame, rgb=np.full_like(frame.rgb, 128))
    assert "no colors" in outcome(knowing, gray, question).message


class Agreeable(GeometricAnswerer):
    """Says yes."""

    def answer(self, frame, question):
        return SpatialAnswer(Status.OK, Category.TRUTH, truth=True, confidence=0.9)


@pytest.mark.parametrize(
    ("color", "brown", "ranges", "truth"),
    [
        ("orange", 0.18, {}, True),
        ("orange", 1.0, {}, False),
        ("green", 0.18, {}, False),
        ("orange", 0.18, {"view_deg": (20.0, 40.0)}, False),
    ],
    ids=["possible", "clear", "contradicted", "unlike its training"],
)
def test_a_model_that_knows_colors_counts_more_where_they_are_unclear(
    frame, anything, color, brown, ranges, truth
) -> None:
    image = np.full_like(frame.rgb, 160)
    image[:60] = 225, 225, 225
    rows, columns = np.nonzero(frame.regions.full_mask(12))
    is_black = rows < np.quantile(rows, 1 - brown)
    image[rows, columns] = np.where(is_black[:, None], (22, 22, 24), (140, 95, 55))
    often, seldom = ConfidenceCurve(0.0, 2.944, 100, 95), ConfidenceCurve(0.0, -2.0, 100, 12)
    curves = {
        Evidence.MODEL_ONLY.value: {"truth of Colored": often},
        Evidence.MODEL_AGAINST_GEOMETRY.value: {"truth of Colored": seldom},
        Evidence.GEOMETRY_AGAINST_MODEL.value: {"truth of Colored": often},
    }
    cache = GeometryCache(looks=True)
    calibration = Calibration("short", curves, AgreementTolerances(), weights_sha256="0" * 64)
    both = FusedAnswerer(
        Agreeable(), GeometricAnswerer(cache), LikenessTest(anything(**ranges), cache),
        calibration=calibration,
    )  # fmt: skip
    question = read_question(f"Is pallet 12 {color}?", frame.regions)
    answer = outcome(both, replace(frame, rgb=image), question)
    assert answer.truth is truth
    if truth:
        assert answer.confidence == pytest.approx(0.95, abs=0.01)


def test_nobody_checks_what_the_model_alone_says(frame, anything) -> None:
    depth = np.where(frame.regions.full_mask(12), np.nan, frame.depth)
    sure = {"truth": ConfidenceCurve(0.0, 6.0, 400, 400)}
    calibration = Calibration(
        "short", {Evidence.MODEL_ONLY.value: sure}, AgreementTolerances(), weights_sha256="0" * 64
    )
    cache = GeometryCache()
    both = FusedAnswerer(
        Agreeable(), GeometricAnswerer(cache), LikenessTest(anything(), cache),
        calibration=calibration,
    )  # fmt: skip
    question = read_question("Is pallet 12 taller than pallet 10?", frame.regions)
    answer = outcome(both, replace(frame, depth=depth.astype(np.float32)), question)
    assert (answer.truth, answer.confidence) == (True, UNCHECKED_CONFIDENCE)


def outcome(answerer, frame, question):
    return answerer.answer_batch(frame, [question])[0]


def test_colors_have_the_confidence_of_the_scene(frame, anything) -> None:
    image = np.full_like(frame.rgb, 160)
    image[:60] = 225, 225, 225
    image[frame.regions.full_mask(12)] = 30, 80, 165
    question = read_question("What color is pallet 12?", frame.regions)
    seen = replace(frame, rgb=image)
    answer = fused(anything, Untrained(), looks=True).answer(seen, question)
    scene = GeometricAnswerer(GeometryCache(looks=True)).answer(seen, question)
    assert answer.relation == "blue"
    assert answer.confidence == scene.confidence > 0.95
