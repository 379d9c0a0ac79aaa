"""RealWorldQA and SEED-Bench: general questions that spatial models are also measured on."""

from __future__ import annotations

import re
from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.cv_bench import LETTER_REQUEST
from smolrgpt_core.public_benchmarks.letter_readers import (
    bare_first_character,
    ranked_letter,
    standalone_letter,
)
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import (
    BenchmarkRecord,
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
    fractions_by,
    letters_outcome,
    with_reader,
)

IMAGE = "image"
"""Part of SEED-Bench that papers usually mean."""


def _realworldqa_lmms_eval(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        if record.options:
            return by_letters(ranked_letter)(record, answer)
        word = answer.strip().lower().rstrip(".")
        return float(word == str(record.truth).strip().lower()), word

    verdicts = answered.verdicts(decide)
    return Outcome({"overall": fraction(verdicts)}, verdicts)


def _realworldqa_vlmevalkit(answered: Answered) -> Outcome:
    part = answered.only(lambda record: bool(record.options))
    found = letters_outcome(part, standalone_letter)
    left_out = len(answered.records) - len(part.records)
    return Outcome(
        found.figures,
        found.verdicts,
        [f"questions without options, which are not scored: {left_out}"],
    )


class RealWorldQA(Benchmark):
    """765 questions, with options in their text or without."""

    name = "realworldqa"
    title = "RealWorldQA"
    hub = "lmms-lab-encoder/RealWorldQA, xai-org/RealworldQA"
    files = ("test-*.parquet", "realworldqa.jsonl")
    id_fields = ("index",)
    refusing = "vlmevalkit"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "lmms_eval": Scorer(
                "lmms-eval: ranked letter; without options the exact word", _realworldqa_lmms_eval
            ),
            "vlmevalkit": Scorer(
                "VLMEvalKit: letter alone or option's text; multiple choice only",
                _realworldqa_vlmevalkit,
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; its place in all files is its id where it has no index."""
        question = text_field(row.fields, "question")
        options = tuple(re.findall(r"^[A-Z]\.\s+(.*?)\s*$", question, re.MULTILINE))
        answer = text_field(row.fields, "answer")
        image, problems = row.image("image")
        return BenchmarkRecord(
            id=self.question_id({"id": row.position, **row.fields}),
            question=question,
            prompt=question,
            truth=letter_truth(answer, options) if options else answer,
            category="multiple choice" if options else "word",
            image=image,
            options=options,
            problems=problems,
        )


def _seed_lmms_eval(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(by_letters(bare_first_character))
    parts = fractions_by(answered.records, verdicts, lambda record: record.source)
    return Outcome({**parts, "all": fraction(verdicts)}, verdicts)


def _seed_vlmevalkit(answered: Answered) -> Outcome:
    part = answered.only(lambda record: record.source == IMAGE)
    found = letters_outcome(part, standalone_letter)
    return Outcome(
        {IMAGE: found.figures["overall"]} if part.records else {},
        found.verdicts,
        ["only questions about images are scored by this rule"],
    )


class SeedBench(Benchmark):
    """Multiple choice about images and about videos."""

    name = "seed-bench"
    title = "SEED-Bench"
    hub = "lmms-lab-encoder/SEED-Bench"
    files = ("test-*.parquet", "seedbench.jsonl")
    id_fields = ("question_id",)
    refusing = "vlmevalkit"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "lmms_eval": Scorer(
                "lmms-eval: first character; image, video and all", _seed_lmms_eval
            ),
            "vlmevalkit": Scorer(
                "VLMEvalKit: letter alone or option's text; image part only", _seed_vlmevalkit
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; of a video, its first frame."""
        options = lettered_options(row.fields, [f"choice_{letter}" for letter in "abcd"])
        question = text_field(row.fields, "question")
        image, problems = row.image("image")
        return BenchmarkRecord(
            id=self.question_id(row.fields),
            question=question,
            prompt=f"{question}\n{options_text(options)}\n{LETTER_REQUEST}",
            truth=letter_truth(row.fields.get("answer"), options),
            category=text_field(row.fields, "question_type_id"),
            image=image,
            options=options,
            source=text_field(row.fields, "data_type"),
            problems=problems,
        )
