"""EmbSpatial-Bench: six relations between objects, or to the camera, as multiple choice."""

from __future__ import annotations

from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.letter_readers import (
    LetterReader,
    capital_left,
    cascade,
    first_letter,
    letters_of_two_characters,
)
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import (
    OPTION_LETTERS,
    BenchmarkRecord,
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

DISTANCE_RELATIONS = ("close", "far")


def _by_source(answered: Answered, reader: LetterReader) -> Outcome:
    verdicts = answered.verdicts(by_letters(reader))
    sources = fractions_by(answered.records, verdicts, lambda record: record.source)
    return Outcome({"overall": fraction(verdicts), **sources}, verdicts)


def _flagevalmm(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(by_letters(capital_left))
    kinds = fractions_by(answered.records, verdicts, _kind)
    return Outcome({"overall": fraction(verdicts), **kinds}, verdicts)


def _kind(record: BenchmarkRecord) -> str:
    return "distance" if record.category in DISTANCE_RELATIONS else "direction"


class EmbSpatial(Benchmark):
    """3640 questions; its authors released no scorer."""

    name = "embspatial"
    title = "EmbSpatial-Bench"
    hub = "Phineas476/EmbSpatial-Bench"
    files = ("embspatial_bench.json",)
    id_fields = ("question_id",)
    refusing = "vlmevalkit_rules"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "lmms_eval": Scorer(
                "lmms-eval: first letter; micro, by source", lambda a: _by_source(a, first_letter)
            ),
            "vlmevalkit_rules": Scorer(
                "VLMEvalKit: cascade of tags, last lines, phrases; micro, by source",
                lambda a: _by_source(a, cascade),
            ),
            "flagevalmm": Scorer(
                "FlagEvalMM: first capital left; micro, direction and distance", _flagevalmm
            ),
            "hispatial": Scorer(
                "HiSpatial: true letter in the first two characters; micro",
                lambda a: letters_outcome(a, letters_of_two_characters),
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; the prompt keeps a stray quote, as what others report has it.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        options = tuple(map(str, row.fields["answer_options"]))
        answer = row.fields["answer"]
        if not isinstance(answer, int) or not 0 <= answer < len(options) <= len(OPTION_LETTERS):
            raise ValueError(f"expected the index of one of {len(options)} options, got {answer!r}")
        question = text_field(row.fields, "question")
        image, problems = row.image("image")
        if question.startswith("'") and question.count("'") == 1:
            problems = (*problems, "the question opens with a stray quote")
        return BenchmarkRecord(
            id=self.question_id(row.fields),
            question=question,
            prompt=f"{question}\n{options_text(options)}",
            truth=OPTION_LETTERS[answer],
            category=text_field(row.fields, "relation"),
            image=image,
            options=options,
            source=text_field(row.fields, "data_source"),
            problems=problems,
        )
