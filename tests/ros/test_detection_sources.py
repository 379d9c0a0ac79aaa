"""Regions from detectors: where their messages are not installed, the node says how to get them."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.region_sources import REGION_SOURCES

MISSING = [
    name
    for name, source in REGION_SOURCES.items()
    if importlib.util.find_spec(source.type_name.partition("/")[0]) is None
]
REMEDIES = {"detections": "ros-$ROS_DISTRO-vision-msgs", "yolo_detections": "yolo_msgs"}


@pytest.mark.skipif(not MISSING, reason="the packages of all region sources are installed")
def test_a_source_without_its_package(
    start_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any
) -> None:
    name = MISSING[-1]
    process = start_node("spatial_query_node", "-p", f"region_source:={name}")
    operator = make_operator(graph)
    wait_for(lambda: "activate failed" in operator.ask_distance().message, "the attempt")
    refused = operator.ask_distance()
    assert Status(refused.status) is Status.NOT_ACTIVE
    assert REMEDIES[name] in refused.message
    # The parameter can be repaired without a restart.
    assert operator.set(region_source="regions").successful
    assert operator.change(3)  # activate
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    assert process.stop() == 0
    client = graph.client(SpatialQuery, "/spatial_query")
    wait_for(lambda: not client.service_is_ready(), "the end of the service")
