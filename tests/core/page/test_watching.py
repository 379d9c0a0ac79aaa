"""What is reported and how long it takes, in words for those who watch."""

from __future__ import annotations

import math

import pytest

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import Status
from smolrgpt_core.page.health import SILENT_S, HealthBoard, Level, NodeReport
from smolrgpt_core.page.latency import stage_times


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


ACTIVE = NodeReport("", Level.OK, "active", {"state": "active"})


def test_the_worst_part_is_the_state_of_a_node() -> None:
    board = HealthBoard(Clock())
    silent = NodeReport(
        "depth", Level.ERROR, "nothing comes", {"topic": "/depth", "publishers": "0"}
    )
    board.put("/robot/query", [ACTIVE, NodeReport("rgb", Level.OK, "ok", {}), silent])
    (health,) = board.nodes()
    assert (health.node, health.level) == ("/robot/query", Level.ERROR)
    assert health.summary == "active; look at depth"
    assert [part.part for part in health.parts] == ["rgb", "depth"]


def test_a_node_that_has_stopped_to_report_is_not_shown_as_it_was() -> None:
    clock = Clock()
    board = HealthBoard(clock)
    board.put("/query", [ACTIVE])
    clock.now_s += SILENT_S + 7
    (health,) = board.nodes()
    assert health.level is Level.SILENT
    assert health.summary.startswith("no report for 12 s")
    board.clear()
    assert board.nodes() == []


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (
            NodeReport("rgb", Level.OK, "ok", {
                "topic": "/rgb", "publishers": "1", "rate_hz": "29.9", "age_s": "0.034",
                "received": "400", "lost": "3", "stamps_zero": "0",
            }),
            "/rgb, 29.9 messages a second, latest 0.03 s old, 3 lost",
        ),
        (
            NodeReport("depth", Level.ERROR, "start the camera", {
                "topic": "/depth", "publishers": "0", "received": "0", "lost": "0",
            }),
            "start the camera; /depth, 0 messages so far, nobody publishes",
        ),
        (
            NodeReport("answers", Level.OK, "ok", {
                "ok": "12", "bad_question": "2", "calls": "14", "questions_per_call": "1.00",
                "latency_total_median_s": "0.0351", "latency_total_p99_s": "0.1200",
            }),
            "12 answered; refused: 2 bad question; half within 35 ms, 99 of 100 within 120 ms",
        ),
        (
            NodeReport("service", Level.OK, "ok", {
                "answerer": "fused", "device": "cpu", "pending": "1", "max_pending": "20",
                "memory_bytes": "104857600", "threads": "9",
            }),
            "fused, on cpu, 1 of at most 20 questions wait, 100 MiB of memory",
        ),
        (
            NodeReport("labels", Level.OK, "ok", {"label_map": "", "unknown": "crate"}),
            "unknown crate",
        ),
    ],
)  # fmt: skip
def test_reports_in_words(report: NodeReport, told: str) -> None:
    assert report.text == told


def answered(**latency_s: float) -> SpatialAnswer:
    return SpatialAnswer(Status.OK, None, latency_s=latency_s)


def test_times_by_stage_of_all_answers_whose_times_are_known() -> None:
    times = stage_times([
        answered(wait=0.01, convert=0.0, answer=0.03, total=0.04),
        answered(total=math.nan),
        answered(),
        answered(wait=0.0, convert=0.0, answer=0.1, total=0.1),
    ])  # fmt: skip
    assert times is not None
    assert times.stages == {"waiting": [10.0, 0.0], "answering": [30.0, 100.0]}
    assert times.summary == "The last 2 took 70 ms (median), at most 100 ms."


def test_without_times_there_is_no_plot() -> None:
    assert stage_times([]) is None
    assert stage_times([answered()]) is None
