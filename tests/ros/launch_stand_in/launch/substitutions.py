"""Texts that are known only when the launch file runs."""

from __future__ import annotations

import os
from typing import Any

from launch import LaunchContext


class LaunchConfiguration:
    def __init__(self, variable_name: str) -> None:
        self._name = variable_name

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self._name]


class EnvironmentVariable:
    def __init__(self, name: str, *, default_value: Any) -> None:
        self._name, self._default = name, default_value

    def perform(self, context: LaunchContext) -> str:
        return os.environ.get(self._name) or context.perform_substitution(self._default)


class PathJoinSubstitution:
    def __init__(self, substitutions: list[Any]) -> None:
        self._parts = substitutions

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(context.perform_substitution(part) for part in self._parts))


class PythonExpression:
    def __init__(self, expression: list[Any]) -> None:
        self._parts = expression

    def perform(self, context: LaunchContext) -> str:
        return str(eval("".join(context.perform_substitution(part) for part in self._parts)))
