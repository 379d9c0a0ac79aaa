#!/usr/bin/env python3
"""What a web page about a query node costs it, beside a 640x480 camera at 30 Hz.

Three rows: no page, a page that nobody looks at, and one that a browser looks at. Needs the built
package (`source scripts/environment.sh`), the extra `page`, and chromium with its driver.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from performance_page import Table, describe_machine, publish
from selenium import webdriver
from selenium.webdriver.common.by import By
from service_overhead import ROOT, child_running

from smolrgpt_ros.runtime.processes import ProcessGroup

START_S = 120.0
POLL_S = 0.1
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def visitor(port: int) -> Iterator[None]:
    """A browser that looks at the live image.

    Raises:
        TimeoutError: when no image comes.
    """
    options = webdriver.ChromeOptions()
    for argument in CHROMIUM:
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(f"http://127.0.0.1:{port}/")
        deadline = time.monotonic() + START_S
        while not driver.find_elements(By.CSS_SELECTOR, ".region"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {START_S} s for an image on the page")
            time.sleep(POLL_S)
        yield
    finally:
        driver.quit()


def wait_until_served(port: int) -> None:
    """Wait for the page.

    Raises:
        TimeoutError: when it is not served.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise TimeoutError(f"waited {START_S} s for the page")


def core_percents(names: list[str], seconds: float) -> list[float]:
    """Mean percent of a core that each node takes, measured together."""
    processes = [child_running(name) for name in names]
    for process in processes:
        process.cpu_percent()
    time.sleep(seconds)
    return [process.cpu_percent() for process in processes]


def measure(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """The rows of the table."""
    port = free_port()
    camera = ["--ros-args", "-p", f"rate:={options.camera_rate}"]
    query = ["--ros-args", "-p", "answerer:=geometric"]
    page = ["--ros-args", "-p", f"port:={port}", "-p", f"rate:={options.rate}"]
    both = ["spatial_query_node", "page_node"]
    with ProcessGroup() as group:

        def start(name: str, arguments: list[str]) -> None:
            group.start(name, [sys.executable, str(ROOT / "scripts" / name), *arguments])

        start("sim_camera_node", camera)
        start("spatial_query_node", query)
        time.sleep(options.warm_up)
        alone = core_percents(both[:1], options.seconds)
        start("page_node", page)
        wait_until_served(port)
        unseen = core_percents(both, options.seconds)
        with visitor(port):
            seen = core_percents(both, options.seconds)
    return [
        ("no page", f"{alone[0]:.1f} %", "-"),
        ("page, nobody looks", *(f"{value:.1f} %" for value in unseen)),
        ("page, one visitor", *(f"{value:.1f} %" for value in seen)),
    ]


def main() -> None:
    """Measure, print, and write the section of the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2.0, help="frames per second on the page")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each row")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before the first row")
    parser.add_argument("--camera-rate", type=float, default=30.0, help="images per second")
    parser.add_argument("--domain", type=int, default=101, help="ROS domain to run in")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    table = Table(
        f"A page at {options.rate:g} frames per second beside a 640x480 camera at "
        f"{options.camera_rate:g} Hz",
        ("", "query node, of a core", "page node, of a core"),
        tuple(measure(options)),
        "Nobody asks. The browser's own work is not in the figures.",
    )
    publish("Page node", describe_machine(), [table], options.write_docs)


if __name__ == "__main__":
    main()
