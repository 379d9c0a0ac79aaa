"""Answers found by their likelihood, and runs of several processes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.model.point_map import FAMILIES
from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.models import ModelOptions, most_likely
from smolrgpt_core.public_benchmarks.questions import AnswerMethod, question_of
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS

VARIANTS = (*FAMILIES, "paligemma1", "internvl3_5")


def options(**changes) -> ModelOptions:
    return ModelOptions(device="cpu", answer_form=AnswerMethod.LIKELIHOOD, **changes)


@pytest.mark.parametrize("family", VARIANTS)
@pytest.mark.parametrize("blind", [False, True])
def test_a_likelihood_is_that_of_generating_the_answer(family, blind, vlm, folder) -> None:
    model: Any = load_benchmark_model(vlm(family), options(blind=blind))
    record = BENCHMARKS["cv-bench"].read(folder / "cv_bench").records[0]
    rgb, prompt = model._shown(question_of(record))
    inputs = model.words._inputs(rgb, prompt)
    prompt_length = inputs["input_ids"].shape[1]
    ids = model.words.processor.tokenizer("no", add_special_tokens=False)["input_ids"]
    forced = [*ids, model.words.model.generation_config.eos_token_id]
    with torch.inference_mode():
        made = model.words.model.generate(
            **inputs, max_new_tokens=len(forced), do_sample=False, output_logits=True,
            return_dict_in_generate=True,
            prefix_allowed_tokens_fn=lambda row, said: [forced[len(said) - prompt_length]],
        )  # fmt: skip
    assert made.sequences[0, prompt_length:].tolist() == forced
    logs = [step[0].double().log_softmax(-1) for step in made.logits]
    expected = sum(float(step[token]) for step, token in zip(logs, forced, strict=True))
    (likelihood,) = model.words.log_likelihoods(rgb, prompt, ["no"])
    assert likelihood == pytest.approx(expected, abs=1e-4)


class TwoForms:
    """Gives letters the likelihoods that a test wants."""

    known: ClassVar = {"A": 0.1, "(A)": 0.3, "B": 0.2, "(B)": 0.1}

    def log_likelihoods(self, rgb, prompt, answers) -> list[float]:
        return [math.log(self.known[answer]) for answer in answers]


def test_the_forms_of_an_answer_add_up() -> None:
    said = most_likely(
        TwoForms(), None, "Which?", AnswerSpec(AnswerKind.LETTER, ("a desk", "a lamp"))
    )
    assert said.text == "A"
    assert said.confidence == pytest.approx(0.4 / 0.7)


def run(folder: Path, name: str, data: str, model: str, out: Path, *more: str):
    return CliRunner().invoke(
        app,
        ["benchmark", name, "--data", str(folder / data), "--model", model, "--output", str(out),
         "--device", "cpu", *more],
    )  # fmt: skip


def test_likely_answers_are_always_readable_and_come_with_a_confidence(
    vlm, folder, tmp_path
) -> None:
    for name, data in (("cv-bench", "cv_bench"), ("spatialrgpt", "spatialrgpt_bench")):
        out = tmp_path / name
        done = run(folder, name, data, vlm("qwen3_vl"), out, "--answers", "likelihood")
        assert done.exit_code == 0, done.output
        lines = map(json.loads, (out / "predictions.jsonl").read_text().splitlines())
        told = {line["id"]: line for line in lines if line["prediction"] is not None}
        benchmark = BENCHMARKS[name]
        for record in benchmark.read(folder / data).records:
            asked = benchmark.asked(record)
            assert asked is not None
            if record.id in told and asked.options:
                assert asked.by_rules(told[record.id]["prediction"]) in asked.options
                assert 1 / len(asked.options) <= told[record.id]["confidence"] <= 1
            elif record.id in told:
                assert "confidence" not in told[record.id]
        result = json.loads((out / "result.json").read_text())
        assert result["run"]["model"]["answers"] == "likelihood"
        assert any("mean confidence" in note for note in result["notes"])


def test_what_gives_no_likelihoods_is_refused(chat_server, folder, tmp_path) -> None:
    for model in (chat_server.url, "geometric"):
        done = run(folder, "cv-bench", "cv_bench", model, tmp_path / "x", "--answers", "likelihood")
        assert done.exit_code == 2
        assert "use --answers words" in " ".join(done.output.split())


@pytest.mark.usefixtures("fork_python")
def test_workers_give_the_bytes_of_one_process(vlm, folder, tmp_path) -> None:
    arguments = (folder, "cv-bench", "cv_bench", vlm("smolvlm"))
    assert run(*arguments, tmp_path / "one").exit_code == 0
    done = run(*arguments, tmp_path / "two", "--workers", "2")
    assert done.exit_code == 0, done.output
    for file in ("predictions.jsonl", "result.json", "run.json"):
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
