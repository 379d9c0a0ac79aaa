"""Refusals name what is in the way, and propose a question that works on the same frame."""

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((10, 11, 12), "pallet"),
    **dict.fromkeys((60, 61), "transporter"),
    80: "shelf",
}
HALL = RegionSet(
    (100, 200),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)


def message(text: str) -> str:
    with pytest.raises(SpatialError) as refused:
        read_text(text, HALL)
    return refused.value.message


def proposed(text: str) -> str:
    return message(text).rsplit('this would work: "', 1)[1].removesuffix('"')


@pytest.mark.parametrize(
    ("text", "question"),
    [
        # The regions and classes of the question.
        ("Is pallet 12 parallel to pallet 11?", "Is pallet 12 in buffer 1?"),
        ("What is the shortest path to pallet 12?", "How far is pallet 12 from the camera?"),
        ("Move pallet 12 to buffer 2.", "How far is pallet 12 from buffer 2?"),
        ("Can transporter 61 carry pallet 12?", "Is transporter 61 empty?"),
        ("How many wheels does transporter 60 have?", "How many transporters are in buffer 1?"),
        ("Which transporter is nearest to the door?",
         "Which transporter is nearest to the camera?"),
        ("Which pallet should I pick first?", "Which pallet is nearest to the camera?"),
        ("How far is pallet 12 from the wall?", "How far is pallet 12 from the camera?"),
        ("Wie weit ist Palette 12 vom Tor?", "How far is pallet 12 from the camera?"),
        # One of two questions; a word that is not known but like another; words left out.
        ("How far and how tall is pallet 12?", "What is the height of pallet 12?"),
        ("What is the heigth of pallet 12 exactlyy?", "What is the height of pallet 12?"),
        ("Why is pallet 12 in buffer 1?", "Is pallet 12 in buffer 1?"),
    ],
)  # fmt: skip
def test_proposes_what_is_like_the_question(text: str, question: str) -> None:
    assert proposed(text) == question


@pytest.mark.parametrize(
    "text",
    [
        "asdf qwer", "pallets", "buffer 1", "Please stop.", "How frobnicated is buffer 2?",
        "Which pallet is the most dangerous?", "What is the diagonal of shelf 80?",
        "How long does it take to reach pallet 12?", "How many pallets are bigger?",
        "Wie gefährlich ist Palette 12?", "Which of pallets 10 and 11 is prettier?",
    ],
)  # fmt: skip
def test_what_is_proposed_reads_back(text: str) -> None:
    question = proposed(text)
    assert say(read_text(question, HALL).program, HALL) == question


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("How many crates are there?", "classes: buffer, pallet, shelf, transporter"),
        ("Combien de palettes dans la zone 1?", "another language than English and German"),
        ("How tall is pallet 99?", "its regions are: buffer 1, 2; pallet 10, 11, 12;"),
        ("How tall is pallet 60?", "the pallet regions are: pallet 10, 11, 12"),
    ],
)
def test_says_what_there_is_instead(text: str, words: str) -> None:
    assert words in message(text)
