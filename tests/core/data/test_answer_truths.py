"""What is true of the regions of a question, as it stands in a data set."""

import json
import math

import pytest

from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, AnswerTruth, Turn
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category
from smolrgpt_core.model.region_readings import NO_ANSWER
from smolrgpt_core.scene.spatial_scene import COLORS
from smolrgpt_core.training.answer_targets import typed_answer

BOX = (1.0, -0.5, 4.0, 1.2, 0.8, 0.6, 0.3)


def truth(kind, *parts):
    return AnswerTruth(kind, parts, (BOX, (math.nan,) * 7))


def typed(kind, answer, *parts):
    turns = (Turn(HUMAN, "<mask> or <mask>?"), Turn(MODEL, answer))
    asked = Conversation("a", turns, (0, 1), normalized_answer=answer)
    return typed_answer(asked, truth(kind, *parts))


def test_a_truth_is_the_same_after_it_was_written():
    item = truth("quantity", 1.5)
    read = AnswerTruth.from_json(json.loads(json.dumps(item.to_json(), allow_nan=False)))
    assert (read.kind, read.parts, read.boxes[0]) == ("quantity", (1.5,), BOX)
    assert all(map(math.isnan, read.boxes[1]))


def test_colors_are_written_where_they_are_known():
    item = AnswerTruth("mcq", (), (BOX, BOX), ("red", ""))
    written = item.to_json()
    assert AnswerTruth.from_json(written) == item
    assert "colors" not in truth("mcq").to_json()
    turns = (Turn(HUMAN, "<mask> or <mask>?"), Turn(MODEL, "0"))
    asked = Conversation("a", turns, (0, 1), normalized_answer="0")
    red, unknown = typed_answer(asked, item).truths
    assert COLORS[int(red[-1])] == "red"
    assert math.isnan(unknown[-1])
    for wrong in (["red"], ["red", "crimson"]):
        with pytest.raises(SpatialError, match="`truth` of a record must have `kind`"):
            AnswerTruth.from_json({**written, "colors": wrong})


@pytest.mark.parametrize(
    "entry",
    [{}, {"kind": 1, "parts": [], "boxes": []}, {"kind": "mcq", "parts": [], "boxes": [[1.0]]},
     {"kind": "mcq", "parts": ["far"], "boxes": []}],
)  # fmt: skip
def test_what_is_no_truth_is_refused(entry):
    with pytest.raises(SpatialError, match="`truth` of a record must have `kind`"):
        AnswerTruth.from_json(entry)


@pytest.mark.parametrize(
    ("kind", "answer", "value"),
    [("truth", "yes", 1), ("truth", "no", 0), ("relation", "front", 1), ("relation", "below", 0),
     ("left_right", "right", 1), ("left_right", "left", 0), ("mcq", "1", 1), ("count", "7", 7)],
)  # fmt: skip
def test_answers_become_numbers_of_their_kind(kind, answer, value):
    found = typed(kind, answer)
    assert (found.kind, found.value) == (Category[kind.upper()], value)


def test_no_reading_of_places_learns_colors():
    assert typed("relation", "yellow").kind == NO_ANSWER
    assert typed("truth", "yes").kind == Category.TRUTH


def test_numbers_on_the_way_stand_behind_the_answer():
    assert typed("quantity", "3.50", 1.0, 2.0, 9.0).numbers == (3.5, 1.0, 2.0)
    assert typed("position", "1.00, -0.20, 4.10").numbers == (1.0, -0.2, 4.1)
    first, part = typed("truth", "yes", 2.5).numbers
    assert math.isnan(first)
    assert part == 2.5
    assert all(map(math.isnan, typed("mcq", "0").padded_numbers))


def test_regions_of_a_list_have_their_place_in_it():
    ordered = typed("list", "1, 0").truths
    assert ordered[0][:-1] == (*BOX, 1.0)
    assert ordered[1][-2] == 0.0
    assert math.isnan(typed("mcq", "1").truths[0][-2])


def test_an_answer_that_cannot_be_read_leaves_what_is_known_of_the_regions():
    found = typed("mcq", "B")
    assert (found.kind, found.numbers) == (0, ())
    assert found.truths[0][:7] == BOX
