#!/usr/bin/env python3
"""Several cameras: a query node for each, in a namespace of its own; latency, memory and processor.

A robot with a camera on each side starts a node for each, and asks the one that looks at what it
wants to know. The nodes are asked in turns, and in pairs of rounds with one camera alone, which is
the baseline of the ratios.

    python benchmarks/several_cameras.py
    python benchmarks/several_cameras.py --cameras 1 2 --answerer geometric

Needs the built package: `source scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import psutil
from performance_page import Table, describe_machine, publish
from service_load import NOT_READY, PATIENT_S
from service_overhead import ROOT

from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER
from smolrgpt_ros.client import SpatialQueryClient
from smolrgpt_ros.runtime.processes import ProcessGroup

QUERY, CAMERA = "spatial_query_node", "sim_camera_node"
START_S = 120.0
QUESTIONS = (
    "How many pallets are in buffer 1?",
    "Which pallet is nearest to the camera?",
    "Where is the nearest pallet?",
)


@dataclass(frozen=True)
class Measured:
    """What so many cameras cost.

    Attributes:
        latency_ms: from the request to the response, of each question.
        memory_mib: of all query nodes together.
        idle_percent: of a core, all query nodes together, while nobody asks.
    """

    latency_ms: list[float]
    memory_mib: float
    idle_percent: float


def measure(cameras: int, options: argparse.Namespace) -> Measured:
    """Start nodes and cameras, ask the nodes in turns, and end everything."""
    names = [f"camera_{index}" for index in range(cameras)]
    with ProcessGroup() as group, ExitStack() as clients:
        for index, name in enumerate(names):
            group.start(name, _command(CAMERA, name, f"rate:={options.rate}", f"seed:={index}"))
            group.start(f"{name} query", _command(QUERY, name, f"answerer:={options.answerer}"))
        asked = [
            clients.enter_context(SpatialQueryClient(service=f"/{name}/spatial_query"))
            for name in names
        ]
        _wait_for_answers(asked)
        nodes = [child for child in psutil.Process().children() if QUERY in str(child.cmdline())]
        idle_percent = _cpu_percent(nodes, options.seconds)
        latency_ms = [
            _milliseconds(client, question)
            for client, question in islice(
                zip(cycle(asked), cycle(QUESTIONS), strict=False), options.questions
            )
        ]
        memory_mib = sum(node.memory_info().rss for node in nodes) / 2**20
    return Measured(latency_ms, memory_mib, idle_percent)


def _command(node: str, namespace: str, *parameters: str) -> list[str]:
    arguments = ["--ros-args", "-r", f"__ns:=/{namespace}"]
    for parameter in parameters:
        arguments += ["-p", parameter]
    return [sys.executable, str(ROOT / "scripts" / node), *arguments]


def _wait_for_answers(clients: Sequence[SpatialQueryClient]) -> None:
    """Ask each node until it answers every question, which loads what the first one needs."""
    deadline = time.monotonic() + START_S
    for client in clients:
        for question in QUESTIONS:
            while (answer := client.ask(question, timeout=PATIENT_S)).status in NOT_READY:
                if time.monotonic() > deadline:
                    sys.exit(f"{client.service_name}: {answer.message}")


def _cpu_percent(nodes: Sequence[psutil.Process], seconds: float) -> float:
    before = [sum(node.cpu_times()[:2]) for node in nodes]
    time.sleep(seconds)
    after = [sum(node.cpu_times()[:2]) for node in nodes]
    return 100 * (sum(after) - sum(before)) / seconds


def _milliseconds(client: SpatialQueryClient, question: str) -> float:
    started = time.perf_counter()
    client.ask(question)
    return (time.perf_counter() - started) * 1e3


def row(count: int, several: Measured, one: Measured) -> tuple[str, ...]:
    """The row of a number of cameras, beside one alone in the same round."""
    median, last = np.percentile(several.latency_ms, [50, 99])
    return (
        str(count),
        f"{median:.1f} / {last:.1f}",
        f"{median / np.median(one.latency_ms):.2f}",
        f"{several.memory_mib:.0f}",
        f"{several.memory_mib / one.memory_mib:.2f}",
        f"{several.idle_percent:.0f}",
    )


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--questions", type=int, default=120, help="for each number of cameras")
    parser.add_argument("--rate", type=float, default=10.0, help="frames per second, each camera")
    parser.add_argument("--seconds", type=float, default=10.0, help="without questions")
    parser.add_argument("--answerer", choices=sorted(ANSWERERS), default=DEFAULT_ANSWERER)
    parser.add_argument("--domain", type=int, default=104, help="ROS domain to run in")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    return parser.parse_args()


def main() -> None:
    """Measure, print and, if asked, write the page."""
    options = read_options()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    rows = []
    for count in options.cameras:
        one = measure(1, options)
        rows.append(row(count, measure(count, options) if count > 1 else one, one))
    table = Table(
        f"A node for each camera, cameras at {options.rate:g} Hz, answerer {options.answerer}",
        (
            "cameras", "client, median / p99 ms", "ratio to one",
            "memory, MiB", "ratio to one", "nobody asks, % of a core",
        ),
        tuple(rows),
        "The simulated cameras compute on the same cores. Nodes are asked in turns, each question "
        "about a new frame.",
    )  # fmt: skip
    publish("Several cameras", describe_machine(), [table], options.write_docs)


if __name__ == "__main__":
    main()
