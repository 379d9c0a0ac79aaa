"""The exported folder says what PyTorch says, without PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine, load_engine
from smolrgpt_core.inference.onnx_export import PROBABILITY_TOLERANCE, example_frame, export_onnx
from smolrgpt_core.inference.onnx_folder import MANIFEST_FILE, MEASURE, step_file
from smolrgpt_core.inference.onnx_graphs import MeasureRegions
from smolrgpt_core.model_inputs.region_samples import AROUND
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.start import make_start

DATA = Path(__file__).parents[2] / "data"

# More tokens than keys and values have room for at first.
STYLE = AnswerStyle("", 40)
CONFIG = EngineConfig(device="cpu", short=STYLE, sentence=STYLE)
IDS = (1, 2, 3, 4)
QUESTIONS = [
    *[("How far is <mask> from <mask>?", pair) for pair in combinations(IDS, 2)],
    ("What is this?", ()),
    ("How many pallets <mask> <mask> <mask> are in the buffer <mask>?", (4, 1, 3, 2)),
    ("Is <mask> left of <mask> or of <mask>?", (2, 2, 1)),
]
SIZES = {
    "vision_config": {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1},
    "text_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
                    "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3},
    "metric_width": 32,
    "metric_heads": 2,
    "metric_layers": 1,
    "refiner_levels": 1,
    "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    """A checkpoint of the metric depth branch, which comes to no end."""
    folder = tmp_path_factory.mktemp("metric") / "checkpoint"
    start = StartConfig(preset="smolrgpt-nano", vocabulary_size=400, overrides=SIZES)
    model, processor = make_start(start, 4, lambda: [text for text, _ in QUESTIONS])
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(metric, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    result = CliRunner().invoke(app, ["export-onnx", str(folder), "--checkpoint", str(metric)])
    assert result.exit_code == 0, result.output
    assert "Both runtimes produce the same" in " ".join(result.output.split())
    return folder


@pytest.fixture(scope="module")
def engine(exported):
    return load_engine(exported, CONFIG)


def test_both_runtimes_say_the_same(metric, engine):
    assert_same_answers(InferenceEngine.from_pretrained(metric, CONFIG), engine, QUESTIONS)


def test_measures_and_colors_of_regions_are_exported(metric, tmp_path):
    changed = {"region_measures": True, "region_rays": True, "region_colors": True}
    model, processor = make_start(StartConfig(checkpoint=str(metric), overrides=changed), 0, list)
    randomize(model.model.metric_branch)
    model.save_pretrained(tmp_path / "measures")
    processor.save_pretrained(tmp_path / "measures")
    export_onnx(tmp_path / "measures", tmp_path / "onnx")
    plain = InferenceEngine.from_pretrained(tmp_path / "measures", CONFIG)
    engine = load_engine(tmp_path / "onnx", CONFIG)
    # A region named twice is at once before and behind itself, by rounding.
    assert_same_answers(plain, engine, QUESTIONS[:-1], PROBABILITY_TOLERANCE)
    count = model.config.samples_per_region + AROUND
    samples = np.random.default_rng(0).uniform(0.5, 4.0, (3, count + 1, 3))
    samples[1, :-1, 2] = np.nan
    (wanted,) = MeasureRegions(model.eval())(torch.tensor(samples, dtype=torch.float32))
    step = onnxruntime.InferenceSession(tmp_path / "onnx" / step_file(MEASURE))
    (found,) = step.run(None, {"samples_and_foot": samples.astype(np.float32)})
    assert np.abs(found - wanted.detach().numpy()).max() < 1e-3


def assert_same_answers(plain, engine, questions, tolerance=1e-4):
    frame, texts = example_frame(), set()
    for together in (questions, *([question] for question in questions)):
        both = [one.ask(together, frame=frame) for one in (plain, engine)]
        for wanted, found in zip(*both, strict=True):
            assert found.token_ids == wanted.token_ids
            assert len(found.token_ids) == STYLE.max_new_tokens
            assert found.probabilities == pytest.approx(wanted.probabilities, abs=tolerance)
            assert found.text == wanted.text
            texts.add(wanted.token_ids)
    # Otherwise the same answers would prove nothing.
    assert len(texts) == len(questions)


def randomize(module):
    """Weights that start at zero would hide what is not exported."""
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        if not weight.any():
            weight.data.normal_(std=0.03, generator=generator)


def test_bad_questions_are_refused_as_by_pytorch(metric, engine):
    frame = example_frame()
    plain = InferenceEngine.from_pretrained(metric, CONFIG)
    asked = [("", ()), ("How far is <mask>?", ()), ("<mask>?", (77,)), ("<|image|>?", ())]
    both = [one.ask_each(asked, frame=frame) for one in (plain, engine)]
    for wanted, found in zip(*both, strict=True):
        assert isinstance(found, SpatialError)
        assert (found.status, found.message) == (wanted.status, wanted.message)


WITHOUT_TORCH = """
import json, sys
from pathlib import Path

class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in ("torch", "transformers", "safetensors", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.frame_files import FrameFiles, read_frame
from smolrgpt_core.inference import AnswerStyle, EngineConfig, load_engine

exported, folder = sys.argv[1], Path(sys.argv[2])
camera, question, words = map(json.loads, sys.argv[3:])
files = (folder / "rgb.jpg", folder / "depth.png", folder / "regions.json")
frame = read_frame(FrameFiles(*files, tuple(camera)))
engine = load_engine(exported, EngineConfig(short=AnswerStyle("", 8)))
(said,) = engine.ask([(question[0], question[1])], frame=frame)
answer = ask(frame, AskedQuestion(words), make_answerer("fused", checkpoint=exported))
print(json.dumps([said.token_ids, answer.status.name, answer.value]))
"""


def test_it_answers_without_pytorch(metric, exported, frames):
    question, words = ("How far is <mask> from <mask>?", (13, 15)), "How many pallets are there?"
    camera = [207.846, 207.846, 159.5, 119.5]
    arguments = map(json.dumps, (camera, question, words))
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, exported, DATA / "warehouse", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    tokens, status, value = json.loads(result.stdout)
    short = EngineConfig(device="cpu", short=AnswerStyle("", 8))
    (said,) = InferenceEngine.from_pretrained(metric, short).ask([question], frame=frames[0])
    assert tuple(tokens) == said.token_ids
    pallets = sum(region.label == "pallet" for region in frames[0].regions)
    assert (status, value) == ("OK", pallets)


def test_a_changed_file_is_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "changed")
    with (folder / "write.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SpatialError, match=rf"write\.onnx: is not the file that {MANIFEST_FILE}"):
        load_engine(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 4}, "expected format 3, got 4; update this package, or export"),
        ({"format": 2}, "expected format 3, got 2; export"),
        ({"files": {}}, "missing: .*'see.onnx', 'tokenizer.json'"),
        ({"files": None}, "missing: .*'encode.onnx'"),
    ],
)
def test_a_manifest_of_another_folder_is_refused(exported, tmp_path, changes, words):
    folder = shutil.copytree(exported, tmp_path / "changed")
    manifest = folder / MANIFEST_FILE
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))
    with pytest.raises(ValueError, match=words) as caught:
        make_answerer("model", str(folder))
    assert "calibrate" not in str(caught.value)


def test_a_folder_that_lacks_a_step_is_refused(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "changed")
    (folder / "see.onnx").unlink()
    with pytest.raises(ValueError, match=r"see\.onnx: cannot be opened: No such file") as caught:
        make_answerer("model", str(folder))
    assert "calibrate" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": "torch"}, "runtime is 'torch', but .* give the checkpoint that it was made"),
        ({"device": "cuda"}, "computes on the CPU, got device 'cuda'"),
        ({"dtype": "bfloat16"}, "computes in float32, got dtype 'bfloat16'"),
    ],
)
def test_what_onnx_runtime_does_not_do_is_refused(exported, changes, words):
    with pytest.raises(ValueError, match=words):
        load_engine(exported, EngineConfig(**changes))


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_named_with_its_remedy(exported, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ValueError, match=rf"needs {package}, which is not .*pip install .*\[onnx\]"
    ):
        make_answerer("model", str(exported))


def test_onnx_runtime_needs_an_exported_folder(metric):
    with pytest.raises(ValueError, match="write one with `smolrgpt export-onnx`"):
        load_engine(metric, EngineConfig(runtime="onnx"))


def test_another_kind_of_model_is_not_exported(checkpoint, tmp_path):
    arguments = ["export-onnx", str(tmp_path / "out"), "--checkpoint", str(checkpoint)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "depth_branch is 'image', not 'metric'" in result.output
    assert not (tmp_path / "out").exists()
