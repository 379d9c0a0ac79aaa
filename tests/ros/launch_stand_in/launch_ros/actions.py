"""Nodes as processes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix
from launch.actions import Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext
from launch_ros.parameter_descriptions import ParameterValue


@dataclass(frozen=True)
class ProcessExited:
    returncode: int


class Node:
    def __init__(
        self,
        *,
        package: str,
        executable: str,
        namespace: Any,
        parameters: list[Any],
        remappings: list[tuple[str, Any]],
        output: str,
        on_exit: Callable[[ProcessExited, LaunchContext], list[Any] | None] | Shutdown,
        arguments: Sequence[Any] = (),
        condition: IfCondition | None = None,
        respawn: LaunchConfiguration | None = None,
        respawn_delay: float = 0.0,
    ) -> None:
        assert output == "screen"
        self._path = Path(get_package_prefix(package), "lib", package, executable)
        self._namespace, self._parameters, self._remappings = namespace, parameters, remappings
        self._arguments, self._condition, self._on_exit = arguments, condition, on_exit
        self._respawn, self._respawn_delay = respawn, respawn_delay
        self.process: subprocess.Popen | None = None
        self._restart_s: float | None = None

    def execute(self, context: LaunchContext) -> None:
        if self._condition is None or self._condition.evaluate(context):
            self.process = subprocess.Popen(self._command(context))

    def _command(self, context: LaunchContext) -> list[str]:
        text = context.perform_substitution
        command = [str(self._path), *(text(item) for item in self._arguments), "--ros-args"]
        namespace = text(self._namespace)
        command += ["-r", f"__ns:=/{namespace}"] if namespace else []
        for item in self._parameters:
            if isinstance(item, dict):
                command += [p for k, v in item.items() for p in ("-p", f"{k}:={_told(v, context)}")]
            else:
                command += ["--params-file", text(item)]
        return command + [p for k, v in self._remappings for p in ("-r", f"{k}:={text(v)}")]

    def look_after(self, context: LaunchContext) -> None:
        """Tell the end of the process, and start it again if it is to be."""
        if self._restart_s is not None and time.monotonic() >= self._restart_s:
            self._restart_s, self.process = None, subprocess.Popen(self._command(context))
        if self.process is None or self.process.poll() is None:
            return
        status, self.process = self.process.returncode, None
        end = f"has died [exit code {status}]" if status else "has finished cleanly"
        print(f"[{self._path.name}]: process {end}", flush=True)
        if isinstance(self._on_exit, Shutdown):
            actions: list[Any] = [self._on_exit]
        else:
            actions = self._on_exit(ProcessExited(status), context) or []
        for action in actions:
            action.execute(context)
        respawn = self._respawn and IfCondition(self._respawn).evaluate(context)
        if respawn and not context.is_shutdown:
            self._restart_s = time.monotonic() + self._respawn_delay


def _told(value: Any, context: LaunchContext) -> str:
    """The value of a parameter as YAML."""
    if isinstance(value, ParameterValue):
        return json.dumps(value.evaluate(context))
    return json.dumps(value) if isinstance(value, bool) else context.perform_substitution(value)
