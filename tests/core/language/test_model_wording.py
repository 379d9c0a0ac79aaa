"""What models are asked, and what no model is asked."""

import pytest

from smolrgpt_core.language import read_question
from smolrgpt_core.language.model_wording import masked_question
from smolrgpt_core.regions import Box, Region, RegionSet

REGIONS = RegionSet(
    (100, 100),
    (
        Region.from_box(1, "buffer", Box(0, 60, 90, 30)),
        Region.from_box(3, "pallet", Box(10, 10, 20, 20)),
        Region.from_box(4, "pallet", Box(50, 10, 20, 20)),
    ),
)


@pytest.mark.parametrize(
    ("text", "is_asked"),
    [
        ("How many of the pallets are in buffer 1?", True),
        ("What percentage of the pallets is in buffer 1?", False),
        ("Are more than 50 % of the pallets in buffer 1?", False),
        ("What color is pallet 3?", False),
    ],
)
def test_no_model_is_asked_what_none_was_trained_on(text: str, is_asked: bool) -> None:
    program = read_question(text, REGIONS).program
    assert program is not None
    assert (masked_question(program, REGIONS) is not None) is is_asked
