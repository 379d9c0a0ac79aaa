"""Adapts messages of older distributions to the current field names.

Recordings contain their own definitions, so a message has the fields of the distribution that it
was recorded with. Plain functions for the messages of any library.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from smolrgpt_core.errors import bad_input
from smolrgpt_core.messages.types import Message


def current_camera_info(message: Message) -> Message:
    """A `CameraInfo` with the fields d, k, r and p, which are D, K, R and P in ROS 1.

    Raises:
        SpatialError: BAD_INPUT when it has neither.
    """
    if hasattr(message, "k"):
        return message
    first_of(message, "k", "K")
    return SimpleNamespace(**{name.lower(): value for name, value in vars(message).items()})


def first_of(message: Message, *names: str) -> Any:
    """Value of the first of these fields that a message has.

    Args:
        message: from one of several distributions.
        names: of the field in the distributions, newest first.

    Raises:
        SpatialError: BAD_INPUT when it has none of them.
    """
    for name in names:
        if hasattr(message, name):
            return getattr(message, name)
    kind = type(message).__name__.rpartition("__")[2]
    found = ", ".join(name for name in dir(message) if not name.startswith("_"))
    raise bad_input(
        f"a {kind} must have the field {' or '.join(names)}, but has {found}; this version of its "
        "package is not supported",
    )
