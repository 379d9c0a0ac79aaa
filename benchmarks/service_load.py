#!/usr/bin/env python3
"""The query node under load: several clients ask at once, beside a camera at 30 Hz.

The node answers up to `max_batch` questions about a frame together, and, in the same run and in
turns with that, one by one. Every response must belong to its question: its text, the regions that
it is about, and with an answerer that computes alike alone and together the answer itself, which is
compared with that of the same question asked alone. Exits with 1 when a response is lost or belongs
to another question, or a question is refused for another reason than BUSY or TIMEOUT.

    python benchmarks/service_load.py
    python benchmarks/service_load.py --answerer geometric -- -p encode:=every_frame
    python benchmarks/service_load.py --random-weights smolrgpt-nano --questions 80

Needs the built package: `source scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import IO, Any

import numpy as np
from load_client import LOST, STAGES, outcome_of
from performance_page import Table, describe_machine, publish
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from service_overhead import ROOT, Probe, child_running
from smolrgpt_ros.srv import SpatialQuery
from std_srvs.srv import Trigger

from smolrgpt_core.errors import Status
from smolrgpt_core.files import write_file
from smolrgpt_ros.runtime.processes import ProcessGroup

NODE = "spatial_query_node"
CLIENT = Path(__file__).parent / "load_client.py"

NOT_READY = {Status.NOT_ACTIVE, *range(Status.NO_RGB, Status.QOS_INCOMPATIBLE)}
"""The node is loading, or waits for the camera."""

FAIR_REFUSALS = {Status.BUSY.name, Status.TIMEOUT.name}
SENSELESS = Status.MODEL_ERROR.name
"""What the words of a model with random weights come to."""

KINDS = (
    "How far is region {} from region {}?",
    "Is region {} on the left side or the right side of region {}?",
)
ONE_BY_ONE = "one by one"
START_S = 120.0
PATIENT_S = 30.0
"""Timeout of questions that are asked alone; the clients have their own."""

DISTINCT = 32
"""Questions that differ in text and regions; more are repeated."""

LARGEST_REGIONS = 6


@dataclass(frozen=True)
class Question:
    """A question that can be answered, and what it must come back with.

    Attributes:
        text, region_ids: of it.
        outcome: of the same question asked alone.
    """

    text: str
    region_ids: list[int]
    outcome: dict[str, Any]


@dataclass
class Load:
    """What came of one way to answer, over all its rounds.

    Attributes:
        counts: responses by status, or LOST.
        misaddressed: responses that belong to another question.
        different: answers unlike those to the same question asked alone.
        latencies_s: of answers, by stage.
        seconds: from the first request to the last response, rounds added up.
        calls, asked: calls of the answerer, and questions in them.
    """

    counts: Counter[str] = field(default_factory=Counter)
    misaddressed: int = 0
    different: int = 0
    latencies_s: list[Mapping[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    calls: int = 0
    asked: float = 0.0

    def add(self, result: Mapping[str, Any], question: Question, answered: set[str]) -> None:
        """Count one response."""
        status = result["outcome"]["status"]
        self.counts[status] += 1
        if status == LOST:
            return
        is_known = status in answered
        self.misaddressed += result["echo"] != question.text or (
            is_known and result["region_ids"] != question.region_ids
        )
        if is_known:
            self.different += result["outcome"] != question.outcome
            self.latencies_s.append(result["latency_s"])

    @property
    def throughput(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    def milliseconds(self, stage: str) -> str:
        """Percentiles 50 and 99 of a stage."""
        values = [1e3 * latency_s[stage] for latency_s in self.latencies_s] or [np.nan]
        return " / ".join(f"{np.percentile(values, percentile):.1f}" for percentile in (50, 99))


def _pipe(stream: IO[str] | None) -> IO[str]:
    """The stream of a process that was started with a pipe."""
    assert stream is not None
    return stream


class Clients:
    """Processes that ask at the same time."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, str(CLIENT)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._processes = [subprocess.Popen(command, **pipes) for _ in range(count)]

    def ask(self, texts: Sequence[Sequence[str]], timeout_s: float) -> list[dict[str, Any]]:
        """What each client has seen that asked its texts."""
        for process, own in zip(self._processes, texts, strict=True):
            print(
                json.dumps({"texts": own, "timeout_s": timeout_s}), file=process.stdin, flush=True
            )
        return [json.loads(_pipe(process.stdout).readline()) for process in self._processes]

    def close(self) -> None:
        """Let them end."""
        for process in self._processes:
            _pipe(process.stdin).close()
        for process in self._processes:
            process.wait(10.0)


def answered_statuses(options: argparse.Namespace) -> set[str]:
    """Statuses that mean that the answerer did its work."""
    return {Status.OK.name} | ({SENSELESS} if options.random_weights else set())


class Bench:
    """The node, its clients and what is asked.

    Args:
        options: of the command line.
        probe: another client.
        clients: that make the load.
    """

    def __init__(self, options: argparse.Namespace, probe: Probe, clients: Clients) -> None:
        self.options = options
        self._probe = probe
        self._clients = clients
        self._answered = answered_statuses(options)
        self.questions = self._answerable()
        self.stats_before = self.stats()

    def _answerable(self) -> list[Question]:
        """Different questions about what the camera shows that are answered when asked alone."""
        ids = self._probe.visible_ids()[:LARGEST_REGIONS]
        self._wait_until_ready(KINDS[0].format(*ids[:2]))
        found: list[Question] = []
        for pair in permutations(ids, 2):
            for kind in KINDS:
                question = self._asked_alone(kind.format(*pair), list(pair))
                found += [question] if question else []
                if len(found) == DISTINCT:
                    return found
        if len(found) < 2:
            sys.exit("the node answers no question about what the camera shows")
        return found

    def _wait_until_ready(self, text: str) -> None:
        deadline = time.monotonic() + START_S
        while True:
            answer = self._probe.answer(SpatialQuery.Request(question=text))
            if answer and answer.status not in NOT_READY:
                return
            if time.monotonic() > deadline:
                sys.exit(f"no answer after {START_S} s: {answer and answer.message}")
            time.sleep(0.2)

    def _asked_alone(self, text: str, ids: list[int]) -> Question | None:
        answer = self._probe.answer(SpatialQuery.Request(question=text))
        if answer is None or Status(answer.status).name not in self._answered:
            return None
        return Question(text, ids, outcome_of(answer)) if list(answer.region_ids) == ids else None

    def stats(self) -> dict[str, Any]:
        """What the node says of itself."""
        response = self._probe.call(Trigger, "/spatial_query/stats", Trigger.Request())
        return json.loads(response.message)

    def measure(self, load: Load, max_batch: int, count: int) -> None:
        """One round: about `count` questions, shared by the clients."""
        value = Parameter("max_batch", value=max_batch).to_parameter_msg()
        request = SetParameters.Request(parameters=[value])
        response = self._probe.call(SetParameters, "/spatial_query/set_parameters", request)
        assert response.results[0].successful, response.results[0].reason
        plan = self._plan(count)
        before, started_s = self.stats(), time.monotonic()
        texts = [[question.text for question in own] for own in plan]
        reports = self._clients.ask(texts, self.options.timeout)
        load.seconds += max(report["ended_s"] for report in reports) - started_s
        for report, own in zip(reports, plan, strict=True):
            for result, question in zip(report["results"], own, strict=True):
                load.add(result, question, self._answered)
        after = self.stats()
        load.calls += after["calls"] - before["calls"]
        load.asked += _asked(after) - _asked(before)

    def _plan(self, count: int) -> list[list[Question]]:
        """The questions of each client; no two ask the same at the same time, if they can help."""
        clients = self.options.clients
        return [
            [
                self.questions[(step * clients + client) % len(self.questions)]
                for step in range(-(-count // clients))
            ]
            for client in range(clients)
        ]


def _asked(stats: Mapping[str, Any]) -> float:
    return stats["calls"] * stats["questions_per_call"]


@contextmanager
def checkpoint_of(options: argparse.Namespace) -> Iterator[str]:
    """The checkpoint that is asked for, or one with random weights that exists meanwhile."""
    if not options.random_weights:
        yield options.checkpoint
        return
    from inference_engine import build

    with tempfile.TemporaryDirectory() as folder:
        preset = argparse.Namespace(seed=0, preset=options.random_weights)
        for part in build(preset, [kind.format(1, 2) for kind in KINDS]):
            part.save_pretrained(folder)
        yield folder


def node_arguments(options: argparse.Namespace, checkpoint: str) -> list[str]:
    """Parameters of the node."""
    values = {"max_pending": options.max_pending, "max_batch": 1, "timeout": PATIENT_S}
    if options.random_weights:
        values |= {"answerer": "model", "answer_style": "short"}
    if options.answerer:
        values |= {"answerer": options.answerer}
    if checkpoint:
        values |= {"checkpoint": checkpoint}
    pairs = [f"{name}:={value}" for name, value in values.items()]
    return ["--ros-args", *(part for pair in pairs for part in ("-p", pair)), *options.node]


def run(options: argparse.Namespace, checkpoint: str) -> tuple[dict[str, Load], dict[str, Any]]:
    """Start everything and measure both ways in turns; what the node says of itself comes along."""
    clients = Clients(options.clients)
    camera = ["--ros-args", "-p", f"rate:={options.rate}"]
    arguments = {"sim_camera_node": camera, NODE: node_arguments(options, checkpoint)}
    with ProcessGroup() as group:
        for name, own in arguments.items():
            node = group.start(name, [sys.executable, str(ROOT / "scripts" / name), *own])
        probe = Probe(child_running(NODE))
        try:
            return measure(Bench(options, probe, clients))
        except (SystemExit, TimeoutError):
            print(node.output(), file=sys.stderr)
            raise
        finally:
            probe.close()
            clients.close()


def measure(bench: Bench) -> tuple[dict[str, Load], dict[str, Any]]:
    """Both ways in turns."""
    options = bench.options
    sizes = {f"up to {options.max_batch} together": options.max_batch, ONE_BY_ONE: 1}
    loads = {name: Load() for name in sizes}
    memory_mib = [bench.stats_before["memory_bytes"] / 2**20]
    for _ in range(options.rounds):
        for name, size in sizes.items():
            bench.measure(loads[name], size, options.questions // options.rounds)
            memory_mib.append(bench.stats()["memory_bytes"] / 2**20)
    return loads, {"memory_mib": memory_mib, **bench.stats()["answerer"]}


def table_rows(loads: Mapping[str, Load]) -> list[tuple[str, ...]]:
    """What is shown of each way to answer."""
    rows: dict[str, list[str]] = {}
    baseline = loads[ONE_BY_ONE].throughput
    for load in loads.values():
        refusals = {name: number for name, number in load.counts.items() if name != "OK"}
        cells = {
            "questions": str(load.counts.total()),
            "answers": str(len(load.latencies_s)),
            "other than OK": ", ".join(f"{k} {v}" for k, v in refusals.items()) or "none",
            "lost": str(load.counts[LOST]),
            "belong to another question": str(load.misaddressed),
            "unlike the answer alone": str(load.different),
            "questions for each call": f"{load.asked / max(load.calls, 1):.2f}",
            "answers per second": f"{load.throughput:.1f}",
            "ratio": f"{load.throughput / baseline:.2f}x",
        }
        cells |= {f"{stage}, ms": load.milliseconds(stage) for stage in ("client", *STAGES)}
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    return [(name, *cells) for name, cells in rows.items()]


def failures(loads: Mapping[str, Load], answered: set[str]) -> list[str]:
    """What must not happen."""
    found = []
    for name, load in loads.items():
        unfair = {key: n for key, n in load.counts.items() if key not in answered | FAIR_REFUSALS}
        found += [f"{name}: {number} {key}" for key, number in unfair.items()]
        found += [f"{name}: {load.misaddressed} misaddressed"] if load.misaddressed else []
    return found


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1000, help="asked in each of the two ways")
    parser.add_argument("--rounds", type=int, default=2, help="turns of the two ways")
    parser.add_argument("--clients", type=int, default=8, help="processes that ask")
    parser.add_argument("--max-batch", type=int, default=8, help="questions answered together")
    parser.add_argument("--max-pending", type=int, default=16, help="as the node's parameter")
    parser.add_argument("--timeout", type=float, default=30.0, help="of each question, seconds")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    parser.add_argument("--checkpoint", default="", help="folder or hub id; empty: the shipped one")
    parser.add_argument("--answerer", default="", help="empty: the default of the node")
    parser.add_argument(
        "--random-weights", default="", help="preset of a model that talks nonsense"
    )
    parser.add_argument("--domain", type=int, default=102, help="ROS domain to run in")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    parser.add_argument("node", nargs="*", help="after --: more arguments of the node")
    return parser.parse_args()


def show(loads: Mapping[str, Load], seen: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Print the table, and write what is asked for."""
    memory = seen["memory_mib"]
    model = f", {options.random_weights} with random weights" if options.random_weights else ""
    table = Table(
        f"Questions of {options.clients} clients, {seen['answerer']}{model}",
        ("what", *loads),
        tuple(table_rows(loads)),
        f"A 640x480 camera at {options.rate:g} Hz, up to {options.max_pending} questions at the "
        "same time; median / 99th percentile. Resident memory of the node before, and after each "
        f"round: {', '.join(f'{value:.0f}' for value in memory)} MiB.",
    )
    publish("Service under load", describe_machine(), [table], options.write_docs)
    if options.json:
        numbers = {"seen": dict(seen), "loads": {name: vars(load) for name, load in loads.items()}}
        write_file(options.json, json.dumps(numbers, indent=2).encode())


def main() -> None:
    """Measure and print."""
    options = read_options()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    with checkpoint_of(options) as checkpoint:
        loads, seen = run(options, checkpoint)
    show(loads, seen, options)
    problems = failures(loads, answered_statuses(options))
    if problems:
        sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
