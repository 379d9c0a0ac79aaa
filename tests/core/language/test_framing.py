"""What only wraps a question is left out; what may change it by one word is not."""

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((3, 5, 7), "pallet"),
    **dict.fromkeys((60, 61), "transporter"),
    **dict.fromkeys((80, 81), "shelf"),
}
HALL = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)
REFUSED = "refused"

PLAIN = {
    "how far is pallet 3 from buffer 1": "How far is pallet 3 from buffer 1?",
    "which pallet is nearest to shelf 80": "Which pallet is nearest to shelf 80?",
    "is pallet 3 in buffer 1": "Is pallet 3 in buffer 1?",
}
BEFORE = (
    "Judging from the depth image, ", "If you look at the picture, ", "Given what you can see, ",
    "Assuming your measurements are right, ", "In this warehouse image, ", "As things stand, ",
    "Sorry if this is obvious, but ", "Using the depth data, ", "In order to plan my route, ",
    "My nav2 planner needs this: ",
)  # fmt: skip
BEHIND = (
    ", as far as you can tell", " according to the depth image", " to make sure nothing collides",
    " so that I can plan the next move", " in your estimate", " before I start the lift",
    " if you had to guess", " given the current layout", " right this second",
)  # fmt: skip
BEFORE_EMBEDDED = (
    "It would help me to know ", "Nobody told me ", "I forgot ", "What I need to know is ",
    "I have no clue ", "Help me understand ", "I'd be interested in ",
)  # fmt: skip


def understood(text: str) -> str:
    """What a question is read as."""
    try:
        return say(read_text(text, HALL).program, HALL)
    except SpatialError:
        return REFUSED


@pytest.mark.parametrize("question", PLAIN)
@pytest.mark.parametrize("frame", BEFORE)
def test_what_stands_before_a_question_is_left_out(frame, question):
    assert understood(f"{frame}{question}?") == PLAIN[question]


@pytest.mark.parametrize("question", PLAIN)
@pytest.mark.parametrize("frame", BEHIND)
def test_what_stands_behind_a_question_is_left_out(frame, question):
    assert understood(f"{question}{frame}?") == PLAIN[question]


@pytest.mark.parametrize("frame", BEFORE_EMBEDDED)
def test_a_question_within_a_statement_is_read(frame):
    text = f"{frame}how far pallet 3 is from buffer 1."
    assert understood(text) == "How far is pallet 3 from buffer 1?"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Pallet 3, as far as you can tell, is in buffer 1?", "Is pallet 3 in buffer 1?"),
        ("It looks like pallet 3 is in buffer 1?", "Is pallet 3 in buffer 1?"),
        ("Do you see whether, roughly speaking, buffer 1 is empty?", "Is buffer 1 empty?"),
    ],
)
def test_what_stands_within_a_question_is_left_out(text, meaning):
    assert understood(text) == meaning


@pytest.mark.parametrize(
    ("text", "not_meant"),
    [
        # Each is a frame from above with one word that may say what, where, when or whether.
        ("If you look at the other picture, how many pallets are there?", "How many pallets?"),
        ("If you turn around, is pallet 3 left of pallet 5?", "Is pallet 3 left of pallet 5?"),
        ("If you look only at buffer 1, how many pallets are there?", "How many pallets?"),
        ("Looking from shelf 80, is pallet 3 left of pallet 5?", "Is pallet 3 left of pallet 5?"),
        ("Given what was here before, how many pallets are there?", "How many pallets?"),
        ("Assuming pallet 5 is gone, which pallet is the tallest?", "Which pallet is the tallest?"),
        ("Assuming your measurements are not right, is buffer 1 empty?", "Is buffer 1 empty?"),
        ("Which pallet is the tallest if you leave out pallet 3?", "Which pallet is the tallest?"),
        ("Which pallet is the tallest except the nearest one?", "Which pallet is the tallest?"),
        ("Which pallet is nearest so that only the empty ones count?",
         "Which pallet is nearest to the camera?"),
        ("Which pallet is nearest because the loaded ones do not count?",
         "Which pallet is nearest to the camera?"),
        ("How many pallets are there, or in buffer 1?", "How many pallets?"),
        ("How many pallets are there without the ones you see?", "How many pallets?"),
        ("Is pallet 3 in buffer 1 when you look again tomorrow?", "Is pallet 3 in buffer 1?"),
        ("Is pallet 3 in buffer 1 if I move it there?", "Is pallet 3 in buffer 1?"),
        ("Pallet 3 is not, as far as you can tell, in buffer 1?", "Is pallet 3 in buffer 1?"),
        ("I doubt that pallet 3 is in buffer 1?", "Is pallet 3 in buffer 1?"),
        ("It does not look like pallet 3 is in buffer 1?", "Is pallet 3 in buffer 1?"),
        ("If pallet 3 is in buffer 1, how far is it from me?", "How far is pallet 3?"),
        ("What's between pallet 3 and pallet 5 and me?", "What is between pallet 3 and pallet 5?"),
        ("Transporter 61 has something on it, hasn't it? What is it?", "Is transporter 61 loaded?"),
        ("Which pallets are in buffer 1 at the other moment?", "Which pallets are in buffer 1?"),
        ("How many pallets are in buffer 1 because of them?", "How many pallets are in buffer 1?"),
    ],
)  # fmt: skip
def test_a_frame_with_a_word_that_may_change_the_question_stays(text, not_meant):
    assert understood(text) != understood(not_meant) != REFUSED


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Nach dem Tiefenbild zu urteilen, wie weit ist Palette 3 von Puffer 1 entfernt?",
         "How far is pallet 3 from buffer 1?"),
        ("Wenn du dir das Bild ansiehst, wie viele Paletten stehen in Puffer 1?",
         "How many pallets are in buffer 1?"),
        ("Soweit du das sehen kannst, ist Palette 3 in Puffer 1?", "Is pallet 3 in buffer 1?"),
        ("Mich würde interessieren, wie hoch Palette 3 ist.", "What is the height of pallet 3?"),
        ("Wie hoch ist Palette 3, damit ich weiterplanen kann?", "What is the height of pallet 3?"),
        ("Wenn du dir nur Puffer 1 ansiehst, wie viele Paletten siehst du?", REFUSED),
        ("Wenn Palette 3 weg ist, welche Palette ist am höchsten?", REFUSED),
        ("Es sieht nicht so aus, als ob Palette 3 in Puffer 1 steht?", REFUSED),
    ],
)  # fmt: skip
def test_german_frames(text, meaning):
    assert understood(text) == meaning


@pytest.mark.parametrize("language", ["english", "german"])
def test_idle_words_name_and_compare_nothing(language):
    lexicon = load_lexicon(language)
    framing = lexicon.framing
    assert framing is not None
    nouns = {word for forms in lexicon.nouns.values() for pair in forms for form in pair
             for word in form}  # fmt: skip
    assert not framing.words & (nouns | set(lexicon.numbers) | set(lexicon.ordinals))
    assert not framing.words & {"not", "nicht", "no", "kein", "only", "nur", "than", "als", "or"}


def test_a_frame_leaves_the_unit_of_the_answer():
    read = read_text("Judging from the picture, how wide is pallet 3 in cm?", HALL)
    assert read.unit is not None
    assert read.unit[0] == "cm"
