"""CV-Bench: counting, relations, depth and distance as multiple choice, from three data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.letter_readers import (
    capital_left,
    contained_letters,
    first_character,
    first_character_omni,
    first_letter,
    standalone_letter,
)
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, letter_truth, text_field
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Outcome,
    Scorer,
    Verdict,
    by_letters,
    fraction,
    fractions_by,
    mean_of,
    rounded,
    with_reader,
)

LETTER_REQUEST = "Answer with the option's letter from the given choices directly."
"""The sentence that LLaVA, Cambrian and lmms-eval put after a multiple choice."""

SOURCES_2D, SOURCE_3D = ("ADE20K", "COCO"), "Omni3D"


def is_3d(record: BenchmarkRecord) -> bool:
    """Whether a question belongs to the half about depth and distance."""
    return record.source == SOURCE_3D


def source_means(
    records: Sequence[BenchmarkRecord], verdicts: Sequence[Verdict], digits: int | None = None
) -> dict[str, Figure]:
    """The paper's formula: overall = (2D + 3D) / 2 with 2D = (ADE20K + COCO) / 2, 3D = Omni3D.

    A figure whose sources are not all there is skipped.

    Args:
        records: questions.
        verdicts: on each of them.
        digits: that every step is rounded to; None: not at all.
    """

    def step(figure: Figure) -> Figure:
        return figure if digits is None else rounded(figure, digits)

    sources = fractions_by(records, verdicts, lambda record: record.source)
    found = {name: step(figure) for name, figure in sources.items()}
    halves: dict[str, Figure] = {}
    if all(name in found for name in SOURCES_2D):
        halves["2D"] = step(mean_of(found[name] for name in SOURCES_2D))
    if SOURCE_3D in found:
        halves["3D"] = found[SOURCE_3D]
    overall = {"overall": step(mean_of(halves.values()))} if len(halves) == 2 else {}
    return {**overall, **halves, **found}


def _official(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        reader = first_character_omni if is_3d(record) else first_character
        return by_letters(reader)(record, answer)

    records, verdicts = answered.records, answered.verdicts(decide)
    figures = source_means(records, verdicts)
    notes = []
    if "overall" not in figures:
        notes.append("a source is missing: there is no overall figure of one half alone")
    figures |= fractions_by(records, verdicts, lambda record: f"{record.source} {record.category}")
    return Outcome(figures, verdicts, notes)


def _lmms_eval(answered: Answered) -> Outcome:
    records, verdicts = answered.records, answered.verdicts(by_letters(first_letter))
    figures = {"micro": fraction(verdicts)}
    figures |= fractions_by(records, verdicts, lambda record: "3D" if is_3d(record) else "2D")
    if "overall" in (formula := source_means(records, verdicts)):
        figures["formula"] = formula["overall"]
    return Outcome(
        figures, verdicts, ["formula is the paper's, which stands in its code and no task uses"]
    )


def _vlmevalkit(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(by_letters(standalone_letter))
    figures = _vlmevalkit_figures(answered, verdicts)
    floats = {True: _float_columns(answered, True), False: _float_columns(answered, False)}

    def as_script(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        columns = floats[is_3d(record)]
        options = [f"{o}.0" if i in columns else o for i, o in enumerate(record.options)]
        return by_letters(standalone_letter)(replace(record, options=tuple(options)), answer)

    by_script = _vlmevalkit_figures(answered, answered.verdicts(as_script))
    changed = [
        f"{name} {figure.value:.2f}"
        for name, figure in by_script.items()
        if figure != figures[name]
    ]
    note = f"numbers as options reach the script as 3.0, so that it gives {', '.join(changed)}"
    return Outcome(figures, verdicts, [note] if changed else [])


def _vlmevalkit_figures(answered: Answered, verdicts: Sequence[Verdict]) -> dict[str, Figure]:
    figures = source_means(answered.records, verdicts)
    figures.pop("overall", None)
    tasks = fractions_by(answered.records, verdicts, lambda record: record.category)
    return figures | {task: tasks[task] for task in ("Depth", "Distance") if task in tasks}


def _float_columns(answered: Answered, in_3d: bool) -> set[int]:
    """Places of options that are numbers wherever they are not missing.

    In the table that VLMEvalKit reads, pandas makes such a column one of floats.
    """
    options = [record.options for record in answered.records if is_3d(record) == in_3d]
    return {
        place
        for place in range(max(map(len, options), default=0))
        if all(listed[place].isdecimal() for listed in options if len(listed) > place)
        and any(len(listed) <= place for listed in options)
    }


def _flagevalmm(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(by_letters(capital_left))
    return Outcome(source_means(answered.records, verdicts, digits=2), verdicts)


def _hispatial(answered: Answered) -> Outcome:
    part = answered.only(lambda record: is_3d(record) or record.category == "Relation")
    verdicts = part.verdicts(by_letters(contained_letters))
    figures = fractions_by(
        part.records, verdicts, lambda record: "3D" if is_3d(record) else "2D Relation"
    )
    return Outcome(figures, verdicts, ["2D Count is not scored by this rule"])


class CVBench(Benchmark):
    """2638 questions, two halves of their own."""

    name = "cv-bench"
    title = "CV-Bench"
    hub = "nyu-visionx/CV-Bench"
    files = ("test_[23]d.parquet", "test.jsonl")
    id_fields = ("idx",)
    max_new_tokens = 512
    refusing = "vlmevalkit"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "Cambrian: first character; mean of sources, then of halves", _official
            ),
            "lmms_eval": Scorer("lmms-eval: first letter; micro", _lmms_eval),
            "vlmevalkit": Scorer(
                "VLMEvalKit: letter alone or option's text; 2D and 3D", _vlmevalkit
            ),
            "flagevalmm": Scorer(
                "FlagEvalMM: first capital left; the paper's formula, each step rounded",
                _flagevalmm,
            ),
            "hispatial": Scorer(
                "HiSpatial: true letter anywhere; 3D and the relations of 2D", _hispatial
            ),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row; only the parquet files have images.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        options = tuple(map(str, row.fields["choices"]))
        source = text_field(row.fields, "source")
        if source not in (*SOURCES_2D, SOURCE_3D):
            raise ValueError(f"expected a source of {*SOURCES_2D, SOURCE_3D}, got {source!r}")
        image, problems = row.image("image", "filename")
        return BenchmarkRecord(
            id=self.question_id(row.fields),
            question=text_field(row.fields, "question"),
            prompt=f"{text_field(row.fields, 'prompt')}\n{LETTER_REQUEST}",
            truth=letter_truth(row.fields["answer"], options),
            category=text_field(row.fields, "task"),
            image=image,
            options=options,
            source=source,
            problems=problems,
        )
