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
        ("Does buffer 1 hold pallets?", "holding pallets"),
    ],
)
def test_what_says_less_or_more_keeps_its_form(asked, understood):
    assert understood in say(read_text(asked, HALL).program, HALL)
