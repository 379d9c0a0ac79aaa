"""Defines scorers, their results, and means that they share.

Figures are percentages unless they have another unit. A question without a prediction, or whose
prediction cannot be read, counts as wrong; a scorer that skips one because its authors do states
so in a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from smolrgpt_core.public_benchmarks.letter_readers import LetterReader
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord

PERCENT = "%"


@dataclass(frozen=True)
class Verdict:
    """A scorer's verdict on one answer.

    Attributes:
        id: of the question.
        hit: 1 for right, 0 for wrong; between them for a fraction of points.
        read: what was read from the answer, for people; empty when nothing could be.
    """

    id: str
    hit: float
    read: str


@dataclass(frozen=True)
class Figure:
    """One figure of a score sheet.

    Attributes:
        value: in `unit`.
        of: denominator: questions, groups of rows, or readable answers.
        unit: of the value.
    """

    value: float
    of: int
    unit: str = PERCENT


@dataclass(frozen=True)
class Outcome:
    """What a scoring rule returns.

    Attributes:
        figures: by name, the most important first.
        verdicts: one for each question that the rule is about.
        notes: where a known fault of the published script, which is not copied, or a question that
            it leaves out changes a figure.
    """

    figures: Mapping[str, Figure]
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = ()

    @property
    def unread(self) -> int:
        """Number of questions whose answer is missing or cannot be read."""
        return sum(not verdict.read for verdict in self.verdicts)


@dataclass(frozen=True, eq=False)
class JudgedRecords:
    """What a judge, a language model, replied for each question; computed elsewhere.

    Attributes:
        replies: by id of the question, as the judge gave them; None where it failed.
    """

    replies: Mapping[str, Any] = field(default_factory=dict)


class Needs(Enum):
    """What a scorer needs from a language model."""

    NOTHING = "nothing"
    JUDGEMENTS = "a file with the replies of a judge: give --judgments"
    JUDGE = "a judge that is asked here: give --judge"
    READER = "a language model that reads what the rules refuse: give --reader"
    CLASSIFIERS = "classifiers of questions and answers, and a model: give --classifiers, --reader"


@dataclass(frozen=True, eq=False)
class ByModels:
    """Results of language models that read or judged answers in this run.

    Attributes:
        judged: replies of the judge, in the form of the official one; None: it was not asked.
        readings: by id of the question, answers that the rules refuse, in a form that they read;
            None: none was asked for.
        classified: by id of the question, what classifiers and a language model read of the answer,
            in a form that rules read; None: they were not asked.
    """

    judged: Mapping[str, Any] | None = None
    readings: Mapping[str, str] | None = None
    classified: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Answered:
    """Questions with the answers of a model.

    Attributes:
        records: of the benchmark, in its order.
        answers: texts by id; a question that is not there has no answer.
        judged: what a judge made of the answers, from a file.
        by_models: what language models made of them here.
    """

    records: Sequence[BenchmarkRecord]
    answers: Mapping[str, str]
    judged: JudgedRecords = field(default_factory=JudgedRecords)
    by_models: ByModels = field(default_factory=ByModels)

    @property
    def at_hand(self) -> set[Needs]:
        """The requirements that are met."""
        met = {
            Needs.NOTHING: True,
            Needs.JUDGEMENTS: bool(self.judged.replies),
            Needs.JUDGE: self.by_models.judged is not None,
            Needs.READER: self.by_models.readings is not None,
            Needs.CLASSIFIERS: self.by_models.classified is not None,
        }
        return {need for need, is_met in met.items() if is_met}

    def only(self, wanted: Callable[[BenchmarkRecord], bool]) -> Answered:
        """The same answers to some of the questions."""
        return replace(self, records=tuple(filter(wanted, self.records)))

    def as_read(self) -> Answered:
        """The same answers, with a language model's readings in place of those that the rules
        refuse.
        """
        return replace(self, answers={**self.answers, **(self.by_models.readings or {})})

    def as_classified(self) -> Answered:
        """The same answers, all replaced by what classifiers and a language model read in them."""
        return replace(self, answers=self.by_models.classified or {})

    def verdicts(
        self, decide: Callable[[BenchmarkRecord, str], tuple[float, str]]
    ) -> list[Verdict]:
        """Decide on every question.

        Args:
            decide: hit, and what was read, of a question and its answer; the answer is empty when
                there is none.
        """
        return [
            Verdict(record.id, *decide(record, self.answers.get(record.id, "")))
            for record in self.records
        ]


@dataclass(frozen=True)
class Scorer:
    """A published rule: how answers are read, and how hits become figures.

    Attributes:
        about: both in a line, and whose rule it is.
        score: the rule.
        needs: of a language model.
    """

    about: str
    score: Callable[[Answered], Outcome]
    needs: Needs = Needs.NOTHING


def with_reader(rule: str, scorers: Mapping[str, Scorer]) -> dict[str, Scorer]:
    """Scorers, and one more: what a rule refuses is read by a language model.

    Args:
        rule: name of one of the scorers, which refuses rather than guesses.
        scorers: of a benchmark.
    """
    score = scorers[rule].score
    further = Scorer(
        f"{rule}; what it refuses is read by a language model, whose quotation must say the same",
        lambda answered: score(answered.as_read()),
        Needs.READER,
    )
    return {**scorers, f"{rule}{FURTHER}": further}


FURTHER = "+model"
"""End of the name of a scorer whose rule a language model helps."""


def by_letters(reader: LetterReader) -> Callable[[BenchmarkRecord, str], tuple[float, str]]:
    """Correct if the reader finds the true letter, alone or among others."""

    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        letters = reader(answer, record.options)
        return float(str(record.truth) in letters), letters

    return decide


def fraction(verdicts: Iterable[Verdict]) -> Figure:
    """The mean hit rate in percent.

    Raises:
        ValueError: there are none.
    """
    hits = [verdict.hit for verdict in verdicts]
    if not hits:
        raise ValueError("there is no question to take the mean of")
    return Figure(100 * sum(hits) / len(hits), len(hits))


def fractions_by(
    records: Sequence[BenchmarkRecord],
    verdicts: Sequence[Verdict],
    key: Callable[[BenchmarkRecord], str],
) -> dict[str, Figure]:
    """The mean hit for each value of `key`, in the order in which they occur.

    Args:
        records: questions.
        verdicts: on each of them.
        key: group of a question.
    """
    found: dict[str, list[Verdict]] = defaultdict(list)
    for record, verdict in zip(records, verdicts, strict=True):
        found[key(record)].append(verdict)
    return {name: fraction(group) for name, group in found.items()}


def mean_of(figures: Iterable[Figure]) -> Figure:
    """The mean of figures with equal weight; its denominator is the sum of theirs."""
    taken = list(figures)
    value = sum(figure.value for figure in taken) / len(taken)
    return Figure(value, sum(figure.of for figure in taken))


@dataclass(frozen=True)
class Group:
    """Rows that count as one question, right only if all of them are.

    Attributes:
        first: its first row, which says of which category it is.
        verdict: of all rows together.
    """

    first: BenchmarkRecord
    verdict: Verdict


def grouped(
    records: Sequence[BenchmarkRecord],
    verdicts: Sequence[Verdict],
    key: Callable[[BenchmarkRecord], str],
) -> list[Group]:
    """Rows of equal `key` as one question each, in the order in which they occur.

    Args:
        records: questions.
        verdicts: on each of them.
        key: group of a question.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        rows[key(record)].append(index)
    return [
        Group(
            records[indices[0]],
            Verdict(
                name,
                float(all(verdicts[index].hit == 1 for index in indices)),
                " ".join(verdicts[index].read for index in indices),
            ),
        )
        for name, indices in rows.items()
    ]


def group_fractions(
    groups: Sequence[Group], key: Callable[[BenchmarkRecord], str]
) -> dict[str, Figure]:
    """The fraction of right groups for each value of `key` of their first rows."""
    first, verdicts = [group.first for group in groups], [group.verdict for group in groups]
    return fractions_by(first, verdicts, key)


def rounded(figure: Figure, digits: int) -> Figure:
    """The figure as a script prints it."""
    return Figure(round(figure.value, digits), figure.of, figure.unit)


def letters_outcome(answered: Answered, reader: LetterReader) -> Outcome:
    """Accuracy over all questions together, if there are any, letters read by `reader`."""
    verdicts = answered.verdicts(by_letters(reader))
    return Outcome({"overall": fraction(verdicts)} if verdicts else {}, verdicts)
