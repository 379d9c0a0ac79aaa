"""The example configurations of further objectives, and what they train as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.training.config_file import read_config

CONFIGS = Path(__file__).parents[3] / "config" / "train"
NAMES = (
    "distill/online", "distill/offline", "distill/answers", "nano_auxiliary_depth",
    "nano_few_images",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_examples_can_be_read_and_name_one_objective_at_least(name):
    config = read_config(CONFIGS / f"{name}.yaml")
    parts = (config.distillation, config.auxiliary_depth, config.augmentation, config.contrast)
    assert any(parts)


def test_the_student_of_the_example_learns_from_the_shipped_model(warehouse, tmp_path):
    changes = [
        f"output={tmp_path / 'run'}", f"data.sources.0.root={warehouse}", "optimizer.steps=2",
        "optimizer.batch_rows=2", "optimizer.micro_rows=2", "data.workers=0",
        "validation.source=null", "logging.tensorboard=false",
        f"start.tokenizer={CONFIGS.parents[1] / 'smolrgpt_core/checkpoints/nano'}",
        f"distillation.teacher={CONFIGS.parents[1] / 'smolrgpt_core/checkpoints/nano'}",
    ]  # fmt: skip
    result = CliRunner().invoke(app, ["train", str(CONFIGS / "distill/online.yaml"), *changes])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "losses.jsonl").read_text()
    assert '"soft"' in lines
    taught, size = (
        (folder / "model.safetensors").stat().st_size
        for folder in (
            CONFIGS.parents[1] / "smolrgpt_core/checkpoints/nano",
            tmp_path / "run" / "model",
        )
    )
    assert size < taught / 2
