"""The sentence of an answer, and reading sentences of models."""

import numpy as np
import pytest

from smolrgpt_core.answer import ParsedAnswer, Side, read_answer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import CATEGORIES, read_question
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.regions import Box, Region, RegionSet

DISTANCE, COUNT, LEFT_RIGHT, MCQ = CATEGORIES.values()

LABELS = {
    12: "pallet",
    2: "buffer",
    14: "pallet",
    60: "transporter",
    61: "transporter",
    3: "buffer",
}
REGIONS = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * position, 5, 8, 8))
        for position, (id, label) in enumerate(LABELS.items())
    ),
)


@pytest.mark.parametrize(
    ("text", "value", "sentence"),
    [
        ("how far is pallet 12 from buffer 2", 3.4215, "Pallet 12 is 3.42 m from buffer 2."),
        (
            "how many feet is pallet 12 from buffer 2",
            3.048,
            "Pallet 12 is 10.00 feet from buffer 2.",
        ),
        ("how far is pallet 12 from buffer 2", 0.0,
         "Pallet 12 stands in buffer 2, so the distance is 0 m."),
        ("how far is pallet 12 from pallet 14", 0.0, "Pallet 12 is 0.00 m from pallet 14."),
        ("how far away is pallet 12", 7.0, "Pallet 12 is 7.00 m from the camera."),
        ("how far is the leftmost pallet from the empty transporter", 1.5,
         "The leftmost pallet is 1.50 m from the empty transporter."),
        ("how far is pallet 12 from the buffer second nearest to transporter 60", 2.0,
         "Pallet 12 is 2.00 m from the buffer second nearest to transporter 60."),
        ("how many pallets are in buffer 2", 3.0, "3 pallets are in buffer 2."),
        ("how many pallets are in buffer 2", 1.0, "1 pallet is in buffer 2."),
        ("how many pallets are not in buffer 2", 0.0, "0 pallets are not in buffer 2."),
        ("how many objects are in the left buffer", 2.0, "2 objects are in the leftmost buffer."),
        ("how many transporters are empty", 1.0, "1 transporter is empty."),
        ("how many shelves do you see", 0.0, "There are 0 shelves."),
        ("is pallet 12 left or right of pallet 14", "left", "Pallet 12 is left of pallet 14."),
        ("is pallet 12 left of pallet 14", True, "Yes, pallet 12 is left of pallet 14."),
        ("is pallet 12 left of pallet 14", False, "No, pallet 12 is right of pallet 14."),
        ("is pallet 12 in buffer 2", False, "No, pallet 12 is not in buffer 2."),
        ("which pallet is nearest to transporter 60", 14,
         "Pallet 14 is nearest to transporter 60."),
        ("which pallet is second farthest from us", 14,
         "Pallet 14 is second farthest from the camera."),
        ("leftmost empty transporter", 60, "Transporter 60 is the leftmost empty transporter."),
        ("rightmost pallet but one", 12, "Pallet 12 is the second from the right."),
        ("which pallet isn't in buffer 2", 14, "Pallet 14 is not in buffer 2."),
        ("which buffer is pallet 12 in", 3, "Buffer 3 holds pallet 12."),
        ("which pallets are in buffer 2", (12, 14), "Pallets 12 and 14 are in buffer 2."),
        ("which pallets are in buffer 2", (), "No pallets are in buffer 2."),
        ("how tall is pallet 12", 1.5, "The height of pallet 12 is 1.50 m."),
        ("what are the dimensions of pallet 12", np.array([1.2, 0.8, 1.0]),
         "Pallet 12 is 1.20 m long, 0.80 m wide and 1.00 m high."),
        ("how much space is there between pallet 12 and pallet 14", 2.5,
         "The clearance between pallet 12 and pallet 14 is 2.50 m."),
        ("is pallet 12 larger than pallet 14", True, "Yes, pallet 12 is larger than pallet 14."),
        ("is pallet 12 taller than pallet 14", False,
         "No, pallet 12 is not taller than pallet 14."),
        ("is pallet 12 nearer to buffer 2 than pallet 14", True,
         "Yes, pallet 12 is nearer to buffer 2 than pallet 14 is."),
        ("are there at least 2 pallets in buffer 2", True,
         "Yes, there are at least 2 pallets in buffer 2."),
        ("are there at least 2 pallets in buffer 2", False,
         "No, there are fewer than 2 pallets in buffer 2."),
        ("are there more than 5 pallets", False, "No, there are at most 5 pallets."),
        ("are there exactly 5 pallets", False, "No, there are not exactly 5 pallets."),
        ("is pallet 12 not in buffer 2", False, "No, pallet 12 is in buffer 2."),
        ("is pallet 12 not in buffer 2", True, "Yes, pallet 12 is not in buffer 2."),
        ("what is on transporter 60", (12,), "Pallet 12 is on transporter 60."),
        ("what share of the pallets is in buffer 2", 0.5, "50 % of the pallets are in buffer 2."),
        ("what share of buffer 2 is occupied", 0.25, "25 % of buffer 2 is occupied."),
        ("is pallet 12 within 2 m of any transporter", True,
         "Yes, pallet 12 is within 2 m of any transporter."),
        ("are all pallets in buffer 2 loaded", False,
         "No, not all pallets in buffer 2 are loaded."),
        ("is pallet 12 the only pallet in buffer 2", False,
         "No, pallet 12 is not the only pallet in buffer 2."),
        ("are pallets 12 and 14 in buffer 2", False,
         "No, pallets 12 and 14 are not both in buffer 2."),
        ("are any of pallets 12 and 14 empty", True,
         "Yes, at least one of pallets 12 and 14 is empty."),
        ("are there more pallets in buffer 2 than in buffer 3", True,
         "Yes, there are more pallets in buffer 2 than pallets in buffer 3."),
        ("how many loaded pallets are in buffer 2", 2.0, "2 loaded pallets are in buffer 2."),
        ("which pallet in buffer 2 is nearest to transporter 60", 12,
         "Of the pallets in buffer 2, pallet 12 is nearest to transporter 60."),
        ("which is the tallest of pallets 12 and 14", 12,
         "Pallet 12 is the tallest."),
        ("sort the pallets by height", (14, 12), "In order of height: pallets 14 and 12."),
        ("which two pallets are nearest to transporter 60", (12, 14),
         "The 2 pallets nearest to transporter 60 are pallets 12 and 14."),
        ("what is left of pallet 14", (12, 60, 61),
         "Pallet 12 and transporters 60 and 61 are left of pallet 14."),
        # Which of the two is the taller one is not in the amount.
        ("how much taller is pallet 12 than pallet 14", 0.5,
         "The heights of pallet 12 and pallet 14 differ by 0.50 m."),
        ("how many times as tall as pallet 14 is pallet 12", 1.5,
         "The height of pallet 12 is 1.50 times the height of pallet 14 (150 %)."),
        ("at what o'clock is pallet 12", 2.0,
         "Pallet 12 is at 2 o'clock, as seen from the camera."),
        ("is buffer 2 full", True, "Yes, buffer 2 is full."),
    ],
)  # fmt: skip
def test_sentence(text, value, sentence):
    question = read_question(text, REGIONS)
    assert question.program is not None
    assert answer_sentence(question.program, value, REGIONS, question.unit) == sentence


@pytest.mark.parametrize(
    ("text", "meters"),
    [
        ("The pallet [Region 0] is 6.36 meters from the pallet [Region 1].", 6.36),
        ("3.42", 3.42),
        ("3.42m", 3.42),
        ("342 cm", 3.42),
        ("approximately 11.2 feet", 3.41376),
        ("two meters", 2.0),
        ("3.0", 3.0),
        (".5 m", 0.5),
        ("It is 3.42 m (342 cm) away.", 3.42),
        ("[Region 8] is the rightmost pallet. [Region 0] is the leftmost buffer region. The "
         "distance from the pallet [Region 8] to the buffer region [Region 0] is 2.49 meters.",
         2.49),
        ("Pallet 12 is 3.42 m from buffer 2.", 3.42),
        ("Pallet 12 stands in buffer 2, so the distance is 0 m.", 0.0),
    ],
)  # fmt: skip
def test_reads_distances(text, meters):
    answer = read_answer(text, DISTANCE)
    assert answer == ParsedAnswer(answer.value, "m")
    assert answer.value == pytest.approx(meters)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("3.0", 3),
        ("Three.", 3),
        ("There are no pallets in the buffer.", 0),
        ("none", 0),
        ("The buffer region [Region 0] is the leftmost buffer region among all. You can find "
         "pallets [Region 3] [Region 6] [Region 8] [Region 12] inside the buffer region "
         "[Region 0]. Therefore, the buffer region [Region 0] holds a total of four pallets.", 4),
        ("No, there are twenty.", 20),
        ("3 pallets are in buffer 2.", 3),
    ],
)  # fmt: skip
def test_reads_numbers(text, number):
    assert read_answer(text, COUNT) == ParsedAnswer(number, "objects")


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("Left side", Side.LEFT),
        ("on the right", Side.RIGHT),
        ("RIGHT", Side.RIGHT),
        ("The pallet [Region 0] is to the left-hand side of the pallet [Region 1].", Side.LEFT),
        ("No, pallet 12 is right of pallet 14.", Side.RIGHT),
    ],
)
def test_reads_sides(text, side):
    assert read_answer(text, LEFT_RIGHT) == ParsedAnswer(side=side)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("[Region 3]", 3),
        ("region 3", 3),
        ("12.", 12),
        ("Among all the transporters, the transporter [Region 0] is empty. The pallet [Region 5] "
         "is the closest to transporter [Region 0], so it is the most suitable choice for "
         "automated picking.", 5),
        ("The transporter [Region 11] is empty. Given that pallet [Region 5] is the nearest to "
         "transporter [Region 11], it is the optimal choice to pick up.", 5),
        ("The transporter [Region 1] is not transporting, so pallet [Region 5] is closest.", 5),
        ("The buffer zone [Region 1] is the shortest distance from the shelf [Region 3].", 1),
        ("The nearest pallet to [Region 3] is [Region 4].", 4),
        ("The pallet [Region 2] is inside the buffer [Region 0].", 2),
    ],
)  # fmt: skip
def test_reads_choices(text, index):
    assert read_answer(text, MCQ) == ParsedAnswer(region_index=index)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("", DISTANCE),
        ("I cannot tell.", DISTANCE),
        ("3 to 4 m", DISTANCE),
        ("3-4 m", DISTANCE),
        ("3 m or 4 m", DISTANCE),
        ("3,42 m", DISTANCE),
        ("1,000 m", DISTANCE),
        ("-3 m", DISTANCE),
        ("1e3 m", DISTANCE),
        ("It isn't 3 m.", DISTANCE),
        ("1 m 20 cm", DISTANCE),
        ("[Region 0] and [Region 1]", DISTANCE),
        ("2.5", COUNT),
        ("3 m", COUNT),
        ("5 pallets, of which 3 are in the buffer", COUNT),
        ("[Region 3]", COUNT),
        ("I am unable to count 3 pallets", COUNT),
        ("Yes", LEFT_RIGHT),
        ("left or right", LEFT_RIGHT),
        ("It is not left of it.", LEFT_RIGHT),
        ("neither", LEFT_RIGHT),
        ("the pallet", MCQ),
        ("pallet 5", MCQ),
        ("[Region 1] or [Region 2]", MCQ),
        ("[Region 1] and [Region 2] are the nearest.", MCQ),
        ("[Region 1] is the nearest, [Region 2] is the nearest.", MCQ),
        ("[Region 3] is not the nearest.", MCQ),
        ("[Region 3] isn't the nearest, [Region 4] may be.", MCQ),
        ("[Region 0] is in the scene. The pallet is [Region 5].", MCQ),
    ],
)
def test_refuses_what_is_not_clear(text, category):
    with pytest.raises(SpatialError) as caught:
        read_answer(text, category)
    assert caught.value.status is Status.MODEL_ERROR
    assert repr(text) in caught.value.message
