"""A rewording is passed over only where its pattern cannot fit."""

from pathlib import Path

import pytest

from smolrgpt_core.language.grammar import GrammarError
from smolrgpt_core.language.lexicon import LANGUAGES, load_lexicon
from smolrgpt_core.language.rewording import (
    in_lower_case,
    needed_letters,
    read_classes,
    read_rewordings,
    replaced,
    reworded,
)

DATA = Path(__file__).parents[2] / "data" / "language"


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        (r"\bround about\b", (("round about",),)),
        (r"^pallets? ids?\b", (("pallet",), (" id",))),
        (r"\b(left|right) side\b", ((" side",), ("left", "right"))),
        (r"\b(?:nearest|closest)(?: one)?$", (("nearest", "closest"),)),
        (r"\b(?:nearest|closest)?\d", ()),
        (r"fast|slow", ()),
        (r"where \w{2,9} lies", (("where ",), (" lies",))),
        (r"\b(?=(?:nearest|closest))\w+", ()),
        (r"(?<=\d) ?< ?", (("<",),)),
        (r"\bp-?(?=\d)", ()),
        (r"\(pallet[s ]\)", (("(pallet",), (")",))),
        (r"\d (?:(?:no|wait)|sorry)", (("no", "wait", "sorry"),)),
    ],
)
def test_needed_letters(pattern, needed):
    assert needed_letters(pattern) == needed


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_reworded_without_the_letters_that_are_needed(language):
    rewordings = load_lexicon(language).rewordings
    lines = [
        line
        for file in sorted(DATA.glob("*.txt"))
        for line in file.read_text("utf-8").splitlines()[::10]
    ]
    for line in lines:
        text = line
        for rewording in rewordings:
            text = replaced(
                rewording.pattern, rewording.replacement, text, in_lower_case(text),
                rewording.numbers,
            )  # fmt: skip
        assert reworded(line, rewordings) == text.strip()


def test_a_line_without_a_replacement_is_refused():
    with pytest.raises(GrammarError, match="pattern => replacement"):
        list(read_rewordings("near at hand", {}, {}))


def test_a_class_of_words_stands_for_all_of_them():
    classes = read_classes([("named", r"{pallet} \d+")], {"pallet": "pallet|box pallet"})
    (rewording,) = read_rewordings(r"^({named}) how tall => how tall is \1", classes, {})
    assert reworded("Box pallet 3 how tall", [rewording]) == "how tall is Box pallet 3"
    assert reworded("shelf 3 how tall", [rewording]) == "shelf 3 how tall"


def test_what_is_no_class_stays_in_a_pattern():
    (rewording,) = read_rewordings(r"^\{(a{2,3})\}$ => \1", {}, {})
    assert reworded("{aaa}", [rewording]) == "aaa"


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(GrammarError, match=r"got '\{shelves\}'"):
        list(read_rewordings("{shelves} => x", {"pallets": "pallets"}, {}))


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(GrammarError, match="'pallet' is there already"):
        read_classes([("pallet", "skid")], {"pallet": "pallet"})


def test_capitals_stay_in_what_is_not_replaced():
    (rewording,) = read_rewordings(r"^(\w+) (\w+)? *how tall => \2 tall \1?", {}, {})
    assert reworded("Pallet How TALL", [rewording]) == "tall Pallet?"
    assert reworded("İSTİF Seven how tall", [rewording]) == "Seven tall İSTİF?"


def test_a_number_word_is_written_in_digits():
    (rewording,) = read_rewordings(r"(one|two) point => {number \1}.", {}, {"one": 1, "two": 2})
    assert reworded("TWO point", [rewording]) == "2."
