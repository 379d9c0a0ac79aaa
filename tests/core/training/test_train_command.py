"""`smolrgpt train` as a person or a launcher calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from smolrgpt_core.cli import train as command
from smolrgpt_core.cli.application import app
from smolrgpt_core.extras import install_command
from smolrgpt_core.model import SmolRGPTForConditionalGeneration
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config_file import write_config

DEADLINE_S = 90
ONE_STEP = ("optimizer.steps=1", "data.workers=0")


@pytest.fixture
def file(run_config, tmp_path) -> Path:
    path = tmp_path / "run.yaml"
    write_config(run_config(), path)
    return path


def train(*words: object):
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_the_program_starts_without_torch():
    code = "import sys, smolrgpt_core.cli.application as a; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE_S)


def test_two_processes_of_a_launcher_train_one_model(file, tmp_path):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = ["smolrgpt_core.cli", "train", file, *ONE_STEP, "data.workers=1"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    model = tmp_path / "output" / "model"
    assert done.stdout.count("wrote ") == 1
    assert str(model) in done.stdout.replace("\n", "")
    assert SmolRGPTForConditionalGeneration.from_pretrained(model).config.depth_branch == "image"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.step=2"], "unknown key `optimizer.step`"),
        (["optimizer.steps=many"], "`optimizer.steps` must be int"),
        (["steps"], "expected key=value"),
    ],
)
def test_a_wrong_configuration_is_a_wrong_call(file, tmp_path, words, message):
    result = train(file, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert str(file) in result.stderr
    assert not (tmp_path / "output").exists()


def test_a_file_that_is_not_there_is_a_wrong_call(tmp_path):
    assert train(tmp_path / "nothing.yaml").exit_code == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.sources.0.root=nothing_here", "nothing_here"),
        ("start={checkpoint: ./nothing_here}", "nothing_here"),
        ("trainable={metric_branch: 1e-3}", "its parts are vision_encoder, rgb_connector"),
    ],
)
def test_a_run_that_cannot_begin_is_a_wrong_call_and_says_why(file, change, message):
    result = train(file, *ONE_STEP, change)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_run_that_stops_is_no_wrong_call(file, tmp_path):
    assert train(file, *ONE_STEP).exit_code == 0
    newest = CheckpointStore(tmp_path / "output", 1).newest()
    assert newest is not None
    path = newest.folder / "model.safetensors"
    weights = load_file(path)
    weights["model.connectors.rgb.projection.weight"][0, 0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    result = train(file, *ONE_STEP, "optimizer.steps=2")
    assert result.exit_code == 1
    assert "step 2: loss nan" in result.stderr.replace("\n", " ")


def test_what_is_not_installed_is_named(file, monkeypatch):
    monkeypatch.setitem(command.NEEDED, "package_that_nobody_has", "nobody-has-it")
    result = train(file)
    assert result.exit_code == 1
    assert "needs nobody-has-it" in result.stderr
    assert install_command("train") in result.stderr
