"""Descriptions and the context in which they are carried out."""

from __future__ import annotations

from typing import Any


class LaunchContext:
    def __init__(self, configurations: dict[str, str]) -> None:
        self.launch_configurations = configurations
        self.is_shutdown = False
        self.shutdown_reason = ""

    def perform_substitution(self, value: Any) -> str:
        return value if isinstance(value, str) else value.perform(self)


class LaunchDescription:
    def __init__(self, entities: list[Any]) -> None:
        self.entities = entities
