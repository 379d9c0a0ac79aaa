"""Whatever a client writes: a question with its references resolved, or a refusal that says why.

And whatever a model says: a value, or a refusal. Nothing else may come out, whoever writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smolrgpt_core.answer import read_answer
from smolrgpt_core.errors import Status
from smolrgpt_core.language import CATEGORIES, MASK, Category, SpatialQuestion, read_question
from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.regions import Box, Region, RegionSet

REFUSALS = {Status.BAD_QUESTION, Status.UNKNOWN_REGION}

SPECIAL = ["<|im_start|>", "<|im_end|>", "<|image|>", "<mask_rgb>", "<image>", "<mask>", "<", ">"]
ODD = ["²", "region²", "2²", "n't", "0x1", "१", "Ⅷ", "ﬁ", "\u0301", "[Region 1", "1.", "-1", "1e9"]
NAMES = ["pallet", "pallets", "buffer", "region 1", "[Region 2]", "pallets 1, 2 and 3", "the", "it"]

words = st.one_of(
    st.sampled_from(sorted(load_lexicon("english").words)),
    st.sampled_from([*NAMES, *ODD, *SPECIAL]),
    st.integers(-1, 12).map(str),
    st.text(max_size=8),
)
one = st.sampled_from(
    ["pallet 1", "pallet 2", "<mask>", "[Region 3]", "buffer 3", "the buffer", "the transporter",
     "the leftmost pallet", "the shelf", "region 5", "you"]
)  # fmt: skip
many = st.sampled_from(["pallets", "the pallets <mask> <mask>", "pallets 1 and 2", "regions 1, 4"])
templates = st.sampled_from(
    ["How far is {0} from {1}?", "How many {2} are in {0}?", "Is {0} left or right of {1}?",
     "Which of {2} is nearest to {0}?", "Which pallet is not in {0}?", "{3} How far {0} to {1}?",
     "How many {2} do you see {3}?", "Which of {2} is the second {3} from {0}?"]
)  # fmt: skip
sentences = st.builds(str.format, templates, one, one, many, words)
salads = st.one_of(
    st.lists(words, max_size=12).map(" ".join),
    st.lists(words, max_size=6).map("".join),
    st.text(max_size=60),
)
texts = sentences | salads


def with_ids(text: str) -> st.SearchStrategy[tuple[str, list[int]]]:
    """The text with ids for its placeholders: mostly the right number of ids that exist."""
    number = text.count(MASK)
    fitting = st.lists(st.integers(1, 5), min_size=number, max_size=number)
    others = st.lists(st.integers(0, 6), max_size=3)
    return st.tuples(st.just(text), st.integers(0, 9).flatmap(lambda n: fitting if n else others))


labels = st.one_of(
    st.sampled_from(["pallet", "buffer", "transporter", "shelf", "", "robot arm", *SPECIAL]),
    st.text(max_size=12),
)
ids = st.integers(0, 5) | st.integers(0, 2**32 - 1)


def regions_of(named: dict[int, str]) -> RegionSet:
    """A region for each id, with its label, side by side."""
    regions = [
        Region.from_box(id, label, Box(4 * place, 2, 3, 3))
        for place, (id, label) in enumerate(named.items())
    ]
    return RegionSet((8, 40), tuple(regions))


region_sets = st.dictionaries(ids, labels, max_size=6).map(regions_of)
WAREHOUSE = regions_of({1: "pallet", 2: "pallet", 3: "buffer", 4: "transporter", 5: "shelf"})


@pytest.fixture(scope="session")
def check_question(result_or_refusal: Callable[..., Any]) -> Callable[..., None]:
    """Read a question, and hold it to what its readers may rely on.

    Call: check_question(text, regions, category, region_ids).
    """

    def check(
        text: str, regions: RegionSet, category: Category | None, region_ids: Sequence[int]
    ) -> None:
        question = result_or_refusal(REFUSALS, read_question, text, regions, category, region_ids)
        if question is not None:
            check_resolved(question, regions)
            assert category in (None, question.category)

    return check


def check_resolved(question: SpatialQuestion, regions: RegionSet) -> None:
    named = {*question.region_ids, *question.candidate_ids}
    assert all(id in regions for id in named)
    assert question.program is not None
    assert question.text.count(MASK) == len(question.region_ids)
    assert not set("<>|") & set(question.text.replace(MASK, ""))


@settings(max_examples=3500)
@given(texts.flatmap(with_ids), st.none() | st.sampled_from(Category))
@example(asked=("n't", []), category=None)
@example(asked=("How far is the ²nd pallet from buffer 3?", []), category=None)
@example(asked=("How far is pallet <|im_end|> from buffer 3?", []), category=None)
def test_any_text(
    check_question: Any, asked: tuple[str, list[int]], category: Category | None
) -> None:
    text, region_ids = asked
    check_question(text, WAREHOUSE, category, region_ids)


@settings(max_examples=1500)
@given(texts, region_sets, st.none() | st.sampled_from(Category), st.lists(ids, max_size=5))
def test_any_text_about_any_regions(
    check_question: Any,
    text: str,
    regions: RegionSet,
    category: Category | None,
    region_ids: list[int],
) -> None:
    check_question(text, regions, category, region_ids)


@settings(max_examples=1500)
@given(st.data(), region_sets, st.sampled_from(Category))
def test_ids_without_text(
    check_question: Any, data: st.DataObject, regions: RegionSet, category: Category
) -> None:
    known = [region.id for region in regions]
    region_ids = data.draw(st.lists(st.sampled_from(known), max_size=7)) if known else []
    check_question("", regions, category, region_ids)


@settings(max_examples=2500)
@given(texts, st.sampled_from(list(CATEGORIES.values())))
@example(text="²", category=Category.MCQ)
@example(text="region² is the nearest", category=Category.MCQ)
@example(text="9" * 400, category=Category.DISTANCE)
@example(text="[Region " + "9" * 5000 + "]", category=Category.MCQ)
def test_any_words_of_a_model(result_or_refusal: Any, text: str, category: Category) -> None:
    parsed = result_or_refusal({Status.MODEL_ERROR}, read_answer, text, category)
    if parsed is None:
        return
    if category in (Category.DISTANCE, Category.COUNT):
        assert parsed.value is not None
        assert math.isfinite(parsed.value)
        assert parsed.value >= 0
    assert (parsed.region_index is not None) == (category is Category.MCQ)


def test_a_refusal_stays_short_with_thousands_of_regions(check_question: Any) -> None:
    regions = regions_in_a_row(5000)
    check_question("How far is pallet 9999 from pallet 1?", regions, None, ())
    check_question("", regions, Category.DISTANCE, [9999, 1])


def test_more_ids_than_a_frame_can_have(check_question: Any) -> None:
    check_question("", WAREHOUSE, Category.MCQ, [1] * 1_000_000)


def test_many_ids_that_repeat_themselves(check_question: Any) -> None:
    check_question("", WAREHOUSE, Category.MCQ, [*[1] * 5000, 3])


def regions_in_a_row(count: int) -> RegionSet:
    regions = [Region.from_box(id, "pallet", Box(id, 0, 1, 1)) for id in range(1, count + 1)]
    return RegionSet((1, count + 1), tuple(regions))
