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


@pytest.fixture(scope="session")
def vlm(tmp_path_factory, tiny_vlms) -> Callable[[str], str]:
    """The folder of a tiny model, with all files that its publisher would put there."""
    from transformers import Idefics3Processor

    root = tmp_path_factory.mktemp("zoo")

    def get(family: str) -> str:
        folder = root / family
        if not folder.exists():
            tiny_vlms.save_vlm(family, folder)
            if family == "idefics3":
                tokenizer = tiny_vlms.make_tokenizer(family)
                Idefics3Processor(
                    tiny_vlms.make_image_processor(family), tokenizer, image_seq_len=16,
                    chat_template=tokenizer.chat_template,
                ).save_pretrained(folder)  # fmt: skip
        return str(folder)

    return get


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
