"""Declares ROS parameters from a dataclass, the only source of defaults and descriptions.

A field created by `parameter` has a description and limits. `declare` declares all fields on a
node; `check_parameters`, called in `__post_init__`, raises for values out of range;
`parameters.pages` writes the documentation.
"""

from __future__ import annotations

from dataclasses import Field, field, fields
from enum import Enum
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

Parameters = TypeVar("Parameters")


class Effect(Enum):
    """When a new value of a parameter takes effect."""

    AT_ONCE = "at once"
    AT_ACTIVATE = "at activate"
    AT_CONFIGURE = "at configure"
    AT_START = "at start"


EFFECT_SENTENCES = {
    Effect.AT_ONCE: "",
    Effect.AT_ACTIVATE: " Takes effect when the node is activated.",
    Effect.AT_CONFIGURE: " Takes effect when the node is configured.",
    Effect.AT_START: "",
}


def parameter(
    default: Any,
    description: str,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    effect: Effect = Effect.AT_ONCE,
    more: str = "",
) -> Any:
    """A dataclass field that can be declared as a ROS parameter.

    Args:
        default: default value.
        description: shown by `ros2 param describe` and in the documentation.
        limits: smallest and largest allowed value.
        choices: all allowed values.
        effect: when a new value takes effect; AT_START means read-only.
        more: link into `docs/` for further documentation.
    """
    metadata = {
        "description": description,
        "limits": limits,
        "choices": choices,
        "effect": effect,
        "more": more,
    }
    return field(default=default, metadata=metadata)


def same_parameter(kind: type, name: str) -> Any:
    """A field with the default, limits and description of another node's parameter.

    Args:
        kind: parameters of that node.
        name: of the parameter.
    """
    item = next(item for item in fields(kind) if item.name == name)
    return field(default=item.default, metadata=item.metadata)


def check_parameters(parameters: Any) -> None:
    """Check limits and choices.

    Raises:
        ValueError: a parameter is out of range; the message names it.
    """
    for item in fields(parameters):
        _check(item, getattr(parameters, item.name))


def _check(item: Field, value: Any) -> None:
    limits, choices = item.metadata["limits"], item.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{item.name} must be one of {', '.join(choices)}, got {value!r}")
    if limits and not limits[0] <= value <= limits[1]:
        raise ValueError(f"{item.name} must be {limits[0]} to {limits[1]}, got {value!r}")


def declare(node: Node, kind: type[Parameters]) -> Parameters:
    """Declare all fields of a dataclass and return their values.

    Parameter files and the command line may override the defaults.

    Raises:
        ValueError: a parameter is out of range or has no value; the message names it.
        rclpy.exceptions.ParameterException: a value has the wrong type.
    """
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        value = node.declare_parameter(item.name, default, _descriptor(item)).value
        if value is None and isinstance(default, list):
            value = []  # an array without elements has no type, and rclpy gives no value for it
        if value is None:
            raise ValueError(f"{item.name} has no value; set one, or remove the parameter")
        values[item.name] = value
    return kind(**normalized(values))


def normalized(values: dict[str, Any]) -> dict[str, Any]:
    """Parameter values with arrays of strings converted to tuples, as the dataclass stores them."""
    return {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in values.items()
    }


def _descriptor(item: Field) -> ParameterDescriptor:
    metadata, limits = item.metadata, item.metadata["limits"]
    choices = metadata["choices"]
    descriptor = ParameterDescriptor(
        description=f"{metadata['description']}{EFFECT_SENTENCES[metadata['effect']]}",
        additional_constraints=f"one of {', '.join(choices)}" if choices else "",
        read_only=metadata["effect"] is Effect.AT_START,
    )
    if limits and isinstance(item.default, int):
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1], step=1)]
    elif limits:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=limits[0], to_value=limits[1], step=0.0)
        ]
    return descriptor
