"""Every script under benchmarks/ runs at its smallest size; people look at what it measures.

Those that need ROS are run by `tests/ros/test_benchmarks_run.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.simulated_data.randomization import CameraRandomization, Randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
DEADLINE_S = 380.0

NANO = "--preset smolrgpt-nano --scale 1"
SMALLEST = {
    "annotation": "--scenes 1 --views 1 --size 320 240 --timed 1 --workers",
    "benchmark_memory": "--rows 3 --forms masks others warehouse",
    "colors": "--scenes 1",
    "fronts": "--scenes 1 --views 1",
    "further_objectives": "--few-scenes 1 --steps 1 1 1 --rows 2 --seeds 1 --kinds few:views",
    "geometric_accuracy": "--scenes 1 --views 1 --noise off",
    "gpu_memory": "",
    "inference_engine": f"{NANO} --dtype float32 int8 --released-tokens 4 --repeats 1",
    "mask_pooling": "--size 64 64 --masks 1 --channels 8 --repeats 1",
    "measured_answers": "--scenes 1",
    "model_memory": f"{NANO} --dtypes bfloat16",
    "nano_path": "--scenes 1 --views 1 --rounds 1",
    "own_masks": "--scenes 1 --views 1",
    "page_latency": "--repeats 1 --answerers geometric",
    "point_encoding": "--sizes 28 --width 4 --repeats 1",
    "point_map_ablations": "--scenes 5 --steps 2 --questions 4 --rows points "
    "--change data.workers=0",
    "question_reading": "--repeats 1",
    "reading_answers": "--each 9 --kinds side letter --rules-only --differing differing.tsv",
    "scale": "--regions 4 --questions 1 --sizes 160x120 --frames 1",
    "simulate_dataset": "--scenes 1 --views 1 --questions 2 --workers 1",
    "sparse_refinement": "--coverage 0.2 --masks 2 --channels 8 --repeats 1",
    "ties": "--scenes 1 --views 1",
    "unanswerable": "--scenes 1",
    "training": f"{NANO} --questions 2 --repeats 1",
}
IN_ROS = {
    "lifecycle_memory",
    "page_node",
    "region_node",
    "service_load",
    "service_overhead",
    "several_cameras",
    "soak",
}
WITH_DATA = {
    "question_guessing": "{data}",
    "real_frames": "--data {data} --answerer geometric",
    "trips": "--data {data}",
}
"""They measure on a data set."""
ELSEWHERE = {"wrong_inputs"}
"""`test_input_doubts.py` runs them, and looks at what comes out."""
LONG = {"pretrained_language", "reworded_questions"}
"""They load a language model, and take minutes of a processor."""
PARTS = {
    "answer_sentences",
    "commands",
    "disturbances",
    "likelihood_reading",
    "load_client",
    "model_sentences",
    "nano_path_worker",
    "own_process",
    "performance_page",
    "small_language_model",
}
"""Of the scripts: they are run with them."""
NEW = {"geometric_accuracy", "nano_path"}
"""They measure what a new process loads, or start processes that import the script once more."""


def test_no_script_is_missing_here() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")}
    assert scripts == SMALLEST.keys() | IN_ROS | WITH_DATA.keys() | ELSEWHERE | LONG | PARTS


@pytest.mark.parametrize("name", sorted(SMALLEST.keys() - NEW))
def test_it_runs(name: str, tmp_path: Path, warm_python: Callable[..., Any]) -> None:
    script = BENCHMARKS / f"{name}.py"
    done = warm_python(script, *SMALLEST[name].split(), folder=tmp_path)
    assert done.wait(DEADLINE_S) == 0, done.output.read_text()
    assert done.output.read_text().strip()


@pytest.mark.parametrize("name", sorted(NEW))
def test_it_runs_in_a_new_process(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *SMALLEST[name].split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small image in each split, and the name of the set that each belongs to."""
    root = tmp_path_factory.mktemp("benchmarks") / "warehouse"
    settings = SimulationSettings(
        scenes=3, seed=31, views=1, questions=8, split_fractions=(0.34, 0.33, 0.33),
        randomization=Randomization(camera=CameraRandomization(width=320, height=240)),
    )  # fmt: skip
    run = SimulationRun(settings, root)
    with run.locked():
        for _ in run.make_scenes(1):
            pass
        run.finish()
    images = {record.image for record in SplitFolder(root, "test").read_records()}
    (root / "truth.json").write_text(json.dumps({image: {"set": "one"} for image in images}))
    return root


@pytest.mark.parametrize("name", sorted(WITH_DATA))
def test_it_runs_on_a_data_set(name: str, data_set: Path, warm_python: Callable[..., Any]) -> None:
    done = warm_python(BENCHMARKS / f"{name}.py", *WITH_DATA[name].format(data=data_set).split())
    assert done.wait(DEADLINE_S) == 0, done.output.read_text()
    assert done.output.read_text().strip()


@pytest.mark.parametrize("name", sorted(LONG))
def test_it_says_what_it_needs(name: str, warm_python: Callable[..., Any]) -> None:
    done = warm_python(BENCHMARKS / f"{name}.py", "--help")
    assert done.wait(DEADLINE_S) == 0
    assert "usage:" in done.output.read_text()


def _run_on_gpu(folder: Path, mode: str, python: str) -> subprocess.CompletedProcess[str]:
    """The prepared script with another interpreter, which is told what to run and notes it."""
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{python}\n')
    interpreter.chmod(0o755)
    return subprocess.run(
        [BENCHMARKS / "on_gpu.sh", folder / "out", mode],
        env={**os.environ, "PYTHON": str(interpreter)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("mode", ["gpu", "rehearsal"])
def test_what_is_prepared_for_a_gpu_calls_what_there_is(mode: str, tmp_path: Path) -> None:
    # The page is written by the scripts, which do not run here.
    assert _run_on_gpu(tmp_path, mode, "exit 0").returncode == 0
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    scripts = [words for words in calls if words[0].endswith(".py")]
    assert len(scripts) == 4
    for script, *words in scripts:
        text = (BENCHMARKS.parent / script).read_text()
        assert all(f'"{word}"' in text for word in words if word.startswith("--"))


def test_a_step_that_fails_on_a_gpu_does_not_stop_the_others(tmp_path: Path) -> None:
    done = _run_on_gpu(tmp_path, "rehearsal", 'case "$*" in *training*) exit 3;; esac')
    assert done.returncode == 1
    lines = [line.split() for line in (tmp_path / "out" / "summary.txt").read_text().splitlines()]
    assert {name: int(status) for name, _, status, *_ in lines} == {
        "tests": 0, "engine": 0, "training": 3, "pooling": 0, "refinement": 0
    }  # fmt: skip


def test_what_is_prepared_for_a_gpu_refuses_an_unknown_mode(tmp_path: Path) -> None:
    done = _run_on_gpu(tmp_path, "fast", "exit 0")
    assert done.returncode == 2
    assert "'fast'" in done.stderr
