"""How well the questions of a data set can be answered without looking: from their words alone.

Guesses are learned from some records and scored on others, as the challenge scores answers. Nothing
here is a model; what counts is that no guess beats chance by more than chance.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from smolrgpt_core.answer import DISTANCE_TOLERANCE
from smolrgpt_core.answer.scoring import is_correct
from smolrgpt_core.data.truths import true_answer
from smolrgpt_core.data.warehouse_format import WarehouseRecord
from smolrgpt_core.language import CATEGORIES, MASK, Category, read_question
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.language.operators import selections
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.synthesis.balance import answer_bin
from smolrgpt_core.synthesis.mixtures import TASKS

ENOUGH = 20
"""A text that occurs less often is not used to predict its answer."""

PRIOR = 10.0
"""With so many records of an answer, its words count as much as those of all answers."""

_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")

Guess = Callable[[WarehouseRecord], str]


@dataclass(frozen=True)
class GuessScores:
    """Fractions of correct guesses in one category.

    Attributes:
        questions: number of records that were scored.
        chance: what a guess can expect that knows the possible answers, and nothing else; of a
            distance the same as `constant`.
        constant: the best single answer of the category.
        same_text: the best single answer to questions with the same text, which fixes phrasing,
            labels and number of regions.
        words: naive Bayes over words, pairs of words and the number of regions.
    """

    questions: int
    chance: float
    constant: float
    same_text: float
    words: float


def measure_guesses(
    known: Sequence[WarehouseRecord], asked: Sequence[WarehouseRecord]
) -> dict[str, GuessScores]:
    """Scores by category of guesses that were learned from `known` on the questions `asked`."""
    lessons, test = _by_category(known), _by_category(asked)
    return {
        name: _measure(category, lessons[name], test[name])
        for name, category in CATEGORIES.items()
        if name in lessons and name in test
    }


def constant_guess(known: Sequence[WarehouseRecord]) -> Guess:
    """The most frequent answer of each category; empty for one that `known` does not have."""
    best = {
        name: best_answer(CATEGORIES.get(name), [item.normalized_answer for item in lessons])
        for name, lessons in _by_category(known).items()
    }
    return lambda record: best.get(record.category, "")


def words_guess(known: Sequence[WarehouseRecord]) -> Guess:
    """Naive Bayes over the words of a question; empty for a category that `known` does not have."""
    guesses = {
        name: _naive_bayes(CATEGORIES.get(name), lessons)
        for name, lessons in _by_category(known).items()
    }
    return lambda record: guesses[record.category](record) if record.category in guesses else ""


def _by_category(records: Sequence[WarehouseRecord]) -> dict[str, list[WarehouseRecord]]:
    """Records whose answer can be read, by category or task; the answers in one spelling."""
    found: defaultdict[str, list[WarehouseRecord]] = defaultdict(list)
    for record in records:
        if record.category in TASKS:
            if record.normalized_answer:
                found[record.category].append(record)
            continue
        try:
            answer = str(true_answer(record))
        except ValueError:
            # Those that are evaluated are counted and named there.
            continue
        found[record.category].append(replace(record, normalized_answer=answer))
    return found


def _measure(
    category: Category, lessons: list[WarehouseRecord], test: list[WarehouseRecord]
) -> GuessScores:
    answers = [record.normalized_answer for record in lessons]
    constant = best_answer(category, answers)
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for record in lessons:
        texts[record.question].append(record.normalized_answer)
    best = {
        text: best_answer(category, seen) for text, seen in texts.items() if len(seen) >= ENOUGH
    }
    always = _accuracy(category, test, lambda _: constant)
    return GuessScores(
        questions=len(test),
        chance=always if category is Category.DISTANCE else _chance(category, test),
        constant=always,
        same_text=_accuracy(category, test, lambda item: best.get(item.question, constant)),
        words=_accuracy(category, test, _naive_bayes(category, lessons)),
    )


def _chance(category: Category, test: Sequence[WarehouseRecord]) -> float:
    return sum(1 / _possible_answers(category, record) for record in test) / len(test)


def best_answer(category: Category | None, answers: Sequence[str]) -> str:
    """The constant answer that is correct most often.

    Args:
        category: of the questions; None for those of a task, whose answers have several forms: the
            best of its measurements, where these are the majority.
        answers: to learn from.
    """
    measured = [answer for answer in answers if _is_measured(category, answer)]
    if 2 * len(measured) <= len(answers):
        return min(Counter(answers).items(), key=lambda item: (-item[1], item[0]))[0]
    meters = sorted(map(float, measured))
    # Just below the largest guess for which the smallest of the answers is correct.
    guesses = [low * (1 + 0.999 * DISTANCE_TOLERANCE) for low in meters]
    right = [
        bisect_right(meters, guess / (1 - DISTANCE_TOLERANCE)) - first
        for first, guess in enumerate(guesses)
    ]
    return f"{guesses[right.index(max(right))]:.6f}"


def _is_measured(category: Category | None, answer: str) -> bool:
    """Whether an answer is a measurement, of which a near one is correct, too."""
    return category is Category.DISTANCE or (category is None and bool(_DECIMAL.fullmatch(answer)))


def _bin(category: Category | None, answer: str) -> str:
    """Answers that a guess cannot distinguish have the same bin."""
    return answer_bin(Category.DISTANCE if _is_measured(category, answer) else Category.MCQ, answer)


def _accuracy(category: Category, test: Sequence[WarehouseRecord], guess: Guess) -> float:
    right = [is_correct(category, guess(item), item.normalized_answer) for item in test]
    return sum(right) / len(right)


def _possible_answers(category: Category, record: WarehouseRecord) -> int:
    """The number of answers that the words allow."""
    if category is Category.LEFT_RIGHT:
        return 2
    listed = len(_listed(category, record.question))
    return listed + 1 if category is Category.COUNT else max(listed, 1)


def _listed(category: Category, text: str) -> tuple[int, ...]:
    """What is counted or chosen from, with regions that are called as in the text."""
    labels = mask_labels(text)
    ids = tuple(range(1, len(labels) + 1))
    regions = tuple(
        Region.from_box(id, label, Box(0, 0, 1, 1)) for id, label in zip(ids, labels, strict=True)
    )
    part = read_question(text, RegionSet((1, 1), regions), category, ids).program
    while part is not None and part.operator is not selections.Listed:
        part = part.parts[0] if part.parts else None
    return part.arguments[0] if part is not None else ()


def _features(record: WarehouseRecord) -> list[str]:
    words = re.findall(r"[a-z]+|<mask>", record.question.lower())
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return [*dict.fromkeys([*words, *pairs]), f"regions: {words.count(MASK)}"]


def _naive_bayes(category: Category | None, lessons: Sequence[WarehouseRecord]) -> Guess:
    """A guess from single words and pairs of words; distances by bins."""
    by_answer: defaultdict[str, list[WarehouseRecord]] = defaultdict(list)
    for record in lessons:
        by_answer[_bin(category, record.normalized_answer)].append(record)
    best = {
        answer: best_answer(category, [record.normalized_answer for record in records])
        for answer, records in by_answer.items()
    }
    counts = {
        answer: Counter(feature for record in records for feature in _features(record))
        for answer, records in by_answer.items()
    }
    everywhere = sum(counts.values(), Counter())

    def guess(record: WarehouseRecord) -> str:
        features = [feature for feature in _features(record) if feature in everywhere]

        def log_likelihood(answer: str) -> float:
            total = len(by_answer[answer])
            evidence = (
                math.log(counts[answer][f] + PRIOR * everywhere[f] / len(lessons)) for f in features
            )
            return math.log(total) + sum(evidence) - len(features) * math.log(total + PRIOR)

        return best[max(by_answer, key=log_likelihood)]

    return guess
