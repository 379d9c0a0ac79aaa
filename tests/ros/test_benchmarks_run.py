"""The scripts under benchmarks/ that start a query node run, at their smallest size."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

SMALLEST = {
    "lifecycle_memory": "--cycles 1 --questions 1",
    "page_node": "--seconds 1 --warm-up 0 --camera-rate 5",
    "region_node": "--rates 2 --seconds 1 --camera-rate 5",
    "service_load": "--questions 4 --rounds 1 --clients 2 --answerer geometric --rate 5",
    # Of so small images none is lost without the profile, so that questions have answers at once.
    "service_overhead": "--seconds 1 --questions 4 --rate 5 --width 160 --height 120",
    "several_cameras": "--cameras 2 --questions 4 --seconds 1 --rate 5 --answerer geometric",
    "soak": "--minutes 0.05 --parts 2 --rate 5 -- -p answerer:=geometric",
}


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_it_runs(name: str, fork_python: Any, tmp_path: Path, ros_domain: int) -> None:
    words = ["--domain", str(ros_domain), *SMALLEST[name].split()]
    output = tmp_path / "output.txt"
    process = fork_python([BENCHMARKS / f"{name}.py", *words], output, tmp_path, {})
    try:
        assert process.wait(300.0) == 0, output.read_text()
        assert output.read_text().strip()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30.0)
