#!/usr/bin/env python3
"""One of the clients of `service_load.py`: asks one question after another and checks the answers.

Each line of standard input is a job, each line of standard output the result of one, as JSON. It
ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.client import Client
from rclpy.node import Node
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_ros.qos import SERVICE_QOS

STAGES = ("wait", "convert", "answer", "total")
LOST = "LOST"
PATIENCE_S = 5.0
"""A response that comes so long after the timeout of its request is lost."""


def outcome_of(answer: SpatialAnswer) -> dict[str, Any]:
    """What an answer says, in a form that two answers can be compared by."""
    value = round(answer.value, 6) if answer.has_value else None
    return {"status": Status(answer.status).name, "value": value, "side": answer.side}


def ask(node: Node, client: Client, text: str, timeout_s: float) -> dict[str, Any]:
    """Ask one question: what came of it, and how long each stage took."""
    whole, part = divmod(timeout_s, 1.0)
    timeout = Duration(sec=int(whole), nanosec=int(part * 1e9))
    started = time.monotonic()
    future = client.call_async(SpatialQuery.Request(question=text, timeout=timeout))
    deadline = started + timeout_s + PATIENCE_S
    # Unlike rclpy.spin_until_future_complete, this leaves nothing behind that slows later calls.
    while not future.done() and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=deadline - time.monotonic())
    latency_s = {"client": time.monotonic() - started}
    if not future.done():
        return {"text": text, "outcome": {"status": LOST}, "latency_s": latency_s}
    answer = future.result().answer
    latency_s |= {stage: getattr(answer, f"latency_{stage}") for stage in STAGES}
    return {
        "text": text,
        "echo": answer.question,
        "region_ids": list(answer.region_ids),
        "outcome": outcome_of(answer),
        "latency_s": latency_s,
    }


def main() -> None:
    """Work through the jobs."""
    rclpy.init()
    node = rclpy.create_node("load_client")
    client = node.create_client(SpatialQuery, "spatial_query", qos_profile=SERVICE_QOS)
    for line in sys.stdin:
        job = json.loads(line)
        if not client.wait_for_service(PATIENCE_S):
            sys.exit("spatial_query is not there")
        results = [ask(node, client, text, job["timeout_s"]) for text in job["texts"]]
        print(json.dumps({"results": results, "ended_s": time.monotonic()}), flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
