"""Asks spatial questions with nothing but rclpy.

    python examples/spatial_query_client.py "How far is pallet 20 from buffer 1?"

Prints the answer, or the reason why there is none; the exit status says which: 0 or 1. The query
node must run: `ros2 launch smolrgpt_ros warehouse.launch.py`, or with its own camera `make demo`.
"""

from __future__ import annotations

import argparse
import sys
import time

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from rclpy.task import Future
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_ros.service_quality import SERVICE_QUALITY

SERVICE = "spatial_query"

DELIVERY_S = 1.0
"""The node answers within the timeout of the request; after this much more the answer is lost."""


class SpatialQueryClient(Node):
    """Sends one question after another and waits for each answer.

    Args:
        timeout_s: for the whole request, in seconds; it goes to the node, too.
    """

    def __init__(self, timeout_s: float = 5.0) -> None:
        super().__init__("spatial_query_client")
        self._timeout_s = timeout_s
        self._client = self.create_client(SpatialQuery, SERVICE, qos_profile=SERVICE_QUALITY)
        self._service = self.resolve_service_name(SERVICE)

    def ask(self, question: str = "", **fields: object) -> SpatialAnswer:
        """The answer; its `status` tells whether there is one, its `message` why there is none.

        Args:
            question: plain English; may be empty when category and region_ids say it all.
            fields: others of the request: category, region_ids, stamp, max_age.

        Raises:
            TimeoutError: nobody answers: the node is not there, or was killed meanwhile.
        """
        if not self._client.wait_for_service(self._timeout_s):
            raise TimeoutError(f"{self._service} is not there; start the query node")
        seconds, rest = divmod(self._timeout_s, 1)
        timeout = Duration(sec=int(seconds), nanosec=int(rest * 1e9))
        request = SpatialQuery.Request(question=question, timeout=timeout, **fields)
        future = self._client.call_async(request)
        self._wait_for(future, self._timeout_s + DELIVERY_S)
        if not future.done():
            self._client.remove_pending_request(future)
            raise TimeoutError(f"{self._service} did not answer; does the node still run?")
        return future.result().answer

    def _wait_for(self, future: Future, timeout_s: float) -> None:
        # rclpy.spin_until_future_complete leaves something behind that wakes every later call: a
        # client that asks for hours would get slower and slower.
        deadline = time.monotonic() + timeout_s
        while not future.done() and time.monotonic() < deadline:
            rclpy.spin_once(self, timeout_sec=deadline - time.monotonic())


def status_name(answer: SpatialAnswer) -> str:
    """Name of the status, such as "UNKNOWN_REGION"."""
    names = [name for name in dir(SpatialAnswer) if name.startswith("STATUS_")]
    found = next(name for name in names if getattr(SpatialAnswer, name) == answer.status)
    return found.removeprefix("STATUS_")


def main(arguments: list[str] | None = None) -> int:
    """Ask the question of the command line; 0 when there is an answer."""
    parser = argparse.ArgumentParser(description="Ask a spatial question over ROS.")
    parser.add_argument("question", help='such as "How many pallets are in buffer 1?"')
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds (default: %(default)s)")
    options, ros_arguments = parser.parse_known_args(arguments)
    rclpy.init(args=ros_arguments)
    client = SpatialQueryClient(options.timeout)
    try:
        answer = client.ask(options.question)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        client.destroy_node()
        rclpy.shutdown()
    if answer.status != SpatialAnswer.STATUS_OK:
        print(f"{status_name(answer)}: {answer.message}", file=sys.stderr)
        return 1
    print(answer.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
