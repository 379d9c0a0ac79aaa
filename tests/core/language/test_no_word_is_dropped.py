"""A word that changes what is asked changes the program, or the question is refused."""

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((3, 7, 8), "pallet"),
    **dict.fromkeys((5, 10), "transporter"),
    **dict.fromkeys((6, 14), "shelf"),
}
REGIONS = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)
QUESTIONS = (
    "How far is pallet 3 from buffer 1",
    "How much space is there between pallet 3 and shelf 6",
    "gap pallet 3 pallet 7",
    "How many pallets are in buffer 1",
    "Which pallet is nearest to transporter 5",
    "Which of pallets 3 and 7 is the tallest",
    "Which is closer to the camera, pallet 3 or pallet 7",
    "Is pallet 3 left or right of pallet 7",
    "Is pallet 3 in buffer 1",
    "Which pallets are taller than 1.5 m",
    "Which buffer has the most pallets",
    "How much farther is pallet 3 than pallet 7 from the camera",
    "Does a 1.2 m wide robot fit between pallet 3 and pallet 7",
    "Could you please tell me which pallet is the tallest",
)
WORDS = ("not", "except", "damaged", "yesterday", "second", "almost", "average", "half")
RESTRICTIONS = (
    "except pallet 8",
    "excluding the empty ones",
    "only the damaged ones",
    "including pallet 8",
    "yesterday",
    "if pallet 8 was removed",
    "once pallet 8 is gone",
    "on average",
    "but not the loaded ones",
    "and which one is empty",
    "or maybe pallet 8",
    "measured along the shelf",
    "when seen from shelf 14",
    "going around shelf 14",
    "and back",
    "on the left side",
    "on the shelf",
    "unless it is empty",
    "assuming it is empty",
    "in the other hall",
)
OPENINGS = (
    "Except for pallet 8,",
    "Excluding the loaded ones,",
    "If pallet 8 were removed,",
    "For loaded pallets,",
    "Of the damaged ones,",
    "On average,",
    "Seen from shelf 14,",
    "Yesterday,",
)


def meaning(text: str) -> Program | None:
    """The program of a question; None for one that is refused."""
    try:
        return read_text(text, REGIONS).program
    except SpatialError:
        return None


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_word_is_dropped(question: str) -> None:
    read, words = meaning(question), question.split()
    assert read is not None
    longer = [
        " ".join([*words[:place], word, *words[place:]])
        for word in WORDS
        for place in range(len(words) + 1)
    ]
    assert [text for text in longer if meaning(text) == read] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_restriction_is_dropped(question: str) -> None:
    read = meaning(question)
    longer = [f"{question}{comma} {words}?" for words in RESTRICTIONS for comma in ("", ",")]
    longer += [f"{words} {question[0].lower()}{question[1:]}?" for words in OPENINGS]
    assert [text for text in longer if meaning(text) == read] == []
