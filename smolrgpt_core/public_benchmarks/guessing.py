"""Scores of guessing, by every rule of a benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from smolrgpt_core.public_benchmarks.benchmark import Benchmark, BenchmarkReport, score
from smolrgpt_core.public_benchmarks.predictions import Predictions
from smolrgpt_core.public_benchmarks.records import BenchmarkData, BenchmarkRecord
from smolrgpt_core.public_benchmarks.scoring import Figure, JudgedRecords, Outcome, Verdict

DRAWS = 20
"""So many times all questions are guessed; the figures are means."""


def guessed(
    benchmark: Benchmark, data: BenchmarkData, scorers: Sequence[str], seed: int
) -> BenchmarkReport:
    """Expected figures of guessing; see `Benchmark.guess`.

    Args:
        benchmark: that the data belongs to.
        data: its questions.
        scorers: names of rules that need no judge.
        seed: of the draws.
    """
    alike = _alike(data.records)
    rng = np.random.default_rng(seed)
    reports = [_drawn(benchmark, data, scorers, alike, rng) for _ in range(DRAWS)]
    outcomes = {name: _mean([report.outcomes[name] for report in reports]) for name in scorers}
    return BenchmarkReport(benchmark, data, (), (), (), outcomes)


def _alike(records: Sequence[BenchmarkRecord]) -> list[list[BenchmarkRecord]]:
    """For each question the others of its category and source; those of its category if none."""
    near: defaultdict[tuple[str, str], list[BenchmarkRecord]] = defaultdict(list)
    wide: defaultdict[str, list[BenchmarkRecord]] = defaultdict(list)
    for record in records:
        near[record.category, record.source].append(record)
        wide[record.category].append(record)
    found = []
    for record in records:
        others = [item for item in near[record.category, record.source] if item is not record]
        found.append(others or [item for item in wide[record.category] if item is not record])
    return found


def _drawn(
    benchmark: Benchmark,
    data: BenchmarkData,
    scorers: Sequence[str],
    alike: Sequence[Sequence[BenchmarkRecord]],
    rng: np.random.Generator,
) -> BenchmarkReport:
    answers = {
        record.id: benchmark.guess(record, others, rng)
        for record, others in zip(data.records, alike, strict=True)
    }
    return score(benchmark, data, Predictions(answers, JudgedRecords()), scorers)


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Figures and hits, averaged; a figure that only some draws have is skipped."""
    names = [name for name in outcomes[0].figures if all(name in o.figures for o in outcomes)]
    figures = {}
    for name in names:
        found = [outcome.figures[name] for outcome in outcomes]
        figures[name] = Figure(fmean(item.value for item in found), found[0].of, found[0].unit)
    verdicts = [
        Verdict(same[0].id, fmean(item.hit for item in same), same[0].read)
        for same in zip(*(outcome.verdicts for outcome in outcomes), strict=True)
    ]
    return Outcome(figures, verdicts, [f"mean of {len(outcomes)} times guessing all questions"])
