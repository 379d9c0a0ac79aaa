"""A finished run as a folder for others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.training.config import OptimizerConfig, StartConfig
from smolrgpt_core.training.export import export
from smolrgpt_core.training.run import train

SCORES = {"Qual_left_right_acc": 99.5, "Quan_distance_acc": 88.25, "Final_weighted_score": 94.0}
EVALUATION = {
    "data": "held_out",
    "split": "test",
    "questions": 300,
    "answerers": {"model": {"scores": SCORES, "refusals": {"CANNOT_TELL": 2, "TIMEOUT": 1}}},
}


@pytest.fixture
def two_stages(run_config, tmp_path):
    """The folder of a run that began with the model of another one."""
    first = run_config("metric", optimizer=OptimizerConfig(batch_rows=2, micro_rows=2, steps=2))
    model = train(first)
    second = replace(
        first, output=str(tmp_path / "second"), start=StartConfig(checkpoint=str(model)), seed=11
    )
    train(second)
    return Path(second.output)


def test_an_exported_run_is_a_checkpoint_with_a_card(two_stages, tmp_path):
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps(EVALUATION))
    out = tmp_path / "exported"
    export(two_stages, out, "my-model", [file])
    SmolRGPTForConditionalGeneration.from_pretrained(out)
    SmolRGPTProcessor.from_pretrained(out)
    card = (out / "README.md").read_text()
    assert "# my-model" in card
    stages = [line.split(" | ") for line in card.splitlines() if "CPU process" in line]
    assert [(cells[1], cells[4], cells[6]) for cells in stages] == [
        ("smolrgpt-nano", "2", "3"),
        (str(tmp_path / "output" / "model"), "2", "11"),
    ]
    assert all(int(cells[5]) > 4 for cells in stages)
    assert "| model | held_out | 300 | 99.50 | 88.25 |  |  | 94.00 | 3 |" in card


def test_nothing_is_written_for_a_run_without_a_model_or_onto_something_else(two_stages, tmp_path):
    with pytest.raises(SpatialError, match="expected a finished run"):
        export(tmp_path, tmp_path / "exported", "name")
    (tmp_path / "taken").mkdir()
    with pytest.raises(SpatialError, match="already exists"):
        export(two_stages, tmp_path / "taken", "name")
    assert not list((tmp_path / "taken").iterdir())
