"""The layouts for RViz and Foxglove name what the running nodes have; neither program is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_ros.parameters.sim_camera import SimCameraParameters

CONFIG = Path(__file__).resolve().parents[2] / "config"
FOXGLOVE = json.loads((CONFIG / "foxglove_layout.json").read_text())
PANELS: dict[str, dict[str, Any]] = FOXGLOVE["configById"]
RVIZ = yaml.safe_load((CONFIG / "warehouse.rviz").read_text())["Visualization Manager"]

IMAGE, MARKERS = "sensor_msgs/msg/Image", "visualization_msgs/msg/MarkerArray"
RVIZ_TYPES = {"rviz_default_plugins/Image": IMAGE, "rviz_default_plugins/MarkerArray": MARKERS}


def foxglove_topics() -> Iterator[tuple[str, str]]:
    """Topics of the layout, each with the type that its panel takes."""
    for name, panel in PANELS.items():
        kind = name.partition("!")[0]
        if kind == "Image":
            yield panel["imageMode"]["imageTopic"], IMAGE
            if "calibrationTopic" in panel["imageMode"]:
                yield panel["imageMode"]["calibrationTopic"], "sensor_msgs/msg/CameraInfo"
        for topic in panel.get("topics", {}):
            yield topic, MARKERS
        if kind == "RawMessages":
            yield panel["topicPath"], "smolrgpt_ros/msg/SpatialAnswer"
        if kind == "DiagnosticSummary":
            yield panel["topicToRender"], "diagnostic_msgs/msg/DiagnosticArray"


def rviz_topics() -> Iterator[tuple[str, str]]:
    for display in RVIZ["Displays"]:
        yield display["Topic"]["Value"], RVIZ_TYPES[display["Class"]]


def panels_in(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    else:
        yield from panels_in(tree["first"])
        yield from panels_in(tree["second"])


@pytest.fixture(scope="module")
def published(graph: Any, start_node: Any, wait_for: Any) -> set[tuple[str, str]]:
    """Names and types of all topics that camera and query node publish."""
    start_node("sim_camera_node", "-p", "width:=64", "-p", "height:=64")
    start_node("spatial_query_node")

    def found() -> set[tuple[str, str]]:
        return {
            (name, kind)
            for name, kinds in graph.node.get_topic_names_and_types()
            if graph.node.count_publishers(name)
            for kind in kinds
        }

    service = graph.client(SpatialQuery, "/spatial_query")
    wait_for(service.service_is_ready, "the service")
    wanted = {*foxglove_topics(), *rviz_topics()}
    wait_for(lambda: wanted <= found(), f"all of {sorted(wanted)}")
    return found()


def test_foxglove_shows_what_the_nodes_publish(published: set[tuple[str, str]]) -> None:
    topics = set(foxglove_topics())
    assert len(topics) == 6
    assert topics <= published


def test_rviz_shows_the_same(published: set[tuple[str, str]]) -> None:
    shown = set(rviz_topics())
    assert shown <= published
    assert shown == {pair for pair in foxglove_topics() if pair[1] in (IMAGE, MARKERS)}


def test_both_look_from_the_frame_of_the_simulated_camera() -> None:
    frame = SimCameraParameters().frame_id
    assert frame == RVIZ["Global Options"]["Fixed Frame"]
    assert frame == PANELS["3D!centers"]["followTf"]


def test_every_panel_has_its_place_and_its_settings() -> None:
    places = list(panels_in(FOXGLOVE["layout"]))
    assert sorted(places) == sorted(PANELS)


def test_the_question_of_the_layout_is_a_request() -> None:
    panel = PANELS["CallService!ask"]
    assert SpatialQuery.Request(**json.loads(panel["requestPayload"])).question
    assert panel["serviceName"] == "/spatial_query"
