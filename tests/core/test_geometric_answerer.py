"""The geometric answerer, from plain English to the typed answer, on exact geometry."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answer import Side
from smolrgpt_core.answer.from_finding import SURE
from smolrgpt_core.answerers.geometric import CERTAINTY, GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category, read_question

PALLET = {"length": 1.2, "width": 0.8}


@pytest.fixture(scope="module")
def hall(ray_caster, block):
    """Two buffers, three pallets (10, 11 in buffer 1), and a transporter that carries pallet 13."""
    blocks = (
        block(1, "buffer", -1.6, 5.0, length=3.2, width=3.2, top=0.0),
        block(2, "buffer", 2.4, 5.5, length=2.4, width=3.0, top=0.0),
        block(10, "pallet", -2.3, 4.6, 0.4, **PALLET, top=0.9),
        block(11, "pallet", -0.8, 5.6, 1.2, **PALLET, top=0.7),
        block(12, "pallet", 0.6, 8.5, 0.8, **PALLET, top=1.0),
        block(60, "transporter", 2.0, 9.5, 0.6, 1.35, 0.9, top=0.35),
        block(13, "pallet", 2.0, 9.5, 0.6, **PALLET, bottom=0.35, top=1.2),
        block(61, "transporter", -2.6, 9.0, 0.3, 1.35, 0.9, top=0.35),
    )
    return ray_caster(blocks, height=3.0, pitch_deg=20)


@pytest.fixture(scope="module")
def frame(hall):
    return hall.render()


def ask(frame, text, answerer=None, ids=()):
    question = read_question(text, frame.regions, None, ids)
    return (answerer or GeometricAnswerer()).answer(frame, question)


def refusal(frame, text, answerer=None):
    with pytest.raises(SpatialError) as caught:
        ask(frame, text, answerer)
    return caught.value


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("How far is pallet 10 from pallet 11?", 10, 11),
        ("How far is pallet 12 from pallet 10?", 12, 10),
        ("What is the distance between pallet 12 and buffer 1?", 12, 1),
        ("How far apart are buffer 1 and buffer 2?", 1, 2),
    ],
)
def test_distances_are_between_centers(hall, frame, text, first, second):
    answer = ask(frame, text)
    assert answer.category is Category.DISTANCE
    assert answer.value == pytest.approx(hall.distance(first, second), rel=0.03)
    assert answer.geometric_value == answer.value
    assert answer.model_value is None
    assert answer.unit == "m"
    assert f"{answer.value:.2f}" in answer.text


def test_distance_to_the_camera(hall, frame):
    answer = ask(frame, "How far away is pallet 12?")
    assert answer.value == pytest.approx(np.linalg.norm(hall.center(12)), rel=0.02)


def test_the_depth_at_a_pixel_comes_with_the_point_that_it_shows(frame):
    answer = ask(frame, "What is the depth at pixel (40, 30)?")
    camera, depth = frame.intrinsics, frame.depth[30, 40]
    assert answer.value == pytest.approx(depth)
    expected = [depth * (40 - camera.cx) / camera.fx, depth * (30 - camera.cy) / camera.fy, depth]
    assert answer.vector == pytest.approx(expected)


@pytest.mark.parametrize(("scatter", "low", "high"), [(0.0, 0.99, 1.0), (0.1, 0.4, 0.85)])
def test_the_depth_at_a_pixel_is_as_sure_as_the_readings_around_it(frame, scatter, low, high):
    noise = 1 + scatter * np.random.default_rng(0).standard_normal(frame.depth.shape)
    noisy = replace(frame, depth=(frame.depth * noise).astype(np.float32))
    pixels = [(40 + 60 * index, 200 + 20 * index) for index in range(8)]
    answerer = GeometricAnswerer()
    found = [ask(noisy, f"What is the depth at pixel {pixel}?", answerer) for pixel in pixels]
    assert low <= np.mean([answer.confidence for answer in found]) <= high


def test_equal_depths_are_a_tie(frame):
    clipped = replace(frame, depth=np.minimum(frame.depth, np.float32(3.0)))
    error = refusal(
        clipped, "Is the depth at pixel (40, 30) less than the depth at pixel (300, 40)?"
    )
    assert error.status is Status.CANNOT_TELL


@pytest.mark.parametrize(
    "text", ["How far is pallet 10 from buffer 1?", "How far is buffer 1 from pallet 10?"]
)
def test_an_object_in_the_buffer_is_at_no_distance(frame, text):
    answer = ask(frame, text)
    assert answer.value == 0.0
    assert answer.confidence > 0.9


@pytest.mark.parametrize(
    ("text", "number", "counted"),
    [
        ("How many pallets are in buffer 1?", 2, {10, 11}),
        ("How many pallets are in buffer 2?", 0, set()),
        ("How many of pallets 10, 11 and 12 are not in buffer 1?", 1, {12}),
        ("How many pallets do you see?", 4, {10, 11, 12, 13}),
        ("How many empty transporters are there?", 1, {61}),
    ],
)
def test_counts_say_what_was_counted(frame, text, number, counted):
    answer = ask(frame, text)
    assert answer.value == number
    assert set(answer.answer_ids) == counted
    assert answer.unit == "objects"


@pytest.mark.parametrize(
    ("third", "text", "note"),
    [
        (("shelf", 1.1), "How many shelves are visible?",
         "shelf 3 is only 1.1 m high beside one of 3.5 m: are the labels right?"),
        (("shelf", 2.6), "How many shelves are visible?", ""),
        (("pallet", 1.1), "How many pallets are visible?", ""),
        (("pallet", 3.5), "How many pallets are visible?",
         "pallet 3 is 3.5 m high: are the labels right?"),
    ],
)  # fmt: skip
def test_a_count_names_what_is_too_low_or_high_for_its_label(ray_caster, block, third, text, note):
    label, top = third
    racks = (block(id, "shelf", x, 11.0, length=2.8, top=3.5) for id, x in ((1, -3.5), (2, 0.5)))
    other = block(3, label, 3.0, 10.0, length=1.2, top=top)
    low = block(4, "pallet", -1.0, 8.0, length=1.2, top=0.8)
    frame = ray_caster((*racks, other, low), height=2.0, pitch_deg=5.0).render()
    assert ask(frame, text).message == note


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("Is pallet 10 to the left or right of pallet 11?", Side.LEFT),
        ("Is pallet 12 left or right of buffer 1?", Side.RIGHT),
        ("Is the empty transporter to the left or to the right of pallet 12?", Side.LEFT),
    ],
)
def test_sides_are_those_of_the_image(frame, text, side):
    answer = ask(frame, text)
    assert answer.side is side
    assert answer.value is None
    assert answer.confidence > 0.99


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("Which pallet is nearest to the camera?", 10),
        ("Which pallet is the second nearest to buffer 2?", 12),
        ("Which pallet is farthest from buffer 1?", 13),
        ("Which pallet is closest to the empty transporter?", 12),
        ("Which pallet is nearest to the loaded transporter?", 13),
        ("Which buffer is the leftmost?", 1),
        ("Which pallet is second from the left?", 11),
        ("Which of pallets 10 and 12 is in buffer 1?", 10),
        ("Which of pallets 10 and 12 is not in buffer 1?", 12),
        ("Which buffer contains pallet 11?", 1),
    ],
)
def test_choices(frame, text, id):
    answer = ask(frame, text)
    assert answer.region_id == id
    assert answer.category is Category.MCQ
    assert 0.5 < answer.confidence <= 1


def test_placeholders_name_regions_by_id(hall, frame):
    answer = ask(frame, "How far is the pallet <mask> from the pallet <mask>?", ids=(12, 11))
    assert answer.value == pytest.approx(hall.distance(12, 11), rel=0.03)
    assert answer.region_ids == (12, 11)
    np.testing.assert_allclose(answer.centers, [hall.center(12), hall.center(11)], atol=0.12)
    np.testing.assert_allclose(answer.valid_depth, 1.0, atol=0.01)


def test_missing_depth_is_refused_and_leaves_other_questions_answerable(frame):
    depth = frame.depth.copy()
    depth[frame.regions.full_mask(12)] = np.nan
    blind = replace(frame, depth=depth)
    answerer = GeometricAnswerer()
    error = refusal(blind, "How far is pallet 12 from pallet 10?", answerer)
    assert error.status is Status.NO_VALID_DEPTH
    assert "pallet 12" in error.message
    assert refusal(blind, "How many pallets are in buffer 2?", answerer).status is (
        Status.NO_VALID_DEPTH
    )
    assert ask(blind, "How many of pallets 10 and 11 are in buffer 1?", answerer).value == 2
    side = ask(blind, "Is pallet 12 left or right of pallet 10?", answerer)
    assert side.side is Side.RIGHT
    assert np.isnan(side.centers[0]).all()
    assert side.valid_depth[0] == 0.0


def test_without_a_floor_nothing_is_claimed_about_what_stands_where(ray_caster, block):
    blocks = (
        block(1, "buffer", 0.0, 5.0, length=2.0, width=2.0, top=0.0),
        block(10, "pallet", 0.0, 4.0, 0.3, bottom=2.0, top=3.0),
        block(11, "pallet", 3.0, 6.0, 0.3, bottom=2.0, top=3.0),
    )
    whole = ray_caster(blocks, height=2.0, pitch_deg=0).render()
    objects = whole.regions.full_mask(10) | whole.regions.full_mask(11)
    frame = replace(whole, depth=np.where(objects, whole.depth, np.float32(np.nan)))
    error = refusal(frame, "Which of pallets 10 and 11 is in buffer 1?")
    assert error.status in (Status.CANNOT_TELL, Status.NO_VALID_DEPTH)
    distance = ask(frame, "How far is pallet 10 from pallet 11?")
    assert 2.5 < distance.value < 4.5
    assert distance.confidence < 0.7


@pytest.fixture(scope="module")
def doubtful(ray_caster, block):
    """Two pallets that are about as far and stand about in line, one of them on an edge."""
    blocks = (
        block(1, "buffer", 0.0, 5.0, length=2.0, width=2.0, top=0.0),
        block(10, "pallet", 1.0, 5.0, 0.4, **PALLET, top=0.9),
        block(11, "pallet", -3.0, 6.0, 0.4, **PALLET, top=0.9),
        block(12, "pallet", 3.0, 6.005, 0.4, **PALLET, top=0.9),
    )
    return ray_caster(blocks, height=3.0, pitch_deg=20).render()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Which of pallets 11 and 12 is nearest to the camera?", ["pallet 11", "pallet 12"]),
        ("Which of pallets 11 and 12 is farther from buffer 1?", ["pallet 11", "pallet 12"]),
        ("Is pallet 11 in front of pallet 12?", ["yes", "no"]),
        ("How many pallets are in buffer 1?", ["0", "1"]),
        ("Is pallet 10 in buffer 1?", ["yes", "no"]),
        ("Which pallets are in buffer 1?", ["none", "pallet 10"]),
    ],
)
@pytest.mark.parametrize("seed", range(10))
def test_a_tie_is_refused_with_both_answers(doubtful, stereo_noise, text, names, seed):
    error = refusal(stereo_noise(doubtful, std_per_m=0.01, seed=seed), text)
    assert error.status is Status.CANNOT_TELL
    assert all(name in error.message for name in names), error.message


@pytest.mark.parametrize("subject", ["pallet 11", "the leftmost pallet"])
def test_nothing_is_left_or_right_of_itself(doubtful, subject):
    error = refusal(doubtful, f"Is {subject} left of pallet 11?")
    assert error.status is Status.BAD_QUESTION
    assert error.message == "pallet 11 is neither left nor right of itself"
    assert ask(doubtful, "Is pallet 11 left of pallet 12?").side is Side.LEFT


def test_how_sure_an_answer_must_be_is_a_setting(doubtful, stereo_noise):
    frame = stereo_noise(doubtful, std_per_m=0.01, seed=5)
    ready = GeometricAnswerer(certainty=0.0)
    assert 0.2 < ask(frame, "Is pallet 10 in buffer 1?", ready).confidence < 0.8


def test_a_choice_that_nothing_fits_is_refused(frame):
    error = refusal(frame, "Which of pallets 10 and 11 is in buffer 2?")
    assert error.status is Status.CANNOT_TELL
    error = refusal(frame, "Which of pallets 10 and 11 is the third nearest to buffer 2?")
    assert error.status is Status.BAD_QUESTION


def test_less_sure_answers_have_less_confidence(frame, stereo_noise):
    text = "How far is pallet 10 from pallet 11?"
    noisy = stereo_noise(frame, std_per_m=0.03)
    assert ask(noisy, text).confidence < ask(frame, text).confidence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("How wide is pallet 10?", "according to the measurement, 95% likely 0."),
        ("What are the dimensions of pallet 10?", " x 0."),
        ("What is the bearing of pallet 10?", ""),
    ],
)
def test_an_uncertain_value_comes_with_its_range(ray_caster, block, text, told):
    # Only the long side of the pallet is seen: 0.8 or 1.0 m deep.
    pallet = block(10, "pallet", 0.0, 5.0, 0.0, **PALLET, top=1.1)
    frame = ray_caster((pallet,), height=1.0, pitch_deg=5).render()
    answer = ask(frame, text)
    assert (answer.confidence < SURE) == bool(told)
    assert told in answer.message
    assert bool(answer.message) == bool(told)


def test_the_range_of_a_value_is_wider_than_what_counts_as_the_same(frame, stereo_noise):
    text = "How far is pallet 10 from pallet 11?"
    sure = ask(frame, text)
    assert sure.confidence >= SURE
    assert sure.message == ""
    unsure = ask(stereo_noise(frame, std_per_m=0.01), text)
    assert CERTAINTY < unsure.confidence < SURE
    found = re.fullmatch(
        r"according to the measurement, 95% likely ([\d.]+) m to ([\d.]+) m", unsure.message
    )
    assert found, unsure.message
    low, high = float(found[1]), float(found[2])
    assert low < unsure.value < high
    assert low < 0.9 * unsure.value or high > 1.1 * unsure.value


def test_a_choice_that_is_no_tie_and_not_sure_names_the_next_one(doubtful, stereo_noise):
    ready = GeometricAnswerer(certainty=0.0)
    answer = ask(stereo_noise(doubtful, std_per_m=0.01, seed=5), "Is pallet 10 in buffer 1?", ready)
    other = "no" if answer.truth else "yes"
    assert (
        answer.message
        == f"according to the measurement, {answer.confidence:.0%} likely, or {other}"
    )


@pytest.mark.parametrize(
    ("text", "unit", "same"),
    [
        ("Where is pallet 10?", "m", 0.5),
        ("What is the direction from pallet 11 to pallet 10?", "degrees", 10),
    ],
)
def test_an_unsure_place_says_how_far_it_may_be_off(frame, stereo_noise, text, unit, same):
    answer = ask(stereo_noise(frame, std_per_m=0.03), text)
    assert answer.confidence < SURE
    found = re.match(
        rf"according to the measurement, 95% likely within ([\d.]+) {unit} of it", answer.message
    )
    assert found, answer.message
    assert float(found[1]) > same


def test_an_unsure_hour_names_the_other_one(ray_caster, block):
    frame = ray_caster((block(10, "pallet", 1.6, 6.0, 0.0, **PALLET, top=0.8),)).render()
    answer = ask(frame, "At what hour of the clock is pallet 10?")
    assert answer.confidence < 0.8
    other = {12: 1, 1: 12}[int(answer.value)]
    assert (
        answer.message
        == f"according to the measurement, {answer.confidence:.0%} likely, or {other} o'clock"
    )


def test_a_reading_that_its_neighbors_contradict_is_not_sure(frame):
    depth = frame.depth.copy()
    depth[300, 300] += 1.0
    answer = ask(replace(frame, depth=depth), "What is the depth at pixel (300, 300)?")
    assert answer.confidence < 0.8
    assert answer.message.startswith("according to the measurement, 95% likely")


def test_further_questions_about_a_frame_measure_nothing_again(frame):
    answerer = GeometricAnswerer(GeometryCache(size=1))
    first = answerer._cache.get(frame)
    ask(frame, "How far is pallet 10 from pallet 11?", answerer)
    assert answerer._cache.get(frame) is first
    answerer._cache.get(replace(frame, stamp_ns=1))
    assert answerer._cache.get(frame) is not first


def test_certainty_is_checked():
    with pytest.raises(ValueError, match="certainty must be 0 to 1"):
        GeometricAnswerer(certainty=1.5)
