"""What generated tests need: the same examples on every run, and one way to hold errors to account.

Hypothesis keeps no database of examples here: what it found once belongs into the test.

`make test` runs two processes, which take the tests file by file, so that what a file needs is made
once.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from smolrgpt_core.errors import SpatialError, Status

# A busy machine makes an example slow; how long answers take is measured by benchmarks/.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

# A million objects are made while tests are collected, and stay: to look for garbage among them
# again and again took four percent of the processor time.
gc.disable()

LONGEST_REFUSAL = 2000
"""Characters: a refusal is read by a person, and is sent to everybody who listens."""

HERE = Path(__file__).parent

SECONDS = {
    "core/test_benchmarks_run.py": 170,
    "core/page/test_page_in_browser.py": 130,
    "ros/test_benchmarks_run.py": 125,
    "core/inference/test_onnx.py": 118,
    "core/synthesis/test_synthesis.py": 100,
    "core/data/test_simulation.py": 85,
    "ros/test_demo.py": 85,
    "core/public_benchmarks/test_running.py": 75,
    "core/training/test_training_run.py": 72,
    "ros/test_examples_with_nav2.py": 68,
    "core/training/test_point_map_training.py": 65,
    "core/test_cli.py": 60,
    "ros/test_faults.py": 60,
    "ros/test_launch.py": 42,
    "core/recordings/test_cut_recordings.py": 37,
    "core/evaluation/test_calibrate.py": 36,
    "ros/test_fuzz_messages.py": 36,
    "core/recordings/test_bag_to_data.py": 34,
    "core/training/test_study.py": 33,
    "core/public_benchmarks/test_simulated_set.py": 32,
    "core/language/test_interpreter.py": 31,
    "ros/test_perception_nodes.py": 28,
    "core/test_sim_renderer.py": 27,
    "core/test_fuzz_questions.py": 25,
    "core/model/test_model_generation.py": 25,
    "core/public_benchmarks/test_flat_memory.py": 24,
    "core/public_benchmarks/test_likelihoods.py": 24,
    "core/language/test_speakers.py": 23,
    "ros/test_replay_and_recording.py": 22,
    "core/test_input_doubts.py": 20,
    "ros/test_page_node.py": 20,
    "core/data/hispatial/test_import.py": 19,
    "core/synthesis/test_mixtures.py": 19,
    "core/training/test_train_command.py": 19,
    "core/public_benchmarks/test_converted_weights.py": 19,
    "ros/test_sim_camera_node.py": 18,
    "ros/test_loading_and_ending.py": 18,
    "core/training/test_distillation.py": 17,
    "core/annotation/test_on_ray.py": 17,
    "core/annotation/test_run.py": 16,
    "ros/test_memory_release.py": 16,
}
"""What the longest files take on a quiet machine of two cores; order matters, not the numbers."""

Result = TypeVar("Result")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that begins last would leave the other process without work."""
    taken = {HERE / name: seconds for name, seconds in SECONDS.items()}
    items.sort(key=lambda item: -taken.get(item.path, 0))


def pytest_collection_finish() -> None:
    """From now on garbage is looked for among what tests make."""
    gc.freeze()
    gc.enable()


class ForkedProcess:
    """What `fork_python` starts, with those methods of `subprocess.Popen` that tests call."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self._process, self.pid = process, process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return status

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def fork_python() -> Callable[..., ForkedProcess]:
    """Start a program in a fork of a Python that has loaded PyTorch, ROS and this package already.

    That takes ten seconds of a processor, which a new Python would need each time. What is loaded
    is in preloaded.py.
    Call: fork_python([program, *words], output, folder, {"VARIABLE": "value"}); the program is a
    file or a module. What it prints goes to the file `output`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        forkserver.ensure_running()

    def start(
        command: Sequence[str | Path],
        output: Path,
        folder: Path,
        environment: Mapping[str, str],
    ) -> ForkedProcess:
        program, *words = map(str, command)
        call = (program, words, str(output), str(folder), {**os.environ, **environment})
        process = context.Process(
            target=runpy.run_path,
            args=(str(HERE / "warm_start.py"), {"START": call}, "warm_start"),
        )
        process.start()
        return ForkedProcess(process)

    return start


@pytest.fixture(scope="session")
def result_or_refusal() -> Callable[..., object]:
    """Call: result_or_refusal({Status.BAD_INPUT}, function, *arguments).

    The result, or None for a refusal that has one of these statuses and a readable message. Any
    other exception fails the test.
    """

    def call(
        statuses: set[Status], function: Callable[..., Result], *arguments: object
    ) -> Result | None:
        refusal = None
        try:
            return function(*arguments)
        except SpatialError as error:
            refusal = error
        assert refusal.status in statuses, refusal.message
        assert 0 < len(refusal.message) <= LONGEST_REFUSAL
        return None

    return call
