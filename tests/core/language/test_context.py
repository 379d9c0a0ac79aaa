"""Statements and reasons around a question are left out, unless they might change it."""

import pytest

from smolrgpt_core.language.context import without_context
from smolrgpt_core.language.lexicon import load_lexicon

QUESTION = "how far is pallet 3 from buffer 1"


def bare(text: str) -> str:
    lexicon = load_lexicon("english")
    assert lexicon.context is not None
    return without_context(text, lexicon.context, lexicon.meaningful).strip(" ?")


@pytest.mark.parametrize(
    "clause",
    [
        "The lorry is late, so",
        "My boss is on the phone,",
        "I'm not so sure he did it.",
        "Because the auditors are coming,",
        "For the weekly audit:",
        "It's my first week and nobody told me -",
        "I finish in ten minutes;",
    ],
)
def test_a_clause_before_a_question_is_left_out(clause):
    assert bare(f"{clause} {QUESTION}?") == QUESTION


@pytest.mark.parametrize(
    "clause",
    [
        "? I'm in a hurry.", ", the lorry is waiting.", " because my boss is asking?",
        " before the lorry goes", ", for the stock report?",
    ],
)  # fmt: skip
def test_a_clause_behind_a_question_is_left_out(clause):
    assert bare(QUESTION + clause) == QUESTION


@pytest.mark.parametrize(
    "clause",
    [
        # A number, a region, a place, a side, a condition, a restriction, another time.
        "I took 3 away,", "I moved the tall pallets,", "I'm at the gate,", "My left is yours,",
        "If the lorry comes,", "I only care about the frozen goods,", "Yesterday I was here,",
        "I mean the blue ones,", "Someone excluded the wet goods,", "Half are gone, so",
    ],
)  # fmt: skip
def test_what_may_change_a_question_stays(clause):
    text = f"{clause} {QUESTION}"
    assert bare(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "The lorry is outside, how far is pallet 3 from it?",
        "The gate is open, which pallet in buffer 1 is nearest to it?",
        "My boss is here, how far is pallet 3 from him?",
    ],
)
def test_a_clause_that_the_question_refers_back_to_stays(text):
    assert bare(text) == text.strip("?")
