"""Selects questions so that the answers of a data set cannot be guessed from the words.

Without selection, "how far is the shelf" would mean far. A `Balancer` sees candidates frame by
frame and remembers its selection, so the result depends only on the candidates and their order.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol

from smolrgpt_core.language import Category

BIN_RATIO = 1.2
"""Distances within this ratio count as the same answer: about what the score takes as right."""

SLACK = 1.25
"""How much more frequent an answer may be with some words than in its whole category."""

FLOOR = 0.06
"""An answer may have this frequency with any words: no more than the best answer of all distances.

Without it, an answer that few words allow (near ones, 0 in a buffer) would die out.
"""

FREE = 2.0
"""So many questions with the same words and answer are allowed before frequencies mean anything."""

WEIGHTS = {"distance": 4, "count_inside": 2, "left_or_right": 2, "nearest": 2, "pickup": 2}
"""How often a form is wanted; 1 for all others. These are the questions of the public data set."""

IN_BUFFER = -99
"""Bin of the distance 0, of an object in the buffer that is asked about."""


class Choosable(Protocol):
    """A question that may be selected, such as `QuestionWithTruth`, which documents the fields."""

    @property
    def form(self) -> str:
        """Name of the question form."""

    @property
    def category(self) -> Category:
        """The kind of answer."""

    @property
    def wording(self) -> str:
        """The parts of the text that can hint at a distance."""

    @property
    def text(self) -> str:
        """The text of the question."""

    @property
    def region_ids(self) -> tuple[int, ...]:
        """The regions of the text's placeholders."""

    @property
    def normalized_answer(self) -> str:
        """The true answer."""


def distance_bin(meters: float) -> int:
    """The bin of a distance; bins are equally wide on a logarithmic scale."""
    return round(math.log(meters) / math.log(BIN_RATIO)) if meters > 0 else IN_BUFFER


def answer_bin(category: Category, normalized_answer: str) -> str:
    """The bin of an answer; answers that a guess cannot distinguish share a bin."""
    if category is Category.DISTANCE:
        return str(distance_bin(float(normalized_answer)))
    return normalized_answer


class Balancer:
    """Selects questions so that categories, forms and answers are as evenly distributed as
    possible.

    A distance is selected only if its answer is no more frequent among questions with the same
    words than among all distances. Answers of other categories are evenly distributed by
    construction.
    """

    def __init__(self) -> None:
        self._categories: Counter[Category] = Counter()
        self._forms: Counter[str] = Counter()
        self._distances: Counter[str] = Counter()
        self._distances_by_wording: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def choose(self, candidates: Sequence[Choosable], count: int) -> list[int]:
        """Positions of at most `count` different questions about one frame, in order of choice."""
        waiting = {
            (item.text, item.region_ids): index
            for index, item in reversed([*enumerate(candidates)])
        }
        left = sorted(waiting.values())
        taken: list[int] = []
        while left and len(taken) < count:
            best = min(left, key=lambda index: (*self._preference(candidates[index]), index))
            left.remove(best)
            if self._is_even(candidates[best]):
                self._take(candidates[best])
                taken.append(best)
        return taken

    def _preference(self, item: Choosable) -> tuple[int, float, int]:
        """What there is least of comes first: category, form, distance."""
        answer = answer_bin(item.category, item.normalized_answer)
        return (
            self._categories[item.category],
            self._forms[item.form] / WEIGHTS.get(item.form, 1),
            self._distances[answer] if item.category is Category.DISTANCE else 0,
        )

    def _is_even(self, item: Choosable) -> bool:
        if item.category is not Category.DISTANCE:
            return True
        answer = answer_bin(item.category, item.normalized_answer)
        same_words = self._distances_by_wording[item.wording]
        fraction = (self._distances[answer] + 1) / (self._distances.total() + 1)
        return same_words[answer] < FREE + SLACK * max(fraction, FLOOR) * same_words.total()

    def _take(self, item: Choosable) -> None:
        self._categories[item.category] += 1
        self._forms[item.form] += 1
        if item.category is Category.DISTANCE:
            answer = answer_bin(item.category, item.normalized_answer)
            self._distances[answer] += 1
            self._distances_by_wording[item.wording][answer] += 1
