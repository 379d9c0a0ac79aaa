"""Choosing questions so that answers do not follow from words, and measuring whether they do."""

from collections import Counter

import numpy as np
import pytest

from smolrgpt_core.data.warehouse_format import Turn, WarehouseRecord
from smolrgpt_core.language import Category
from smolrgpt_core.quality.guessing import best_answer, is_correct, measure_guesses
from smolrgpt_core.simulated_data.scenes import Candidate
from smolrgpt_core.synthesis.balance import BIN_RATIO, IN_BUFFER, Balancer, distance_bin

TEXTS = {
    "distance: pallet, pallet": "How far is the pallet <mask> from the pallet <mask>?",
    "distance: pallet, shelf": "How far is the pallet <mask> from the shelf <mask>?",
}
MIDDLES = {"distance: pallet, pallet": 2.5, "distance: pallet, shelf": 8.0}


def distance(wording: str, meters: float, id: int = 1) -> Candidate:
    text = TEXTS[wording]
    return Candidate(
        "distance", Category.DISTANCE, wording, text, (id, id + 1), f"{meters:.2f}", ""
    )


def frame_of_distances(rng: np.random.Generator) -> list[Candidate]:
    """Shelves are far, pallets near: the words tell much."""
    return [
        distance(wording, MIDDLES[wording] * np.exp(rng.normal(0, 0.5)), 2 * number)
        for number, wording in enumerate(4 * list(MIDDLES))
    ]


def record(category: str, text: str, answer: str) -> WarehouseRecord:
    turns = (Turn("human", f"<image>\n{text}"), Turn("gpt", ""))
    return WarehouseRecord("", "", turns, (), category, answer, "")


def records_of(candidates: list[Candidate]) -> list[WarehouseRecord]:
    return [record("distance", item.text, item.normalized_answer) for item in candidates]


def test_bins_are_as_wide_as_the_ratio_and_zero_is_apart():
    assert distance_bin(0.0) == IN_BUFFER
    assert distance_bin(5.0 * BIN_RATIO) == distance_bin(5.0) + 1
    assert distance_bin(1.0) == 0


def test_words_tell_less_of_chosen_distances_than_of_all():
    rng = np.random.default_rng(0)
    balancer = Balancer()
    everything, chosen = [], []
    for _ in range(1200):
        frame = frame_of_distances(rng)
        everything += frame
        chosen += [frame[index] for index in balancer.choose(frame, 2)]
    before, after = (
        measure_guesses(items[: len(items) // 2], items[len(items) // 2 :])["distance"]
        for items in (records_of(everything), records_of(chosen))
    )
    assert before.same_text > 1.5 * before.constant
    assert after.same_text < 1.25 * after.constant
    assert after.words < 1.25 * after.constant
    assert len(chosen) > 2000
    wordings = Counter(item.wording for item in chosen)
    assert min(wordings.values()) > 0.3 * len(chosen)


def test_categories_and_forms_get_their_turn():
    def candidate(form: str, category: Category, number: int) -> Candidate:
        return Candidate(form, category, form, f"{form} {number}?", (number,), str(number), "")

    frame = [candidate("outermost", Category.MCQ, number) for number in range(10)]
    frame += [candidate("which_inside", Category.MCQ, number) for number in range(10)]
    frame += [candidate("left_or_right", Category.LEFT_RIGHT, number) for number in range(10)]
    balancer = Balancer()
    forms = Counter(frame[index].form for _ in range(10) for index in balancer.choose(frame, 8))
    assert forms == {"left_or_right": 40, "outermost": 20, "which_inside": 20}


def test_no_question_is_taken_twice_for_one_frame():
    item = distance("distance: pallet, pallet", 3.0)
    assert len(Balancer().choose([item, item], 5)) == 1


def test_choice_follows_from_the_candidates_alone():
    rng = np.random.default_rng(1)
    frames = [frame_of_distances(rng) for _ in range(50)]
    first, again = Balancer(), Balancer()
    choices = [first.choose(frame, 2) for frame in frames]
    assert choices == [again.choose(frame, 2) for frame in frames]


def test_the_best_distance_is_the_one_that_is_correct_most_often():
    answers = ["1.00", "5.00", "5.50", "5.90", "9.00"]
    best = best_answer(Category.DISTANCE, answers)
    assert [is_correct(Category.DISTANCE, best, answer) for answer in answers] == [
        False, True, True, True, False,
    ]  # fmt: skip
    zeros = best_answer(Category.DISTANCE, ["0.00"] * 3 + ["4.00"] * 2)
    assert is_correct(Category.DISTANCE, zeros, "0.00")


def counts(rng: np.random.Generator, leaking: bool) -> list[WarehouseRecord]:
    found = []
    for _ in range(1500):
        listed = int(rng.integers(2, 5))
        answer = listed - 1 if leaking else int(rng.integers(0, listed + 1))
        text = f"How many of the pallets {'<mask> ' * listed}are in the buffer <mask>?"
        found.append(record("count", text, str(answer)))
    return found


@pytest.mark.parametrize("leaking", [False, True])
def test_a_leak_is_seen(leaking):
    rng = np.random.default_rng(2)
    scores = measure_guesses(counts(rng, leaking), counts(rng, leaking))["count"]
    assert scores.chance == pytest.approx((1 / 3 + 1 / 4 + 1 / 5) / 3, abs=0.01)
    if leaking:
        assert scores.same_text == 1.0
        assert scores.words > 0.95
    else:
        assert scores.same_text == pytest.approx(scores.chance, abs=0.03)
        assert scores.words == pytest.approx(scores.chance, abs=0.05)
