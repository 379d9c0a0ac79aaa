#!/usr/bin/env python3
"""Memory, threads, open files and latency of the query node over minutes or hours of questions.

Starts the simulated camera and the node, asks the four kinds of question in turn, prints one row
for each part of the time, and `--json` writes the numbers. What follows `--` goes to the node:

    python benchmarks/soak.py --minutes 60 -- -p answerer:=model -p checkpoint:=FOLDER

The first rows hold what a process takes once; a leak is what goes on growing. Exits with 1 when a
question got no response, or the node ended. Needs the built package: `source
scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from service_overhead import ROOT, START_S, Probe, child_running
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.files import write_file
from smolrgpt_ros.runtime.processes import ProcessGroup

NODE = "spatial_query_node"


@dataclass(frozen=True)
class Part:
    """What was seen in one part of the time.

    Attributes:
        until_s: seconds from the first question to its end.
        memory_mib, threads, open_files: of the node's process, at its end.
        answers: questions that got an answer.
        refusals: questions that got none, by status; NO_RESPONSE must not occur.
        median_ms, p99_ms: latency of the answers as the client sees it.
    """

    until_s: float
    memory_mib: float
    threads: int
    open_files: int
    answers: int
    refusals: dict[str, int]
    median_ms: float
    p99_ms: float


def soak(options: argparse.Namespace) -> list[Part]:
    """Start the graph and ask for the whole time."""
    camera = ["--ros-args", "-p", f"rate:={options.rate}"]
    node = ["--ros-args", *options.node_arguments] if options.node_arguments else []
    with ProcessGroup() as group:
        for name, arguments in (("sim_camera_node", camera), (NODE, node)):
            group.start(name, [sys.executable, str(ROOT / "scripts" / name), *arguments])
        probe = Probe(child_running(NODE))
        try:
            questions = probe.questions()
            if not probe.answers_come(questions):
                sys.exit(f"no question was answered within {START_S} s: {probe.refusals}")
            return ask_in_parts(probe, questions, options)
        finally:
            probe.close()


def ask_in_parts(
    probe: Probe, questions: list[SpatialQuery.Request], options: argparse.Namespace
) -> list[Part]:
    """One part after another, until the time is over."""
    started = time.monotonic()
    parts = []
    for index in range(options.parts):
        end = started + 60 * options.minutes * (index + 1) / options.parts
        parts.append(ask_until(end, probe, questions, options.pause, started))
    return parts


def ask_until(
    end: float,
    probe: Probe,
    questions: list[SpatialQuery.Request],
    pause_s: float,
    started: float,
) -> Part:
    """Ask until `end`, seconds of the monotonic clock as `started`."""
    probe.refusals.clear()
    latencies_s: list[float] = []
    asked = 0
    while time.monotonic() < end:
        answered = probe.ask(questions[asked % len(questions)])
        asked += 1
        if answered:
            latencies_s.append(answered["client"])
        time.sleep(pause_s)
    median, p99 = np.percentile(latencies_s, [50, 99]) * 1e3 if latencies_s else (np.nan, np.nan)
    return Part(
        until_s=time.monotonic() - started,
        memory_mib=probe.process.memory_info().rss / 2**20,
        threads=probe.process.num_threads(),
        open_files=probe.process.num_fds(),
        answers=len(latencies_s),
        refusals=dict(probe.refusals),
        median_ms=float(median),
        p99_ms=float(p99),
    )


def table(parts: list[Part]) -> Table:
    """One row for each part."""
    table = Table(title="query node under questions", caption="latency as the client sees it")
    for heading in ("min", "MiB", "threads", "files", "answers", "refused", "median ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for part in parts:
        refused = ", ".join(f"{name} {count}" for name, count in part.refusals.items())
        table.add_row(
            f"{part.until_s / 60:.1f}",
            f"{part.memory_mib:.1f}",
            str(part.threads),
            str(part.open_files),
            str(part.answers),
            refused or "none",
            f"{part.median_ms:.1f}",
            f"{part.p99_ms:.1f}",
        )
    return table


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="default: %(default)g")
    parser.add_argument("--parts", type=int, default=10, help="rows; default: %(default)s")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between questions")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second of the camera")
    parser.add_argument("--domain", type=int, default=103, help="ROS domain to run in")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("node_arguments", nargs="*", help="for the node, after --")
    return parser.parse_args()


def main() -> int:
    """Measure and print; 0 when every question got a response."""
    options = read_options()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    parts = soak(options)
    Console().print(table(parts))
    if options.json:
        write_file(options.json, json.dumps([asdict(part) for part in parts], indent=2).encode())
    return 1 if any("NO_RESPONSE" in part.refusals for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
