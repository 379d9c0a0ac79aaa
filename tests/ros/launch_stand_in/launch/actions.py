"""Actions; `execute` carries them out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from launch import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource


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


class IncludeLaunchDescription:
    """As in launch, what the included file declares is known to the including one."""

    def __init__(
        self,
        source: PythonLaunchDescriptionSource,
        *,
        launch_arguments: Iterable[tuple[str, Any]] = (),
    ) -> None:
        self.source, self._arguments = source, dict(launch_arguments)

    def execute(self, context: LaunchContext) -> list[Any]:
        for name, value in self._arguments.items():
            context.launch_configurations[name] = context.perform_substitution(value)
        return self.source.description().entities


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
