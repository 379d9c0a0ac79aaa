"""Sizes of the objects of one's own hall."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.geometry import SIZE_PRIORS, FrameGeometry
from smolrgpt_core.geometry.object_sizes import size_priors
from smolrgpt_core.language.question import read_question

HALF_PALLET = (0.8, 0.6)


@pytest.fixture
def half_pallets(ray_caster, block):
    """Two half pallets of which the camera sees little more than one side."""
    sizes = dict(zip(("length", "width"), HALF_PALLET, strict=True))
    return ray_caster(
        (
            block(10, "pallet", -0.9, 4.0, 0.1, **sizes, top=1.1),
            block(11, "pallet", 0.9, 5.0, 0.2, **sizes, top=1.1),
        ),
        height=1.0,
        pitch_deg=5,
    )


def test_without_a_text_sizes_are_standard():
    assert size_priors("") == dict(SIZE_PRIORS)


def test_own_sizes_replace_those_of_their_class_alone():
    priors = size_priors("Skid: 1.016x1.219 , pallet:0.8 x 0.6,Wooden_Carton:.6x.4")
    assert priors["pallet"].footprints == ((1.219, 1.016), (0.8, 0.6))
    assert priors["pallet"].tolerance == SIZE_PRIORS["pallet"].tolerance
    assert priors["wooden carton"].footprints == ((0.6, 0.4),)
    assert not priors["wooden carton"].on_floor
    assert priors["shelf"] == SIZE_PRIORS["shelf"]


def test_own_sizes_hold_for_transporters_of_every_height():
    prior = size_priors("transporter:2.4x1.0")["transporter"].of_height(2.1)
    assert prior.footprints == ((2.4, 1.0),)
    assert prior.on_floor


def test_forklifts_have_sizes_of_their_own():
    priors = size_priors("forklift:3.6x1.3")
    assert priors["forklift"].of_height(2.1).footprints == ((3.6, 1.3),)
    assert priors["transporter"] == SIZE_PRIORS["transporter"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pallet", "expected object sizes such as pallet:1.2x0.8 in meters, got 'pallet'"),
        ("pallet:1.2", "got 'pallet:1.2'"),
        ("pallet:1.2x0.8x1.0", "got 'pallet:1.2x0.8x1.0'"),
        (":1.2x0.8", "got ':1.2x0.8'"),
        ("pallet:-1.2x0.8", "got 'pallet:-1.2x0.8'"),
        ("pallet:1.2x0", "more than 0 and at most 20 meters, got 'pallet:1.2x0'"),
        ("pallet:1200x800", "more than 0 and at most 20 meters, got 'pallet:1200x800'"),
        ("buffer:2x3", "a painted zone is measured and has no standard size"),
    ],
)
def test_what_is_no_size_is_refused(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        size_priors(text)


def test_hidden_sides_have_the_lengths_of_the_own_objects(half_pallets):
    frame = half_pallets.render()
    own = size_priors("pallet:0.8x0.6")
    for id in (10, 11):
        standard = FrameGeometry(frame).locate(id)
        known = FrameGeometry(frame, own).locate(id)
        assert np.abs(np.sort(standard.size[:2]) - np.sort(HALF_PALLET)).max() > 0.15
        np.testing.assert_allclose(np.sort(known.size[:2]), np.sort(HALF_PALLET), atol=0.03)


@pytest.mark.parametrize("name", ["geometric", "fused"])
def test_answerers_measure_with_the_own_sizes(half_pallets, name):
    frame = half_pallets.render()
    question = read_question("How far is pallet 10 from pallet 11?", frame.regions)
    truth = math.dist(half_pallets.center(10), half_pallets.center(11))
    answerer = make_answerer(name, object_sizes="pallet:0.8x0.6")
    own = answerer.answer(frame, question)
    np.testing.assert_allclose(own.centers[0], half_pallets.center(10), atol=0.03)
    np.testing.assert_allclose(own.centers[1], half_pallets.center(11), atol=0.03)
    if name == "geometric":
        assert own.value == pytest.approx(truth, abs=0.03)


def test_sizes_of_unknown_labels_are_used(ray_caster, block):
    carton = block(1, "carton", 0.1, 1.2, 0.0, 0.4, 0.3, top=0.25)
    scene = ray_caster((carton,), height=0.3, pitch_deg=2, wall_m=4.0)
    own = size_priors("carton:0.4x0.3")
    place = FrameGeometry(scene.render(), own).locate(1)
    np.testing.assert_allclose(np.sort(place.size[:2]), [0.3, 0.4], atol=0.03)
