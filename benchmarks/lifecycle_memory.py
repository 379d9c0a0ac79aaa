#!/usr/bin/env python3
"""Memory of the query node around its life cycle: what a model takes, and what cleanup gives back.

The node is configured, activated, asked, deactivated and cleaned up several times. The libraries
that the first configuration loads stay; what must come back is everything else.

    python benchmarks/lifecycle_memory.py --checkpoint FOLDER
    python benchmarks/lifecycle_memory.py --random-weights smolrgpt

Needs the built package: `source scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from performance_page import Table, describe_machine, publish
from service_load import NODE, NOT_READY, START_S, checkpoint_of
from service_overhead import ROOT, Probe, child_running
from smolrgpt_ros.srv import SpatialQuery
from std_srvs.srv import Trigger

from smolrgpt_ros.runtime.processes import ProcessGroup

QUESTION = "How many pallets do you see?"

STEPS = {
    "configured": (Transition.TRANSITION_CONFIGURE,),
    "asked": (Transition.TRANSITION_ACTIVATE,),
    "cleaned up": (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP),
}


def resident_mib(probe: Probe) -> float:
    """Memory of the node, as it says."""
    response = probe.call(Trigger, "/spatial_query/stats", Trigger.Request())
    return json.loads(response.message)["memory_bytes"] / 2**20


def change(probe: Probe, transition: int) -> None:
    """Take one step of the life cycle."""
    request = ChangeState.Request(transition=Transition(id=transition))
    if not probe.call(ChangeState, "/spatial_query/change_state", request).success:
        sys.exit(f"transition {transition} failed")


def ask(probe: Probe, count: int) -> None:
    """Ask until the answerer has said something, then as often as wanted."""
    request = SpatialQuery.Request(question=QUESTION)
    deadline = time.monotonic() + START_S
    while (answer := probe.answer(request)) is None or answer.status in NOT_READY:
        if time.monotonic() > deadline:
            sys.exit(f"no answer after {START_S} s: {answer and answer.message}")
    for _ in range(count - 1):
        probe.answer(request)


def measure(options: argparse.Namespace, checkpoint: str) -> list[tuple[str, ...]]:
    """A row for each cycle, MiB after each of its steps."""
    values = {"autostart": "false", "answerer": "model", "checkpoint": checkpoint}
    values |= {"device": options.device, "answer_style": "short", "timeout": "30.0"}
    arguments = [
        "--ros-args",
        *(part for item in values.items() for part in ("-p", ":=".join(item))),
    ]
    with ProcessGroup() as group:
        for name, own in {"sim_camera_node": [], NODE: arguments}.items():
            group.start(name, [sys.executable, str(ROOT / "scripts" / name), *own])
        probe = Probe(child_running(NODE))
        try:
            rows: list[tuple[str, ...]] = [("before", "", "", f"{resident_mib(probe):.0f}")]
            for cycle in range(options.cycles):
                cells = [f"{mib:.0f}" for mib in one_cycle(probe, options.questions)]
                rows.append((f"cycle {cycle + 1}", *cells))
            return rows
        finally:
            probe.close()


def one_cycle(probe: Probe, questions: int) -> list[float]:
    """MiB after each step."""
    seen = []
    for name, transitions in STEPS.items():
        for transition in transitions:
            change(probe, transition)
        if name == "asked":
            ask(probe, questions)
        seen.append(resident_mib(probe))
    return seen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="", help="folder or hub id")
    parser.add_argument("--random-weights", default="smolrgpt-nano", help="preset, without one")
    parser.add_argument("--device", default="cpu", help="of the model")
    parser.add_argument("--cycles", type=int, default=4)
    parser.add_argument("--questions", type=int, default=20, help="asked in each cycle")
    parser.add_argument("--domain", type=int, default=103, help="ROS domain to run in")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    options = parser.parse_args()
    options.random_weights = "" if options.checkpoint else options.random_weights
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    with checkpoint_of(options) as checkpoint:
        rows = measure(options, checkpoint)
    table = Table(
        f"Memory of the node, {options.checkpoint or options.random_weights}",
        ("what", *STEPS),
        tuple(rows),
        f"Resident MiB, {options.questions} questions in each cycle. PyTorch and transformers stay "
        "from the first cycle on.",
    )
    publish(
        "Memory of the life cycle",
        describe_machine(),
        [table],
        options.write_docs,
    )


if __name__ == "__main__":
    main()
