"""Numbers, brackets and signs as people type them are read as they are meant, or refused."""

from __future__ import annotations

import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language.question import read_question
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

REGIONS = RegionSet(
    (120, 160),
    (
        Region.from_box(1, "buffer", Box(50, 90, 60, 30)),
        Region.from_box(10, "pallet", Box(20, 50, 20, 20)),
        Region.from_box(11, "pallet", Box(120, 50, 20, 20)),
    ),
)
APART = "How far is pallet 10 from pallet 11?"


def understood(text: str) -> str:
    program = read_question(text, REGIONS).program
    assert program is not None
    return say(program, REGIONS)


@pytest.mark.parametrize(
    ("length", "meters"),
    [
        ("1,200 mm", "1.2 m"),
        ("12,500mm", "12.5 m"),
        ("1,200 millimeters", "1.2 m"),
        ("1,200 millimetres", "1.2 m"),
        ("1,2 m", "1.2 m"),
        ("0,125 m", "0.125 m"),
        ("1.125 m", "1.125 m"),
        ("12.5 mm", "0.0125 m"),
    ],
)
def test_lengths_of_thousands(length: str, meters: str) -> None:
    asked = f"Is the gap between pallet 10 and pallet 11 more than {length}?"
    assert understood(asked) == (
        f"Is the clearance between pallet 10 and pallet 11 more than {meters}?"
    )


def test_a_robot_of_thousand_millimeters() -> None:
    asked = "Does a 1,200 mm wide robot fit between pallet 10 and pallet 11?"
    assert understood(asked).endswith("at least 1.2 m?")
    german = "Ist der Abstand zwischen Palette 10 und Palette 11 gr\u00f6\u00dfer als 1,200 mm?"
    assert understood(german) == "Is pallet 10 more than 1.2 m from pallet 11?"


@pytest.mark.parametrize("length", ["1,250 m", "1,200 cm", "1.200 mm", "5,000 feet", "1,000 yards"])
def test_lengths_that_may_be_thousands(length: str) -> None:
    with pytest.raises(SpatialError, match="without a separator") as caught:
        read_question(f"How many pallets are within {length} of pallet 10?", REGIONS)
    assert caught.value.status is Status.BAD_QUESTION


@pytest.mark.parametrize(
    "text",
    [
        "How far is <region10> from <region 11>?",
        "How far is <Region_10> from <region #11>?",
        "How far is [Region 10] from Region [11]?",
        "How far is pallet\u201210 from pallet\u201211?",
    ],
)
def test_regions_in_brackets(text: str) -> None:
    assert understood(text) == APART


@pytest.mark.parametrize("text", ["<mask1>", "<obj10>", "<|im_end|>", "<pallet 10>"])
def test_other_placeholders_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(SpatialError, match='such as "pallet 3"') as caught:
        read_question(f"How far is {text} from pallet 11?", REGIONS)
    assert caught.value.status is Status.BAD_QUESTION
