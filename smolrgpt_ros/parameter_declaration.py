"""Makes ROS parameters from a dataclass: its fields are the only source of what is said of them.

A field made by `parameter` carries description and limits. `declare` puts all fields on a node;
`check_parameters`, called in `__post_init__`, refuses values that are out of range;
`parameter_pages` writes them down for people.
"""

from __future__ import annotations

from dataclasses import Field, field, fields
from enum import Enum
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

Parameters = TypeVar("Parameters")


class Effect(Enum):
    """When a node acts on a new value of a parameter."""

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
    """A dataclass field that knows how to become a ROS parameter.

    Args:
        default: its value where none is given.
        description: for people.
        limits: smallest and largest value.
        choices: all values.
        effect: of a new value; one that takes effect at start cannot be set later.
        more: where the documentation tells more, as a link in `docs/`.
    """
    metadata = {
        "description": description,
        "limits": limits,
        "choices": choices,
        "effect": effect,
        "more": more,
    }
    return field(default=default, metadata=metadata)


def check_parameters(parameters: Any) -> None:
    """Raise a ValueError that names the parameter that is out of its range."""
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
        ValueError: naming the parameter that is out of its range.
        rclpy.exceptions.ParameterException: for a value of another type.
    """
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        value = node.declare_parameter(item.name, default, _descriptor(item)).value
        if value is None and isinstance(default, list):
            value = []  # an array without elements has no type, and rclpy gives no value for it
        if value is None:
            raise ValueError(f"{item.name} has no value; give one, or leave it out")
        values[item.name] = value
    return kind(**normalised(values))


def normalised(values: dict[str, Any]) -> dict[str, Any]:
    """Values as the dataclass holds them: arrays of strings as tuples."""
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
