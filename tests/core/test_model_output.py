"""What a model says is a value only if its question offers it."""

import pytest

from smolrgpt_core.answerers.model_output import read_output
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language.question import read_question
from smolrgpt_core.regions import Box, Region, RegionSet

FRAME = RegionSet(
    (100, 100),
    tuple(Region.from_box(id, "pallet", Box(10 * id, 5, 8, 8)) for id in (3, 5)),
)
ABOVE_OR_BELOW = "Is pallet 3 above or below pallet 5?"
FRONT_OR_BEHIND = "Is pallet 3 in front of or behind pallet 5?"


@pytest.mark.parametrize(
    ("text", "word"),
    [(ABOVE_OR_BELOW, "below"), (FRONT_OR_BEHIND, "front"), (FRONT_OR_BEHIND, "behind")],
)
def test_a_word_that_was_offered_is_the_answer(text, word):
    assert read_output(word, read_question(text, FRAME)) == word


@pytest.mark.parametrize(
    ("text", "word"), [(ABOVE_OR_BELOW, "yes"), (ABOVE_OR_BELOW, "front"), (FRONT_OR_BEHIND, "no")]
)
def test_another_word_is_no_answer(text, word):
    with pytest.raises(SpatialError, match=f"'{word}' is neither") as caught:
        read_output(word, read_question(text, FRAME))
    assert caught.value.status is Status.MODEL_ERROR
