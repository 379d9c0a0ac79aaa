"""Responses to clients that the middleware has not matched completely.

A request and its response travel on two topics, which DDS matches independently. On a busy machine
a request can arrive before the response topic has been matched; the middleware then drops the
response after 100 ms, and the client waits in vain. rclpy only warns (Jazzy) or raises (Humble).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy._rclpy_pybind11 import RCLError
from rclpy.node import Node

MATCHING_S = 5.0
"""Time for a client's response topic to be matched, after its request has arrived."""

_LOST = "failed to send response"


def retry_lost_responses(node: Node, matching_s: float = MATCHING_S) -> None:
    """Send a response again until its client can receive it.

    Args:
        node: all services that it has now.
        matching_s: seconds after which the node gives up on a response, which is logged.
    """
    warnings.filterwarnings("error", message=_LOST, category=RuntimeWarning)
    for service in node.services:
        attempt = partial(_is_sent, service.send_response)
        service.send_response = partial(_send, node, service.srv_name, attempt, matching_s)


def _send(
    node: Node,
    name: str,
    attempt: Callable[[object, object], bool],
    matching_s: float,
    response: object,
    header: object,
) -> None:
    deadline = time.monotonic() + matching_s
    # An attempt waits for the match itself, but only briefly.
    while not attempt(response, header):
        if time.monotonic() > deadline:
            node.get_logger().error(
                f"a client of {name} did not become ready for its response within {matching_s:g} "
                "s, so the response is lost; its QoS must be the default for services"
            )
            return


def _is_sent(send: Callable[[Any, Any], None], response: object, header: object) -> bool:
    """Whether the client was matched; a warning that is an error arrives as the cause."""
    try:
        send(response, header)
    except (RCLError, SystemError) as error:
        reasons = (str(error), str(error.__cause__))
        if any(_LOST in reason and "timeout" in reason for reason in reasons):
            return False
        raise
    return True
