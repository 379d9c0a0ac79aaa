"""Runs as a whole: what they learn, what they leave alone, and what stops them."""

from __future__ import annotations

import json
import math
import os
import platform
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import RunStoppedError, SpatialError, Status
from smolrgpt_core.torch_device import computes_bfloat16
from smolrgpt_core.training import run
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import (
    OPTIMIZERS,
    AuxiliaryDepthConfig,
    CheckpointConfig,
    ContrastConfig,
    LoggingConfig,
    OptimizerConfig,
    SourceConfig,
    StartConfig,
    ValidationConfig,
)
from smolrgpt_core.training.run import precision_of, train, training_arguments

KILLS = int(os.environ.get("SMOLRGPT_KILLS", "2"))
DEADLINE_S = 90.0


@pytest.mark.parametrize("branch", ["image", "metric"])
def test_eight_samples_are_learned_by_heart(
    run_config, tmp_path, write_split, branch, logged_losses
):
    root = tmp_path / "eight"
    write_split(root, "train", 2)
    source = SourceConfig("warehouse", str(root))
    config = run_config(branch)
    config = replace(
        config,
        data=replace(
            config.data,
            sources=(source,),
            questions_per_row=1,
            styles={"short": 0.5, "sentence": 0.5},
        ),
        trainable=dict.fromkeys(config.trainable, 2e-2),
        optimizer=OptimizerConfig(batch_rows=8, micro_rows=8, steps=150, warmup_fraction=0.1),
        validation=ValidationConfig(source, every_steps=150, rows=8, examples=8),
        checkpoints=CheckpointConfig(every_steps=150),
    )
    model = train(config)
    losses = logged_losses(config)
    assert len(losses) == 150
    assert losses[0]["loss"] > 3
    assert max(line["loss"] for line in losses[-10:]) < 0.01
    assert set(losses[-1]["by_category"]) == {"left_right", "distance", "count", "mcq"}
    lines = Path(config.output, "examples.jsonl").read_text().splitlines()
    examples = [json.loads(line) for line in lines]
    assert [item["answer"] for item in examples] == [item["expected"] for item in examples]
    assert len(examples) == 8
    make_answerer("model", str(model))


def test_a_stage_trains_the_parts_it_names_and_nothing_else(run_config, saved_weights):
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=2))
    start = train(config)
    stage = replace(
        config,
        output=f"{config.output}-next",
        start=StartConfig(checkpoint=str(start)),
        trainable={"depth_connector": 1e-2, "rgb_refiner": 1e-2},
    )
    before, after = saved_weights(start), saved_weights(train(stage))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    trained = ("model.connectors.depth.", "model.refiners.rgb.")
    assert changed == {name for name in before if name.startswith(trained)}


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the run did not get so far"
        time.sleep(0.002)


@pytest.mark.parametrize("workers", [2])
def test_killed_at_any_moment_a_run_gives_the_losses_of_one_that_was_not(
    run_config, workers, logged_losses, saved_weights, start_training
):
    moments = random.Random(KILLS)
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=30))
    config = replace(config, checkpoints=CheckpointConfig(every_steps=3, keep=1))
    train(config)
    killed = replace(
        config, output=f"{config.output}-killed", data=replace(config.data, workers=workers)
    )
    for kill in range(KILLS):
        at_least = 30 * kill // KILLS + moments.randint(1, 30 // KILLS - 2)
        run = start_training(killed)

        def has_so_many(steps: int = at_least) -> bool:
            return len(logged_losses(killed)) >= steps

        _wait_for(has_so_many)
        time.sleep(moments.uniform(0, 0.05))
        run.kill()
        assert run.wait(DEADLINE_S) == -signal.SIGKILL
    assert len(logged_losses(killed)) < 30
    train(killed)
    assert logged_losses(killed) == logged_losses(config)
    before, after = (saved_weights(Path(item.output, "model")) for item in (config, killed))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_going_on_is_exact_with_either_optimizer(run_config, name, logged_losses, saved_weights):
    optimizer = OptimizerConfig(name=name, batch_rows=4, micro_rows=2, steps=6)
    config = run_config(
        "metric", optimizer=optimizer, checkpoints=CheckpointConfig(every_steps=3, keep=2)
    )
    train(config)
    whole, model = logged_losses(config), saved_weights(Path(config.output, "model"))
    newest = CheckpointStore(Path(config.output), keep=2).newest()
    assert newest is not None
    shutil.rmtree(newest.folder)
    train(config)
    assert logged_losses(config) == whole
    again = saved_weights(Path(config.output, "model"))
    assert all(torch.equal(model[name], again[name]) for name in model)


def test_a_longer_run_goes_on_where_the_shorter_one_ended(run_config, logged_losses):
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=3))
    train(config)
    first = logged_losses(config)
    model = Path(config.output, "model")
    assert train(config) == model
    assert logged_losses(config) == first
    train(replace(config, optimizer=replace(config.optimizer, steps=5)))
    assert logged_losses(config)[:3] == first
    assert [line["step"] for line in logged_losses(config)] == [1, 2, 3, 4, 5]
    shorter = replace(config, optimizer=replace(config.optimizer, steps=2))
    with pytest.raises(SpatialError, match=r"optimizer\.steps: 5 before, 2 now"):
        train(shorter)
    with pytest.raises(SpatialError, match=r"seed: 3 before, 4 now"):
        train(replace(config, seed=4))


def test_two_processes_give_the_losses_of_one(run_config, logged_losses, train_in_two_processes):
    config = run_config(
        "metric",
        optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=20),
        trainable=dict.fromkeys(("vision_encoder", "metric_branch", "language_model"), 3e-3),
        auxiliary_depth=AuxiliaryDepthConfig(),
        contrast=ContrastConfig(),
    )
    train(config)
    pair = replace(config, output=f"{config.output}-pair")
    train_in_two_processes(pair)
    alone, together = logged_losses(config), logged_losses(pair)
    assert len(together) == 20
    for one, two in zip(alone, together, strict=True):
        assert two["answer_tokens"] == one["answer_tokens"]
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        # The optimizer would hide gradients of another scale.
        assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)
        assert two["terms"] == pytest.approx(one["terms"], abs=1e-4)


def test_epochs_are_passes_over_all_rows(run_config, logged_losses):
    config = run_config(
        optimizer=OptimizerConfig(batch_rows=8, micro_rows=2, epochs=0.5),
        checkpoints=CheckpointConfig(every_steps=1000),
    )
    train(config)
    # 12 images with 4 questions each make 24 rows of at most 3.
    assert len(logged_losses(config)) == math.ceil(0.5 * 24 / 8)


@pytest.mark.parametrize("branch", ["image", "metric"])
def test_validation_measures_and_writes_answers(run_config, warehouse, branch):
    source = SourceConfig("warehouse", str(warehouse), split="val")
    config = run_config(
        branch,
        validation=ValidationConfig(source, every_steps=2, rows=3, examples=2),
        optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=5),
        checkpoints=CheckpointConfig(every_steps=2, keep=9),
        logging=LoggingConfig(every_steps=2, tensorboard=True),
    )
    train(config)
    saved = CheckpointStore(Path(config.output), keep=9).all()
    measured = [item.facts()["validation_loss"] for item in saved]
    assert [item.step for item in saved] == [2, 4, 5]
    assert all(2 < loss < 10 for loss in measured)
    assert len(set(measured)) == 3
    lines = Path(config.output, "examples.jsonl").read_text().splitlines()
    examples = [json.loads(line) for line in lines]
    assert [item["step"] for item in examples] == [2, 2, 4, 4, 5, 5]
    assert len({item["question"] for item in examples}) == 2
    assert any(Path(config.output, "tensorboard").iterdir())


def test_the_newest_and_the_best_checkpoints_are_retained(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step, loss in ((1, 3.0), (2, 1.0), (3, None), (4, 2.0), (5, math.nan)):
        (store.begin(step) / "weights").write_text(str(step))
        newest = store.newest()
        assert newest is None or newest.step == step - 1
        store.commit(step, {"validation_loss": loss})
    assert [item.step for item in store.all()] == [2, 4, 5]
    best = store.best()
    assert best is not None
    assert best.step == 2
    store.begin(6)
    store.remove_unfinished()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        f"step-0000000{step}" for step in (2, 4, 5)
    ]


def test_validation_changes_nothing_of_the_training(run_config, warehouse, logged_losses):
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=4))
    source = SourceConfig("warehouse", str(warehouse), split="val")
    validation = ValidationConfig(source, every_steps=1, rows=2, examples=1)
    train(config)
    measured = replace(config, output=f"{config.output}-measured", validation=validation)
    train(measured)
    assert logged_losses(measured) == logged_losses(config)


def test_sources_with_and_without_images_are_trained_together(run_config, warehouse):
    config = run_config("metric", optimizer=OptimizerConfig(batch_rows=8, micro_rows=2, steps=4))
    sources = tuple(
        SourceConfig("warehouse", str(warehouse), inputs=inputs) for inputs in ("geometry", "rgbd")
    )
    train(replace(config, data=replace(config.data, sources=sources)))
    newest = CheckpointStore(Path(config.output), 1).newest()
    assert newest is not None
    state = newest.facts()["data"]
    assert all(source["rows"] for source in state["sources"])


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [({"gradient_checkpointing": True}, 1e-6), ({"precision": "bfloat16"}, 0.05)],
)
def test_what_saves_memory_gives_the_same_losses(run_config, changes, tolerance, logged_losses):
    plain = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=4))
    saving = replace(plain, output=f"{plain.output}-saving", **changes)
    train(plain)
    train(saving)
    for one, two in zip(logged_losses(plain), logged_losses(saving), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=tolerance)
    weights = load_file(Path(saving.output, "model", "model.safetensors"))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


@pytest.mark.parametrize(("is_fast", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_follows_the_processor(run_config, monkeypatch, is_fast, precision):
    monkeypatch.setattr(run, "computes_bfloat16", lambda device: is_fast)
    config = replace(run_config(), precision="auto")
    assert precision_of(config) == precision
    assert training_arguments(config).bf16 == is_fast
    assert precision_of(replace(config, precision="float16")) == "float16"


def test_a_processor_without_avx512_has_no_bfloat16():
    found = computes_bfloat16(torch.device("cpu"))
    if platform.machine() == "x86_64":
        assert found == ("avx512bw" in Path("/proc/cpuinfo").read_text())
    assert isinstance(found, bool)


def test_numbers_that_are_none_stop_the_run_and_name_the_batch(run_config, logged_losses):
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=6))
    config = replace(config, checkpoints=CheckpointConfig(every_steps=2))
    train(replace(config, optimizer=replace(config.optimizer, steps=2)))
    newest = CheckpointStore(Path(config.output), 1).newest()
    assert newest is not None
    path = newest.folder / "model.safetensors"
    weights = load_file(path)
    weights["model.connectors.rgb.projection.weight"][0, 0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(RunStoppedError, match=r"step 3: loss nan.*train-\d+-\w+") as stopped:
        train(config)
    assert stopped.value.status is Status.MODEL_ERROR
    (report,) = Path(config.output).glob("not-finite-step-3-*.json")
    batches = json.loads(report.read_text())["batches"]
    assert len(batches) == 2
    assert all(id.startswith("train-") for batch in batches for id in batch["ids"])
    assert [line["step"] for line in logged_losses(config)] == [1, 2]


def test_too_many_broken_samples_stop_the_run(run_config, tmp_path, write_split, logged_losses):
    folder: SplitFolder = write_split(tmp_path / "damaged", "train", 10)
    folder.image_path("000003_00.png").write_bytes(b"no picture")
    config = run_config()
    source = SourceConfig("warehouse", str(folder.root))
    config = replace(config, data=replace(config.data, sources=(source,), broken_fraction=0.05))
    with pytest.raises(RunStoppedError, match=r"data\.broken_fraction = 0\.05.*000003_00\.png"):
        train(replace(config, optimizer=replace(config.optimizer, steps=60)))
    assert len(logged_losses(config)) > 10


def test_a_full_disk_is_reported_and_the_last_checkpoint_stays(run_config, start_training):
    config = run_config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=4))
    config = replace(config, checkpoints=CheckpointConfig(every_steps=2, keep=5))
    train(replace(config, optimizer=replace(config.optimizer, steps=2)))
    largest = max(path.stat().st_size for path in Path(config.output).rglob("*") if path.is_file())
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({largest // 2},) * 2)\n"
    run = start_training(config, before=limit)
    assert run.wait(DEADLINE_S) != 0
    output = run.output.read_text()
    assert "step-00000002 is complete" in output
    assert "Free some space and run the same command again" in output
    store = CheckpointStore(Path(config.output), keep=5)
    assert [item.step for item in store.all()] == [2]
    train(config)
    assert [item.step for item in store.all()] == [2, 4]
