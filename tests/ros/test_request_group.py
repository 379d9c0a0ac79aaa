"""A node that ends knows whether a response may still be under way."""

from __future__ import annotations

import math

from smolrgpt_ros.query.request_group import RequestGroup


def test_time_since_the_last_response() -> None:
    group = RequestGroup()
    assert group.seconds_since_last_response() == math.inf
    group.beginning_execution(None)
    assert group.seconds_since_last_response() == math.inf
    group.ending_execution(None)
    assert 0 <= group.seconds_since_last_response() < 10
    assert group.wait_until_idle(10)
