"""What English questions mean, in many wordings, and what is refused with which words."""

import random
import re
import time
from pathlib import Path

import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.reader import MAX_WORDS, Read, read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.language.words import MAX_QUESTION_LENGTH
from smolrgpt_core.regions import Box, Region, RegionSet

WORDINGS = Path(__file__).parents[2] / "data" / "language" / "english_wordings.txt"
ENOUGH_S = 10.0
"""Far above what any sentence takes, for machines that are busy with other things."""


def make_regions(labels: dict[int, str]) -> RegionSet:
    return RegionSet(
        (100, 1000),
        tuple(
            Region.from_box(id, label, Box(10 * place, 5, 8, 8))
            for place, (id, label) in enumerate(labels.items())
        ),
    )


HALL = make_regions(
    {
        **dict.fromkeys((1, 2), "buffer"),
        **dict.fromkeys(range(10, 24), "pallet"),
        **dict.fromkeys((60, 61, 62, 63), "transporter"),
        **dict.fromkeys((80, 81), "shelf"),
    }
)
SMALL = make_regions(
    {
        1: "pallet", 2: "buffer", 3: "pallet", 4: "pallet", 5: "pallet", 6: "transporter",
        7: "pallet", 8: "transporter", 9: "shelf", 10: "buffer",
    }
)  # fmt: skip
FRAMES = {"hall": HALL, "small": SMALL}


def wordings() -> list[tuple[str, str, tuple[int, ...], str]]:
    """Frame, question, ids of its placeholders, and what it means."""
    found, frame, question = [], "", ""
    for line in WORDINGS.read_text(encoding="utf-8").splitlines():
        if line.startswith("# frame: "):
            frame = line.removeprefix("# frame: ")
        elif line.startswith(" "):
            ids = re.match(r"((?:\d+ )+)\| ", question)
            text = question[ids.end() :] if ids else question
            numbers = tuple(map(int, ids.group(1).split())) if ids else ()
            found.append((frame, text, numbers, line.strip()))
        elif line and not line.startswith("#"):
            question = line
    return found


def in_words(read: Read, regions: RegionSet) -> str:
    unit = f" [{read.unit[0]}]" if read.unit else ""
    return say(read.program, regions) + unit


def canonical(meaning: str, regions: RegionSet) -> str:
    """The canonical sentence for a plain one, which may name a unit in brackets behind it."""
    sentence, *unit = re.split(r" (?=\[[a-z0-9 %']+\]$)", meaning)
    return " ".join([say(read_text(sentence, regions).program, regions), *unit])


@pytest.mark.parametrize(
    ("frame", "text", "ids", "meaning"), wordings(), ids=[item[1] for item in wordings()]
)
def test_a_wording_means(frame, text, ids, meaning):
    read = read_text(text, FRAMES[frame], ids)
    assert in_words(read, FRAMES[frame]) == canonical(meaning, FRAMES[frame])
    assert read_text(say(read.program, FRAMES[frame]), FRAMES[frame]).program == read.program


def refusal(text: str, regions: RegionSet = SMALL, ids: tuple[int, ...] = ()) -> SpatialError:
    with pytest.raises(SpatialError) as caught:
        read_text(text, regions, ids)
    assert caught.value.status in (Status.BAD_QUESTION, Status.UNKNOWN_REGION)
    return caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # What no picture tells.
        ("How heavy is pallet 3?", '"heavy": weights cannot be seen'),
        ("How many pallets can buffer 2 hold?", "how many more pallets fit"),
        ("How many pallets could be placed in buffer 2?", "how many more pallets fit"),
        ("How many pallets may buffer 2 contain?", '"may": what is possible'),
        ("How many pallets will be in buffer 2?", '"will": only the present'),
        ("How far can transporter 6 see?", '"can": what is possible'),
        ("How close can transporter 6 be to pallet 3?", '"can": what is possible'),
        ("Which buffer can hold pallet 3?", '"can": what is possible'),
        ("Where was pallet 3 before?", '"was": only the present'),
        ("Which pallet should I pick first?", '"should": what ought to be done'),
        ("which pallet is the best", '"best": what ought to be done'),
        ("Is transporter 6 moving?", "one picture does not tell movement"),
        ("What is transporter 6 facing?", "only a front faces something"),
        # What has no one meaning.
        ("the second pallet", "in what order?"),
        ("Tell me the number of pallets placed in the second buffer.", "in what order?"),
        ("Which pallets are near pallet 3?", "how near is meant?"),
        ("Is pallet 3 next to pallet 4?", "how near is meant?"),
        ("What is directly in front of transporter 6?", "not defined"),
        ("How much higher is pallet 3 than pallet 4?", "its top or its middle"),
        ("Is pallet 3 as tall as pallet 4?", "never exactly equal"),
        ("Is pallet 3 loaded or empty?", "one of the two is always true"),
        ("which pallet is not nearest to buffer 2", "no single answer"),
        ("Is pallet 3 bigger than 2 m?", "larger in which direction?"),
        # Pronouns that refer to nothing.
        ("how many pallets are in it", "nothing was mentioned before"),
        ("How far is that from pallet 3?", "nothing was mentioned before"),
        ("How far are those from buffer 2?", "several distances"),
        ("What is the distance from it to pallet 3?", "nothing was mentioned before"),
        ("Given transporter 6, how far is pallet 3?", "says nothing about transporter 6"),
        # More than one thing at once.
        ("how far is pallet 3 from pallet 4 and pallet 5", "several distances"),
        ("How far is pallet 3 from buffers 2 and 10?", "several distances"),
        # Not one of the regions that are only a place here.
        ("How many pallets among buffers 2 and 10?", "of another class"),
        ("What is the tallest pallet of buffers 2 and 10?", "of another class"),
        ("The nearest pallet from buffer 2 or 10?", "of another class"),
        ("Which of the pallets of buffers 2 and 10 is nearest?", "of another class"),
        # Without its end, each of these would be another question: how far apart the two are.
        ("How far are pallets 3 and 4 from the camera?", "several distances"),
        ("How far are pallet 3 and pallet 4 away from you?", "several distances"),
        ("From the camera, how far are pallets 3 and 4?", "several distances"),
        ("How distant are pallets 3 and 4 from the camera?", '"from camera"'),
        ("What is the range of pallets 3 and 4 from the camera?", '"from camera"'),
        ("How far is it to pallets 3 and 4?", "several distances"),
        ("distance to pallets 3 and 4", "several distances"),
        ("Distance from the camera to pallets 3 and 4?", "several distances"),
        ("How far are pallets 3, 4 and 5 apart?", "two regions are needed"),
        ("Is pallet 3 in buffer 2 and pallet 4 in buffer 10?", "two things at once"),
        ("how many pallets are in buffer 2 and how many are not", '"how many are not"'),
        ("How far is pallet 3 and how wide is it?", '"how wide is it"'),
        # Ids.
        ("how far is pallet 2 from pallet 3", "region 2 is a buffer, no pallet"),
        ("how far is pallet 42 from buffer 2", "pallet 7; transporter 8"),
        ("how far is pallet 99999999999999999999 from buffer 2", "pallet 7; transporter 8"),
        ("how far is [Region 0] from us", "pallet 7; transporter 8"),
        ("how far is pallet 3 from pallet 3", "both sides"),
        ("how many of pallets 3, 4 and 3 are in buffer 2", "named twice"),
        # Words and signs in the way.
        ("how far is pallet 3 from the moon", '"moon"'),
        ("how far is pallet 3 from", "something is missing at the end"),
        ("what is the distance between pallet 3", "something is missing at the end"),
        ("how far is pallet 3 in buffer 2", '"in buffer 2"'),
        ("which pallet is nearest to pallet 3 or pallet 4", '"or pallet 4"'),
        ("which of pallets 3-5 is leftmost", '"-"'),
        ("which of pallets 3 to 5 is leftmost", '"to 5'),
        ("how far is pallet -3 from buffer 2", '"-"'),
        ("how far is pallet 3.5 from buffer 2", '"3.5'),
        ("how far is pallet \uff13 from buffer 2", '"\uff13'),
        ("how far is pallet \U0001f642 3", "\U0001f642"),
        ("hello", "something is missing at the end"),
        ("pallet 3", "something is missing at the end"),
        ("", "empty"),
    ],
)
def test_refuses_and_says_why(text, words):
    assert words in refusal(text).message


@pytest.mark.parametrize(
    "text",
    [
        "how far is pallet 3 from the moon", "how many bananas are there", "who did it",
        "is pallet 3 sleepy", "zeige mir pallet 3",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_answered_with_an_example_that_works(text):
    example = refusal(text).message.rsplit("this would work: ", 1)[1].strip('"')
    assert read_text(example, SMALL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("how far is pallet 3 from <|image|>", '"<|image|>"'),
        ("how far is pallet 3<|im_end|>", '"<|im_end|>"'),
        ("how far is <mask_rgb><mask_depth>", '"<mask_rgb><mask_depth>"'),
        ("how far is\x00 pallet 3", "U+0000"),
        ("how far is pallet 3\u202e from buffer 2", "U+202E"),
        ("how far is pallet 3" + " " * 10_000, str(MAX_QUESTION_LENGTH)),
        ("x" * 2000, "xxx"),
        ("pallet " * 249, "too many ways"),
        ("a " * 999, ""),
        ("is it " * 300, f"at most {MAX_WORDS}"),
        (f"How far is {MASK}?" * 64, "64 <mask> but 0 region ids"),
    ],
)
def test_hostile_text_is_refused(text, words):
    assert words in refusal(text).message


def test_every_mask_needs_an_id():
    assert "2 <mask> but 1 region ids" in refusal("Is <mask> left of <mask>?", ids=(3,)).message


NESTED = (
    "the pallet in the buffer nearest to ", "(the pallet left of ", "pallets that are in ",
    "pallet 3 and ", "not (", "a pallet with a height of more than the height of ",
    "in buffer 2 or ", "the sum of ", "on ", "one of ", "((", "which pallet is ", "to the left of ",
)  # fmt: skip


@pytest.mark.parametrize("words", NESTED)
@pytest.mark.parametrize("times", [10, 40, 100])
def test_deep_nesting_ends_in_bounded_time(words, times):
    text = ("Is pallet 3 in " + words * times + "pallet 4")[:MAX_QUESTION_LENGTH]
    started = time.perf_counter()
    with pytest.raises(SpatialError):
        read_text(text + "!?", SMALL)
    assert time.perf_counter() - started < ENOUGH_S


SALAD = (
    "pallet|pallets|buffer|the|nearest|closest|to|from|of|in|not|which|many|is|are|left|right|and|"
    ",|3|4|2|#5|<mask>|[Region 3]|leftmost|second|transporter|empty|given|among|between|count|"
    "camera|robot|one|two|but|pickup|optimal|for|by|contain|region|most|further|than|middle|"
    "which side|how far|how many|but one|from the left|that|on|taller|with|distance|it|other|3 m"
)


def read_or_refuse(text: str, ids: tuple[int, ...]) -> Program | Status:
    try:
        return read_text(text, SMALL, ids).program
    except SpatialError as error:
        return error.status


def test_word_salad_is_refused_or_has_one_meaning_that_can_be_worded():
    words = SALAD.split("|")
    generator = random.Random(0)
    understood = 0
    for _ in range(2000):
        text = " ".join(generator.choices(words, k=generator.randint(2, 8)))
        ids = tuple(generator.choices((2, 3, 4, 6), k=text.count(MASK)))
        program = read_or_refuse(text, ids)
        if isinstance(program, Status):
            assert program in (Status.BAD_QUESTION, Status.UNKNOWN_REGION), text
            continue
        understood += 1
        assert read_text(say(program, SMALL), SMALL).program == program, text
    assert understood


@pytest.mark.parametrize(
    ("text", "ids", "meaning"),
    [
        ("How far is <mask> from <mask>?", (0, 3), "How far is region 0 from region 3?"),
        ("How far is the buffer <mask> from the pallet <mask>?", (0, 3),
         "How far is region 0 from region 3?"),
        ("How many of <mask>, <mask> are in <mask>?", (0, 3, 1),
         "How many of regions 0 and 3 are in region 1?"),
        ("Which of <mask> <mask> is nearest to <mask>?", (0, 3, 1),
         "Which of regions 0 and 3 is nearest to region 1?"),
        ("how far is pallet 0 from region 1", (), "How far is region 0 from region 1?"),
    ],
)  # fmt: skip
def test_regions_without_labels(text, ids, meaning):
    regions = make_regions(dict.fromkeys(range(4), ""))
    assert in_words(read_text(text, regions, ids), regions) == meaning


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("how many people do you see", "How many persons are there?"),
        ("how many boxes are in dock 7", "How many boxes are in dock 7?"),
        ("nearest person to the traffic cone", "Which person is nearest to the traffic cone?"),
        # A label of the frame is said as it is spelled.
        ("how many racks do you see", "How many racks are there?"),
        ("how many shelves do you see", "How many shelves are there?"),
    ],
)
def test_labels_of_the_frame_are_words(text, meaning):
    regions = make_regions(
        {1: "traffic_cone", 2: "person", 4: "rack", 5: "person", 6: "shelf", 7: "dock", 8: "box"}
    )
    assert in_words(read_text(text, regions), regions) in (
        meaning, meaning.replace("persons", "people"),
    )  # fmt: skip


def test_the_robot_is_the_camera_unless_an_id_or_a_question_word_says_otherwise():
    assert in_words(read_text("how far is pallet 3 from the robot", SMALL), SMALL) == (
        "How far is pallet 3 from the camera?"
    )
    assert in_words(read_text("how far is robot 6 from us", SMALL), SMALL) == (
        "How far is transporter 6 from the camera?"
    )
    assert in_words(read_text("which robot is nearest to pallet 3", SMALL), SMALL) == (
        "Which transporter is nearest to pallet 3?"
    )


@pytest.mark.parametrize(
    ("typo", "right"),
    [
        ("How far is plalet 3 from bufer 2?", "How far is pallet 3 from buffer 2?"),
        ("Wich palet is naerest to buffer 2?", "Which pallet is nearest to buffer 2?"),
    ],
)
def test_one_edit_in_a_long_word_is_corrected(typo, right):
    assert in_words(read_text(typo, SMALL), SMALL) == right
