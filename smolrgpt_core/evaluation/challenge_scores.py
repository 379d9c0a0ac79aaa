"""The scores of the AI City Challenge 2025, Track 3, for a file of predictions.

Reproduces, key by key, what the challenge's own script prints; docs/evaluation.md lists its rules,
which are those of two public copies of it. Independent of images and answerers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer.scoring import NormalizedAnswer, as_float, is_correct, read_normalized
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS

QUALITATIVE = (Category.MCQ, Category.LEFT_RIGHT)
QUANTITATIVE = (Category.COUNT, Category.DISTANCE)

EPSILON = 1e-8
"""Added to divisors: the true value of a distance, and the number of answers in `_err`."""

NEAR_RATIO = 1.1
"""Larger of prediction / truth and truth / prediction below which an answer is near (`_a1`)."""


@dataclass(frozen=True)
class ScoredAnswer:
    """A prediction and the true answer.

    Attributes:
        id: of the question.
        category: of the question.
        truth: the true answer.
        predicted: the prediction; None when it cannot be read.
        correct: whether it counts as correct.
        by_script: whether the challenge's script reads the prediction.
    """

    id: str
    category: Category
    truth: NormalizedAnswer
    predicted: NormalizedAnswer | None
    correct: bool
    by_script: bool = True

    @property
    def group(self) -> str:
        """Name of the category."""
        return self.category.name.lower()


def score_answer(
    id: str, category: Category, truth: NormalizedAnswer, prediction: object
) -> ScoredAnswer:
    """Score a prediction against the truth.

    Args:
        id: of the question.
        category: of the question.
        truth: the true answer.
        prediction: as it stands in the file.
    """
    predicted = read_prediction(prediction, category)
    by_script = read_by_script(prediction, category) is not None
    return ScoredAnswer(
        id, category, truth, predicted, is_correct(category, predicted, truth), by_script
    )


def challenge_scores(answers: Sequence[ScoredAnswer]) -> dict[str, float]:
    """All figures, with the keys of the challenge's script; fractions are in percent.

    Categories without a question are omitted and do not count in the final score.

    Args:
        answers: in the order of the true answers, which decides the last digit of a sum.

    Raises:
        ValueError: without any answer.
    """
    if not answers:
        raise ValueError("there is no answer to score")
    by_category = {
        category: found
        for category in (*QUALITATIVE, *QUANTITATIVE)
        if (found := [answer for answer in answers if answer.category is category])
    }
    scores: dict[str, float] = {}
    for category, found in by_category.items():
        scores |= _category_scores(category, found)
    accuracies = [
        scores[f"{_name(category)}_acc"] for category in sorted(by_category, key=lambda c: c.name)
    ]
    scores["Final_weighted_score"] = sum(accuracies) / len(accuracies)
    for group, categories in (("Quan", QUANTITATIVE), ("Qual", QUALITATIVE)):
        found = [answer for answer in answers if answer.category in categories]
        scores |= _totals(f"{group}_total", f"{group}_overall_acc", found)
    return scores | _totals("Total", "Overall_acc", answers)


def _name(category: Category) -> str:
    """Such as "Quan_distance"."""
    group = "Quan" if category in QUANTITATIVE else "Qual"
    return f"{group}_{category.name.lower()}"


def _category_scores(category: Category, answers: Sequence[ScoredAnswer]) -> dict[str, float]:
    name = _name(category)
    scores = _totals(name, f"{name}_acc", answers)
    if category in QUANTITATIVE:
        truth = np.array([float(answer.truth) for answer in answers])
        predicted = np.array(
            [np.nan if a.predicted is None else float(a.predicted) for a in answers]
        )
        least = 1.0 if category is Category.COUNT else 0.0
        scores |= {
            f"{name}_{key}": value for key, value in _errors(truth, predicted, least).items()
        }
    return scores


def _errors(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], least: float
) -> Mapping[str, float]:
    """Errors of values (N,): meters, or numbers of objects; NaN for what cannot be read.

    Args:
        truth: true values.
        predicted: predicted ones.
        least: that `_err` is divided by at least, where the truth is less; 0: by the truth.
    """
    unread = np.isnan(predicted)
    # As a value of 0, what cannot be read is as wrong as no measurement.
    predicted = np.where(unread, 0.0, predicted)
    errors = np.abs(predicted - truth)
    relative = errors / (np.maximum(truth, least) if least else truth + EPSILON)
    ratio = np.maximum(truth / (predicted + EPSILON), predicted / (truth + EPSILON))
    return {
        "err": float(np.sum(np.where(unread, 1.0, relative))) / (len(truth) + EPSILON) * 100,
        "absrel": round(float(np.mean(errors / (truth + EPSILON))), 3),
        # The script's name; it is the mean of the roots of single squared errors.
        "rmse": round(float(errors.mean()), 3),
        "a1": round(float((ratio < NEAR_RATIO).mean()), 3),
    }


def _totals(prefix: str, accuracy: str, answers: Sequence[ScoredAnswer]) -> dict[str, float]:
    if not answers:
        return {}
    correct = sum(answer.correct for answer in answers)
    return {
        f"{prefix}_count": len(answers),
        f"{prefix}_correct": correct,
        accuracy: correct / len(answers) * 100,
    }


_SIDES = {
    f"{side[0] if short else side}": side for side in ("left", "right") for short in (True, False)
} | {f"{side}{end}": side for side in ("left", "right") for end in (" side", "-hand", " hand")}

_WORDS = dict(islice(NUMBER_WORDS.items(), 11))
"""Those that the script knows, zero to ten; it finds them inside of other words, too."""


def read_prediction(answer: object, category: Category) -> NormalizedAnswer | None:
    """The value of an answer in a submission; None if it cannot be parsed."""
    value = read_by_script(answer, category)
    if value is not None:
        return value
    try:
        return read_normalized(answer, category)
    except ValueError:
        # Not readable is a result here, and is counted by whoever asks.
        return None


def read_by_script(answer: object, category: Category) -> NormalizedAnswer | None:
    """The value that the challenge's script parses; None if it cannot."""
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
        return None
    if category is Category.LEFT_RIGHT:
        return _SIDES.get(str(answer).lower().strip())
    if category is Category.MCQ:
        return _first_digits(str(answer))
    try:
        number = as_float(float(answer) if isinstance(answer, str) else answer)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if category is Category.COUNT else number


def _first_digits(text: str) -> int | None:
    text = text.lower()
    for word, number in _WORDS.items():
        text = text.replace(word, str(number))
    found = re.search(r"[0-9]+", text)
    return int(found[0]) if found else None
