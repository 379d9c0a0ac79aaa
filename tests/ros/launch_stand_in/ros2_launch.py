"""Runs a launch file: see README.md beside this file."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from launch.actions import DeclareLaunchArgument
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

GRACE_S = 5.0
"""As `ros2 launch`: SIGTERM after it, SIGKILL after twice the time."""


LOOK_S = 0.05


def description_of(path: Path) -> LaunchDescription:
    spec = importlib.util.spec_from_file_location("the_launch_file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def show_arguments(entities: list[Any], context: LaunchContext) -> None:
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            print(f"{entity.name}={context.perform_substitution(entity.default_value)}")


def run(entities: list[Any], context: LaunchContext) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        context.is_shutdown = True

    signal.signal(signal.SIGINT, on_signal)
    for entity in entities:
        entities += entity.execute(context) or []
    nodes = [entity for entity in entities if isinstance(entity, Node)]
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
    entities = description_of(Path(file)).entities
    if "--show-args" in arguments:
        show_arguments(entities, context)
    else:
        run(entities, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
