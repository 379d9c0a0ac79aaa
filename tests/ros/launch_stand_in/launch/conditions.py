"""Whether an action is carried out."""

from __future__ import annotations

from launch import LaunchContext
from launch.substitutions import LaunchConfiguration


class IfCondition:
    def __init__(self, predicate_expression: LaunchConfiguration) -> None:
        self._predicate = predicate_expression

    def evaluate(self, context: LaunchContext) -> bool:
        return {"true": True, "false": False}[context.perform_substitution(self._predicate)]
