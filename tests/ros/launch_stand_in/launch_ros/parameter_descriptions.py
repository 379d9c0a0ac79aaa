"""Values of parameters with a type of their own."""

from __future__ import annotations

from typing import Any

import yaml
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext


class ParameterValue:
    def __init__(self, value: LaunchConfiguration, *, value_type: Any) -> None:
        # launch_ros takes a plain text for a value that must have the type already.
        assert isinstance(value, LaunchConfiguration)
        assert value_type in (str, int, float, bool, list[str])
        self._value, self._type = value, value_type

    def evaluate(self, context: LaunchContext) -> Any:
        text = context.perform_substitution(self._value)
        if self._type in (str, int, float):
            return self._type(text)
        value = yaml.safe_load(text)
        if not isinstance(value, bool if self._type is bool else list):
            raise ValueError(f"Cannot convert value '{text}' to '{self._type}'")
        return value
