"""A teacher beside the labels: computed with the student, stored, or by its words alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import (
    CheckpointConfig,
    ContrastConfig,
    DistillationConfig,
    OptimizerConfig,
    SourceConfig,
    StartConfig,
    TrainConfig,
)
from smolrgpt_core.training.config_file import write_config
from smolrgpt_core.training.distillation import answer_states, answers_of, soft_losses
from smolrgpt_core.training.export import model_card
from smolrgpt_core.training.run import train

SMALLER = {
    "vision_config": {
        "image_size": 16, "patch_size": 8, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2,
    },
    "text_config": {
        "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
    },
    "pixel_shuffle_factor": 1, "metric_width": 16, "metric_heads": 2, "metric_layers": 1,
    "samples_per_region": 16, "depth_branch": "metric",
}  # fmt: skip


@pytest.fixture
def student(base, run_config) -> Callable[..., TrainConfig]:
    """student(**distillation): a smaller model than `base`, with its tokenizer."""

    def make(steps: int = 6, **distillation) -> TrainConfig:
        settings = DistillationConfig(**distillation) if distillation else None
        return run_config(
            "metric",
            start=StartConfig(preset="smolrgpt-nano", tokenizer=str(base), overrides=SMALLER),
            distillation=settings,
            optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=steps),
            checkpoints=CheckpointConfig(every_steps=max(steps // 2, 1), keep=2),
        )

    return make


def test_a_smaller_student_comes_nearer_to_its_teacher(base, student, logged_losses, saved_weights):
    before = saved_weights(base)
    config = student(30, teacher=str(base), hard_weight=0.0, hidden_weight=0.5)
    model = train(config)
    terms = [line["terms"] for line in logged_losses(config)]
    assert set(terms[0]) == {"soft", "hidden"}
    assert terms[-1]["soft"] < 0.5 * terms[0]["soft"]
    assert terms[-1]["hidden"] < 0.8 * terms[0]["hidden"]
    assert all(torch.equal(before[name], after) for name, after in saved_weights(base).items())
    assert f"smolrgpt-nano; teacher: {base}" in model_card("student", [(config, {})], [])
    # The projection is kept to resume from, and is nothing that the model has.
    assert sorted(path.name for path in model.iterdir() if "heads" in path.name) == []
    newest = CheckpointStore(Path(config.output), 1).newest()
    assert newest is not None
    assert set(load_file(newest.folder / "heads.safetensors")) == {"hidden.weight"}
    assert saved_weights(model)["model.language_model.embed_tokens.weight"].shape[1] == 24


def test_going_on_gives_the_same_losses_with_a_teacher(base, student, logged_losses, saved_weights):
    config = student(teacher=str(base), hidden_weight=0.5)
    train(config)
    whole, model = logged_losses(config), saved_weights(Path(config.output, "model"))
    newest = CheckpointStore(Path(config.output), 2).newest()
    assert newest is not None
    for path in sorted(newest.folder.iterdir()):
        path.unlink()
    newest.folder.rmdir()
    train(config)
    assert logged_losses(config) == whole
    again = saved_weights(Path(config.output, "model"))
    assert all(torch.equal(model[name], again[name]) for name in model)


def test_an_adapter_learns_from_a_teacher_too(base, adapter_run, logged_losses):
    config = adapter_run("lora", {"language_model": "q_proj|v_proj"})
    settings = DistillationConfig(teacher=str(base), hidden_weight=0.1)
    config = replace(config, distillation=settings, contrast=ContrastConfig())
    train(config)
    # The adapter changes nothing yet, so its base is the teacher that it has.
    assert logged_losses(config)[0]["terms"]["soft"] == pytest.approx(0.0, abs=1e-6)
    names = {path.name for path in Path(config.output, "adapter").iterdir()}
    assert "adapter.safetensors" in names
    assert "heads.safetensors" not in names


def distill(config: TrainConfig, teacher: Path, out: Path, *options: str):
    path = Path(f"{config.output}.yaml")
    write_config(config, path)
    command = ["distill", str(path), "--teacher", str(teacher), "--out", str(out), *options]
    return CliRunner().invoke(app, command)


def test_stored_logits_of_all_tokens_teach_as_the_teacher_itself(
    base, student, tmp_path, write_split, logged_losses
):
    out = tmp_path / "logits"
    root = tmp_path / "one"
    write_split(root, "train", 1)
    plain = student(2)
    plain = replace(
        plain, data=replace(plain.data, sources=(SourceConfig("warehouse", str(root)),))
    )
    result = distill(plain, base, out, "--top", "100000", "--answers")
    assert result.exit_code == 0, result.output
    online = replace(plain, distillation=DistillationConfig(teacher=str(base)))
    offline = replace(
        online, output=f"{online.output}-offline", distillation=DistillationConfig(logits=str(out))
    )
    train(online)
    train(offline)
    for one, two in zip(logged_losses(online), logged_losses(offline), strict=True):
        assert two["terms"]["soft"] == pytest.approx(one["terms"]["soft"], abs=1e-5)
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    # Stopped after the first of its files, it writes the same again.
    parts = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "part-00-00000.jsonl").unlink()
    (out / ".parts").mkdir()
    assert distill(plain, base, out, "--top", "100000", "--answers").exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == parts
    other = distill(plain, base, out, "--top", "4", "--answers")
    assert other.exit_code == 2
    assert "top: 100000 there, 4 now" in other.output


def test_answers_of_a_teacher_take_the_place_of_those_of_the_data(
    student, warehouse, tmp_path, logged_losses
):
    records = json.loads((warehouse / "train.json").read_text())
    path = tmp_path / "answers.jsonl"
    lines = [
        {"id": item["id"], "question": item["conversations"][0]["value"].removeprefix("<image>\n"),
         "answer": "I am the teacher."}
        for item in records
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = student(40, answers=str(path))
    config = replace(
        config,
        trainable=dict.fromkeys(config.trainable, 2e-2),
        data=replace(config.data, styles={"sentence": 1.0}),
    )
    train(config)
    # One sentence for all questions is soon known by heart; the answers of the data are not.
    assert logged_losses(config)[-1]["loss"] < 0.1
    assert "terms" not in logged_losses(config)[-1]
    path.write_text('{"id": "a", "question": "b"}\n')
    with pytest.raises(SpatialError, match=r"answers\.jsonl: line 1: expected"):
        answers_of(path)


def test_another_tokenizer_is_refused(base, run_config, student, tmp_path):
    config = run_config(
        "metric",
        distillation=DistillationConfig(teacher=str(base)),
        start=replace(run_config("metric").start, vocabulary_size=320),
    )
    with pytest.raises(SpatialError, match=r"different tokenizers.*start\.tokenizer"):
        train(config)
    nowhere = DistillationConfig(teacher=str(tmp_path / "nowhere"))
    with pytest.raises(SpatialError, match=r"the teacher cannot be used.*nowhere"):
        train(replace(config, distillation=nowhere, output=f"{config.output}-0"))
    out = tmp_path / "logits"
    assert distill(student(), base, out).exit_code == 0
    stored = replace(config, distillation=DistillationConfig(logits=str(out)))
    with pytest.raises(SpatialError, match="another tokenizer"):
        train(replace(stored, output=f"{config.output}-2"))
    # The styles of this run were not asked for.
    unasked = student(logits=str(out))
    unasked = replace(
        unasked, data=replace(unasked.data, questions_per_row=1, broken_fraction=1.0),
        output=f"{config.output}-3",
    )  # fmt: skip
    train(unasked)
    (out / "part-00-00000.jsonl").write_text("")
    with pytest.raises(SpatialError, match="has no logits for conversation"):
        train(replace(unasked, output=f"{config.output}-4"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "must name a teacher, logits or answers"),
        ({"teacher": "a", "logits": "b"}, "cannot be combined"),
        (
            {"logits": "a", "hidden_weight": 1.0},
            r"distillation\.hidden_weight needs distillation\.teacher",
        ),
        ({"teacher": "a", "temperature": 0.0}, r"distillation\.temperature"),
        ({"teacher": "a", "soft_weight": 0.0}, "would change nothing"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SpatialError, match=message):
        DistillationConfig(**settings)


def test_divergence_over_all_top_tokens_equals_full_divergence():
    generator = torch.Generator().manual_seed(0)
    own, wanted = (torch.randn(5, 7, generator=generator) for _ in range(2))
    whole = soft_losses(own, wanted, None, 2.0)
    best = wanted.topk(7)
    assert torch.allclose(soft_losses(own, best.values, best.indices, 2.0), whole, atol=1e-6)
    assert torch.all(whole > 0)
    assert torch.allclose(soft_losses(wanted, wanted, None, 3.0), torch.zeros(5), atol=1e-6)
    # The gradient does not shrink with the temperature.
    logits = wanted.clone().requires_grad_()
    steep, flat = (
        torch.autograd.grad(soft_losses(logits, own, None, t).sum(), logits)[0].norm()
        for t in (10.0, 20.0)
    )
    assert flat == pytest.approx(float(steep), rel=0.1)


def test_states_of_a_head_are_those_that_predict_answers():
    labels = torch.tensor([[-100, -100, 5, 6], [-100, -100, -100, 7]])
    states = torch.arange(2 * 3).view(2, 3, 1).float()
    # A head that is given the last three states predicts what follows the first two of them.
    assert answer_states(states, labels).flatten().tolist() == [0, 1, 4]
