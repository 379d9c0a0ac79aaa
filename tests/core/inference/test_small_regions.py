"""Regions smaller than a cell of the model's grid: answered, or refused clearly."""

import math
from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answer import Agreement
from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import read_question
from smolrgpt_core.regions import Box, Region, RegionSet

TINY = 70
SIDE = "Is pallet 70 left or right of pallet 13?"
CHOICE = "Which of pallets 70 and 13 is leftmost?"
DISTANCE = "How far is pallet 70 from pallet 13?"


@pytest.fixture(scope="module")
def frame(frames):
    """The first frame with a pallet of 2 x 2 pixels in its left upper corner."""
    tiny = Region.from_box(TINY, "pallet", Box(0, 0, 2, 2))
    regions = RegionSet(frames[0].regions.image_size, (*frames[0].regions, tiny))
    return replace(frames[0], regions=regions)


@pytest.fixture(scope="module")
def make(taught):
    """An answerer with the model of the package, or one whose grid loses small masks."""
    answerers = {}

    def make(name, pooling):
        checkpoint = NANO if pooling == "area" else taught
        if (name, pooling) not in answerers:
            answerers[name, pooling] = make_answerer(name, str(checkpoint), ModelSettings("cpu"))
        return answerers[name, pooling]

    return make


@pytest.fixture
def ask(frame):
    def ask(answerer, text):
        return answerer.answer(frame, read_question(text, frame.regions))

    return ask


@pytest.mark.parametrize("name", ["model", "fused"])
def test_the_model_of_the_package_sees_them(make, ask, name):
    answerer = make(name, "area")
    assert ask(answerer, SIDE).side.name == "LEFT"
    assert ask(answerer, CHOICE).region_id == TINY
    assert ask(answerer, SIDE).agreement is (
        Agreement.AGREE if name == "fused" else Agreement.UNKNOWN
    )


def test_what_geometry_cannot_measure_of_four_pixels_the_model_is_not_believed(make, ask):
    with pytest.raises(SpatialError, match=r"pallet 70.*smallest mask asked about") as caught:
        ask(make("fused", "area"), DISTANCE)
    assert caught.value.status is Status.NO_VALID_DEPTH


@pytest.mark.parametrize("text", [SIDE, CHOICE, DISTANCE])
def test_a_model_whose_grid_loses_them_refuses(make, ask, text):
    with pytest.raises(SpatialError, match=r'pallet 70.*"area"') as caught:
        ask(make("model", "bilinear"), text)
    assert caught.value.status is Status.BAD_INPUT


def test_geometry_answers_where_the_grid_of_the_model_loses_them(make, ask):
    answerer = make("fused", "bilinear")
    side, choice = ask(answerer, SIDE), ask(answerer, CHOICE)
    assert side.side.name == "LEFT"
    assert choice.region_id == TINY
    for answer in (side, choice):
        assert answer.agreement is Agreement.UNKNOWN
        assert "from geometry only; the model has no answer" in answer.message
        assert "pallet 70" in answer.message
        assert math.isnan(answer.confidence)
        assert np.isnan(answer.centers).any()


def test_where_neither_knows_them_both_reasons_are_reported(make, ask):
    with pytest.raises(SpatialError, match=r'"area".*geometry has no answer either') as caught:
        ask(make("fused", "bilinear"), DISTANCE)
    assert caught.value.status is Status.BAD_INPUT
