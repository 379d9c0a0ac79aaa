"""A small model calibrated on one split and evaluated on another one, through the commands."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from typer.testing import CliRunner, Result

from smolrgpt_core.answerer_settings import FusionSettings
from smolrgpt_core.answerers.calibration import Evidence, read_calibration
from smolrgpt_core.answerers.likeness import FEATURES, read_likeness
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE
from smolrgpt_core.checkpoints.weights import WEIGHTS_FILE, weights_fingerprint
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.record_frames import read_image
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.evaluation.evaluation import evaluate
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

OFFICIAL = Path(__file__).parents[2] / "data" / "official_tiny"

SAYS = {
    "distance": "The distance is 4.0 meters.",
    "count": "There are 2.",
    "left_right": "It is on the left.",
    "mcq": "[Region 0]",
}
"""One answer to all questions of a category, which is sometimes right."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def taught(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint trained until it tells the categories apart."""
    folder = tmp_path_factory.mktemp("calibrate") / "checkpoint"
    import_checkpoint(OFFICIAL, folder)
    torch.manual_seed(0)
    processor = SmolRGPTProcessor.from_pretrained(folder)
    model = SmolRGPTForConditionalGeneration.from_pretrained(folder).train()
    split = SplitFolder(data_set, "train")
    records = split.read_records()
    image = records[0].image
    of_image = [record for record in records if record.image == image]
    frame, asked = read_image(split, of_image, split.read_cameras()[image])
    batch = processor(
        [frame.rgb] * len(asked),
        [
            [
                {"role": "user", "content": item.record.question},
                {"role": "assistant", "content": SAYS[item.record.category]},
            ]
            for item in asked
        ],
        [frame.depth] * len(asked),
        [[frame.regions[id] for id in item.region_ids] for item in asked],
        return_labels=True,
    )
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=3e-3)
    for _ in range(150):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(taught: Path, tmp_path: Path) -> Path:
    """A copy for each test."""
    return Path(shutil.copytree(taught, tmp_path / "checkpoint"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_confidences_are_fitted_on_one_split_and_judged_on_another(
    data_set: Path, checkpoint: Path, tmp_path: Path
) -> None:
    result = run("calibrate", checkpoint, "--data", data_set, "--split", "train")
    assert result.exit_code == 0, result.output
    found = read_calibration(checkpoint / CALIBRATION_FILE)
    assert found.weights_sha256 == weights_fingerprint([checkpoint / WEIGHTS_FILE])
    assert (found.data, found.answer_style) == ("warehouse/train", "sentence")
    like = read_likeness(checkpoint / LIKENESS_FILE)
    assert like.weights_sha256 == found.weights_sha256
    assert (like.data, like.questions) == ("warehouse/train", found.questions)
    assert set(like.classes) == {"pallet", "buffer", "transporter", "shelf"}
    assert set(like.ranges) == set(FEATURES)
    alone = found.curves[Evidence.MODEL.value]
    assert set(alone) == set(SAYS)
    in_parts = [
        sum(curve.samples for curve in found.curves.get(evidence.value, {}).values())
        for evidence in (
            Evidence.MODEL_WITH_GEOMETRY, Evidence.MODEL_AGAINST_GEOMETRY, Evidence.MODEL_ONLY,
        )
    ]  # fmt: skip
    assert sum(in_parts) == sum(curve.samples for curve in alone.values())
    assert "model against geometry" in result.output

    out, figures = tmp_path / "out", tmp_path / "figures.json"
    result = run(
        "evaluate", "--data", data_set, "--answerer", "fused", "--checkpoint", checkpoint,
        "--prefer", "model", "--out", out, "--json", figures,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    fused = json.loads(figures.read_text())["answerers"]["fused"]
    agreement = fused["agreement"]
    assert agreement["AGREE"]["right"] / agreement["AGREE"]["answers"] > 0.9
    assert agreement["DISAGREE"]["right"] / agreement["DISAGREE"]["answers"] < 0.5
    # A constant answer is worth nothing by itself; beside geometry it is known when it is right.
    assert fused["reliability"]["overall"]["expected_calibration_error"] < 0.25
    for words in ("agree (", "disagree ("):
        assert words in result.stdout
    page = (out / "confidence.md").read_text()
    assert "| overall |" in page
    assert "| disagree |" in page
    assert cv2.imread(str(out / "reliability.png")) is not None
    assert "calibration error" in (out / "report.html").read_text()


def test_who_disagrees_with_geometry_is_refused_if_so_wished(
    data_set: Path, checkpoint: Path
) -> None:
    assert run("calibrate", checkpoint, "--data", data_set, "--split", "train").exit_code == 0
    folder = SplitFolder(data_set, "test")
    choices = [
        AnswererChoice("fused", str(checkpoint), fusion=fusion)
        for fusion in (FusionSettings("model", abstain_below=0.6), FusionSettings("geometry"))
    ]
    careful, geometric = (evaluate(folder, choice).systems[0] for choice in choices)
    answered = [item for item in careful.predictions if item.status.name == "OK"]
    assert answered
    assert all(item.confidence >= 0.6 for item in answered)
    assert careful.refusals["CANNOT_TELL"] > 0
    assert geometric.scores["Overall_acc"] > 80


def test_without_calibration_no_confidence_and_no_abstaining(
    data_set: Path, checkpoint: Path
) -> None:
    folder = SplitFolder(data_set, "test")
    found = evaluate(folder, AnswererChoice("model", str(checkpoint)), limit=6)
    assert all(math.isnan(item.confidence) for item in found.systems[0].predictions)
    assert found.systems[0].reliabilities == {}
    words = ("--data", data_set, "--answerer", "fused", "--checkpoint", checkpoint, "--limit", 6)
    result = run("evaluate", *words, "--abstain-below", 0.5)
    assert result.exit_code == 2
    assert "smolrgpt calibrate" in result.output
    result = run("evaluate", *words, "--prefer", "luck")
    assert result.exit_code == 2
    assert "confident" in result.output


def test_what_cannot_be_calibrated_is_refused_before_a_question_is_asked(
    data_set: Path, checkpoint: Path
) -> None:
    words = ("--data", data_set, "--split", "train")
    weights = checkpoint / WEIGHTS_FILE
    content = weights.read_bytes()
    weights.unlink()
    result = run("calibrate", checkpoint, *words)
    assert result.exit_code == 2
    assert "expected model.safetensors or model.safetensors.index.json" in result.output
    weights.write_bytes(content[:-10])
    result = run("calibrate", checkpoint, *words)
    assert result.exit_code == 2
    assert f"{weights}: expected a safetensors file" in result.output


def test_a_checkpoint_in_several_files_is_calibrated(
    data_set: Path, checkpoint: Path, tmp_path: Path
) -> None:
    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint)
    whole = weights_fingerprint([checkpoint / WEIGHTS_FILE])
    (checkpoint / WEIGHTS_FILE).unlink()
    model.save_pretrained(checkpoint, max_shard_size="100KB")
    assert not (checkpoint / WEIGHTS_FILE).exists()
    copied = Path(shutil.copytree(data_set, tmp_path / "warehouse"))
    records = copied / "train.json"
    entries = json.loads(records.read_text())
    entries[1]["normalized_answer"] = "far"
    records.write_text(json.dumps(entries))
    result = run("calibrate", checkpoint, "--data", copied, "--split", "train", "--limit", 8)
    assert result.exit_code == 0, result.output
    assert "1 of 8 questions have no readable ground-truth answer" in result.stderr
    assert read_calibration(checkpoint / CALIBRATION_FILE).weights_sha256 == whole


def test_a_split_without_answers_leaves_the_checkpoint_as_it_was(
    data_set: Path, checkpoint: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(data_set, tmp_path / "warehouse"))
    folder = SplitFolder(copied, "test")
    entries = json.loads(folder.records_path.read_text())
    for entry in entries:
        entry["conversations"], entry["normalized_answer"] = entry["conversations"][:1], ""
    folder.records_path.write_text(json.dumps(entries))
    words = ("--data", copied, "--split", "test", "--limit", 4)
    result = run("calibrate", checkpoint, *words)
    assert result.exit_code == 2
    assert "expected true answers" in result.output
    assert not (checkpoint / CALIBRATION_FILE).exists()
    assert not (checkpoint / LIKENESS_FILE).exists()
    assert run("calibrate", checkpoint, "--data", copied).exit_code == 2
    assert run("calibrate", tmp_path / "none", *words).exit_code == 2


def test_several_data_sets_are_one(data_set: Path, checkpoint: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data_set, tmp_path / "second"))
    run("calibrate", checkpoint, "--data", data_set, "--split", "train")
    alone = read_calibration(checkpoint / CALIBRATION_FILE)
    like = read_likeness(checkpoint / LIKENESS_FILE)
    result = run("calibrate", checkpoint, "--data", data_set, "--data", other, "--split", "train")
    assert result.exit_code == 0, result.output
    both = read_calibration(checkpoint / CALIBRATION_FILE)
    assert (both.data, both.questions) == ("warehouse/train, second/train", 2 * alone.questions)
    for evidence, curves in alone.curves.items():
        for category, curve in curves.items():
            twice = both.curves[evidence][category]
            assert (twice.samples, twice.right) == (2 * curve.samples, 2 * curve.right)
    assert read_likeness(checkpoint / LIKENESS_FILE).images == 2 * like.images
