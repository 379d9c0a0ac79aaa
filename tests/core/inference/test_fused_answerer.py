"""A taught model and geometry asked together about one picture."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from smolrgpt_core.answer import Agreement
from smolrgpt_core.answerer_settings import AgreementTolerances, FusionSettings, ModelSettings
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.calibration import (
    Calibration,
    ConfidenceCurve,
    Evidence,
    write_calibration,
)
from smolrgpt_core.answerers.geometric import DOUBTED
from smolrgpt_core.answerers.likeness import UNLIKE_CONFIDENCE, write_likeness
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE
from smolrgpt_core.checkpoints.weights import WEIGHTS_FILE, weights_fingerprint
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import read_question
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.operators.attributes import Distance
from smolrgpt_core.language.operators.questions import Measure
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor

AGREED, UNUSABLE, CONTRADICTED = 0, 5, 6
"""Places of lessons; geometry knows the answer to all of them."""

SURE = ConfidenceCurve(0.0, 4.0, 100, 98)
UNSURE = ConfidenceCurve(0.0, -1.0, 100, 27)


def calibration(checkpoint, **changes):
    curves = {
        Evidence.MODEL.value: {"distance": UNSURE},
        Evidence.MODEL_WITH_GEOMETRY.value: {"distance": SURE},
        Evidence.MODEL_AGAINST_GEOMETRY.value: {"distance": UNSURE},
    }
    fingerprint = weights_fingerprint([checkpoint / WEIGHTS_FILE])
    values = {"answer_style": "sentence", "curves": curves, "weights_sha256": fingerprint}
    return Calibration(**{**values, **changes})


@pytest.fixture
def calibrated(taught, tmp_path, anything):
    """The checkpoint by links, with a calibration and a likeness that a test may change."""
    for path in taught.iterdir():
        (tmp_path / path.name).symlink_to(path)
    write_calibration(tmp_path / CALIBRATION_FILE, calibration(tmp_path))
    fingerprint = weights_fingerprint([tmp_path / WEIGHTS_FILE])
    write_likeness(tmp_path / LIKENESS_FILE, anything(fingerprint))
    return tmp_path


@pytest.fixture
def unlike(calibrated, anything):
    """The checkpoint, trained on cameras of another angle of view than that of the frame."""
    fingerprint = weights_fingerprint([calibrated / WEIGHTS_FILE])
    write_likeness(calibrated / LIKENESS_FILE, anything(fingerprint, view_deg=(20.0, 40.0)))
    return calibrated


def fused(checkpoint, **changes):
    settings = ModelSettings(device="cpu", answer_style="sentence")
    return make_answerer("fused", str(checkpoint), settings, FusionSettings(**changes))


@pytest.fixture
def ask(frames, lessons):
    def ask(answerer, number):
        return answerer.answer(frames[0], read_question(lessons[number], frames[0].regions))

    return ask


@pytest.mark.parametrize(("prefer", "value"), [("model", 3.8), ("geometry", 3.790)])
def test_where_both_agree_one_value_is_returned_with_that_of_geometry_beside_it(
    taught, ask, prefer, value
):
    answer = ask(fused(taught, prefer=prefer), AGREED)
    assert answer.value == pytest.approx(value, abs=0.002)
    assert answer.geometric_value == pytest.approx(3.79, abs=0.01)
    assert answer.model_value == 3.8
    assert answer.agreement is Agreement.AGREE
    assert answer.message == ""
    assert set(answer.latency_s) >= {"decode", "geometry"}
    assert math.isnan(answer.confidence)


@pytest.mark.parametrize(("prefer", "value"), [("model", 2.0), ("geometry", 7.55)])
def test_one_of_two_values_is_preferred_and_the_other_one_reported(taught, ask, prefer, value):
    answer = ask(fused(taught, prefer=prefer), CONTRADICTED)
    assert answer.value == pytest.approx(value, abs=0.01)
    assert answer.geometric_value == pytest.approx(7.55, abs=0.01)
    assert answer.model_value == 2.0
    assert answer.agreement is Agreement.DISAGREE
    assert ("7.55 m" if prefer == "model" else "2.00 m") in answer.message
    assert f"{value:.2f} m" in answer.text
    assert set(answer.latency_s) >= {"decode", "geometry"}


@pytest.mark.parametrize(
    ("model", "geometry", "value"),
    [(SURE, UNSURE, 2.0), (UNSURE, SURE, 7.55), (UNSURE, UNSURE, 7.55)],
)
def test_where_they_differ_the_likelier_answer_is_returned(calibrated, ask, model, geometry, value):
    against = {
        Evidence.MODEL_AGAINST_GEOMETRY.value: {"distance": model},
        Evidence.GEOMETRY_AGAINST_MODEL.value: {"distance": geometry},
    }
    write_calibration(calibrated / CALIBRATION_FILE, calibration(calibrated, curves=against))
    answer = ask(fused(calibrated, prefer="confident"), CONTRADICTED)
    assert answer.value == pytest.approx(value, abs=0.01)
    assert answer.agreement is Agreement.DISAGREE
    assert answer.confidence == pytest.approx(0.269 if model is geometry else 0.982, abs=0.001)
    # Where they agree, geometry's is finer.
    assert ask(fused(calibrated), AGREED).value == pytest.approx(3.790, abs=0.002)


@pytest.mark.parametrize("prefer", ["model", "geometry"])
@pytest.mark.parametrize("number", [AGREED, UNUSABLE, CONTRADICTED])
def test_no_calibration_makes_up_for_inputs_that_contradict_each_other(
    calibrated, frames, lessons, prefer, number
):
    curves = {evidence.value: {"distance": SURE} for evidence in Evidence}
    write_calibration(calibrated / CALIBRATION_FILE, calibration(calibrated, curves=curves))
    answerer = fused(calibrated, prefer=prefer)
    frame = frames[0]
    for doubted in (False, True):
        # A mount that is turned by 90 degrees from what the floor in the picture says.
        asked = replace(frame, up=np.array([0.0, 0.0, -1.0])) if doubted else frame
        answer = answerer.answer(asked, read_question(lessons[number], frame.regions))
        assert (answer.confidence <= DOUBTED) is doubted
        assert ("degrees against" in answer.message) is doubted


def test_without_calibration_nobody_is_more_confident_than_geometry(taught, ask):
    assert ask(fused(taught), CONTRADICTED).value == pytest.approx(7.55, abs=0.01)


def test_geometry_answers_where_the_model_cannot(taught, ask):
    answer = ask(fused(taught), UNUSABLE)
    assert answer.value == answer.geometric_value == pytest.approx(7.55, abs=0.01)
    assert answer.model_value is None
    assert answer.agreement is Agreement.UNKNOWN
    assert "geometry only" in answer.message
    assert "I am not sure" in answer.message


def without_program(text, frame):
    return replace(read_question(text, frame.regions), program=None)


def test_the_model_answers_where_geometry_cannot_read(calibrated, frames, lessons):
    answer = fused(calibrated).answer(frames[0], without_program(lessons[AGREED], frames[0]))
    assert answer.value == answer.model_value == 3.8
    assert answer.geometric_value is None
    assert answer.agreement is Agreement.UNKNOWN
    assert "model only" in answer.message


def test_alone_it_is_not_believed_about_what_is_unlike_its_training(unlike, frames, lessons):
    question = without_program(lessons[AGREED], frames[0])
    with pytest.raises(SpatialError, match=r"not trusted.*view.*75\.2 .*20 to 40") as caught:
        fused(unlike).answer(frames[0], question)
    # As geometry says it.
    assert caught.value.status is Status.BAD_QUESTION
    assert "geometry cannot tell from this wording which region" in caught.value.message


def test_alone_it_is_not_believed_where_nobody_knows_what_it_was_trained_on(
    calibrated, taught, frames, lessons
):
    (calibrated / LIKENESS_FILE).unlink()
    for checkpoint in (calibrated, taught):
        with pytest.raises(SpatialError, match=r"no likeness\.json.*`smolrgpt calibrate`"):
            fused(checkpoint).answer(frames[0], without_program(lessons[AGREED], frames[0]))


def without_depth_of(frame, id):
    depth = frame.depth.copy()
    region = frame.regions[id]
    depth[region.box.slices][region.mask] = np.nan
    return replace(frame, depth=depth)


def test_of_a_region_without_depth_it_is_not_believed_where_all_of_its_training_had_some(
    calibrated, frames, lessons, anything
):
    fingerprint = weights_fingerprint([calibrated / WEIGHTS_FILE])
    measured = anything(fingerprint, region_depth_fraction=(0.6, 1.05))
    write_likeness(calibrated / LIKENESS_FILE, measured)
    frame = without_depth_of(frames[0], 13)
    with pytest.raises(SpatialError, match=r"trusted: no depth reading .* pallet 13") as caught:
        fused(calibrated).answer(frame, read_question(lessons[AGREED], frame.regions))
    assert caught.value.status is Status.NO_VALID_DEPTH
    settings = ModelSettings(device="cpu", answer_style="sentence")
    alone = make_answerer("model", str(calibrated), settings)
    answer = alone.answer(frame, read_question(lessons[AGREED], frame.regions))
    assert answer.confidence < 0.5
    assert "no depth reading under the mask of pallet 13" in answer.message


def test_of_a_region_without_depth_it_answers_if_it_was_trained_on_such(
    calibrated, frames, lessons
):
    frame = without_depth_of(frames[0], 13)
    answer = fused(calibrated).answer(frame, read_question(lessons[AGREED], frame.regions))
    assert answer.value == answer.model_value
    assert answer.geometric_value is None
    assert "from the model only" in answer.message


def test_against_geometry_it_does_not_count_about_what_is_unlike(unlike, ask):
    against = {
        Evidence.MODEL_AGAINST_GEOMETRY.value: {"distance": SURE},
        Evidence.GEOMETRY_AGAINST_MODEL.value: {"distance": UNSURE},
    }
    write_calibration(unlike / CALIBRATION_FILE, calibration(unlike, curves=against))
    answer = ask(fused(unlike), CONTRADICTED)
    assert answer.value == pytest.approx(7.55, abs=0.01)
    assert answer.agreement is Agreement.UNKNOWN
    assert answer.model_value == 2.0
    unused = "does not count: unlike the training data of the model: horizontal field of view"
    assert unused in answer.message
    assert "disagrees" not in answer.message
    geometric = ask(make_answerer("geometric"), CONTRADICTED)
    assert answer.confidence == pytest.approx(geometric.confidence)
    preferred = ask(fused(unlike, prefer="model"), CONTRADICTED)
    assert preferred.value == 2.0
    assert preferred.confidence == UNLIKE_CONFIDENCE
    assert "geometry disagrees" in preferred.message
    assert "field of view" in preferred.message
    with pytest.raises(SpatialError, match=r"confidence is 0\.40, below"):
        ask(fused(unlike, prefer="model", abstain_below=0.5), CONTRADICTED)


@pytest.mark.parametrize("prefer", ["model", "geometry"])
def test_the_error_range_of_geometry_appears_once_and_beside_its_own_value(
    calibrated, frames, lessons, stereo_noise, prefer
):
    frame = stereo_noise(frames[0], std_per_m=0.01, seed=1)
    question = read_question(lessons[AGREED], frame.regions)
    likely = make_answerer("geometric").answer(frame, question).message
    assert likely.startswith("according to the measurement, 95% likely 3.")
    curves = {
        Evidence.MODEL_WITH_GEOMETRY.value: {"distance": SURE},
        Evidence.GEOMETRY_WITH_MODEL.value: {"distance": SURE},
    }
    write_calibration(calibrated / CALIBRATION_FILE, calibration(calibrated, curves=curves))
    answer = fused(calibrated, prefer=prefer).answer(frame, question)
    assert answer.agreement is Agreement.AGREE
    said = f"geometry agrees: Pallet 13 is {answer.geometric_value:.2f} m from pallet 15. "
    assert answer.message == (said + likely if prefer == "model" else likely)


def test_remarks_of_geometry_follow_its_words_where_the_model_is_believed(
    calibrated, frames, lessons, stereo_noise
):
    frame = stereo_noise(frames[0], std_per_m=0.01, seed=1)
    question = read_question(lessons[CONTRADICTED], frame.regions)
    geometric = make_answerer("geometric").answer(frame, question)
    assert geometric.message.startswith("according to the measurement, 95% likely 7.")
    answer = fused(calibrated, prefer="model").answer(frame, question)
    assert answer.value == 2.0
    assert answer.message == f"geometry disagrees: {geometric.text} {geometric.message}"


def test_where_geometry_agrees_likeness_changes_nothing(unlike, ask):
    curves = {Evidence.GEOMETRY_WITH_MODEL.value: {"distance": SURE}}
    write_calibration(unlike / CALIBRATION_FILE, calibration(unlike, curves=curves))
    answer = ask(fused(unlike), AGREED)
    assert answer.confidence == pytest.approx(0.982, abs=0.001)
    assert answer.message == ""


def test_the_model_asked_alone_warns_and_is_not_sure_about_what_is_unlike(unlike, anything, ask):
    sure = calibration(unlike, curves={Evidence.MODEL.value: {"distance": SURE}})
    write_calibration(unlike / CALIBRATION_FILE, sure)
    settings = ModelSettings(device="cpu", answer_style="sentence")
    answer = ask(make_answerer("model", str(unlike), settings), AGREED)
    assert answer.confidence == UNLIKE_CONFIDENCE < 0.5
    assert "field of view" in answer.message
    write_likeness(unlike / LIKENESS_FILE, anything(sure.weights_sha256))
    answer = ask(make_answerer("model", str(unlike), settings), AGREED)
    assert answer.confidence == pytest.approx(0.982, abs=0.001)
    assert answer.message == ""


def test_where_neither_can_both_reasons_are_reported(taught, frames, lessons):
    question = without_program(lessons[UNUSABLE], frames[0])
    with pytest.raises(SpatialError, match=r"I am not sure.*no answer either: geometry") as caught:
        fused(taught).answer(frames[0], question)
    assert caught.value.status is Status.MODEL_ERROR


def test_questions_together_are_answered_as_alone(taught, frames, lessons):
    answerer = fused(taught, prefer="geometry")
    questions = [read_question(text, frames[0].regions) for text in lessons]
    program = Measure(selections.Region(13), Distance(selections.Region(999)))
    unknown = replace(questions[0], region_ids=(13, 999), program=program)
    answerer.prepare(frames[0])
    *together, refused = answerer.answer_batch(frames[0], [*questions, unknown])
    alone = [answerer.answer(frames[0], question) for question in questions]
    assert [(a.value, a.side, a.region_id, a.agreement, a.message) for a in together] == [
        (a.value, a.side, a.region_id, a.agreement, a.message) for a in alone
    ]
    assert refused.status is Status.UNKNOWN_REGION
    assert {answer.agreement for answer in together} == set(Agreement)


def test_confidence_is_that_of_such_answers(calibrated, ask):
    answerer = fused(calibrated, prefer="model")
    assert ask(answerer, AGREED).confidence == pytest.approx(0.982, abs=0.001)
    assert ask(answerer, CONTRADICTED).confidence == pytest.approx(0.269, abs=0.001)
    # Of such answers nothing is known but what geometry says itself.
    own = ask(make_answerer("geometric"), UNUSABLE).confidence
    assert ask(answerer, UNUSABLE).confidence == pytest.approx(own)
    alone = make_answerer("model", str(calibrated), ModelSettings("cpu"))
    assert ask(alone, AGREED).confidence == pytest.approx(0.269, abs=0.001)


def test_uncertain_answers_are_refused_with_both_values(calibrated, ask, frames, lessons):
    answerer = fused(calibrated, prefer="model", abstain_below=0.9)
    assert ask(answerer, AGREED).ok
    with pytest.raises(SpatialError, match=r"0\.27.*0\.9.*2\.00 m.*7\.55 m") as caught:
        ask(answerer, CONTRADICTED)
    assert caught.value.status is Status.CANNOT_TELL
    with pytest.raises(SpatialError, match=r"unknown.*3\.8 m.*which region is meant"):
        answerer.answer(frames[0], without_program(lessons[AGREED], frames[0]))


def test_a_calibration_of_other_answers_is_not_used(calibrated, ask, caplog):
    write_calibration(calibrated / CALIBRATION_FILE, calibration(calibrated, answer_style="short"))
    assert math.isnan(ask(fused(calibrated), AGREED).confidence)
    assert "short answers only" in caplog.text
    with pytest.raises(ValueError, match=r"abstain_below = .* needs"):
        fused(calibrated, abstain_below=0.5)


def test_what_does_not_fit_together_is_refused_when_it_is_built(taught, calibrated):
    with pytest.raises(ValueError, match="smolrgpt calibrate"):
        fused(taught, abstain_below=0.5)
    with pytest.raises(ValueError, match="tolerances"):
        fused(calibrated, tolerances=AgreementTolerances(distance_m=1.0))
    (calibrated / CALIBRATION_FILE).write_text('{"format": 2}')
    with pytest.raises(ValueError, match=r"calibration\.json"):
        fused(calibrated)
    for changes in ({"prefer": "luck"}, {"abstain_below": 1.5}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            FusionSettings(**changes)


@pytest.mark.parametrize("name", ["model", "fused"])
def test_a_calibration_or_likeness_of_other_weights_is_refused(calibrated, name):
    settings = ModelSettings(device="cpu", answer_style="sentence")
    assert make_answerer(name, str(calibrated), settings)
    path = calibrated / WEIGHTS_FILE
    weights = load_file(path)
    path.unlink()
    save_file({key: value + 1e-3 for key, value in weights.items()}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"made for weights with.*`smolrgpt calibrate` again"):
        make_answerer(name, str(calibrated), settings)
    (calibrated / CALIBRATION_FILE).rename(calibrated / "kept")
    with pytest.raises(
        ValueError, match=r"likeness\.json: it was made for weights with the fingerprint"
    ):
        make_answerer(name, str(calibrated), settings)
    (calibrated / "kept").rename(calibrated / CALIBRATION_FILE)
    raw = replace(settings, raw_confidence=True)
    # As `smolrgpt calibrate` loads it.
    assert make_answerer("model", str(calibrated), raw)
    path = calibrated / CALIBRATION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": ""}))
    with pytest.raises(ValueError, match=r"weights_sha256.*`smolrgpt calibrate` again"):
        make_answerer(name, str(calibrated), settings)


def test_a_calibration_holds_for_the_same_weights_in_several_files(calibrated, tmp_path):
    shards = tmp_path / "shards"
    SmolRGPTForConditionalGeneration.from_pretrained(calibrated).save_pretrained(
        shards, max_shard_size="100KB"
    )
    SmolRGPTProcessor.from_pretrained(calibrated).save_pretrained(shards)
    shutil.copy(calibrated / CALIBRATION_FILE, shards)
    assert len(list(shards.glob("*.safetensors"))) > 1
    assert not (shards / WEIGHTS_FILE).exists()
    assert fused(shards)
    part = max(shards.glob("*.safetensors"))
    save_file({key: value + 1 for key, value in load_file(part).items()}, part, {"format": "pt"})
    with pytest.raises(ValueError, match="made for weights with the fingerprint"):
        fused(shards)
    part.unlink()
    with pytest.raises(ValueError, match=part.name):
        fused(shards)
