"""The demo as a user runs it: to its end, into an error, and interrupted at any time."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.region_matching import RegionMatch
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.truth import SceneTruth
from smolrgpt_ros.demo.graph import Snapshot
from smolrgpt_ros.demo.main import DemoAnswers, mosaic, own_masks_summary
from smolrgpt_ros.demo.questions import (
    MORE_FORMS,
    DemoQuestion,
    judge,
    questions_about,
    questions_without_answer,
    wrong_answers,
)
from smolrgpt_ros.runtime.processes import ProcessGroup

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo"
REGIONS = RegionSet(
    (20, 40),
    (
        Region.from_box(1, "buffer", Box(0, 0, 20, 20)),
        Region.from_box(10, "pallet", Box(2, 2, 4, 4)),
        Region.from_box(11, "pallet", Box(30, 2, 4, 4)),
    ),
)


class Run:
    """A running demo, and every process that comes from it."""

    def __init__(self, start_command: Any, *options: object) -> None:
        self._mark = uuid.uuid4().hex
        self.node = start_command(
            sys.executable, DEMO, *options, environment={"DEMO_TEST": self._mark, "COLUMNS": "140"}
        )

    @property
    def processes(self) -> list[psutil.Process]:
        """Alive, the demo itself included; found by the environment that they inherit."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            mark = process.environ().get("DEMO_TEST")
            return mark == self._mark and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@pytest.fixture
def run_demo(start_command: Any) -> Callable[..., Run]:
    return lambda *options: Run(start_command, *options)


@pytest.mark.timeout(400)
def test_short_demo(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    run = run_demo("--short", "--output", tmp_path / "new" / "folder")
    status = run.node.wait(timeout=300)
    assert status == 0, run.node.output
    assert "9 of 9 answers correct" in run.node.output
    assert "UNKNOWN_REGION" in run.node.output
    assert not run.processes
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == {"report.html", "annotated.png"}
    page = (folder / "report.html").read_text()
    assert page.count("<article") == 9
    assert page.count("<img") == 7
    picture = cv2.imread(str(folder / "annotated.png"))
    assert picture is not None
    assert picture.shape[1] == 2 * 640
    assert picture.shape[0] > 2 * 480


@pytest.mark.timeout(700)
def test_short_demo_with_own_masks(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    run = run_demo("--short", "--own-masks", "--output", tmp_path)
    status = run.node.wait(timeout=600)
    assert status == 0, run.node.output
    found = re.search(r"Objects found in 1 image\(s\): (\d+) of (\d+),", run.node.output)
    assert found, run.node.output
    assert int(found[1]) > int(found[2]) / 2
    right = re.search(
        r"Correct answers: 9 of 9 with simulated masks, (\d+) of 9 with own masks", run.node.output
    )
    # Both questions without an answer are refused whatever was found.
    assert right is not None
    assert int(right[1]) > 2
    assert not run.processes
    names = {"report.html", "annotated.png", "report_own_masks.html", "annotated_own_masks.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert "with own masks" in (tmp_path / "report_own_masks.html").read_text()


def test_own_masks_are_summed_up_beside_those_of_the_simulator() -> None:
    unknown, _ = questions_without_answer()
    refused = judge(unknown, SpatialAnswer(Status.UNKNOWN_REGION, Category.DISTANCE), REGIONS, None)
    guessed = judge(unknown, SpatialAnswer(Status.TIMEOUT, Category.DISTANCE), REGIONS, None)
    truth = SceneTruth(0, (), np.array([0.0, -1.0, 0.0]), 1.5)
    stray = RegionSet(REGIONS.image_size, (*REGIONS, Region.from_box(7, "shelf", Box(0, 0, 4, 4))))
    matches = (RegionMatch(1, 1, 0.9), RegionMatch(10, 10, 0.6))
    view = Snapshot(0, (), REGIONS, truth, stray, matches)
    given = DemoAnswers([refused, refused], [Snapshot(0, (), REGIONS, truth, REGIONS)])
    text = own_masks_summary(given, DemoAnswers([refused, guessed], [view]))
    assert "image(s): 2 of 3, with a mean IoU of 0.75; regions that are not objects: 1." in text
    assert "2 of 2 with simulated masks, 1 of 2 with own masks" in text


def test_start_failure_is_explained(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    run = run_demo("--seed", -1, "--output", tmp_path / "out")
    assert run.node.wait(timeout=100) == 1
    assert "sim_camera_node ended" in run.node.output
    assert "Parameter seed out of range" in run.node.output
    assert not run.processes
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("number", "delay_s"),
    [
        (signal.SIGINT, 0.0),
        (signal.SIGTERM, 0.8),
        (signal.SIGKILL, 1.5),
        (signal.SIGINT, 2.5),
    ],
)
def test_interrupt_leaves_nothing(
    run_demo: Callable[..., Run],
    wait_for: Any,
    tmp_path: Path,
    number: signal.Signals,
    delay_s: float,
) -> None:
    run = run_demo("--output", tmp_path / "out")
    wait_for(lambda: len(run.processes) == 3, "camera and query node")
    time.sleep(delay_s)
    os.kill(run.node.process.pid, number)
    status = run.node.wait()
    assert status == (-number if number is signal.SIGKILL else 128 + number), run.node.output
    wait_for(lambda: not run.processes, "the end of all processes")
    assert not (tmp_path / "out").exists()


def test_second_signal_does_not_stop_the_end(
    run_demo: Callable[..., Run], wait_for: Any, tmp_path: Path
) -> None:
    """Ctrl-C under make arrives twice: from the terminal and from make."""
    run = run_demo("--output", tmp_path / "out")
    wait_for(lambda: len(run.processes) == 3, "camera and query node")
    for _ in range(3):
        os.kill(run.node.process.pid, signal.SIGINT)
        time.sleep(0.05)
    assert run.node.wait() == 128 + signal.SIGINT
    assert not run.processes
    assert "Traceback" not in run.node.output


def test_stubborn_process_is_killed(wait_for: Any) -> None:
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', " \
        "flush=True); time.sleep(60)"  # fmt: skip
    group = ProcessGroup(grace_s=0.5)
    process = group.start("stubborn", [sys.executable, "-c", code])
    wait_for(lambda: "deaf" in process.output(), "the process")
    group.close()
    assert process.exit_status == -signal.SIGKILL


def form_of(question: DemoQuestion) -> str:
    assert question.truth is not None
    return question.truth.form


def test_questions_cover_categories_and_forms(hall: SimulatedFrame) -> None:
    used: set[str] = set()
    turns = [questions_about(hall.frame.regions, hall.truth, turn, 0, used) for turn in range(3)]
    for questions in turns:
        asked = [question.category for question in questions]
        assert asked[:4] == list(CATEGORIES.values())
        beside = [form_of(question) for question in questions[4:]]
        groups = [[form in forms for forms in MORE_FORMS].index(True) for form in beside]
        assert len(groups) >= 2
        assert groups == sorted(set(groups))
    for of_category in zip(*(questions[:4] for questions in turns), strict=True):
        requests = [question.request for question in of_category]
        assert any(request.question and not request.region_ids for request in requests)
        assert any("<mask>" in request.question and request.region_ids for request in requests)
    typed = [q.request for turn in turns for q in turn if q.request.category]
    assert typed
    assert all(request.region_ids and not request.question for request in typed)
    kinds = [form_of(q) for turn in turns for q in turn]
    assert len(set(kinds)) > len(kinds) / 2
    again = questions_about(hall.frame.regions, hall.truth, 0, 0, set())
    assert [q.shown for q in again] == [q.shown for q in turns[0]]


def test_a_wrong_status_is_no_correct_answer() -> None:
    unknown, _ = questions_without_answer()
    picture = np.zeros((2, 2, 3), np.uint8)
    refusal = SpatialAnswer(Status.UNKNOWN_REGION, Category.DISTANCE, message="no 999")
    right = judge(unknown, refusal, REGIONS, None)
    assert right.within_tolerance
    assert not wrong_answers([right])
    guess = SpatialAnswer(Status.OK, Category.DISTANCE, text="3 m", value=3.0, unit="m")
    guessed = judge(unknown, guess, REGIONS, picture)
    assert not guessed.within_tolerance
    assert guessed.status is Status.OK
    [line] = wrong_answers([right, guessed])
    assert re.search("999.*3.00 m.*OK.*expected UNKNOWN_REGION", line)


def test_mosaic_pads_images() -> None:
    pictures = [np.full((height, 4, 3), height, np.uint8) for height in (2, 5, 3)]
    image = mosaic(pictures)
    assert image.shape == (10, 8, 3)
    assert image[1, 0, 0] == 2
    assert image[3, 0, 0] == 0
    assert not image[5:, 4:].any()
