"""3DSRBench: multiple choice whose options rotate, and whose images are mirrored.

A question is correct only if all its rows are; scorers differ in which rows make a question.
"""

from __future__ import annotations

import re
from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.letter_readers import (
    LetterReader,
    first_pattern,
    letter_in_any_case,
    letters_of_two_characters,
    standalone_letter,
)
from smolrgpt_core.public_benchmarks.mmbench import choice_prompt
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkRecord,
    is_missing,
    letter_truth,
    lettered_options,
    text_field,
)
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Group,
    Outcome,
    Scorer,
    by_letters,
    fraction,
    fractions_by,
    group_fractions,
    grouped,
    rounded,
    with_reader,
)

TYPES = ("height", "location", "orientation", "multi_object")

ID = re.compile(r"[^-]{8}(-flip)?(-[0-9])?")
"""Eight characters; "-flip" for a mirrored image, "-N" for rotation N of the options."""


def type_of(record: BenchmarkRecord) -> str:
    """One of `TYPES`, which a category begins with.

    Raises:
        ValueError: it begins with none of them.
    """
    for name in TYPES:
        if record.category.startswith(f"{name}_"):
            return name
    raise ValueError(f"expected a category of {TYPES}, got {record.category!r}")


def rotations(record: BenchmarkRecord) -> str:
    """Group of the authors: rotations of the options; a mirrored question is one of its own."""
    return record.group


def mirrored_pair(record: BenchmarkRecord) -> str:
    """Group of a row and the same rotation of its mirrored question."""
    return record.id.replace("-flip", "")


def all_rows(record: BenchmarkRecord) -> str:
    """Group of all rotations, mirrored or not."""
    return record.id.split("-", maxsplit=1)[0]


GROUPINGS = {"flip": mirrored_pair, "circular": rotations, "flip circular": all_rows}
"""What VLMEvalKit and lmms-eval report beside the fraction of single rows, "vanilla"."""


def _official(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(by_letters(standalone_letter))
    groups = grouped(answered.records, verdicts, rotations)
    figures = {"overall": _overall(groups)} | group_fractions(groups, type_of)
    figures |= group_fractions(groups, lambda record: record.category)
    return Outcome(
        {name: rounded(figure, 1) for name, figure in figures.items()},
        verdicts,
        ["letters by exact matching; the authors ask a judge for those that it does not find"],
    )


def _vlmevalkit(answered: Answered) -> Outcome:
    records, verdicts = answered.records, answered.verdicts(by_letters(standalone_letter))
    figures = {"vanilla": fraction(verdicts)}
    details = {f"vanilla {k}": v for k, v in fractions_by(records, verdicts, _category).items()}
    for name, key in GROUPINGS.items():
        groups = grouped(records, verdicts, key)
        figures[name] = _overall(groups)
        details |= {f"{name} {k}": v for k, v in group_fractions(groups, _category).items()}
    return Outcome(figures | details, verdicts)


def _lmms_eval(answered: Answered) -> Outcome:
    records, verdicts = answered.records, answered.verdicts(by_letters(first_pattern))
    figures = {"vanilla": fraction(verdicts)}
    for name, key in GROUPINGS.items():
        figures[name] = _overall(grouped(records, verdicts, key))
    return Outcome(
        figures | fractions_by(records, verdicts, type_of),
        verdicts,
        ["figures of the four types are means of rows, not circular"],
    )


def _hispatial(answered: Answered, reader: LetterReader) -> Outcome:
    verdicts = answered.verdicts(by_letters(reader))
    groups = grouped(answered.records, verdicts, all_rows)
    return Outcome({"overall": _overall(groups)} | group_fractions(groups, type_of), verdicts)


def _category(record: BenchmarkRecord) -> str:
    return record.category


def _overall(groups: list[Group]) -> Figure:
    return fraction(group.verdict for group in groups)


class ThreeDSRBench(Benchmark):
    """2772 questions in many rows; the circular TSV."""

    name = "3dsrbench"
    title = "3DSRBench"
    hub = "ccvl/3DSRBench"
    files = ("3dsrbench*circular*.tsv", "3dsrbench*.tsv")
    id_fields = ("qid",)
    refusing = "vlmevalkit"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "authors: all rotations right, mirrored questions apart; mean of groups", _official
            ),
            "vlmevalkit": Scorer(
                "VLMEvalKit: rows, mirrored pairs, rotations, and all together", _vlmevalkit
            ),
            "lmms_eval": Scorer(
                "lmms-eval: first of eight patterns; the same four means", _lmms_eval
            ),
            "hispatial_truncate": Scorer(
                "HiSpatial: first two characters; rotations and mirrored together",
                lambda answered: _hispatial(answered, letters_of_two_characters),
            ),
            "hispatial_regex": Scorer(
                "HiSpatial: letter in any case, else text; rotations and mirrored together",
                lambda answered: _hispatial(answered, letter_in_any_case),
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; images of mirrored rows are mirrored already.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        id = text_field(row.fields, "qid")
        if not ID.fullmatch(id):
            raise ValueError(f"expected a qid such as AB12CD34-flip-1, got {id!r:.60}")
        options = lettered_options(row.fields, "ABCD")
        question = text_field(row.fields, "question")
        image, problems = row.image("image")
        if image is None and not is_missing(row.fields.get("image_url")):
            problems = ("only the address of the image, which is not mirrored there",)
        record = BenchmarkRecord(
            id=id,
            question=question,
            prompt=choice_prompt(question, options),
            truth=letter_truth(row.fields.get("answer"), options),
            category=text_field(row.fields, "category"),
            image=image,
            options=options,
            group=re.sub(r"-[0-9]$", "", id),
            source=str(row.fields.get("image_source") or ""),
            problems=problems,
        )
        type_of(record)
        return record
