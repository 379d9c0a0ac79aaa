"""From a question to a value through a model that has learnt a few sentences by heart."""

import json
import shutil
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.answer import Side
from smolrgpt_core.answerer_settings import ANSWER_STYLES, ModelSettings
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.model import ModelAnswerer
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import install_command
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine
from smolrgpt_core.language import read_question

FRAME = Path(__file__).parents[2] / "data" / "warehouse"


@pytest.fixture(scope="module")
def answerer(taught) -> ModelAnswerer:
    return ModelAnswerer.from_pretrained(str(taught))


@pytest.fixture
def ask(lessons):
    def ask(answerer, frame, number):
        return answerer.answer(frame, read_question(lessons[number], frame.regions))

    return ask


def test_a_distance(ask, answerer, frames):
    answer = ask(answerer, frames[0], 0)
    assert answer.status is Status.OK
    assert (answer.value, answer.unit) == (3.8, "m")
    assert answer.model_value == 3.8
    assert answer.text == "Pallet 13 is 3.80 m from pallet 15."
    assert answer.region_ids == (13, 15)
    assert answer.geometric_value is None
    # Without a calibration nobody knows what it is worth.
    assert np.isnan(answer.confidence)
    assert set(answer.latency_s) >= {"prompt", "decode"}


def test_a_count(ask, answerer, frames):
    answer = ask(answerer, frames[0], 1)
    assert (answer.value, answer.unit) == (3, "objects")


def test_a_side(ask, answerer, frames):
    assert ask(answerer, frames[0], 2).side is Side.RIGHT


def test_a_choice_is_the_region_that_stands_there_in_the_question(ask, answerer, frames):
    answer = ask(answerer, frames[0], 3)
    assert answer.region_ids[4] == 15
    assert answer.region_id == 15
    assert answer.value is None


def test_a_choice_of_what_was_not_to_choose_from_is_no_answer(ask, answerer, frames):
    with pytest.raises(SpatialError, match=r"\[Region 5\].*choices.*\[0, 1, 2, 3, 4\]") as caught:
        ask(answerer, frames[0], 4)
    assert caught.value.status is Status.MODEL_ERROR


def test_a_count_of_more_than_there_is_is_no_answer(ask, answerer, frames):
    with pytest.raises(SpatialError, match=r"counted 56, .* about 9 regions; its output") as caught:
        ask(answerer, frames[0], 7)
    assert caught.value.status is Status.MODEL_ERROR


def test_words_without_a_value_are_no_answer(ask, answerer, frames):
    with pytest.raises(SpatialError, match="I am not sure") as caught:
        ask(answerer, frames[0], 5)
    assert caught.value.status is Status.MODEL_ERROR


def test_a_cut_off_answer_is_no_answer(ask, taught, frames):
    engine = InferenceEngine.from_pretrained(
        taught, EngineConfig(device="cpu", sentence=AnswerStyle("", 6))
    )
    with pytest.raises(SpatialError, match="did not end within 6 tokens; its output was ") as error:
        ask(ModelAnswerer(engine), frames[0], 0)
    assert error.value.status is Status.MODEL_ERROR


def test_too_little_time(taught, frames, lessons):
    engine = InferenceEngine.from_pretrained(taught, EngineConfig(device="cpu"))
    question = read_question(lessons[0], frames[0].regions)
    answerer = ModelAnswerer(engine)
    (refused,) = answerer.answer_batch(frames[0], [question], deadlines=[0.0])
    assert refused.status is Status.TIMEOUT


def test_regions_are_placed_as_geometry_places_them(answerer, frames, lessons):
    question = read_question(lessons[0], frames[0].regions)
    expected = make_answerer("geometric").answer(frames[0], question)
    answer = answerer.answer(frames[0], question)
    np.testing.assert_allclose(answer.centers, expected.centers)
    np.testing.assert_allclose(answer.valid_depth, expected.valid_depth)


def test_settings_reach_the_engine_and_its_defaults_are_theirs(taught):
    assert (EngineConfig().device, EngineConfig().dtype) == astuple(ModelSettings())[:2]
    assert EngineConfig().threads == ModelSettings().threads
    styles = [EngineConfig().style(name) for name in ANSWER_STYLES]
    assert len(set(styles)) == len(ANSWER_STYLES)
    settings = ModelSettings("cpu", "bfloat16", threads=2, answer_style="short")
    answerer = make_answerer("model", str(taught), settings)
    assert isinstance(answerer, ModelAnswerer)
    assert answerer._engine.config.threads == 2
    engine: Any = answerer._engine
    assert engine.steps.model.dtype is torch.bfloat16
    assert answerer.style == "short"
    wrong = [("dtype", "int7"), ("answer_style", "haiku"), ("device", "tpu"), ("device", "cpu:x")]
    for name, value in wrong:
        chosen: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=name):
            ModelSettings(**chosen)
    with pytest.raises(ValueError, match="device"):
        make_answerer("model", str(taught), ModelSettings(device="cuda:99"))


@pytest.mark.parametrize("name", ["model", "fused"])
@pytest.mark.parametrize("path", ["/nowhere", "output/train/nothing", "./nothing", "~/nothing"])
def test_a_path_that_leads_nowhere_is_no_hub_id(name, path):
    with pytest.raises(ValueError, match=f"there is no such folder: .*{path.strip('~.')}"):
        make_answerer(name, path)


def test_the_style_is_checked_at_once(answerer):
    with pytest.raises(ValueError, match="short, sentence"):
        ModelAnswerer(answerer._engine, "haiku")


def ask_arguments(question, *flags):
    truth = json.loads((FRAME / "truth.json").read_text())
    files = {"--rgb": "rgb.jpg", "--depth": "depth.png", "--regions": "regions.json"}
    paths = [text for flag, name in files.items() for text in (flag, str(FRAME / name))]
    return ["ask", question, *paths, "--intrinsics", truth["intrinsics"], *flags]


def run_ask(question, *flags):
    return CliRunner().invoke(app, ask_arguments(question, *flags))


def test_the_first_answer_comes_without_a_warning():
    """As a new user gets it: the default answerer in a fresh process."""
    command = [sys.executable, "-m", "smolrgpt_core.cli"]
    done = subprocess.run(
        [*command, *ask_arguments("How far is pallet 13 from pallet 15?")],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_command_line_asks_the_checkpoint(taught, lessons):
    result = run_ask(lessons[0], "--checkpoint", str(taught), "--json")
    assert result.exit_code == 0, result.output
    fields = json.loads(result.stdout)
    assert fields["value"] == fields["model_value"] == 3.8
    # The geometric answerer would have filled it.
    assert fields["geometric_value"] is None
    assert fields["latency_s"]["answer"] >= fields["latency_s"]["decode"] > 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--answerer", "geometric", "--checkpoint", "here"], "takes no checkpoint"),
        (["--checkpoint", "/no/such/folder"], "import-checkpoint"),
        (["--answerer", "oracle", "--checkpoint", "here"], "geometric"),
    ],
)
def test_a_wrong_call_of_the_command_line_is_named(lessons, flags, words):
    result = run_ask(lessons[0], *flags)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def halve(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop(pattern):
    return lambda folder: [path.unlink() for path in folder.glob(pattern)]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (halve, "damaged or incomplete"),
        (drop("model.safetensors"), "model.safetensors"),
        (drop("tokenizer*"), "has no readable tokenizer"),
        (drop("*"), "import-checkpoint"),
    ],
)
def test_a_checkpoint_that_cannot_be_loaded_says_why(checkpoint, tmp_path, spoil, words):
    folder = tmp_path / "spoilt"
    shutil.copytree(checkpoint, folder)
    spoil(folder)
    with pytest.raises(ValueError, match=words) as caught:
        make_answerer("model", str(folder))
    assert str(folder) in str(caught.value)


def test_a_file_is_no_checkpoint(checkpoint):
    with pytest.raises(ValueError, match="give the folder"):
        make_answerer("model", str(checkpoint / "model.safetensors"))


def test_geometry_needs_no_pytorch_and_the_model_says_how_to_get_it():
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from smolrgpt_core.answerers import make_answerer\n"
        "print(type(make_answerer('geometric')).__name__)\n"
        "try:\n"
        "    make_answerer('model', 'here')\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("GeometricAnswerer\n"), done.stderr
    assert install_command("model") in done.stdout
