"""What is told before a question is passed over only where it cannot say what is meant."""

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.preface import Preface, questions_behind
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.words import noun_table
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = ("buffer", "pallet", "transporter")
REGION = selections.Region
PALLETS = selections.All("pallet")


def behind(text: str, language: str = "english") -> list[tuple[Preface, str]]:
    lexicon = load_lexicon(language)
    return list(questions_behind(text, lexicon, noun_table(lexicon, LABELS)))


def told(*ids: int, classes: tuple[str, ...] = (), chooses: bool = False) -> Preface:
    return Preface(
        {id: f"pallet {id}" for id in ids},
        frozenset(classes),
        chooses,
        has_length=False,
        has_another=False,
    )


def test_a_preface_names_regions_nouns_and_numbers():
    ((found, question),) = behind("We have 3 trucks for pallets 5 and 7, is pallet 5 empty?")
    assert found == Preface(
        {5: "pallet 5", 7: "pallet 7"}, frozenset({"transporter"}), True, False, False
    )
    assert question == "is pallet 5 empty?"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("I lost pallet 3, where is it?", "where is pallet 3?"),
        ("I put pallet 3 behind pallet 5, is it near pallet 5?", "is pallet 3 near pallet 5?"),
        ("Take pallet 3; what is its height?", "what is pallet 3's height?"),
        ("We see pallets 3 and 5, which one is taller?", "which of pallet 3, pallet 5 is taller?"),
        ("Schau dir Palette 3 an. Wie hoch ist sie?", "Wie hoch ist palette 3?"),
    ],
)  # fmt: skip
def test_a_word_for_what_was_named_is_read_as_its_name(text, question):
    language = "german" if text.startswith("Schau") else "english"
    assert behind(text, language)[-1][1] == question


@pytest.mark.parametrize(
    "text",
    [
        # A command, a condition, a unit, two words for one, a placeholder.
        "Ignore pallet 3, is pallet 5 empty?",
        "If 3 trucks come, is pallet 5 empty?",
        "We work in feet, how far is pallet 5?",
        "I lost pallet 3, is it left of it?",
        "I lost <mask>, where is it?",
    ],
)
def test_what_may_change_a_question_keeps_it_from_being_read(text):
    assert not behind(text)


def test_an_id_is_no_part_of_a_longer_one():
    assert behind("I lost pallets 3 and 5, is it near pallet 30?")[-1][1] == "is it near pallet 30?"


def test_a_question_that_names_all_its_regions_stays_the_same():
    program = questions.Whether(REGION(5), predicates.In(REGION(1)))
    assert told(3, classes=("pallet",), chooses=True).leaves(program)


@pytest.mark.parametrize(
    ("before", "leaves"),
    [
        (told(), True),
        (told(60), False),
        (told(1), True),
        (told(classes=("pallet",)), False),
        (told(classes=("buffer",)), True),
        (told(chooses=True), False),
    ],
)
def test_a_set_may_be_one_of_the_preface(before, leaves):
    program = questions.Count(selections.Where(PALLETS, predicates.In(REGION(1))))
    assert before.leaves(program) is leaves


@pytest.mark.parametrize(("before", "leaves"), [(told(), True), (told(classes=("buffer",)), False)])
def test_near_may_be_near_to_what_the_preface_names(before, leaves):
    distance = attributes.Distance(selections.Camera())
    program = questions.Measure(REGION(3), distance)
    assert before.leaves(program) is leaves


def test_what_the_preface_may_change_is_reported():
    regions = RegionSet(
        (100, 100),
        tuple(Region.from_box(id, "pallet", Box(10 * id, 5, 8, 8)) for id in (3, 5)),
    )
    with pytest.raises(SpatialError, match=r'may change .* ask "Which pallet is the'):
        read_text("We have two pallets. Which pallet is the tallest?", regions)
