"""MMBench: multiple choice whose options rotate; a question is correct only if every row is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.letter_readers import (
    LetterReader,
    marked_letter,
    standalone_letter,
)
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkRecord,
    is_missing,
    letter_truth,
    lettered_options,
    options_text,
    text_field,
)
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Outcome,
    Scorer,
    by_letters,
    fraction,
    group_fractions,
    grouped,
    with_reader,
)

ROTATION = 1_000_000
"""Rows whose index is equal but for multiples of this are one question."""

ABBREVIATIONS = {
    "coarse_perception": "CP",
    "finegrained_perception (instance-level)": "FP-S",
    "finegrained_perception (cross-instance)": "FP-C",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
    "attribute_reasoning": "AR",
}
"""Kinds of categories, as VLMEvalKit prints them."""


def choice_prompt(question: str, options: Sequence[str], hint: str = "") -> str:
    """VLMEvalKit's prompt of a multiple choice.

    Args:
        question: of the row.
        options: texts in the order of the letters.
        hint: of the row; empty: none.
    """
    return (
        (f"Hint: {hint}\n" if hint else "")
        + f"Question: {question}\nOptions:\n{options_text(options)}\n"
        + "Please select the correct answer from the options above. \n"
    )


def _circular(answered: Answered, reader: LetterReader, names: dict[str, str]) -> Outcome:
    """Fractions of questions whose rows are all right, by kind and by category.

    Args:
        answered: rows and answers.
        reader: of letters.
        names: of kinds that are printed under another name.
    """
    records, verdicts = answered.records, answered.verdicts(by_letters(reader))
    groups = grouped(records, verdicts, lambda record: record.group)
    figures = {"overall": fraction(group.verdict for group in groups)}
    figures |= group_fractions(groups, lambda record: names.get(record.source, record.source))
    figures |= group_fractions(groups, lambda record: record.category)
    return Outcome(figures, verdicts)


def _vlmevalkit(answered: Answered) -> Outcome:
    found = _circular(answered, standalone_letter, ABBREVIATIONS)
    first = [verdict for verdict in found.verdicts if int(verdict.id) < ROTATION]
    figures = {**found.figures, "first rows only": fraction(first)} if first else found.figures
    return Outcome(
        figures,
        found.verdicts,
        ["an answer without a letter is wrong; a judge would be asked"],
    )


class MMBench(Benchmark):
    """MMBench in English, the development split: 4329 rows."""

    name = "mmbench"
    title = "MMBench"
    hub = "lmms-lab-encoder/MMBench (en), VLMEvalKit's MMBench_DEV_EN.tsv"
    files = ("MMBench*.tsv", "mmbench*.tsv", "dev-*.parquet")
    id_fields = ("index",)
    refusing = "official"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "OpenCompass, in VLMEvalKit: letter alone or option's text; circular", _vlmevalkit
            ),
            "lmms_eval": Scorer(
                "lmms-eval, static: marked letter or option's text; circular",
                lambda answered: _circular(answered, marked_letter, {}),
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; empty or "nan" options and hints are none."""
        options = lettered_options(row.fields, "ABCD")
        question = text_field(row.fields, "question")
        hint = row.fields.get("hint")
        index = int(text_field(row.fields, "index"))
        image, problems = row.image("image")
        return BenchmarkRecord(
            id=str(index),
            question=question,
            prompt=choice_prompt(question, options, "" if is_missing(hint) else str(hint)),
            truth=letter_truth(row.fields.get("answer"), options),
            category=text_field(row.fields, "category"),
            image=image,
            options=options,
            group=str(index % ROTATION),
            source=str(row.fields.get("l2-category") or row.fields.get("L2-category") or ""),
            problems=problems,
        )
