#!/usr/bin/env python3
"""What the region node costs beside a 640x480 camera at 30 Hz, by its rate.

For each rate: its share of a core, and how old the regions are when they arrive. The baseline is
the node that receives all images and processes one in 100 s. Needs the built package:
`source scripts/environment.sh`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from performance_page import Table, describe_machine, publish
from rclpy.qos import qos_profile_sensor_data
from service_overhead import ROOT, child_running
from smolrgpt_ros.msg import RegionArray

from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.runtime.processes import ProcessGroup

IDLE_HZ = 0.01
START_S = 120.0


@dataclass(frozen=True)
class Measured:
    """One run of the node.

    Attributes:
        core_percent: mean share of a core.
        ages_ms: of the regions when they arrive, from the stamp of their image.
        seconds: of the run.
    """

    core_percent: float
    ages_ms: list[float]
    seconds: float


class Listener:
    """Receives regions and notes how old they are."""

    def __init__(self) -> None:
        rclpy.init()
        self._node = rclpy.create_node("region_node_benchmark")
        self.ages_ms: list[float] = []
        self._node.create_subscription(
            RegionArray, "found", self._on_regions, qos_profile_sensor_data
        )

    def _on_regions(self, message: RegionArray) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        self.ages_ms.append((now_ns - time_to_ns(message.header.stamp)) / 1e6)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Receive for a while, or until a condition holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            rclpy.spin_once(self._node, timeout_sec=0.1)

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        rclpy.shutdown()


def measure(rate: float, options: argparse.Namespace) -> Measured:
    """The node at one rate, after its first regions.

    Raises:
        TimeoutError: when no regions come.
    """
    parameters = ["-p", f"rate:={rate}", "-r", "regions:=found"]
    if options.segmenter:
        parameters += ["-p", f"segmenter:={options.segmenter}"]
    camera = ["--ros-args", "-p", f"rate:={options.camera_rate}"]
    with ProcessGroup() as group:
        for name, arguments in (
            ("sim_camera_node", camera),
            ("region_node", ["--ros-args", *parameters]),
        ):
            group.start(name, [sys.executable, str(ROOT / "scripts" / name), *arguments])
        listener = Listener()
        try:
            listener.spin(START_S, until=lambda: bool(listener.ages_ms))
            if not listener.ages_ms:
                raise TimeoutError(f"waited {START_S} s for the first regions")
            process = child_running("region_node")
            listener.ages_ms.clear()
            process.cpu_percent()
            started = time.monotonic()
            listener.spin(options.seconds)
            seconds = time.monotonic() - started
            return Measured(process.cpu_percent(), list(listener.ages_ms), seconds)
        finally:
            listener.close()


def row(rate: float, measured: Measured, idle: Measured) -> tuple[str, ...]:
    """Cells of one rate."""
    ages = sorted(measured.ages_ms)
    return (
        f"{rate:g}",
        f"{len(ages) / measured.seconds:.1f}",
        f"{statistics.median(ages):.0f}" if ages else "-",
        f"{ages[-1]:.0f}" if ages else "-",
        f"{measured.core_percent:.0f} %",
        f"{measured.core_percent - idle.core_percent:.0f} %",
    )


def main() -> None:
    """Measure, print, and write the section of the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--camera-rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--segmenter", default="", help="folder or hub id; default: the package's")
    parser.add_argument("--domain", type=int, default=101, help="ROS domain to run in")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    idle = measure(IDLE_HZ, options)
    rows = [row(IDLE_HZ, idle, idle)]
    rows += [row(rate, measure(rate, options), idle) for rate in options.rates]
    table = Table(
        f"Region node beside a 640x480 camera at {options.camera_rate:g} Hz",
        (
            "rate limit, Hz",
            "regions, Hz",
            "age, median, ms",
            "age, worst, ms",
            "of a core",
            "beyond receiving",
        ),
        tuple(rows),
        "Age: from the stamp of the image to the arrival of its regions.",
    )
    machine = describe_machine()
    publish("Region node", machine, [table], options.write_docs)


if __name__ == "__main__":
    main()
