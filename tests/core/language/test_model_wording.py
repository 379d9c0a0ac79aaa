"""What models are asked, and what no model is asked."""

import re
from pathlib import Path

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


WORDINGS = Path(__file__).parents[2] / "data" / "language" / "model_wordings.txt"
"""One question of the training data of the packaged model for each form and shape."""


def regions_of(text: str) -> RegionSet:
    """A region of the right class for each `<mask>` of a question, numbered from 1."""
    classes = []
    for noun, masks in re.findall(r"(pallet|buffer|shel|transporter)[a-z]*((?: <mask>)+)", text):
        classes += ["shelf" if noun == "shel" else noun] * masks.count("<mask>")
    regions = [
        Region.from_box(id, label, Box(10 * id, 10, 8, 8)) for id, label in enumerate(classes, 1)
    ]
    return RegionSet((100, 1000), tuple(regions))


@pytest.mark.parametrize("text", WORDINGS.read_text().splitlines())
def test_a_model_is_asked_in_the_words_it_was_trained_on(text: str) -> None:
    regions = regions_of(text)
    ids = tuple(region.id for region in regions)
    program = read_question(text, regions, region_ids=ids).program
    assert program is not None
    asked = masked_question(program, regions, looks=True)
    assert asked is not None
    assert (asked.text, asked.region_ids) == (text, ids)


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
