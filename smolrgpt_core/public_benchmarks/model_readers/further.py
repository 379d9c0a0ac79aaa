"""Answers read by a language model: those that a rule refuses, or those that are classified."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from smolrgpt_core.public_benchmarks.model_readers.language_model import LanguageModelReader
from smolrgpt_core.public_benchmarks.predictions import Predictions
from smolrgpt_core.public_benchmarks.records import BenchmarkData
from smolrgpt_core.public_benchmarks.scoring import Answered

if TYPE_CHECKING:
    from smolrgpt_core.public_benchmarks.benchmark import Benchmark
    from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import ClassifiedReader

Advance = Callable[[int, int], None]


def readings(
    benchmark: Benchmark,
    data: BenchmarkData,
    predictions: Predictions,
    reader: LanguageModelReader,
    advance: Advance,
) -> dict[str, str]:
    """What a language model reads in the answers that the benchmark's strict rule refuses.

    Args:
        benchmark: that the data belongs to.
        data: its questions.
        predictions: answers.
        reader: the language model.
        advance: called with the finished and total numbers of answers.

    Returns:
        Answers in a form that the rule reads, by id; unread ones are absent.

    Raises:
        SpatialError: MODEL_ERROR when the server cannot be asked any more; its replies are stored.
    """
    outcome = benchmark.scorers[benchmark.refusing].score(
        Answered(data.records, predictions.answers)
    )
    refused = {verdict.id for verdict in outcome.verdicts if not verdict.read}
    found: dict[str, str] = {}
    wanted = [item for item in data.records if item.id in refused]
    for done, record in enumerate(wanted):
        advance(done, len(wanted))
        asked, answer = benchmark.asked(record), predictions.answers.get(record.id, "")
        read = reader.read(asked, record.question, answer) if asked and answer.strip() else ""
        if read:
            found[record.id] = read
    advance(len(wanted), len(wanted))
    return found


def classified(
    data: BenchmarkData, predictions: Predictions, reader: ClassifiedReader, advance: Advance
) -> dict[str, str]:
    """Readings of all answers, as SmolRGPT's authors get them; see `readings`."""
    found: dict[str, str] = {}
    for done, record in enumerate(data.records):
        advance(done, len(data.records))
        read = reader.read(record.prompt, predictions.answers.get(record.id, ""))
        if read:
            found[record.id] = read
    advance(len(data.records), len(data.records))
    return found
