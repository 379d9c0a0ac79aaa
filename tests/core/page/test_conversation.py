"""A region that is clicked becomes a placeholder, and stays with its region."""

from __future__ import annotations

import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.conversation import MAX_HISTORY, AnswerDesk, VisitorState


@pytest.fixture
def conversation(frame: RGBDFrame) -> VisitorState:
    made = VisitorState(AnswerDesk(GeometricAnswerer()))
    made.show(frame)
    return made


def test_regions_are_selected_in_the_order_of_clicks(conversation: VisitorState) -> None:
    for id in (13, 10, 1, 10):
        conversation.toggle(id)
    assert conversation.selected == [13, 1]
    assert conversation.text == ""


def test_a_region_of_another_frame_is_not_selected(conversation: VisitorState) -> None:
    conversation.toggle(9999)
    assert conversation.selected == []


def test_clicks_become_placeholders_of_the_question(conversation: VisitorState) -> None:
    conversation.edit("How far is")
    conversation.toggle(10)
    conversation.edit(conversation.text + " from")
    conversation.toggle(1)
    expected = AskedQuestion("How far is <mask> from <mask>", None, (10, 1))
    assert conversation.asked == expected
    exchange = conversation.ask(conversation.frame, conversation.asked)  # type: ignore[arg-type]
    assert exchange.answer.ok
    assert exchange.question == "How far is pallet 10 from buffer 1"


def test_a_placeholder_comes_before_the_question_mark(conversation: VisitorState) -> None:
    conversation.edit("How large is?")
    conversation.toggle(10)
    assert conversation.text == "How large is <mask>?"


def test_a_region_that_is_no_longer_selected_leaves_the_question(
    conversation: VisitorState,
) -> None:
    conversation.edit("How far is")
    conversation.toggle(10)
    conversation.edit(conversation.text + " from")
    conversation.toggle(1)
    conversation.toggle(10)
    assert conversation.asked == AskedQuestion("How far is from <mask>", None, (1,))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Is <mask> left of <mask>?", (10, 1)),
        ("Is  left of <mask>?", (1,)),
        ("Is <mask> left of ?", (10,)),
        ("Is <mask> far left of <mask>?", (10, 1)),
        ("Is left of?", ()),
    ],
)
def test_deleted_placeholders_take_their_regions_along(
    conversation: VisitorState, text: str, ids: tuple[int, ...]
) -> None:
    conversation.write(AskedQuestion("Is <mask> left of <mask>?", None, (10, 1)))
    conversation.edit(text)
    assert conversation.asked.region_ids == ids
    assert conversation.selected == list(ids)


def test_a_new_question_begins_after_one_was_asked(conversation: VisitorState) -> None:
    conversation.toggle(10)
    conversation.write(AskedQuestion("How far is pallet 10 from the camera?"))
    assert conversation.offered, "more about the same region"
    conversation.toggle(11)
    assert (conversation.text, conversation.selected) == ("", [11])


def test_a_suggestion_keeps_the_selection_and_another_question_does_not(
    conversation: VisitorState,
) -> None:
    for id in (10, 13):
        conversation.toggle(id)
    for item in conversation.offered:
        conversation.write(item)
        assert conversation.selected == [10, 13], item
    conversation.write(AskedQuestion("How many shelves are there?"))
    assert conversation.selected == []


def test_another_frame_begins_anew(conversation: VisitorState, frame: RGBDFrame) -> None:
    conversation.write(AskedQuestion("Where is <mask>?", None, (10,)))
    conversation.show(frame)
    assert conversation.asked == AskedQuestion("")
    assert conversation.selected == []


def test_what_is_typed_narrows_what_is_offered(conversation: VisitorState) -> None:
    everything = conversation.offered
    conversation.edit("how many")
    assert 0 < len(conversation.offered) < len(everything)
    assert all(item.text.startswith("How many") for item in conversation.offered)


def test_history_is_limited(conversation: VisitorState, frame: RGBDFrame) -> None:
    for _ in range(MAX_HISTORY + 5):
        conversation.ask(frame, AskedQuestion("How many pallets are there?"))
    numbers = [exchange.number for exchange in conversation.history]
    assert numbers == list(range(6, MAX_HISTORY + 6))
