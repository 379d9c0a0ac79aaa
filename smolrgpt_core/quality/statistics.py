"""Counts a data set in the layout of the warehouse: questions, answers, regions and words.

Reads only the questions, no images. Judges nothing; `smolrgpt_core.quality.check` does.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smolrgpt_core.data.json_entries import JsonEntries
from smolrgpt_core.data.truths import true_answer
from smolrgpt_core.data.warehouse_format import (
    SplitFolder,
    WarehouseRecord,
    find_splits,
    placeholders_in,
)
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import MASK, Category

DISTANCE_STEP_M = 2.0
"""Width of the classes in which distances are counted."""

FREQUENT_WORDS = 20

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


@dataclass
class SplitStatistics:
    """Counts of one split.

    Attributes:
        questions: by category; "" for records without one.
        images: names of the images asked about.
        answers: by category, how often each normalized answer occurs; distances in classes.
        regions: how many questions have so many `<mask>`.
        words: how often each word occurs in questions, in lower case.
        question_lengths: how many questions have so many words.
        wordings: questions that differ in their words.
        broken: records that cannot be read.
        damage: why the file ends early; empty if it does not.
    """

    questions: Counter[str] = field(default_factory=Counter)
    images: set[str] = field(default_factory=set)
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    regions: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    question_lengths: Counter[int] = field(default_factory=Counter)
    wordings: set[int] = field(default_factory=set)
    broken: int = 0
    damage: str = ""

    def add(self, record: WarehouseRecord) -> None:
        """Count one question."""
        self.questions[record.category] += 1
        self.images.add(record.image)
        self.regions[placeholders_in(record.dialogue)] += 1
        words = _WORD.findall(record.question.replace(MASK, " ").lower())
        self.words.update(words)
        self.question_lengths[len(words)] += 1
        self.wordings.add(hash(tuple(words)))
        if record.normalized_answer:
            answer = _answer_class(record)
            self.answers.setdefault(record.category, Counter())[answer] += 1

    def to_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {
            "questions": sum(self.questions.values()),
            "images": len(self.images),
            "categories": dict(sorted(self.questions.items())),
            "answers": {
                category: dict(in_order(answers))
                for category, answers in sorted(self.answers.items())
            },
            "regions_per_question": {str(n): self.regions[n] for n in sorted(self.regions)},
            "words_per_question": round(mean_of(self.question_lengths), 2),
            "distinct_words": len(self.words),
            "distinct_wordings": len(self.wordings),
            "frequent_words": dict(self.words.most_common(FREQUENT_WORDS)),
            "broken_records": self.broken,
            "damage": self.damage,
        }


def dataset_statistics(root: Path) -> dict[str, SplitStatistics]:
    """Counts of every split.

    Raises:
        SpatialError: BAD_INPUT when there is no data set, or a file of questions has none.
    """
    return {folder.split: _split_statistics(folder) for folder in find_splits(root)}


def in_order(answers: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Answers with their counts: numbers by size, then words by the alphabet."""

    def key(item: tuple[str, int]) -> tuple[float, str]:
        number = re.match(r"\d+(\.\d+)?", item[0])
        return (float(number[0]) if number else math.inf, item[0])

    return iter(sorted(answers.items(), key=key))


def mean_of(counts: Mapping[int, int]) -> float:
    """Mean of values that occur so often; 0 if there is none."""
    total = sum(counts.values())
    return sum(value * count for value, count in counts.items()) / total if total else 0.0


def _split_statistics(folder: SplitFolder) -> SplitStatistics:
    entries = JsonEntries.scan(folder.records_path)
    statistics = SplitStatistics(damage=entries.damage)
    for index in range(len(entries)):
        try:
            record = WarehouseRecord.from_json(entries[index])
        except SpatialError:
            statistics.broken += 1
            continue
        statistics.add(record)
    return statistics


def _answer_class(record: WarehouseRecord) -> str:
    """The true answer; of a distance the class that it falls in; as it stands if unreadable."""
    try:
        answer = true_answer(record)
    except ValueError:
        return record.normalized_answer
    if record.category != Category.DISTANCE.name.lower():
        return str(answer)
    distance = float(answer)
    if distance <= 0:
        return f"{distance:g} m"
    low = math.floor(distance / DISTANCE_STEP_M) * DISTANCE_STEP_M
    return f"{low:g}-{low + DISTANCE_STEP_M:g} m"
