"""Actions; `execute` carries them out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from launch import LaunchContext


class DeclareLaunchArgument:
    def __init__(
        self, name: str, *, default_value: Any, description: str, choices: Sequence[str] = ()
    ) -> None:
        self.name, self.default_value, self.description = name, default_value, description
        self.choices = choices

    def execute(self, context: LaunchContext) -> None:
        default = context.perform_substitution(self.default_value)
        value = context.launch_configurations.setdefault(self.name, default)
        if self.choices and value not in self.choices:
            raise RuntimeError(
                f'Argument "{self.name}" provided value "{value}" is not valid. Valid options '
                f"are: {self.choices}"
            )


class SetEnvironmentVariable:
    def __init__(self, name: str, value: Any) -> None:
        self._name, self._value = name, value

    def execute(self, context: LaunchContext) -> None:
        os.environ[self._name] = context.perform_substitution(self._value)


class LogInfo:
    def __init__(self, *, msg: str) -> None:
        self._message = msg

    def execute(self, context: LaunchContext) -> None:
        print(f"[INFO] [launch.user]: {self._message}", flush=True)


class OpaqueFunction:
    def __init__(self, *, function: Callable[[LaunchContext], list[Any]]) -> None:
        self._function = function

    def execute(self, context: LaunchContext) -> list[Any]:
        return self._function(context)


class Shutdown:
    def __init__(self, *, reason: str) -> None:
        self._reason = reason

    def execute(self, context: LaunchContext) -> None:
        context.shutdown_reason = self._reason
        context.is_shutdown = True
