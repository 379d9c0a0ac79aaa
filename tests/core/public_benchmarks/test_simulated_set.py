"""A set in the layout of SpatialRGPT-Bench from simulation, and the answerers asked about it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.cli.application import app
from smolrgpt_core.depth import depth_to_units
from smolrgpt_core.errors import SpatialError, UnansweredError
from smolrgpt_core.model.point_map import PointMapConfig, PointMapForConditionalGeneration
from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
from smolrgpt_core.public_benchmarks.models import ModelOptions
from smolrgpt_core.public_benchmarks.quantity_readers import length_by_rules
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.spatialrgpt_bench import group_of, judgment_by_rules
from smolrgpt_core.simulated_data.benchmark_set import (
    PUBLISHED_COUNTS,
    SPATIALRGPT_SET,
    VIEWS,
    BenchmarkSet,
)
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene

QUESTIONS, SEED = 40, 9200000
FILE = SPATIALRGPT_SET.file
BENCHMARK = BENCHMARKS["spatialrgpt"]


def small() -> Randomization:
    """Half the usual size, which renders faster."""
    usual = Randomization()
    return replace(usual, camera=replace(usual.camera, width=320, height=240))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "set"
    BenchmarkSet(SPATIALRGPT_SET, QUESTIONS, SEED, small()).write(folder, lambda done: None)
    return folder


@pytest.fixture(scope="module")
def stored(made) -> list[dict[str, Any]]:
    return json.loads((made / FILE).read_text())


def test_all_categories_are_there_in_the_published_proportions(stored) -> None:
    found = Counter(record["qa_info"]["category"] for record in stored)
    assert found == Counter(SPATIALRGPT_SET.wanted(QUESTIONS))
    assert set(found) == set(PUBLISHED_COUNTS)
    whole = SPATIALRGPT_SET.wanted(sum(PUBLISHED_COUNTS.values()))
    assert whole == PUBLISHED_COUNTS


@pytest.mark.parametrize("questions", [24, 25, 100, 1000, 1407])
def test_as_many_as_are_wanted(questions) -> None:
    counts = SPATIALRGPT_SET.wanted(questions)
    assert sum(counts.values()) == questions
    assert min(counts.values()) >= 1


def test_records_are_read_as_the_published_ones(made, stored) -> None:
    data = BENCHMARK.read(made)
    assert not data.rejected
    assert len({group_of(record) for record in data.records}) == 12
    for record in data.records:
        assert not record.problems
        own = judgment_by_rules(record, str(record.truth))
        assert own.response is not None, record.truth
        assert own.response == own.truth, "the truth, read as an answer, is right"
        assert record.camera is not None
        assert record.image is not None
        assert record.image.rgb().shape == (240, 320, 3)
    published = {"id", "image_info", "qa_info", "conversations", "text_q", "bbox", "rle",
                 "file_path"}  # fmt: skip
    assert set(stored[0]) == published | {"depth_path", "camera"}


def test_what_a_model_gets_is_what_the_camera_measures(made, stored) -> None:
    settings = SimulationSettings(1, SEED, VIEWS, randomization=small())
    views = [seen for seen, _ in render_scene(settings, 0)]
    name = stored[0]["file_path"].removeprefix("images/000000_").removesuffix(".png")
    frame = views[int(name)].frame
    record = BENCHMARK.read(made).records[0]
    question = question_of(record)
    assert question.image is not None
    assert question.camera is not None
    assert question.depth is not None
    np.testing.assert_array_equal(question.image.rgb(), frame.rgb)
    measured = depth_to_units(frame.depth, question.camera.depth_scale)
    np.testing.assert_array_equal(question.depth.plane(), measured)
    assert [region.id for region in question.regions] == list(range(len(question.regions)))
    assert str(record.truth) not in question.masked + question.prompt


def test_heights_are_those_of_the_simulator(made, stored) -> None:
    settings = SimulationSettings(1, SEED, VIEWS, randomization=small())
    scenes: dict[int, list[Any]] = {}
    checked = 0
    for record in stored:
        if record["qa_info"]["category"] != "height_data":
            continue
        scene, view = map(int, Path(record["file_path"]).stem.split("_"))
        if scene not in scenes:
            scenes[scene] = [seen for seen, _ in render_scene(settings, scene)]
        seen = scenes[scene][view]
        box = record["bbox"][0]
        regions = [r for r in seen.frame.regions if [r.box.x, r.box.y] == box[:2]
                   and r.box.x + r.box.width == box[2]]  # fmt: skip
        truth = length_by_rules(record["conversations"][1]["value"])
        heights = [seen.truth[region.id].size[2] for region in regions]
        assert any(truth == pytest.approx(height, abs=0.006) for height in heights)
        checked += 1
    assert checked >= 3


def test_the_same_seed_gives_the_same_set(made, tmp_path) -> None:
    BenchmarkSet(SPATIALRGPT_SET, QUESTIONS, SEED, small()).write(
        tmp_path / "again", lambda done: None
    )
    again = tmp_path / "again"
    assert (again / FILE).read_bytes() == (made / FILE).read_bytes()
    for path in sorted(made.rglob("*.png")):
        assert (again / path.relative_to(made)).read_bytes() == path.read_bytes()


def test_geometry_is_asked_by_the_definitions_of_the_benchmark(made) -> None:
    options = ModelOptions(conventions=BENCHMARK.conventions)
    geometry = load_benchmark_model("geometric", options)
    assert geometry.described["conventions"] == "spatialrgpt"
    ours = load_benchmark_model("geometric", ModelOptions())
    widths = [r for r in BENCHMARK.read(made).records if r.category == "width_data"]
    asked = [question_of(record) for record in widths]
    answers = [(geometry.answer(item).text, ours.answer(item).text) for item in asked]
    assert all(text.endswith(" m") for pair in answers for text in pair)
    assert any(first != second for first, second in answers), "extent across, or shorter side"


def test_engines_get_the_depth_of_the_data(made, tiny_vlms, tmp_path) -> None:
    records = [r for r in BENCHMARK.read(made).records if r.category == "distance_data"][:3]
    options = ModelOptions(device="cpu", max_new_tokens=3)
    smolrgpt = load_benchmark_model(str(NANO), options)
    assert smolrgpt.described["track"] == "metric depth"
    # In its own words: meters, without a unit; 0 of what stands in a buffer that is asked about.
    said = [float(smolrgpt.answer(question_of(record)).text) for record in records]
    without = [replace(question_of(record), depth=None) for record in records]
    assert len(set(said)) == 3
    for question in without:
        with pytest.raises(UnansweredError, match="--depth-model"):
            smolrgpt.answer(question)
    torch.manual_seed(0)
    config = PointMapConfig.preset("warehouse", tiny_vlms.make_config("smolvlm"))
    PointMapForConditionalGeneration(config).save_pretrained(tmp_path)
    tiny_vlms.make_processor("smolvlm").save_pretrained(tmp_path)
    points = load_benchmark_model(str(tmp_path), options)
    assert points.described["kind"] == "point_map_vlm"
    assert isinstance(points.answer(question_of(records[0])).text, str)


def test_one_command_scores_geometry_models_and_baselines(made, tmp_path) -> None:
    out = tmp_path / "results"
    models = [word for name in ("geometric", "nano", "fused", "guess")
              for word in ("--model", name)]  # fmt: skip
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["benchmark", "spatialrgpt", "--data", str(made), "--output", str(out),
              "--beside", "blind", *models],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    head = next(line for line in done.output.splitlines() if "rules, %" in line)
    assert head.split()[3:] == ["geometric", "nano", "nano", "blind", "fused", "fused", "blind",
                                "guess"]  # fmt: skip
    figures = {
        name: json.loads((out / name / "result.json").read_text())["scorers"]["rules"]["figures"]
        for name in ("geometric", "nano", "fused", "guess", "nano/blind")
    }
    for name in ("geometric", "fused", "nano"):
        for half in ("qualitative", "quantitative"):
            assert figures[name][half]["value"] > figures["guess"][half]["value"] + 20
    assert (
        figures["nano"]["direct distance"]["of"]
        == SPATIALRGPT_SET.wanted(QUESTIONS)["distance_data"]
    )


def test_the_command_writes_a_set_and_refuses_what_does_not_fit(tmp_path) -> None:
    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["simulate", "--spatialrgpt-bench", *options])

    assert run("23", "--out", str(tmp_path / "few")).exit_code == 2
    assert run("24").exit_code == 2
    assert run("24", "--out", str(tmp_path / "a"), "--scenes", "3").exit_code == 2
    (tmp_path / "there").mkdir()
    there = run("24", "--out", str(tmp_path / "there"))
    assert there.exit_code == 2
    assert "already exists" in there.output
    with pytest.raises(SpatialError, match="at least 24 questions"):
        BenchmarkSet(SPATIALRGPT_SET, 3)
