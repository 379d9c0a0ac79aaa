"""The base of public benchmarks: files, questions and scorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from smolrgpt_core.language.conventions import WAREHOUSE, Conventions
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.predictions import Predictions
from smolrgpt_core.public_benchmarks.published_files import (
    PublishedRow,
    find_files,
    read_all_rows,
    read_records,
)
from smolrgpt_core.public_benchmarks.records import BenchmarkData, BenchmarkRecord
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    ByModels,
    JudgedRecords,
    Needs,
    Outcome,
    Scorer,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import NO, YES

NAMED = 5
"""So many questions or rows are named in a message about several."""


class Benchmark(ABC):
    """A public benchmark.

    Attributes:
        name: on the command line.
        title: as its authors write it.
        hub: where its files are published.
        files: names of its files, the preferred form first.
        scorers: rules by name, the authors' own first if they published one.
        refusing: name of the scorer whose refused answers a language model may read.
        id_fields: fields of a prediction that together name its question.
        max_new_tokens: of an answer.
        conventions: what the words of its questions mean.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    hub: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    scorers: ClassVar[Mapping[str, Scorer]]
    refusing: ClassVar[str]
    id_fields: ClassVar[tuple[str, ...]]
    max_new_tokens: ClassVar[int] = 128
    conventions: ClassVar[Conventions] = WAREHOUSE

    def read(self, path: Path) -> BenchmarkData:
        """Read the published files.

        Args:
            path: one of them, or a folder with them.

        Raises:
            SpatialError: BAD_INPUT when they are not there or no row can be used.
            ImportError: pyarrow is needed and not installed.
        """
        return read_records(read_all_rows(find_files(path, self.files)), self.parse)

    @abstractmethod
    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """

    def rules(self, wanted: Sequence[str], at_hand: Collection[Needs]) -> list[str]:
        """Names of the scorers to use.

        Args:
            wanted: names; empty: all that can be used.
            at_hand: requirements that are met.
        """
        return list(wanted) or [
            name for name, rule in self.scorers.items() if rule.needs in at_hand
        ]

    def asked(self, record: BenchmarkRecord) -> AnswerSpec | None:
        """The kind of answer to a question; None if no model may read it here."""
        if record.options:
            return AnswerSpec(AnswerKind.LETTER, record.options)
        return AnswerSpec(AnswerKind.YES_NO) if record.truth in (YES, NO) else None

    def is_judged(self, record: BenchmarkRecord) -> bool:
        """Whether a judge, where the benchmark has one, is asked about a question."""
        return True

    def guess(
        self, record: BenchmarkRecord, alike: Sequence[BenchmarkRecord], rng: np.random.Generator
    ) -> str:
        """A blind guess: an option, yes or no, or the truth of a similar question.

        Args:
            record: the question; of its truth only the kind is used.
            alike: other questions of the same category and source.
            rng: random numbers.
        """
        if record.options:
            return record.letters[int(rng.integers(len(record.options)))]
        if record.truth in (YES, NO):
            return (YES, NO)[int(rng.integers(2))]
        return str(alike[int(rng.integers(len(alike)))].truth) if alike else ""

    def question_id(self, row: Mapping[str, Any]) -> str:
        """The id of the question that a row, or a prediction, is about; `id` also names it.

        Raises:
            KeyError: a field is missing.
        """
        if all(name in row for name in self.id_fields):
            return "/".join(str(row[name]) for name in self.id_fields)
        if "id" not in row:
            raise KeyError(f"{' with '.join(self.id_fields)}, or id")
        return str(row["id"])


@dataclass(frozen=True)
class BenchmarkReport:
    """The report of `smolrgpt benchmark`.

    Attributes:
        benchmark: the one that was asked.
        data: its questions.
        missing: ids of questions without a prediction.
        unknown: ids of predictions without a question.
        stray_replies: ids of a judge's replies without a question.
        outcomes: by name of the scorer.
    """

    benchmark: Benchmark
    data: BenchmarkData
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    stray_replies: tuple[str, ...]
    outcomes: Mapping[str, Outcome]

    def notes(self) -> list[str]:
        """Remarks that a reader of the figures must know, one sentence each."""
        notes = list(self.data.notes)
        rejected = [f"{row.place} ({row.reason})" for row in self.data.rejected]
        flawed = [f"{record.id} ({'; '.join(record.problems)})" for record in self.data.records
                  if record.problems]  # fmt: skip
        for found, what in (
            (rejected, "rows that cannot be read, in no denominator"),
            (flawed, "questions with a flaw, scored all the same"),
            (self.missing, "questions without a prediction"),
            (self.unknown, "predictions about no question of the data, not used"),
            (self.stray_replies, "replies of the judge about no question of the data, not used"),
        ):
            if found:
                notes.append(f"{what}: {len(found)}: {_named(found)}")
        for name, outcome in self.outcomes.items():
            notes += [f"{name}: {note}" for note in outcome.notes]
        return notes

    def to_json(self) -> dict[str, Any]:
        """Figures, denominators, unreadable answers and every verdict."""
        return {
            "benchmark": self.benchmark.name,
            "questions": len(self.data.records),
            "rejected_rows": [{"place": r.place, "reason": r.reason} for r in self.data.rejected],
            "missing": list(self.missing),
            "unknown": list(self.unknown),
            "notes": self.notes(),
            "scorers": {name: _outcome_json(found) for name, found in self.outcomes.items()},
        }


def score(
    benchmark: Benchmark,
    data: BenchmarkData,
    predictions: Predictions,
    scorers: Sequence[str],
    judged: JudgedRecords | None = None,
    by_models: ByModels | None = None,
) -> BenchmarkReport:
    """Score answers by several rules.

    Args:
        benchmark: that the data belongs to.
        data: its questions.
        predictions: answers, and the judge's replies if they stand beside them.
        scorers: names of rules, see `Benchmark.scorers`; empty: all that can be used.
        judged: replies of a judge from a file of their own.
        by_models: what language models made of the answers.

    Raises:
        ValueError: no prediction matches a question of the data, or a rule needs a language model
            that is missing.
    """
    ids = {record.id for record in data.records}
    if not ids & predictions.answers.keys():
        raise ValueError(
            f"no prediction is about a question of the data: expected ids such as "
            f"{_named(sorted(ids))}, got {_named(list(predictions.answers))}"
        )
    answered = Answered(
        data.records, predictions.answers, judged or predictions.judged, by_models or ByModels()
    )
    outcomes = {}
    for name in benchmark.rules(scorers, answered.at_hand):
        needed = benchmark.scorers[name].needs
        if needed not in answered.at_hand:
            raise ValueError(f"the scorer {name} needs {needed.value}")
        outcomes[name] = benchmark.scorers[name].score(answered)
    missing = tuple(r.id for r in data.records if r.id not in predictions.answers)
    unknown = tuple(id for id in predictions.answers if id not in ids)
    stray = tuple(id for id in answered.judged.replies if id not in ids)
    return BenchmarkReport(benchmark, data, missing, unknown, stray, outcomes)


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (", ..." if len(listed) > NAMED else "")


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "figures": {
            name: {"value": figure.value, "unit": figure.unit, "of": figure.of}
            for name, figure in outcome.figures.items()
        },
        "unreadable": outcome.unread,
        "questions": len(outcome.verdicts),
        "notes": list(outcome.notes),
        "verdicts": [{"id": v.id, "hit": v.hit, "read": v.read} for v in outcome.verdicts],
    }
