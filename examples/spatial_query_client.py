"""Asks a spatial question over ROS.

    python examples/spatial_query_client.py "How far is pallet 20 from buffer 1?"

Prints the answer, or the reason why there is none; the exit status says which: 0 or 1. The query
node must run: `ros2 launch smolrgpt_ros warehouse.launch.py`, or with its own camera `make demo`.
"""

from __future__ import annotations

import argparse
import sys

from smolrgpt_ros.client import DEFAULT_TIMEOUT_S, SpatialQueryClient


def main(arguments: list[str] | None = None) -> int:
    """Ask the question of the command line; 0 when there is an answer."""
    parser = argparse.ArgumentParser(description="Ask a spatial question over ROS.")
    parser.add_argument("question", help='such as "How many pallets are in buffer 1?"')
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_TIMEOUT_S, help="seconds (default: %(default)s)"
    )
    options, _ = parser.parse_known_args(arguments)  # rclpy takes what stands after --ros-args
    try:
        with SpatialQueryClient(timeout=options.timeout) as client:
            answer = client.ask(options.question)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    if not answer.ok:
        print(f"{answer.status.name}: {answer.message}", file=sys.stderr)
        return 1
    print(answer.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
