"""What a question means, and what is refused, on one frame with every class."""

import random
from dataclasses import fields

import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import (
    MASK,
    MAX_QUESTION_LENGTH,
    Category,
    Choice,
    Criterion,
    Load,
    SpatialQuestion,
    read_question,
)
from smolrgpt_core.regions import Box, Region, RegionSet

DISTANCE, COUNT, LEFT_RIGHT, MCQ = Category
NEAREST, FARTHEST = Criterion.NEAREST, Criterion.FARTHEST
LEFTMOST, RIGHTMOST = Criterion.LEFTMOST, Criterion.RIGHTMOST
PALLETS = (1, 3, 4, 5, 7)


def make_regions(labels: dict[int, str]) -> RegionSet:
    regions = [
        Region.from_box(id, label, Box(10 * position, 5, 8, 8))
        for position, (id, label) in enumerate(labels.items())
    ]
    return RegionSet((100, 1000), tuple(regions))


REGIONS = make_regions(
    {
        1: "pallet",
        2: "buffer",
        3: "pallet",
        4: "pallet",
        5: "pallet",
        6: "transporter",
        7: "pallet",
        8: "transporter",
        9: "shelf",
        10: "buffer",
    }
)

# Text, region ids, and every field of the question that is not at its default.
READABLE = [
    # Distance: two objects, in every way to name them.
    ("how far is pallet 3 from buffer 2", (), DISTANCE, (3,), (2,), {}),
    ("What is the distance between pallet 3 and the pallet 4?", (), DISTANCE, (3,), (4,), {}),
    ("How many metres apart are pallets 3 and 4?", (), DISTANCE, (3,), (4,), {}),
    ("how many meters apart are pallet 3 and pallet 4", (), DISTANCE, (3,), (4,), {}),
    ("measure the gap between pallet 3 and 4", (), DISTANCE, (3,), (4,), {}),
    ("How far is pallet3 from buffer #2?", (), DISTANCE, (3,), (2,), {}),
    ("how far is pallet-3 from buffer number 2", (), DISTANCE, (3,), (2,), {}),
    ("how far is [Region 3] from [region 4]", (), DISTANCE, (3,), (4,), {}),
    ("how far is Region [3] from region[4]", (), DISTANCE, (3,), (4,), {}),
    ("how far is pallet [3] from buffer [2]", (), DISTANCE, (3,), (2,), {}),
    ("how far is pallet 3 from pallet 4?\n<image>", (), DISTANCE, (3,), (4,), {}),
    ("<image>\n<image> how far is pallet 3<image>from pallet 4", (), DISTANCE, (3,), (4,), {}),
    ("how far is region 3 from region 4?", (), DISTANCE, (3,), (4,), {}),
    ("how far is <mask> from the pallet <mask>?", (3, 4), DISTANCE, (3,), (4,), {}),
    ("how far is pallet 3 from <mask>?", (4,), DISTANCE, (3,), (4,), {}),
    ("<image>\nHow far is skid 3 from AGV 6?", (), DISTANCE, (3,), (6,), {}),
    ("HOW FAR IS PALLET 3 FROM RACK 9", (), DISTANCE, (3,), (9,), {}),
    ("Given pallets 3 and 4, how far apart are they?", (), DISTANCE, (3,), (4,), {}),
    ("How far apart are the two buffers?", (), DISTANCE, (2,), (10,), {}),
    ("How far is pallet 3 from the shelf?", (), DISTANCE, (3,), (9,), {}),
    # A buffer is the anchor, whatever the order.
    ("What is the distance from buffer 2 to pallet 3?", (), DISTANCE, (3,), (2,), {}),
    ("From zone 2, how far is pallet 3?", (), DISTANCE, (3,), (2,), {}),
    # To the camera.
    ("How far away is pallet 3?", (), DISTANCE, (3,), (), {}),
    ("how far is pallet 3 from the robot", (), DISTANCE, (3,), (), {}),
    ("What's the distance between the camera and pallet 3?", (), DISTANCE, (3,), (), {}),
    ("how far is robot 6 from us", (), DISTANCE, (6,), (), {}),
    # One of several.
    (
        "How far is pallet 3 from the empty transporter?",
        (),
        DISTANCE,
        (3,),
        (6, 8),
        {"anchor_load": Load.EMPTY},
    ),
    (
        "How far is the leftmost pallet from the buffer closest to shelf 9?",
        (),
        DISTANCE,
        PALLETS,
        (2, 10),
        {"target_choice": Choice(LEFTMOST), "anchor_choice": Choice(NEAREST, 1, (9,))},
    ),
    (
        "How far is the second nearest pallet from buffer 2?",
        (),
        DISTANCE,
        PALLETS,
        (2,),
        {"target_choice": Choice(NEAREST, 2, (2,))},
    ),
    ("How far is the nearest pallet?", (), DISTANCE, PALLETS, (),
     {"target_choice": Choice(NEAREST)}),
    # Count.
    ("how many pallets are in buffer 2", (), COUNT, PALLETS, (2,), {}),
    ("How many box pallets are standing on the masked buffer 2?", (), COUNT, PALLETS, (2,), {}),
    ("count the number of pallets inside buffer zone 2", (), COUNT, PALLETS, (2,), {}),
    ("how many of pallets 3, 4, 5 are in buffer 2", (), COUNT, (3, 4, 5), (2,), {}),
    ("How many pallets does buffer 2 contain?", (), COUNT, PALLETS, (2,), {}),
    ("pallets 3, 4 and 5 and buffer 2: how many are inside?", (), COUNT, (3, 4, 5), (2,), {}),
    ("Given pallets 3 and 4, how many of them are in buffer 2?", (), COUNT, (3, 4), (2,), {}),
    ("How many pallets do you see?", (), COUNT, PALLETS, (), {}),
    ("In this image, how many robots are there?", (), COUNT, (6, 8), (), {}),
    ("How many transporters are empty?", (), COUNT, (6, 8), (), {"target_load": Load.EMPTY}),
    ("how many loaded AMRs are visible", (), COUNT, (6, 8), (), {"target_load": Load.LOADED}),
    ("How many pallets aren't in buffer 2?", (), COUNT, PALLETS, (2,), {"negated": True}),
    ("how many of pallets 3 and 4 are outside of buffer 2", (), COUNT, (3, 4), (2,),
     {"negated": True}),
    ("how many pallets are in the left buffer", (), COUNT, PALLETS, (2, 10),
     {"anchor_choice": Choice(LEFTMOST)}),
    ("How many objects are in buffer 2?", (), COUNT, (1, 3, 4, 5, 6, 7, 8, 9), (2,), {}),
    # Left or right.
    ("is pallet 3 left or right of pallet 4", (), LEFT_RIGHT, (3,), (4,), {}),
    ("on which side of pallet 4 is pallet 3?", (), LEFT_RIGHT, (3,), (4,), {}),
    ("Relative to pallet 4, is pallet 3 on the left or on the right?", (), LEFT_RIGHT, (3,), (4,),
     {}),
    ("is <mask> to the left of <mask>?", (3, 4), LEFT_RIGHT, (3,), (4,), {"asked_side": "left"}),
    ("Is transporter 6 on the right-hand side of the shelf or not?", (), LEFT_RIGHT, (6,), (9,),
     {"asked_side": "right"}),
    # Which one.
    ("which pallet is nearest to buffer 2", (), MCQ, PALLETS, (2,), {"criterion": NEAREST}),
    ("which of pallets 3,4,5 is furthest from buffer 2?", (), MCQ, (3, 4, 5), (2,),
     {"criterion": FARTHEST}),
    ("nearest pallet to the robot", (), MCQ, PALLETS, (), {"criterion": NEAREST}),
    ("Which pallet is nearest to pallet 3?", (), MCQ, (1, 4, 5, 7), (3,),
     {"criterion": NEAREST}),
    ("which is nearer to buffer 2, pallet 3 or transporter 6?", (), MCQ, (3, 6), (2,),
     {"criterion": NEAREST}),
    ("Which pallet is closest to buffer 2: pallet 3, 4 or 5?", (), MCQ, (3, 4, 5), (2,),
     {"criterion": NEAREST}),
    ("the second closest one of pallets 3, 4 and 5 to buffer 2", (), MCQ, (3, 4, 5), (2,),
     {"criterion": NEAREST, "rank": 2}),
    ("which pallet is the second from the left", (), MCQ, PALLETS, (),
     {"criterion": LEFTMOST, "rank": 2}),
    ("What is the 3rd pallet from the right?", (), MCQ, PALLETS, (),
     {"criterion": RIGHTMOST, "rank": 3}),
    ("rightmost pallet but one", (), MCQ, PALLETS, (), {"criterion": RIGHTMOST, "rank": 2}),
    ("Which of pallets 3, 4, 5 is in the middle?", (), MCQ, (3, 4, 5), (),
     {"criterion": LEFTMOST, "rank": 2}),
    ("Which of pallet 3 and pallet 4 is further left?", (), MCQ, (3, 4), (),
     {"criterion": LEFTMOST}),
    ("nearest empty transporter to pallet 3", (), MCQ, (6, 8), (3,),
     {"criterion": NEAREST, "target_load": Load.EMPTY}),
    ("which pallet is nearest to the left buffer?", (), MCQ, PALLETS, (2, 10),
     {"criterion": NEAREST, "anchor_choice": Choice(LEFTMOST)}),
    ("which pallet is in buffer 2?", (), MCQ, PALLETS, (2,), {"criterion": Criterion.INSIDE}),
    ("Which of pallets 3 and 4 isn't in buffer 2?", (), MCQ, (3, 4), (2,),
     {"criterion": Criterion.INSIDE, "negated": True}),
    ("Which pallet is in the buffer that is leftmost?", (), MCQ, PALLETS, (2, 10),
     {"criterion": Criterion.INSIDE, "anchor_choice": Choice(LEFTMOST)}),
    ("Which pallet is in the buffer which is closest to shelf 9?", (), MCQ, PALLETS, (2, 10),
     {"criterion": Criterion.INSIDE, "anchor_choice": Choice(NEAREST, 1, (9,))}),
    ("Which pallet stands in the buffer on the left?", (), MCQ, PALLETS, (2, 10),
     {"criterion": Criterion.INSIDE, "anchor_choice": Choice(LEFTMOST)}),
    ("How many pallets are in the buffer that lies on the right?", (), COUNT, PALLETS, (2, 10),
     {"anchor_choice": Choice(RIGHTMOST)}),
    ("which buffer is pallet 3 in?", (), MCQ, (2, 10), (3,),
     {"criterion": Criterion.CONTAINING}),
    ("Which buffer contains pallet 3?", (), MCQ, (2, 10), (3,),
     {"criterion": Criterion.CONTAINING}),
]  # fmt: skip

# Wordings of the public warehouse data set and close to it; the anchor is not always the last.
DATA_SET = [
    ("Could you measure the distance between the pallet <mask> and the pallet <mask>?",
     (3, 4), DISTANCE, (3,), (4,), {}),
    ("How distant is the pallet <mask> from the pallet <mask>?", (3, 4), DISTANCE, (3,), (4,), {}),
    ("Is the pallet <mask> to the left or right of the pallet <mask>?",
     (3, 4), LEFT_RIGHT, (3,), (4,), {}),
    ("From this viewpoint, does the buffer region <mask> appear on the left-hand side of the "
     "buffer region <mask>?", (2, 10), LEFT_RIGHT, (2,), (10,), {"asked_side": "left"}),
    ("How many pallets are there in the buffer region <mask> among the pallets <mask> <mask>",
     (2, 3, 4), COUNT, (3, 4), (2,), {}),
    ("Given the buffer masks <mask> <mask> and pallet masks <mask> <mask>, what is the count of "
     "pallets in the buffer region closest to the shelf <mask>?",
     (2, 10, 3, 4, 9), COUNT, (3, 4), (2, 10), {"anchor_choice": Choice(NEAREST, 1, (9,))}),
    ("Considering the pallets <mask> <mask>, what is the total number of pallets in the left "
     "buffer region among <mask> <mask>?",
     (3, 4, 2, 10), COUNT, (3, 4), (2, 10), {"anchor_choice": Choice(LEFTMOST)}),
    ("Considering the buffer regions <mask> <mask> and the pallets <mask> <mask>, how far is the "
     "leftmost pallet from the rightmost buffer region?", (2, 10, 3, 4), DISTANCE, (3, 4), (2, 10),
     {"target_choice": Choice(LEFTMOST), "anchor_choice": Choice(RIGHTMOST)}),
    ("What is the distance between the rightmost pallet among <mask> <mask> and the shelf <mask>?",
     (3, 4, 9), DISTANCE, (3, 4), (9,), {"target_choice": Choice(RIGHTMOST)}),
    ("From the given set of pallets <mask> <mask> <mask>, which is the closest to the empty "
     "transporter <mask>?", (3, 4, 5, 6), MCQ, (3, 4, 5), (6,), {"criterion": NEAREST}),
    ("Considering the pallets <mask> <mask>, which one is the optimal pick-up for the shelf "
     "<mask>?", (3, 4, 9), MCQ, (3, 4), (9,), {"criterion": NEAREST}),
    ("Given the available transporters <mask> <mask> and pallets <mask> <mask>, which pallet is "
     "the best choice for automated pickup by an empty transporter?", (6, 8, 3, 4), MCQ, (3, 4),
     (6, 8), {"criterion": NEAREST, "anchor_load": Load.EMPTY}),
    ("Among the pallet <mask>, the pallet <mask>, and the pallet <mask>, which object appears "
     "closest to the right side?", (3, 4, 5), MCQ, (3, 4, 5), (), {"criterion": RIGHTMOST}),
    ("Given buffer zones <mask> <mask> and transporter <mask>, which pallets <mask> <mask> is "
     "inside the buffer in the left.", (2, 10, 6, 3, 4), MCQ, (3, 4), (2, 10),
     {"criterion": Criterion.INSIDE, "anchor_choice": Choice(LEFTMOST)}),
]  # fmt: skip


def roles(question: SpatialQuestion) -> dict:
    return {
        item.name: getattr(question, item.name)
        for item in fields(question)
        if item.name not in ("text", "region_ids")
    }


@pytest.mark.parametrize(
    ("text", "ids", "category", "targets", "anchors", "others"), READABLE + DATA_SET
)
def test_reads_the_roles(text, ids, category, targets, anchors, others):
    question = read_question(text, REGIONS, region_ids=ids)
    expected = SpatialQuestion(category, "", (), targets, anchors, **others)
    assert roles(question) == roles(expected)


@pytest.mark.parametrize(("text", "ids"), [case[:2] for case in READABLE + DATA_SET])
def test_text_with_placeholders_means_the_same(text, ids):
    question = read_question(text, REGIONS, region_ids=ids)
    again = read_question(question.text, REGIONS, question.category, question.region_ids)
    assert again == question
    assert not any(character.isdigit() for character in question.text.replace("3rd", ""))


@pytest.mark.parametrize(("text", "ids"), [case[:2] for case in DATA_SET])
def test_text_that_has_placeholders_stays(text, ids):
    question = read_question(f"<image>\n{text}", REGIONS, region_ids=ids)
    assert (question.text, question.region_ids) == (text, ids)


@pytest.mark.parametrize(
    ("text", "rewritten", "ids"),
    [
        ("how far is pallet 3 from buffer 2",
         "How far is the pallet <mask> from the buffer <mask>?", (3, 2)),
        ("How far is [Region 3] from region 6?",
         "How far is the pallet <mask> from the transporter <mask>?", (3, 6)),
        ("tell me how many of pallets 3, 4 and 5 are in the buffer zone 2",
         "Tell me how many of the pallets <mask> <mask> <mask> are in the buffer zone <mask>.",
         (3, 4, 5, 2)),
        ("Region 3 and 4: how far apart are they",
         "The pallets <mask> <mask>: how far apart are they?", (3, 4)),
        ("measure the gap between pallet 3 and 4",
         "Measure the gap between the pallets <mask> <mask>.", (3, 4)),
        ("which transporter is nearest to the shelf",
         "Which transporter <mask> <mask> is nearest to the shelf <mask>?", (6, 8, 9)),
    ],
)  # fmt: skip
def test_plain_references_become_placeholders(text, rewritten, ids):
    question = read_question(text, REGIONS)
    assert (question.text, question.region_ids) == (rewritten, ids)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("hello", "does not say what is asked"),
        ("pallet 3", "does not say what is asked"),
        ("Is pallet 3 in buffer 2?", "does not say what is asked"),
        ("how far is pallet 3 from the moon", '"moon"'),
        ("how many red pallets are in buffer 2", '"red"'),
        ("how tall is pallet 3", '"tall"'),
        ("is pallet 3 behind pallet 4", '"behind"'),
        ("how far is pallet 2 from pallet 3", "region 2 is a buffer"),
        ("how far is the transporter <mask> from us", "region 3 is a pallet"),
        ("how far is pallet seven from buffer 2", '"pallet seven"'),
        ("how far is pallet one from buffer 2", '"pallet one"'),
        ("how far apart are the two pallets", "there are 5"),
        ("which two pallets are nearest to buffer 2", '"which two"'),
        ("which pallet is nearest to the buffer", "buffer 2, buffer 10"),
        ("how far is the transporter from pallet 3", "transporter 6, transporter 8"),
        ("how far is pallet 3 from pallet 3", "both sides"),
        ("how many of pallets 3, 4 and 3 are in buffer 2", "named twice"),
        ("how far is pallet 3 from pallet 4 and pallet 5", "two objects"),
        ("how far is pallet 3 from", '"from"'),
        ("what is the distance between pallet 3", "two objects"),
        ("how far is pallet 3 in buffer 2", '"buffer 2"'),
        ("how far is the pallet closest to shelf 9", "from what"),
        ("Given transporter 6, how far is pallet 3?", '"transporter 6"'),
        ("is pallet 3 left or right?", "two objects"),
        ("is pallet 3 left of the camera", "two objects"),
        ("from pallet 4, is pallet 3 on the left?", "two objects"),
        ("is pallet 3 not left of pallet 4", '"not"'),
        ("which pallet is left of pallet 4 and nearest to buffer 2", '"left"'),
        ("how many pallets are in it", "in which buffer"),
        ("how many pallets are not there", "in which buffer"),
        ("how many pallets are in buffers 2 and 10", "name one"),
        ("how many pallets are on pallet 3", "not a buffer"),
        ("how many pallets are not outside buffer 2", "negated twice"),
        ("how many pallets are in buffer 2 and how many are not", "more than one thing"),
        ("how many pallets are left in buffer 2", "superlative"),
        ("how many empty pallets are in buffer 2", "only a transporter"),
        ("how many pallets in the buffer are leftmost", '"leftmost"'),
        ("which pallet closest to the buffer is leftmost", "more than one superlative"),
        ("which pallet is not nearest to buffer 2", '"not"'),
        ("which pallet is nearest to pallet 3 or pallet 4", "one object at a time"),
        ("which pallet is nearest to buffer 2 and transporter 6", '"transporter 6"'),
        ("which pallet is closest pallet 3", "nothing to choose from"),
        ("are pallets 3 and 4 the leftmost pallets", '"which"'),
        ("which pallet is closer to buffer 2", "comparative"),
        ("which pallet is the best", '"best"'),
        ("which pallet is optimal for pick-up", "by what"),
        ("the second pallet", "in what order"),
        ("the 9th nearest pallet", "number 9 of 5"),
        ("which buffer is in the middle", "none in the middle"),
        ("the nearest left pallet", "cannot both"),
        ("how many of pallets 3 and 4 and the empty transporters 6 and 8 do you see", "for none"),
        ("which transporter is loaded", "what singles out"),
        ("which of pallets 3-5 is leftmost", '"-"'),
        ("which of pallets 3 to 5 is leftmost", '"5"'),
        ("how many of pallets 1,000 are in buffer 2", '"000"'),
        ("how far is pallet -3 from buffer 2", '"-"'),
        ("how far is pallet 3.5 from buffer 2", '"3.5"'),
        ("how far is pallet \uff13 from buffer 2", '"\uff13"'),
        ("how far is pallet 3 from <|image|>", '"<|image|>"'),
        ("how far is pallet 3<|im_end|>", '"<|im_end|>"'),
        ("how far is <mask_rgb><mask_depth>", '"<mask_rgb><mask_depth>"'),
        ("how far is\x00 pallet 3", "U+0000"),
        ("how far is pallet 3\u202e from buffer 2", "U+202E"),
        ("how far is pallet \U0001f642 3", "\U0001f642"),
        ("how far is pallet 3" + " " * 10_000, str(MAX_QUESTION_LENGTH)),
    ],
)  # fmt: skip
def test_refuses_what_it_cannot_read_and_shows_what_works(text, words):
    with pytest.raises(SpatialError) as caught:
        read_question(text, REGIONS, region_ids=(3,) * text.count(MASK))
    assert caught.value.status is Status.BAD_QUESTION
    assert words in caught.value.message
    example = caught.value.message.rsplit("An example that works: ", 1)[1].strip('"')
    read_question(example, REGIONS)


@pytest.mark.parametrize("buffer", ["the buffer", "buffer 2", "the left buffer"])
@pytest.mark.parametrize(
    "text",
    [
        "Which pallet in {} is leftmost?",
        "Which pallet in {} is the leftmost one?",
        "Which of the pallets in {} is furthest right?",
        "Which of pallets 3 and 4 in {} is nearest?",
        "Which pallet that stands in {} is nearest to shelf 9?",
        "Which pallet inside {} is on the left?",
        "Which pallet in {} is second from the left?",
        "Which pallet in {} appears leftmost?",
        "Which pallet outside {} is leftmost?",
        "Of the pallets in {}, which one is the rightmost?",
        "Of pallets 3 and 4 in {} which is leftmost?",
        "What is the leftmost pallet in {}?",
        "Which pallet is leftmost in {}?",
        "In {}, which pallet is leftmost?",
    ],
)
def test_a_choice_among_what_stands_in_a_buffer_is_not_mistaken_for_one_of_buffers(text, buffer):
    with pytest.raises(SpatialError) as caught:
        read_question(text.format(buffer), REGIONS)
    assert caught.value.status is Status.BAD_QUESTION
    assert "two questions; ask first which" in caught.value.message, caught.value.message


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("how far is pallet 42 from buffer 2", ()),
        ("how far is pallet 99999999999999999999 from buffer 2", ()),
        ("how far is [Region 0] from us", ()),
        ("how far is <mask> from us", (42,)),
    ],
)
def test_unknown_region_names_the_known_ones(text, ids):
    with pytest.raises(SpatialError, match="pallet 7, transporter 8") as caught:
        read_question(text, REGIONS, region_ids=ids)
    assert caught.value.status is Status.UNKNOWN_REGION


@pytest.mark.parametrize("ids", [(), (3,), (3, 4, 5)])
def test_placeholders_and_ids_must_match(ids):
    with pytest.raises(SpatialError, match=f"2 <mask> but {len(ids)} region ids"):
        read_question("How far is <mask> from <mask>?", REGIONS, region_ids=ids)


@pytest.mark.parametrize(
    ("category", "ids", "targets", "anchors"),
    [
        (DISTANCE, (3, 2), (3,), (2,)),
        (DISTANCE, (3,), (3,), ()),
        (LEFT_RIGHT, (3, 4), (3,), (4,)),
        (COUNT, (3, 4, 6, 2), (3, 4, 6), (2,)),
        (MCQ, (3, 4, 6), (3, 4), (6,)),
        (MCQ, (3, 6, 9), (3, 6), (9,)),
    ],
)
def test_category_and_ids_without_text(category, ids, targets, anchors):
    question = read_question("", REGIONS, category, ids)
    assert (question.category, question.target_ids, question.anchor_ids) == (
        category,
        targets,
        anchors,
    )
    assert question.region_ids == ids
    assert question.criterion is (NEAREST if category is MCQ else None)


@pytest.mark.parametrize(
    ("category", "ids"),
    [
        (DISTANCE, ()),
        (DISTANCE, (3, 4, 5)),
        (LEFT_RIGHT, (3,)),
        (COUNT, (2,)),
        (COUNT, (3, 4)),
        (MCQ, (3,)),
    ],
)
def test_category_and_ids_that_do_not_fit(category, ids):
    with pytest.raises(SpatialError) as caught:
        read_question("", REGIONS, category, ids)
    assert caught.value.status is Status.BAD_QUESTION


def test_category_must_agree_with_the_text():
    with pytest.raises(SpatialError, match="category COUNT, but the text asks for DISTANCE"):
        read_question("How far is pallet 3 from buffer 2?", REGIONS, COUNT)


UNLABELLED = make_regions({0: "", 1: "", 2: "", 3: ""})


@pytest.mark.parametrize(
    ("text", "ids", "targets", "anchors"),
    [
        ("How far is <mask> from <mask>?", (0, 3), (0,), (3,)),
        ("How far is the buffer <mask> from the pallet <mask>?", (0, 3), (3,), (0,)),
        ("How many of <mask>, <mask> are in <mask>?", (0, 3, 1), (0, 3), (1,)),
        ("How many pallets are there in the buffer <mask> among the pallets <mask> <mask>?",
         (0, 3, 1), (3, 1), (0,)),
        ("Is <mask> left or right of <mask>?", (0, 3), (0,), (3,)),
        ("Which of <mask> <mask> is nearest to <mask>?", (0, 3, 1), (0, 3), (1,)),
        ("how far is pallet 0 from region 1", (), (0,), (1,)),
    ],
)  # fmt: skip
def test_regions_without_labels(text, ids, targets, anchors):
    question = read_question(text, UNLABELLED, region_ids=ids)
    assert (question.target_ids, question.anchor_ids) == (targets, anchors)


def test_classes_without_labels_are_not_counted_as_none():
    with pytest.raises(SpatialError, match="there is no pallet"):
        read_question("How many pallets do you see?", UNLABELLED)


def test_a_class_that_is_not_there_is_counted_as_none():
    question = read_question("How many skids do you see?", make_regions({1: "buffer"}))
    assert question.target_ids == question.region_ids == ()


OWN_CLASSES = make_regions(
    {1: "traffic_cone", 2: "person", 4: "rack", 5: "person", 6: "shelf", 7: "dock", 8: "box"}
)


@pytest.mark.parametrize(
    ("text", "targets", "anchors"),
    [
        ("how many people do you see", (2, 5), ()),
        ("how many boxes are in dock 7", (8,), (7,)),
        ("nearest person to the traffic cone", (2, 5), (1,)),
        # A label of the frame means itself; its synonyms mean all of the class.
        ("how many racks do you see", (4,), ()),
        ("how many shelves do you see", (6,), ()),
        ("how many shelvings do you see", (4, 6), ()),
    ],
)
def test_labels_of_the_frame_are_words(text, targets, anchors):
    question = read_question(text, OWN_CLASSES)
    assert (question.target_ids, question.anchor_ids) == (targets, anchors)


def test_the_robot_is_the_camera_unless_regions_are_robots():
    regions = make_regions({1: "pallet", 2: "robot"})
    with pytest.raises(SpatialError, match="may be the camera or a region"):
        read_question("how far is pallet 1 from the robot", regions)
    assert read_question("how far is pallet 1 from robot 2", regions).anchor_ids == (2,)


def test_a_label_cannot_smuggle_tokens_into_the_text():
    regions = make_regions({1: "<|im_end|>", 2: "left", 3: "pallet"})
    question = read_question("How far is [Region 1] from region 2?", regions)
    assert question.text == "How far is the region <mask> from the region <mask>?"


# Without "shelf": a choice from the only one is read, but its placeholder is no choice.
SALAD = (
    "pallet|pallets|buffer|the|nearest|closest|to|from|of|in|not|which|many|is|are|left|right|and|"
    ",|3|4|2|#5|<mask>|[Region 3]|leftmost|second|transporter|empty|given|among|between|count|"
    "camera|robot|one|two|but|pickup|optimal|for|by|contain|region|most|further|than|middle|"
    "which side|how far|how many|but one|from the left"
)


def read_or_refuse(text: str, ids: tuple[int, ...]) -> SpatialQuestion | Status:
    try:
        return read_question(text, REGIONS, region_ids=ids)
    except SpatialError as error:
        return error.status


def test_word_salad_is_refused_or_read_the_same_twice():
    words = SALAD.split("|")
    generator = random.Random(0)
    understood = 0
    for _ in range(3000):
        text = " ".join(generator.choices(words, k=generator.randint(2, 12)))
        ids = tuple(generator.choices((2, 3, 4, 6), k=text.count(MASK)))
        question = read_or_refuse(text, ids)
        if isinstance(question, SpatialQuestion):
            understood += 1
            assert read_or_refuse(question.text, question.region_ids) == question
        else:
            assert question is Status.BAD_QUESTION, text
    assert understood
