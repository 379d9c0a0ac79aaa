#!/usr/bin/env python3
"""What the query node costs beside a 640x480 camera at 30 Hz, with and without the DDS profile.

For each of the two: the node's share of a core with nobody asking, messages lost on each input,
latency of geometric answers as the client sees it, and memory over time. Prints a table; `--json`
writes the numbers. Needs the built package: `source scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from rich.console import Console
from rich.table import Table
from smolrgpt_ros.msg import RegionArray, SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_core.files import write_file
from smolrgpt_core.language import Category
from smolrgpt_ros.runtime.processes import ProcessGroup

ROOT = Path(__file__).resolve().parent.parent
PROFILE = ROOT / "config" / "fastdds.xml"
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
STAGES = ("wait", "convert", "answer")
INPUTS = ("rgb", "depth", "camera_info", "regions")
LATENCY_ROWS = {
    "seen by the client": "client",
    "waiting for frame and turn": "wait",
    "decoding the messages": "convert",
    "in the answerer": "answer",
}
START_S = 120.0
"""Until a node has loaded PyTorch and a model and has answered, also on a busy machine."""


class Probe:
    """A client of the query node: asks, and reads its diagnostics."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.memory_mib: list[float] = []
        self.refusals: dict[str, int] = {}
        self._reports: dict[str, dict[str, str]] = {}
        self._regions: RegionArray | None = None
        rclpy.init()
        self._node = rclpy.create_node("service_overhead")
        self._client = self._node.create_client(SpatialQuery, "spatial_query")
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, 10)

    def _on_report(self, report: DiagnosticArray) -> None:
        for status in report.status:
            self._reports[status.name] = {item.key: item.value for item in status.values}

    def questions(self) -> list[SpatialQuery.Request]:
        """One of each category about what the camera shows."""
        ids = self.visible_ids()
        first, second, anchor = ids[0], ids[1], ids[-1]
        kinds = {
            Category.DISTANCE: [first, second],
            Category.COUNT: [],
            Category.LEFT_RIGHT: [first, second],
            Category.MCQ: [first, second, anchor],
        }
        return [
            SpatialQuery.Request(category=category, region_ids=chosen)
            if chosen
            else SpatialQuery.Request(question="How many pallets do you see?")
            for category, chosen in kinds.items()
        ]

    def visible_ids(self) -> list[int]:
        """Ids of what the camera shows, the largest region first."""
        subscription = self._node.create_subscription(
            RegionArray, "regions", self._on_regions, qos_profile_sensor_data
        )
        self._wait_for(lambda: self._regions is not None, "the regions of the camera")
        self._node.destroy_subscription(subscription)
        assert self._regions is not None
        largest = sorted(
            self._regions.regions, key=lambda region: region.box.width * region.box.height
        )
        return [region.id for region in largest[::-1]]

    def _on_regions(self, message: RegionArray) -> None:
        self._regions = message

    def answer(self, request: SpatialQuery.Request) -> SpatialAnswer | None:
        """What the node says to a question; None if nothing comes."""
        future = self._client.call_async(request)
        self._spin_until(future, 10.0)
        return future.result().answer if future.done() else None

    def ask(self, request: SpatialQuery.Request) -> dict[str, float] | None:
        """Seconds until the answer, in all and by stage; None for a refusal."""
        started = time.monotonic()
        answer = self.answer(request)
        elapsed_s = time.monotonic() - started
        if answer and answer.status == Status.OK:
            stages = {name: getattr(answer, f"latency_{name}") for name in STAGES}
            return {"client": elapsed_s, **stages}
        name = Status(answer.status).name if answer else "NO_RESPONSE"
        self.refusals[name] = self.refusals.get(name, 0) + 1
        return None

    def _spin_until(self, future: Future, timeout_s: float) -> None:
        # rclpy.spin_until_future_complete leaves something behind that wakes every later call.
        deadline = time.monotonic() + timeout_s
        while not future.done() and time.monotonic() < deadline:
            rclpy.spin_once(self._node, timeout_sec=deadline - time.monotonic())

    def call(self, service_type: type, name: str, request: object) -> Any:
        """The response of any other service of the graph."""
        client = self._node.create_client(service_type, name)
        client.wait_for_service(START_S)
        future = client.call_async(request)
        self._spin_until(future, START_S)
        self._node.destroy_client(client)
        if not future.done():
            raise TimeoutError(f"waited {START_S} s for {name}")
        return future.result()

    def answers_come(self, requests: Sequence[SpatialQuery.Request]) -> bool:
        """Ask until the node answers; not each of the questions has an answer in every scene.

        Without the profile, a busy machine can lose so many images that no pair of color and
        depth arrives in `START_S`: what is measured, not an error.
        """
        self._client.wait_for_service(START_S)
        self._wait_for(lambda: "spatial_query: rgb" in self._reports, "diagnostics")
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if any(self.ask(request) is not None for request in requests):
                self.refusals.clear()
                return True
            rclpy.spin_once(self._node, timeout_sec=0.1)
        return False

    def latencies(
        self, requests: Sequence[SpatialQuery.Request], number: int
    ) -> list[dict[str, float]]:
        """Seconds until the answers to questions that are asked in turn, by stage.

        Where images are lost on the way, there is none to ask about for a while: refusals are
        counted, and more is asked until there are enough answers, for `START_S` at most.
        """
        found: list[dict[str, float]] = []
        deadline = time.monotonic() + START_S
        for request in itertools.cycle(requests):
            latency = self.ask(request)
            if latency is not None:
                found.append(latency)
            else:
                rclpy.spin_once(self._node, timeout_sec=0.1)
            if len(found) == number or time.monotonic() > deadline:
                break
        return found

    def watch(self, seconds: float) -> float:
        """Ask nothing; the node's mean share of a core in percent."""
        self.process.cpu_percent()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rclpy.spin_once(self._node, timeout_sec=0.1)
        self.memory_mib.append(self.process.memory_info().rss / 2**20)
        return self.process.cpu_percent()

    def input_counts(self, key: str) -> dict[str, int]:
        """A counter of each input, from the newest report."""
        return {name: int(self._reports[f"spatial_query: {name}"][key]) for name in INPUTS}

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {START_S} s for {what}")
            rclpy.spin_once(self._node, timeout_sec=0.1)

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        rclpy.shutdown()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One run in the environment of this process."""
    camera = [f"{name}:={getattr(options, name)}" for name in ("rate", "width", "height")]
    parameters = {
        "sim_camera_node": camera,
        "spatial_query_node": ["answerer:=geometric"],
    }
    with ProcessGroup() as group:
        for name, values in parameters.items():
            arguments = [part for value in values for part in ("-p", value)]
            script = str(ROOT / "scripts" / name)
            group.start(name, [sys.executable, script, "--ros-args", *arguments])
        probe = Probe(child_running("spatial_query_node"))
        try:
            return run(probe, options)
        finally:
            probe.close()


def child_running(script: str) -> psutil.Process:
    """The child of this process that runs a script."""
    for child in psutil.Process().children():
        if any(part.endswith(script) for part in child.cmdline()):
            return child
    raise ProcessLookupError(f"{script} did not start")


def run(probe: Probe, options: argparse.Namespace) -> dict[str, Any]:
    """Idle, then questions one after another, then now and then for the memory."""
    questions = probe.questions()
    answers_come = probe.answers_come(questions)
    lost_before, received_before = probe.input_counts("lost"), probe.input_counts("received")
    idle_percent = probe.watch(options.seconds)
    latencies_s = probe.latencies(questions, options.questions) if answers_come else []
    end = time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        probe.ask(questions[len(probe.memory_mib) % len(questions)])
        probe.watch(1.0)
    probe.watch(1.5)  # for the last report
    received, lost = probe.input_counts("received"), probe.input_counts("lost")
    return {
        "cpu_idle_percent": idle_percent,
        "answers": len(latencies_s),
        "latency_ms": {
            stage: percentiles_ms([latency[stage] for latency in latencies_s])
            for stage in ("client", *STAGES)
            if latencies_s
        },
        "refusals": probe.refusals,
        "received": {name: received[name] - received_before[name] for name in INPUTS},
        "lost": {name: lost[name] - lost_before[name] for name in INPUTS},
        "memory_mib": probe.memory_mib,
    }


def percentiles_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    median_s, p99_s = np.percentile(latencies_s, [50, 99])
    return {"median": 1e3 * float(median_s), "p99": 1e3 * float(p99_s)}


def measure_in_environment(options: argparse.Namespace, profile: Path | None) -> dict[str, Any]:
    """One run in a process of its own: Fast DDS reads the profile once for each process."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(options.domain)}
    environment.pop(PROFILE_VARIABLE, None)
    if profile:
        environment[PROFILE_VARIABLE] = str(profile)
    command = [sys.executable, __file__, *sys.argv[1:], "--one-run"]
    finished = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if finished.returncode:
        sys.exit(finished.returncode)
    return json.loads(finished.stdout.splitlines()[-1])


def table(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> Table:
    """The runs side by side."""
    size = f"{options.width}x{options.height}"
    title = f"query node beside a {size} camera at {options.rate:g} Hz"
    table = Table(title=title, caption="latency: median / 99th percentile, ms")
    table.add_column("")
    rows: dict[str, list[str]] = {}
    for name, result in results.items():
        table.add_column(name, justify="right")
        memory = result["memory_mib"]
        cells = {
            "CPU, nobody asks": f"{result['cpu_idle_percent']:.1f} % of a core",
            **{
                f"latency, {name}": latency_cell(result["latency_ms"].get(stage))
                for name, stage in LATENCY_ROWS.items()
            },
            "answers": str(result["answers"]),
            "refusals": ", ".join(f"{k} {v}" for k, v in result["refusals"].items()) or "none",
            "memory, first to last": f"{memory[0]:.0f} to {memory[-1]:.0f} MiB",
            "memory, highest": f"{max(memory):.0f} MiB",
        }
        for topic in INPUTS:
            lost, received = result["lost"][topic], result["received"][topic]
            cells[f"lost {topic}"] = f"{lost} of {lost + received}"
        for key, cell in cells.items():
            rows.setdefault(key, []).append(cell)
    for key, row in rows.items():
        table.add_row(key, *row)
    return table


def latency_cell(latency_ms: dict[str, float] | None) -> str:
    """Median and 99th percentile of a stage; a dash where nothing was answered."""
    return f"{latency_ms['median']:.1f} / {latency_ms['p99']:.1f}" if latency_ms else "-"


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="idle time for the CPU share")
    parser.add_argument("--questions", type=int, default=200, help="questions for the latency")
    parser.add_argument("--minutes", type=float, default=0.0, help="longer, to watch the memory")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    parser.add_argument("--width", type=int, default=640, help="of images, pixels")
    parser.add_argument("--height", type=int, default=480, help="of images, pixels")
    parser.add_argument("--domain", type=int, default=101, help="ROS domain to run in")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--one-run", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure both and print."""
    options = read_options()
    if options.one_run:
        print(json.dumps(measure(options)))
        return
    profiles = {"without profile": None, f"with {PROFILE.name}": PROFILE}
    results = {name: measure_in_environment(options, profile) for name, profile in profiles.items()}
    Console().print(table(results, options))
    if options.json:
        write_file(options.json, json.dumps(results, indent=2).encode())
    with_profile = results[f"with {PROFILE.name}"]
    if not with_profile["answers"]:
        refusals = with_profile["refusals"]
        sys.exit(f"with {PROFILE}, no question was answered within {START_S} s: {refusals}")


if __name__ == "__main__":
    main()
