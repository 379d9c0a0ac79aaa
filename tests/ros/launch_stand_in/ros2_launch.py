"""Runs a launch file: see README.md beside this file."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from launch import LaunchContext

GRACE_S = 5.0
"""As `ros2 launch`: SIGTERM after it, SIGKILL after twice the time."""


LOOK_S = 0.05


def show_arguments(entities: list[Any], context: LaunchContext) -> None:
    for entity in entities:
        if isinstance(entity, IncludeLaunchDescription):
            show_arguments(entity.source.description().entities, context)
        elif isinstance(entity, DeclareLaunchArgument):
            print(f"{entity.name}={context.perform_substitution(entity.default_value)}")


def started(entities: list[Any], context: LaunchContext) -> list[Node]:
    """Execute everything, each action with what it brings before the next; returns the nodes."""
    nodes: list[Node] = []
    for entity in entities:
        nodes += [entity] if isinstance(entity, Node) else []
        nodes += started(entity.execute(context) or [], context)
    return nodes


def run(entities: list[Any], context: LaunchContext) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        context.is_shutdown = True

    signal.signal(signal.SIGINT, on_signal)
    nodes = started(entities, context)
    while not context.is_shutdown:
        for node in nodes:
            node.look_after(context)
        wait_for_an_end(nodes)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for node in nodes:
            if node.process:
                node.process.send_signal(number)
        deadline = time.monotonic() + GRACE_S
        while any(node.process for node in nodes) and time.monotonic() < deadline:
            for node in nodes:
                node.look_after(context)
            wait_for_an_end(nodes)


def wait_for_an_end(nodes: list[Node]) -> None:
    """Until the first process ends, or `LOOK_S` seconds: a signal or another end may come."""
    running = [node.process for node in nodes if node.process]
    with contextlib.suppress(subprocess.TimeoutExpired):
        if running:
            running[0].wait(LOOK_S)
        else:
            signal.sigtimedwait([], LOOK_S)


def main(file: str, *arguments: str) -> None:
    given = dict(argument.split(":=") for argument in arguments if ":=" in argument)
    context = LaunchContext(given)
    entities = PythonLaunchDescriptionSource(file).description().entities
    if "--show-args" in arguments:
        show_arguments(entities, context)
    else:
        run(entities, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
