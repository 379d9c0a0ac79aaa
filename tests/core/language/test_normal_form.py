"""Questions of one meaning are one program, whichever way they are asked."""

import pytest

from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {1: "buffer", 2: "buffer", 3: "pallet", 5: "pallet", 60: "transporter", 80: "shelf"}
HALL = RegionSet(
    (100, 100),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ("Does buffer 1 hold pallet 3?", "Is pallet 3 in buffer 1?"),
        ("Is transporter 60 carrying pallet 3?", "Is pallet 3 on transporter 60?"),
        ("Is there anything in buffer 1?", "Is buffer 1 not empty?"),
        ("Is there nothing on transporter 60?", "Is transporter 60 empty?"),
        ("Is the height of pallet 3 more than that of pallet 5?", "Is pallet 3 taller than 5?"),
        ("Is pallet 3 taller than 1.5 m?", "Is the height of pallet 3 more than 1.5 m?"),
        ("Has buffer 1 more pallets than buffer 2?",
         "Are there more pallets in buffer 1 than in buffer 2?"),
        ("Does buffer 1 hold pallets?", "Are there any pallets in buffer 1?"),
        ("Does buffer 1 contain any loaded pallets?",
         "Are there any loaded pallets in buffer 1?"),
        ("Does buffer 1 hold one of pallets 3 and 5?", "Is any of pallets 3 and 5 in buffer 1?"),
        ("Which pallets are taller than 1 m and empty?",
         "Which empty pallets are taller than 1 m?"),
        ("Of the pallets in buffer 1, how many are empty?",
         "How many empty pallets are in buffer 1?"),
        ("Is pallet 3 in front of shelf 80 and in front of shelf 80?",
         "Is pallet 3 in front of shelf 80?"),
        ("Is the distance from pallet 3 to pallet 5 more than 2 m?",
         "Is pallet 3 more than 2 m from pallet 5?"),
        ("What is on top of transporter 60?", "What is on transporter 60?"),
        ("Is it false that pallet 3 is in buffer 1?", "Is pallet 3 not in buffer 1?"),
        ("Is transporter 60 among the objects in buffer 1?", "Is transporter 60 in buffer 1?"),
        ("Which of the two buffers is empty?", "Which buffer is empty?"),
    ],
)  # fmt: skip
def test_two_questions_of_one_meaning_are_one_program(asked, same):
    assert read_text(asked, HALL).program == read_text(same, HALL).program


@pytest.mark.parametrize(
    ("asked", "understood"),
    [
        # Other objects may stand there; what a shelf holds does not make it empty.
        ("Are there no pallets in buffer 1?", "pallets"),
        ("Is there anything on shelf 80?", "objects"),
        ("Is there any pallet among the objects in buffer 1?", "pallet"),
        # A shelf is above and below, and in no order of what it holds.
        ("Is pallet 3 among the pallets and transporters?", "among"),
    ],
)
def test_what_says_less_or_more_keeps_its_form(asked, understood):
    assert understood in say(read_text(asked, HALL).program, HALL)
