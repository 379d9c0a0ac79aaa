"""Models that were trained on the whole language: asked in canonical sentences, read as values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.answerer_settings import FusionSettings, ModelSettings
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.base import UntrainedQuestionError
from smolrgpt_core.answerers.model import LANGUAGE, ModelAnswerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import read_question

from .conftest import teach

HEIGHT = "How tall is pallet 13?"
LESSONS = {
    HEIGHT: "1.25",
    "Is pallet 13 taller than pallet 15?": "no",
    "Which pallet is the tallest?": "3",
    "Which pallets are in buffer 2?": "0, 4",
    "Is pallet 13 in front of or behind pallet 15?": "behind",
    "Where is pallet 13?": "1.00, -0.50, 4.00",
    "How far is pallet 13 from pallet 15?": "The distance is 3.8 meters.",
    # Not what is asked for.
    "How wide is pallet 15?": "wide",
    # The buffer itself, which is none of the choices.
    "Which pallets are in buffer 1?": "12",
}


@pytest.fixture(scope="module")
def learned(checkpoint, processor, frames, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    teach(checkpoint, processor, frames[0], LESSONS, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "answers": [LANGUAGE]}))
    return folder


@pytest.fixture(scope="module")
def answerer(learned: Path) -> ModelAnswerer:
    return ModelAnswerer.from_pretrained(str(learned))


def ask(answerer, frame: RGBDFrame, text: str):
    return answerer.answer(frame, read_question(text, frame.regions))


def test_every_category_is_read_as_its_value(answerer, frames) -> None:
    frame = frames[0]
    pallets = [region.id for region in frame.regions if region.label == "pallet"]
    height = ask(answerer, frame, HEIGHT)
    assert (height.value, height.unit) == (1.25, "m")
    assert height.text == "The height of pallet 13 is 1.25 m."
    assert height.understood == "What is the height of pallet 13?"
    assert ask(answerer, frame, "Is pallet 13 taller than pallet 15?").truth is False
    assert ask(answerer, frame, "Which pallet is the tallest?").region_id == pallets[3]
    held = ask(answerer, frame, "Which pallets are in buffer 2?")
    assert held.answer_ids == (pallets[0], pallets[4])
    assert (
        ask(answerer, frame, "Is pallet 13 in front of or behind pallet 15?").relation == "behind"
    )
    place = ask(answerer, frame, "Where is pallet 13?")
    np.testing.assert_allclose(place.vector, (1, -0.5, 4))
    assert ask(answerer, frame, "How far is pallet 13 from pallet 15?").value == 3.8


def test_other_words_for_the_same_question_make_no_difference(answerer, frames) -> None:
    for text in (
        "What is the height of pallet 13?",
        "pallet 13: height please",
        "Wie hoch ist Palette 13?",
    ):
        assert ask(answerer, frames[0], text).value == 1.25


def test_multiple_choice_takes_the_option_of_the_value(answerer, frames) -> None:
    text = f"{HEIGHT} (A) 2.40 m (B) 1.20 m (C) 0.60 m"
    assert ask(answerer, frames[0], text).option == "B"


def test_words_that_are_no_value_are_no_answer(answerer, frames) -> None:
    with pytest.raises(SpatialError, match="expected a number, got 'wide'; its output") as caught:
        ask(answerer, frames[0], "How wide is pallet 15?")
    assert caught.value.status is Status.MODEL_ERROR
    with pytest.raises(SpatialError, match=r"chose \[Region 12\], but the choices"):
        ask(answerer, frames[0], "Which pallets are in buffer 1?")


def test_a_model_of_the_four_categories_is_not_asked_more(taught, frames) -> None:
    with pytest.raises(UntrainedQuestionError, match="not on questions of this kind"):
        ask(ModelAnswerer.from_pretrained(str(taught)), frames[0], HEIGHT)


def test_fused_compares_both_in_every_category(learned, frames) -> None:
    # Without a calibration "confident" does not let the model count.
    fused = make_answerer("fused", str(learned), ModelSettings(), FusionSettings(prefer="geometry"))
    geometry = make_answerer("geometric")
    for text in (HEIGHT, "Is pallet 13 taller than pallet 15?", "Where is pallet 13?"):
        measured, both = (ask(item, frames[0], text) for item in (geometry, fused))
        assert both.agreement.name in ("AGREE", "DISAGREE"), text
        assert both.text == measured.text
    disagreeing = ask(fused, frames[0], "Where is pallet 13?")
    assert disagreeing.agreement.name == "DISAGREE"
    assert "the model disagrees: Pallet 13 is at (1.00, -0.50, 4.00) m." in disagreeing.message
