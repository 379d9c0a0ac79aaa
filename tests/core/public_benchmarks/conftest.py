"""The fixtures of the public benchmarks: invented questions, figures of the published scorers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.public_benchmarks.benchmark import Report, score
from smolrgpt_core.public_benchmarks.predictions import read_judgements, read_predictions
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS

FOLDER = Path(__file__).resolve().parents[2] / "data" / "benchmarks"

Scored = Callable[..., Report]


@pytest.fixture
def folder() -> Path:
    return FOLDER


@pytest.fixture
def scored() -> Scored:
    """Score predictions of a fixture by some scorers."""

    def run(
        name: str,
        data: str,
        predictions: str,
        scorers: Sequence[str],
        answer_field: str = "",
        judgements: str = "",
    ) -> Report:
        benchmark = BENCHMARKS[name]
        given = read_predictions(FOLDER / predictions, benchmark.question_id, answer_field)
        judged = read_judgements(FOLDER / judgements, benchmark.question_id) if judgements else None
        return score(benchmark, benchmark.read(FOLDER / data), given, scorers, judged)

    return run


@pytest.fixture
def expected() -> Callable[[str], Any]:
    """What the published scorers computed."""
    return lambda name: json.loads((FOLDER / name / "expected.json").read_text())
