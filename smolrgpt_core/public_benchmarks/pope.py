"""POPE: whether an object is in the image; accuracy, precision, recall and F1 of "yes"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.published_files import (
    PublishedRow,
    find_files,
    read_all_rows,
    read_records,
)
from smolrgpt_core.public_benchmarks.records import BenchmarkData, BenchmarkRecord, text_field
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Outcome,
    Scorer,
    Verdict,
    mean_of,
    with_reader,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import (
    NO,
    YES,
    exact,
    negated_first_sentence,
    one_word,
)

CATEGORIES = ("random", "popular", "adversarial")

METRICS = ("accuracy", "precision", "recall", "F1", "yes ratio")


def yes_metrics(pairs: Sequence[tuple[str, str]], unread_is_no: bool) -> dict[str, Figure]:
    """Metrics of (truth, answer) pairs, each "yes" or "no"; an answer may be empty.

    Args:
        pairs: at least one.
        unread_is_no: whether a yes that was not read is missed; otherwise it is in no recall.
    """
    hits = sum(truth == predicted for truth, predicted in pairs)
    yes = [truth for truth, predicted in pairs if predicted == YES]
    of_yes = [g for t, g in pairs if t == YES and (g or unread_is_no)]
    right = yes.count(YES)
    precision, recall = _ratio(right, len(yes)), _ratio(right, len(of_yes))
    f1 = _ratio(2 * precision * recall, precision + recall)
    values = (_ratio(hits, len(pairs)), precision, recall, f1, _ratio(len(yes), len(pairs)))
    of = (len(pairs), len(yes), len(of_yes), len(pairs), len(pairs))
    return {
        name: Figure(100 * value, count)
        for name, value, count in zip(METRICS, values, of, strict=True)
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _by_category(
    answered: Answered, read: Callable[[str], str], unread_is_no: bool
) -> tuple[dict[str, dict[str, Figure]], list[Verdict]]:
    """Metrics of all questions (under an empty name) and of each category, with verdicts."""
    verdicts = answered.verdicts(lambda r, answer: (float(read(answer) == r.truth), read(answer)))
    rows = list(zip(answered.records, verdicts, strict=True))
    found = {}
    for name in ("", *CATEGORIES):
        pairs = [(str(r.truth), v.read) for r, v in rows if name in ("", r.category)]
        if pairs:
            found[name] = yes_metrics(pairs, unread_is_no)
    return found, verdicts


def _named(found: dict[str, dict[str, Figure]]) -> dict[str, Figure]:
    return {
        f"{category} {metric}".strip(): figure
        for category, metrics in found.items()
        for metric, figure in metrics.items()
    }


def _llava(answered: Answered) -> Outcome:
    found, verdicts = _by_category(answered, negated_first_sentence, unread_is_no=True)
    del found[""]
    means = {
        f"mean {metric}": mean_of(metrics[metric] for metrics in found.values())
        for metric in METRICS
    }
    silent = sum(not answered.answers.get(record.id) for record in answered.records)
    notes = (
        [f"questions without an answer, which mean yes by this rule: {silent}"] if silent else []
    )
    return Outcome({**means, **_named(found)}, verdicts, notes)


def _vlmevalkit(answered: Answered) -> Outcome:
    found, verdicts = _by_category(answered, one_word, unread_is_no=True)
    return Outcome(
        _named(found), verdicts, ["its Overall is F1; an unread answer is a no in F1 and recall"]
    )


def _lmms_eval(answered: Answered) -> Outcome:
    found, verdicts = _by_category(answered, exact, unread_is_no=False)
    rows = answered.records
    for name, metrics in found.items():
        truths = [record.truth for record in rows if name in ("", record.category)]
        metrics["yes ratio"] = Figure(100 * truths.count(YES) / len(truths), len(truths))
    return Outcome(
        _named(found),
        verdicts,
        ["its yes ratio is that of the truths", "a yes that was not read is in no recall"],
    )


class Pope(Benchmark):
    """9000 questions, 3000 in each category."""

    name = "pope"
    title = "POPE"
    hub = "lmms-lab-encoder/POPE"
    files = ("test-*.parquet", "pope.jsonl")
    id_fields = ("question_id",)
    refusing = "vlmevalkit"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "llava": Scorer(
                "LLaVA: no or not in the first sentence is no, all else yes; mean of categories",
                _llava,
            ),
            "vlmevalkit": Scorer("VLMEvalKit: the word yes or no; all rows together", _vlmevalkit),
            "lmms_eval": Scorer("lmms-eval: exactly yes or no; all rows together", _lmms_eval),
        },
    )

    def read(self, path: Path) -> BenchmarkData:
        """Read the published files; see `Benchmark.read`.

        Copies number the questions of every category from 1 on, or all of them: where a number is
        there several times, a question is named by its category, too, such as "random/12".
        """
        files = find_files(path, self.files)
        numbers = [row.fields.get("question_id") for row in read_all_rows(files)]
        # Read twice, so that no row is held in memory with its image.
        rows = read_all_rows(files)
        if len(set(numbers)) == len(numbers):
            return read_records(rows, self.parse)
        named = (
            replace(row, fields={**row.fields, "question_id": f"{row.fields.get('category')}/{n}"})
            for row, n in zip(rows, numbers, strict=True)
        )
        note = "question_id repeats: predictions name a question by an `id` such as random/12"
        return replace(read_records(named, self.parse), notes=(note,))

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; a question asked in several categories is in several rows.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        truth = text_field(row.fields, "answer").strip().lower()
        category = text_field(row.fields, "category")
        if truth not in (YES, NO) or category not in CATEGORIES:
            raise ValueError(
                f"expected yes or no, and a category of {CATEGORIES}, got {truth!r}, {category!r}"
            )
        question = text_field(row.fields, "question").strip()
        image, problems = row.image("image")
        return BenchmarkRecord(
            id=self.question_id(row.fields),
            question=question,
            prompt=f"{question}\nAnswer the question using a single word or phrase.",
            truth=truth,
            category=category,
            image=image,
            source=str(row.fields.get("image_source") or ""),
            problems=problems,
        )
