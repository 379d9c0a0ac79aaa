"""Rare words are read as common ones where a question has no reading, never otherwise."""

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.synonyms import make_synonyms
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

FRAME = RegionSet(
    (100, 100),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate({1: "buffer", 3: "pallet", 5: "pallet"}.items())
    ),
)


def test_the_longest_phrase_is_replaced():
    table = make_synonyms([("height", "vertical extent | extent"), ("nearest", "closest by")])
    assert table.texts("Vertical extent of the one closest-by?") == ["height of the one nearest?"]


def test_a_text_of_common_words_stays():
    assert make_synonyms([("height", "extent")]).texts("how tall is pallet 3") == []


def test_a_verb_keeps_its_form():
    table = make_synonyms([("stand/stands/standing/standing~", "perch lie/lies/lying/lain")])
    said = table.texts("one perches, two perch, three are perching, perched and lain")
    assert said == ["one stands, two stand, three are standing, standing and standing"]


def test_a_word_of_two_meanings_gives_both():
    table = make_synonyms([("behind", "beyond"), ("farther than", "beyond")])
    assert table.texts("what is beyond it") == ["what is behind it", "what is farther than it"]


def test_two_meanings_are_refused(monkeypatch):
    table = make_synonyms([("left of", "yonder"), ("right of", "yonder")])
    lexicon = load_lexicon("english")
    monkeypatch.setitem(lexicon.__dict__, "synonyms", table)
    with pytest.raises(SpatialError, match=r"left of pallet 5.*right of pallet 5"):
        read_text("Is pallet 3 yonder pallet 5?", FRAME)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("How far is the nearest pallet?", "nearest to the camera"),
        ("Is pallet 3 taller than the nearest pallet?", "nearest to the camera"),
        ("Is pallet 3 farther than the closest pallet?", "nearest to the camera"),
        ("How tall is the farthest pallet?", "farthest from the camera"),
        ("Is pallet 3 left of the second nearest pallet?", "second nearest to the camera"),
        ("How many pallets are within 2 m of the most distant pallet?", "farthest from the camera"),
        ("Is the least distant pallet in buffer 1?", "nearest to the camera"),
        ("How wide is the remotest pallet?", "farthest from the camera"),
    ],
)
def test_what_is_nearest_without_a_place_is_worded_as_nearest_to_the_camera(text, meaning):
    assert meaning in say(read_text(text, FRAME).program, FRAME)
