"""A study trains what it names, once, and says what came out; whatever kills it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.ray_workers import LOCAL
from smolrgpt_core.settings_file import import_yaml
from smolrgpt_core.study.config import (
    StudyConfig,
    chosen,
    in_order_of_work,
    jobs_of,
    read_study,
)
from smolrgpt_core.study.jobs import Job
from smolrgpt_core.study.on_ray import JobsOnRay
from smolrgpt_core.study.page import StudyPart, write_page
from smolrgpt_core.study.plots import write_plots
from smolrgpt_core.study.processes import LOG_FILE, InProcesses, Outcome, attempt
from smolrgpt_core.study.table import COSTS, Gain, Measured, as_csv, as_markdown, rows_of, shown
from smolrgpt_core.training.config_file import write_config
from smolrgpt_core.training.step import Spent

CONFIGS = Path(__file__).parents[3] / "config"
DEADLINE_S = 120


@pytest.fixture
def study_file(adapter_run, warehouse, tmp_path) -> Path:
    """LoRA and full fine-tuning, with four and eight images, two seeds each."""
    write_config(adapter_run("lora", {"language_model": "q_proj"}), tmp_path / "train.yaml")
    study = {
        "title": "A study of two methods",
        "train": str(tmp_path / "train.yaml"),
        "output": str(tmp_path / "study"),
        "axes": {
            "method": {
                "lora": ["optimizer.steps=1"],
                "full": ["peft=null", "optimizer.steps=1", "trainable={language_model: 1e-3}"],
            },
            "images": {number: [f"data.sources.0.first_images={number}"] for number in ("4", "8")},
            "seed": {"1": ["seed=1"], "2": ["seed=2"]},
        },
        "repeats": "seed",
        "reference": {"method": "full"},
        "evaluations": {"own": {"data": str(warehouse), "split": "val", "limit": 4}},
    }
    path = tmp_path / "study.yaml"
    path.write_text(import_yaml("a test").safe_dump(study, sort_keys=False))
    return path


def in_this_process(jobs: Sequence[Job]) -> Iterator[Outcome]:
    for job in jobs:
        home = Path.cwd()
        yield job, attempt(job)
        os.chdir(home)


def done(study: StudyConfig) -> list[Job]:
    jobs = jobs_of(study)
    assert [problem for _, problem in in_this_process(jobs)] == [""] * len(jobs)
    return jobs


def test_every_combination_is_trained_measured_and_asked(study_file, base):
    study = chosen(read_study(study_file), ["images=4"])
    before, *runs = jobs = done(study)
    assert [dict(job.values) for job in runs] == [
        {"method": method, "images": "4", "seed": seed}
        for method in ("lora", "full")
        for seed in ("1", "2")
    ]
    assert before.checkpoint == str(base)
    assert before.train is None
    for job in runs:
        assert job.missing() == []
        trained = job.result()["trained"]
        is_adapter = job.values["method"] == "lora"
        file = job.folder / (
            "adapter/adapter.safetensors" if is_adapter else "model/model.safetensors"
        )
        assert trained["artifact_bytes"] == file.stat().st_size
        if is_adapter:
            weights = load_file(file).values()
            assert trained["trained_parameters"] == sum(item.numel() for item in weights)
        assert trained["questions"] > 0
        assert trained["processor_seconds"] > 0
        assert trained["settings"]["seed"] == int(job.values["seed"])
        assert not (job.folder / "checkpoints").exists()
    # Weights of chance say nothing that can be read: what they said is kept.
    asked = before.result()["evaluations"]["own"]
    assert len(asked["unusable"]) == asked["refusals"]["MODEL_ERROR"] > 0
    assert all("its output was" in message for message in asked["unusable"].values())
    rows = rows_of(study, [job.result() for job in jobs])
    assert [(row.values.get("method"), row.runs) for row in rows] == [
        (None, 1), ("lora", 2), ("full", 2)
    ]  # fmt: skip
    assert not rows[0].costs
    assert set(rows[1].gains) == set(rows[1].gains_over_reference) == {"own"}
    assert not rows[0].gains
    assert not rows[2].gains_over_reference
    assert rows[1].costs["trained"].mean < rows[2].costs["trained"].mean
    assert rows[1].scores["own"]["mean"].values == tuple(
        job.result()["evaluations"]["own"]["scores"]["Final_weighted_score"] for job in runs[:2]
    )


def test_what_is_finished_is_not_done_again(study_file):
    study = chosen(read_study(study_file), ["images=4", "method=lora", "seed=1"])
    _, job = done(study)
    trained = job.folder / "trained.json"
    facts = json.loads(trained.read_text())
    trained.write_text(json.dumps({**facts, "seconds": 12345.0}))
    (job.folder / "evaluation-own.json").unlink()
    assert job.missing() == ["evaluation-own.json"]
    done(study)
    assert job.missing() == []
    assert job.result()["trained"]["seconds"] == 12345.0
    earlier = json.loads(json.dumps(facts["settings"]))
    earlier["optimizer"]["warmup_share"] = earlier["optimizer"].pop("warmup_fraction")
    del earlier["augmentation"]
    trained.write_text(json.dumps({**facts, "settings": earlier}))
    assert job.missing() == [], "settings of an earlier version are the same ones"
    trained.write_text(json.dumps({**facts, "settings": {**facts["settings"], "seed": 9}}))
    with pytest.raises(SpatialError, match="other settings, seed: 9 before, 1 now"):
        job.missing()


def test_what_is_finished_at_any_time_is_a_smaller_study(study_file):
    study = read_study(study_file)
    before, *runs = in_order_of_work(study, jobs_of(study))
    assert before.train is None
    assert [tuple(job.values.values()) for job in runs] == [
        (method, images, seed)
        for seed in ("1", "2")
        for images in ("4", "8")
        for method in ("lora", "full")
    ]
    assert sorted(job.name for job in runs) == sorted(job.name for job in jobs_of(study)[1:])


def test_processor_seconds_go_on_where_a_run_does():
    began = Spent({})
    sum(range(10**6))
    facts = began.facts()
    assert 0 <= facts["processor_seconds"] < 60
    resumed = Spent({"seconds": 100.0, "processor_seconds": 50.0, "questions": 7}).facts()
    assert 50 <= resumed["processor_seconds"] < 110
    assert resumed["seconds"] >= 100
    assert resumed["questions"] == 7
    earlier = Spent({"seconds": 100.0, "questions": 7}).facts()
    assert math.isnan(earlier["processor_seconds"])
    assert shown(Measured((earlier["processor_seconds"],))) == ""


def test_changes_of_all_runs_win(study_file):
    _, *runs = jobs_of(read_study(study_file), ["optimizer.steps=7", "seed=5"])
    assert {(job.train.optimizer.steps, job.train.seed) for job in runs if job.train} == {(7, 5)}


def test_a_run_that_dies_is_named_and_the_others_are_shown(study_file, monkeypatch, tmp_path):
    only = ["images=4", "method=lora"]
    *finished, last = jobs_of(chosen(read_study(study_file), only))
    assert [attempt(job) for job in finished] == ["", ""]
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'spawn_main' in str(sys.orig_argv): os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    options = [f"--only={text}" for text in only]
    found = CliRunner().invoke(app, ["study", str(study_file), *options, "--workers", "2"])
    assert found.exit_code == 1, found.output
    assert f"{last.name} failed: its process ended with the exit code 7" in found.output
    table = list(csv.DictReader(io.StringIO((tmp_path / "study" / "table.csv").read_text())))
    assert [(row["method"], row["runs"]) for row in table] == [
        ("before training", "1"), ("lora", "1")
    ]  # fmt: skip
    assert (tmp_path / "study" / "plots.png").stat().st_size > 10_000


def test_the_reason_of_a_failed_run_is_reported(study_file):
    study_file.write_text(
        study_file.read_text().replace("- seed=1", "- data.sources.0.root=nowhere")
    )
    _, job = jobs_of(chosen(read_study(study_file), ["images=4", "method=lora", "seed=1"]))
    assert "nowhere" in attempt(job)


def test_ray_does_the_same(study_file):
    pytest.importorskip("ray")
    finished, job = done(chosen(read_study(study_file), ["images=4", "method=lora", "seed=1"]))
    (finished.folder / "evaluation-own.json").unlink()
    (job.folder / "trained.json").write_text(json.dumps({"settings": {}}))
    outcomes = {item.name: problem for item, problem in JobsOnRay(LOCAL, 1)([finished, job])}
    assert outcomes[finished.name] == ""
    assert finished.missing() == []
    assert "other settings" in outcomes[job.name]


def test_a_killed_study_takes_its_run_along_and_goes_on(study_file, warm_python):
    study = chosen(read_study(study_file), ["images=4", "method=lora", "seed=1"])
    before, job = jobs_of(study)
    assert attempt(before) == ""
    only = ["--only=images=4", "--only=method=lora", "--only=seed=1"]
    command = warm_python("smolrgpt_core.cli", "study", study_file, *only)
    deadline = time.monotonic() + DEADLINE_S
    while not (job.folder / LOG_FILE).exists():
        assert command.process.poll() is None, command.output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(command.pid).children(recursive=True)
    assert children
    command.kill()
    assert psutil.wait_procs(children, timeout=DEADLINE_S)[1] == []
    assert attempt(job) == ""
    assert job.missing() == []
    # Nothing is left to do.
    assert [problem for _, problem in InProcesses()([before, job])] == ["", ""]


def test_a_gain_compares_the_same_questions():
    before = {"a": True, "b": False, "c": False, "d": True}
    gain = Gain.of([before], [before, {"a": True, "b": True, "c": True, "d": False}])
    assert gain.points == pytest.approx(100 * (0.5 + 0.5 - 0.5) / 4)
    assert gain.interval == pytest.approx(1.96 * 47.871 / 2, abs=0.01)
    assert shown(gain) == "+12.5 ± 46.9"
    assert shown(Gain.of([before], [before])) == "+0.0 ± 0.0"


def test_a_reference_is_compared_where_nothing_else_differs(study_file):
    study = read_study(study_file)

    def result(method: str, images: str, seed: str, *correct: bool) -> dict[str, Any]:
        evaluation = {
            "correct": dict(zip("ab", correct, strict=True)),
            "scores": {},
            "refusals": {},
            "questions": 2,
        }
        return {
            "values": {"method": method, "images": images, "seed": seed},
            "trained": dict.fromkeys(COSTS.values(), 1),
            "evaluations": {"own": evaluation},
        }

    rows = rows_of(study, [
        result("full", "4", "1", True, False),
        result("lora", "4", "1", True, True),
        result("lora", "4", "2", False, False),
        result("lora", "8", "1", True, True),
    ])  # fmt: skip
    gains = [row.gains_over_reference for row in rows]
    assert [bool(item) for item in gains] == [False, True, False]
    assert gains[1]["own"].points == 50, "only the first seed has both"


def test_what_is_finished_is_shown_and_nothing_is_trained(study_file, tmp_path):
    command = ["study", str(study_file), "--finished", "--only=images=4", "--only=seed=1"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert "No run has finished yet" in found.output
    before, lora, full = jobs_of(chosen(read_study(study_file), ["images=4", "seed=1"]))
    assert [attempt(job) for job in (before, lora)] == ["", ""]
    page = tmp_path / "studies.md"
    found = CliRunner().invoke(app, [*command, "--write-docs", str(page)])
    assert found.exit_code == 0, found.output
    assert "lora, 4" in found.output
    assert not full.folder.exists()
    assert "1 of its 2 runs are not finished, see the column `runs`." in page.read_text()


def test_mean_and_spread():
    assert shown(Measured((60.0, 62.0))) == "61.0 ± 1.4"
    assert shown(Measured((12345.0,))) == "12,345"
    assert shown(None) == ""
    assert math.isnan(Measured((1.0,)).spread)


def test_plots_show_the_only_axis_and_a_cost_of_0(study_file, tmp_path):
    study = chosen(read_study(study_file), ["images=4", "method=lora", "seed=1"])
    results = [job.result() for job in done(study)]
    for result in results:
        if result["trained"]:
            result["trained"]["memory_bytes"] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_plots(study, rows_of(study, results), tmp_path / "plots.png")
    axes = {axis: names for axis, names in study.axes.items() if axis != "images"}
    methods = replace(study, axes=axes)
    for result in results:
        result["values"].pop("images", None)
    write_plots(methods, rows_of(methods, results), tmp_path / "methods.png")
    # Beside the costs, the only axis.
    for file, panels in (("plots.png", 3), ("methods.png", 4)):
        with Image.open(tmp_path / file) as drawn:
            assert drawn.size == (panels * 360, 320)


def test_the_page_says_which_part_was_done(study_file, tmp_path):
    whole = read_study(study_file)
    study = chosen(whole, ["images=4", "method=lora", "seed=1"])
    rows = rows_of(study, [job.result() for job in done(study)])
    page = tmp_path / "docs" / "studies.md"
    page.parent.mkdir()
    page.write_text("# Studies\n\nWords.\n\n## Other\n\nkept\n")
    for _ in range(2):
        write_page(page, StudyPart(study_file, study, whole, ("seed=5",)), rows, ["a machine"])
    text = page.read_text()
    assert text.startswith("# Studies\n\nWords.\n\n## Other\n\nkept\n\n## A study of two methods\n")
    assert text.count("## A study of two methods") == 1
    assert "seed=5 --only=method=lora --only=images=4 --only=seed=1` on a machine" in text
    assert (
        "**This is a part of the study**: seed=5 in all runs; method full not done; images 8 not "
        "done; seed 2 not done." in text
    )
    assert as_markdown(study, rows) in text
    assert (page.parent / "images" / "study_study.png").is_file()
    assert as_csv(study, rows).startswith("method,images,runs,")


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("image=4", "one of the axes method, images, seed"),
        ("images=4,5", "images has no value 5; it has 4, 8"),
        ("images", "AXIS=NAME"),
    ],
)
def test_a_part_that_there_is_not_is_refused(study_file, only, words):
    with pytest.raises(SpatialError, match=words):
        chosen(read_study(study_file), [only])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("repeats: seed", "repeats: run", "repeats must be one of the axes"),
        ("method: full", "method: all", r"one of the axes method, images, such as {method: lora}"),
        ("method: full", "seed: '1'", "reference must be one value of one of the axes"),
        ("- seed=2", "- sead=2", r"method=lora,images=4,seed=2: .*unknown key `sead`"),
        ("split: val", "split: exam", "split must be one of"),
        ("  own:", "  a/b:", "names of folders"),
    ],
)
def test_a_study_that_cannot_work_is_refused(study_file, before, after, words):
    text = study_file.read_text()
    assert before in text
    study_file.write_text(text.replace(before, after))
    with pytest.raises(SpatialError, match=words):
        jobs_of(read_study(study_file))


def test_what_could_not_be_evaluated_is_not_trained(study_file, tmp_path):
    study_file.write_text(study_file.read_text().replace("split: val", "split: test"))
    found = CliRunner().invoke(app, ["study", str(study_file)])
    assert found.exit_code == 2
    assert "evaluations.own: " in found.output
    assert "test.json does not exist" in found.output
    assert not (tmp_path / "study").exists()


def test_the_shipped_studies_can_be_read(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    for path in (CONFIGS / "study").glob("*.yaml"):
        study = read_study(path)
        assert len(jobs_of(study)) > 1
        assert study.repeats == "seed"
