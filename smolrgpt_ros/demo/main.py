"""The demo: starts the graph as processes, asks questions, and compares answers with the truth.

Ends by itself. The exit status is 0 only if every answer came and is correct; `TOLERANCE` states
what counts as correct.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from numpy.typing import NDArray
from rclpy.signals import SignalHandlerOptions
from rich.console import Console

from smolrgpt_core.answer import DISTANCE_TOLERANCE
from smolrgpt_core.errors import Status
from smolrgpt_core.files import write_image
from smolrgpt_core.language.interpreter import SAME_ANGLE_DEG
from smolrgpt_core.report import ReportRow, print_report, write_html_report
from smolrgpt_ros.demo.graph import MAX_FRAME_AGE_S, OWN_REGIONS, DemoError, DemoNode, Snapshot
from smolrgpt_ros.demo.questions import (
    DemoQuestion,
    judge,
    questions_about,
    questions_without_answer,
    wrong_answers,
)
from smolrgpt_ros.runtime.ending_signals import EndingSignals, end_without_threads
from smolrgpt_ros.runtime.processes import ProcessGroup
from smolrgpt_ros.srv import SpatialQuery

PACKAGE = "smolrgpt_ros"
VIEWPOINTS = 3
MOSAIC_IMAGES = 4
"""Number of annotated images that are combined into one."""
CAMERA_RATE_HZ = 4.0
REGION_RATE_HZ = 2.0
READY_TIMEOUT_S = 120.0
STATUSES_AT_START = {
    Status.NO_RGB, Status.NO_DEPTH, Status.NO_CAMERA_INFO, Status.NO_REGIONS,
    Status.STALE, Status.OUT_OF_SYNC, Status.TIMEOUT, Status.NOT_ACTIVE,
}  # fmt: skip
"""Possible statuses of an answer until everything has started."""
SAFE_DOMAINS = range(1, 102)
"""Domains whose ports are below the ephemeral port range of Linux."""

TOLERANCE = (
    f"A distance, an area and a position are correct within {DISTANCE_TOLERANCE:.0%} of the "
    f"truth (0 m must be 0 m), a bearing within {SAME_ANGLE_DEG:.0f} degrees; everything else "
    "must be exact."
)


@dataclass(frozen=True)
class DemoOptions:
    """Options of the command line.

    Attributes:
        output: folder for report and image.
        seed: of the scene and of the choice of questions.
        noise: whether the camera is noisy.
        short: one viewpoint instead of several.
        own_masks: ask about the regions that are found in the camera's image, too.
    """

    output: Path
    seed: int
    noise: bool
    short: bool
    own_masks: bool

    @property
    def viewpoints(self) -> int:
        """Number of viewpoints that are asked about."""
        return 1 if self.short else VIEWPOINTS


@dataclass(frozen=True, eq=False)
class DemoAnswers:
    """What was asked and answered.

    Attributes:
        rows: questions with answers.
        views: the frames that they are about.
    """

    rows: list[ReportRow]
    views: list[Snapshot]


def parse_options(arguments: Sequence[str] | None) -> DemoOptions:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Ask a simulated warehouse over ROS 2, and check the answers.",
        epilog=f"{TOLERANCE} The exit status is 0 only if all answers are correct.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("output/demo"), help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="of the scene and the questions")
    parser.add_argument("--noise", action="store_true", help="noisy depth and color")
    parser.add_argument("--short", action="store_true", help="fewer questions, one viewpoint")
    parser.add_argument(
        "--own-masks",
        action="store_true",
        help="ask again with masks that a segmenter finds in the images; the number of correct "
        "answers is reported, but does not affect the exit status",
    )
    return DemoOptions(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo and exit with its status."""
    options = parse_options(arguments)
    try:
        status = run(options)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    # Make sends Ctrl-C once more: Python, taking itself apart, would end as if it had crashed.
    end_without_threads(status)


def run(options: DemoOptions) -> int:
    """Start the graph, ask, stop the graph, report; returns the exit status."""
    console = Console()
    signals = EndingSignals()
    choose_graph()
    own = None
    try:
        simulated = talk(signals, options, console, own_masks=False)
        if options.own_masks:
            own = talk(signals, options, console, own_masks=True)
    except DemoError as error:
        console.print(f"demo failed: {error}", style="bold red", markup=False, soft_wrap=True)
        return 1
    status = report(simulated, options, console)
    if own is not None:
        report_own_masks(simulated, own, options, console)
    return status


def talk(
    signals: EndingSignals, options: DemoOptions, console: Console, own_masks: bool
) -> DemoAnswers:
    """Start a graph, ask, stop it.

    Args:
        signals: that ask to end.
        options: of the command line.
        console: for messages about the progress.
        own_masks: whether questions are about regions that are found in the images.

    Raises:
        DemoError: the graph is not ready in time, a process ended, or a response is missing.
    """
    with ProcessGroup() as graph:
        start_nodes(graph, options, own_masks)
        names = ", ".join(process.name for process in graph.processes)
        console.print(f"{names} started in ROS domain {os.environ['ROS_DOMAIN_ID']}")
        return converse(graph, signals, options, own_masks)


def report(talked: DemoAnswers, options: DemoOptions, console: Console) -> int:
    """Print and write the results; returns the exit status.

    Args:
        talked: questions with answers.
        options: of the command line.
        console: for the table.
    """
    print_report(talked.rows, console)
    console.print(TOLERANCE)
    subtitle = f"{_about(options)} {TOLERANCE}"
    for path in write_results(talked.rows, subtitle, options.output, ""):
        console.print(f"wrote {path}", soft_wrap=True)
    wrong = wrong_answers(talked.rows)
    for line in wrong:
        console.print(f"not correct: {line}", style="bold red", markup=False, soft_wrap=True)
    return 1 if wrong else 0


def report_own_masks(
    simulated: DemoAnswers, own: DemoAnswers, options: DemoOptions, console: Console
) -> None:
    """Print and write the results with own masks beside those with the simulator's.

    Args:
        simulated: with the masks of the simulator.
        own: with those of the segmenter.
        options: of the command line.
        console: for the table.
    """
    summary = own_masks_summary(simulated, own)
    print_report(own.rows, console)
    for line in wrong_answers(own.rows):
        console.print(f"with own masks: {line}", markup=False, soft_wrap=True)
    console.print(summary, style="bold", soft_wrap=True)
    subtitle = f"{_about(options)} {summary} {TOLERANCE}"
    for path in write_results(own.rows, subtitle, options.output, "_own_masks"):
        console.print(f"wrote {path}", soft_wrap=True)


def own_masks_summary(simulated: DemoAnswers, own: DemoAnswers) -> str:
    """How well it went with own masks, in two sentences.

    Args:
        simulated: with the masks of the simulator.
        own: with those of the segmenter.
    """
    overlaps = [match.iou for view in own.views for match in view.matches or ()]
    objects = sum(len(view.regions) for view in own.views)
    strays = sum(len(view.named) - len(view.regions) for view in own.views)
    simulated_correct, own_correct = (
        f"{sum(row.within_tolerance for row in talked.rows)} of {len(talked.rows)}"
        for talked in (simulated, own)
    )
    return (
        f"Objects found in {len(own.views)} image(s): {len(overlaps)} of {objects}, with a mean "
        f"IoU of {np.mean(overlaps) if overlaps else 0:.2f}; regions that are not objects: "
        f"{strays}. "
        f"Correct answers: {simulated_correct} with simulated masks, {own_correct} with own masks."
    )


def choose_graph() -> None:
    """Set the environment of this process and the nodes: their own domain, the Fast DDS profile."""
    profile = Path(get_package_share_directory(PACKAGE)) / "config" / "fastdds.xml"
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(profile))
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().choice(SAFE_DOMAINS)))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def start_nodes(graph: ProcessGroup, options: DemoOptions, own_masks: bool) -> None:
    """Start camera and query node, with own masks a region node too, as a user would.

    Args:
        graph: that the processes belong to.
        options: of the command line.
        own_masks: whether a region node finds the masks.
    """
    camera = {
        "seed": options.seed,
        "noise": options.noise,
        "motion": "drive",
        "frame_count": options.viewpoints,
        "rate": CAMERA_RATE_HZ,
    }
    query = {"buffer_size": int(MAX_FRAME_AGE_S * CAMERA_RATE_HZ)}
    remapped = ["-r", f"regions:={OWN_REGIONS}"] if own_masks else []
    nodes: list[tuple[str, dict[str, Any], list[str]]] = [
        ("sim_camera_node", camera, []), ("spatial_query_node", query, remapped)
    ]  # fmt: skip
    if own_masks:
        nodes.append(("region_node", {"rate": REGION_RATE_HZ}, remapped))
    for executable, parameters, more in nodes:
        path = Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / executable
        assignments = [item for k, v in parameters.items() for item in ("-p", f"{k}:={v}")]
        graph.start(executable, [sys.executable, str(path), "--ros-args", *assignments, *more])


def converse(
    graph: ProcessGroup, signals: EndingSignals, options: DemoOptions, own_masks: bool
) -> DemoAnswers:
    """Wait until the graph works, then ask about every viewpoint.

    Args:
        graph: of `start_nodes`.
        signals: that ask to end.
        options: of the command line.
        own_masks: whether questions are about regions that are found in the images.

    Raises:
        DemoError: the graph is not ready in time, a process ended, or a response is missing.
        SystemExit: a signal asks to end.
    """

    def while_waiting() -> None:
        if signals.received:
            sys.exit(128 + signals.received)
        ended = [process.name for process in graph.processes if process.exit_status is not None]
        if ended:
            raise DemoError(f"{', '.join(ended)} ended")

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = DemoNode(while_waiting, own_masks)
    try:
        wait_until_ready(node)
        return ask_everything(node, options)
    except DemoError as error:
        raise DemoError(f"{error}\n{describe(graph)}") from error
    finally:
        node.destroy_node()
        rclpy.shutdown()


def wait_until_ready(node: DemoNode) -> None:
    """Wait for service, frames, a first answer and its image.

    Raises:
        DemoError: waiting is pointless, or the time is over.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while missing := _what_is_missing(node):
        if time.monotonic() > deadline:
            raise DemoError(f"not ready after {READY_TIMEOUT_S:g} s: {missing}")


def _what_is_missing(node: DemoNode) -> str:
    """What is still missing in the graph; empty when it works.

    Raises:
        DemoError: waiting is pointless.
    """
    if not node.wait_for(lambda: node.service_is_there, 0.5):
        return "the service spatial_query is not available"
    if not node.wait_for(lambda: node.newest_stamp() is not None, 0.5):
        return "no frame with regions and ground truth has arrived"
    answer = node.ask(SpatialQuery.Request(question="How many pallets do you see?"))
    reason = f"the first answer is {answer.status.name}: {answer.message}"
    if answer.status in STATUSES_AT_START:
        return reason
    if not answer.ok:
        raise DemoError(reason)
    return "" if node.annotated_image(answer) is not None else "no annotated image has arrived"


def ask_everything(node: DemoNode, options: DemoOptions) -> DemoAnswers:
    """Questions of all categories about each viewpoint, then some that have no answer."""
    rows: list[ReportRow] = []
    views: list[Snapshot] = []
    used_forms: set[str] = set()
    for turn, seen in enumerate(node.viewpoints(options.viewpoints, READY_TIMEOUT_S)):
        view = node.snapshot(seen.viewpoint, READY_TIMEOUT_S)
        views.append(view)
        questions = questions_about(view.regions, view.truth, turn, options.seed, used_forms)
        rows += [ask(node, question, view) for question in questions]
    rows += [ask(node, question, view) for question in questions_without_answer()]
    return DemoAnswers(rows, views)


def ask(node: DemoNode, question: DemoQuestion, view: Snapshot) -> ReportRow:
    """One row of the report.

    Args:
        node: of the demo.
        question: to ask.
        view: the frame.

    Raises:
        DemoError: no response, or no annotated image of an answer.
    """
    answer = node.ask(question.request, view.stamp_ns)
    image = None
    if answer.ok:
        image = node.annotated_image(answer)
        if image is None:
            raise DemoError(f"no annotated image of the answer to {question.shown!r} arrived")
    return judge(question, answer, view.named, image)


def describe(graph: ProcessGroup) -> str:
    """Output of the processes."""
    return "\n".join(
        f"--- {process.name} "
        f"({'runs' if process.exit_status is None else f'exit status {process.exit_status}'}):\n"
        f"{process.output()}"
        for process in graph.processes
    )


def _about(options: DemoOptions) -> str:
    noise = "with sensor noise" if options.noise else "without sensor noise"
    return f"Asked over the ROS 2 service /spatial_query about scene {options.seed}, {noise}."


def write_results(
    rows: Sequence[ReportRow], subtitle: str, output: Path, ending: str
) -> list[Path]:
    """Write report and image to the output folder; returns their paths.

    Args:
        rows: questions with answers.
        subtitle: of the report.
        output: folder.
        ending: of the names of the files.
    """
    page, image = output / f"report{ending}.html", output / f"annotated{ending}.png"
    write_html_report(rows, page, "Questions about a simulated warehouse", subtitle)
    images = [row.image for row in rows if row.image is not None]
    if not images:
        return [page]
    write_image(image, mosaic(images[:MOSAIC_IMAGES]))
    return [page, image]


def mosaic(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images of the same width, (H, W, 3), in rows of two, padded with black to the same height."""
    height = max(len(image) for image in images)
    padded = [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0))) for p in images]
    padded += [np.zeros_like(padded[0])] * (len(padded) % 2)
    rows = [np.hstack(padded[i : i + 2]) for i in range(0, len(padded), 2)]
    return np.vstack(rows)
