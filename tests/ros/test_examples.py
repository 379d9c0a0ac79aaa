"""The examples against a real node. With Nav2 and a tree: `test_examples_with_nav2.py`."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery
from std_msgs.msg import Header

from smolrgpt_core.answer import Agreement
from smolrgpt_core.errors import Status
from smolrgpt_ros.client import QueryAnswer, SpatialQueryClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLIENT = EXAMPLES / "spatial_query_client.py"


@pytest.fixture(scope="module")
def drive() -> Iterator[ModuleType]:
    """The module `drive_to_nearest_pallet`, imported as Python does that runs it."""
    name = "drive_to_nearest_pallet"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(EXAMPLES))
    spec.loader.exec_module(module)
    sys.path.remove(str(EXAMPLES))
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def operator(graph: Any, start_node: Any, camera: Any, make_operator: Any, wait_for: Any) -> Any:
    start_node("spatial_query_node", "-p", "input_wait:=0.3")
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    return operator


def test_client_prints_the_answer(operator: Any, start_command: Any) -> None:
    process = start_command(sys.executable, CLIENT, "How far is pallet 1 from pallet 2?")
    assert process.wait() == 0
    assert re.fullmatch(r"Pallet 1 is [23]\.\d\d m from pallet 2\.\n", process.output)


def test_client_says_why_there_is_no_answer(operator: Any, start_command: Any) -> None:
    process = start_command(sys.executable, CLIENT, "How far is pallet 1 from pallet 9?")
    assert process.wait() == 1
    assert process.output.startswith("UNKNOWN_REGION: region 9 is not in this frame")


def test_client_without_a_node(start_command: Any) -> None:
    remap = ("--ros-args", "-r", "spatial_query:=nowhere")
    process = start_command(sys.executable, CLIENT, "How far?", "--timeout", "0.5", *remap)
    assert process.wait() == 1
    assert "/nowhere is not available" in process.output
    assert "Traceback" not in process.output


def test_decision_is_made_over_the_graph(operator: Any, drive: ModuleType) -> None:
    # The camera of the test sees a wall and no floor, so nobody can say what stands on it.
    with (
        SpatialQueryClient() as client,
        pytest.raises(drive.NoAnswerError, match="CANNOT_TELL"),
    ):
        drive.nearest_pallet(client.ask, 3)


class Answers:
    """Says what a node would say of a buffer 3 with pallets, pallet 1 the nearest.

    Args:
        counted: the pallets in the buffer.
        first: what is different in the first answer.
    """

    def __init__(self, *counted: int, **first: Any) -> None:
        self._counted, self._first = counted, first
        self.frame = "map"
        self.center = (1.0, 0.0, 5.0)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, question: str, **fields: Any) -> QueryAnswer:
        self.asked.append(fields)
        told: dict[str, Any] = {"stamp": Time(sec=7), "centers_frame": self.frame}
        if question == "How many pallets are in buffer 3?":
            told |= {"value": float(len(self._counted)), "answer_ids": self._counted}
        else:
            assert question == "Which pallet in buffer 3 is nearest to the camera?"
            told |= {"region_id": 1, "region_ids": (3, 1)}
            told["centers"] = np.array([(2.0, 2.0, 2.0), self.center])
        told |= self._first
        self._first = {}
        return QueryAnswer(**{"status": Status.OK, "category": None} | told)


def test_no_pallet_is_no_reason_to_drive(drive: ModuleType) -> None:
    answers = Answers()
    assert drive.nearest_pallet(answers, 3) is None
    assert len(answers.asked) == 1


def test_the_nearest_pallet_is_chosen_in_the_frame_of_the_count(drive: ModuleType) -> None:
    answers = Answers(1, 2)
    pallet = drive.nearest_pallet(answers, 3)
    assert (pallet.region_id, pallet.center.point.x) == (1, 1.0)
    assert pallet.center.header == Header(stamp=Time(sec=7), frame_id="map")
    assert [fields.get("stamp") for fields in answers.asked] == [None, Time(sec=7)]


@pytest.mark.parametrize(
    "first",
    [
        {"agreement": Agreement.DISAGREE},
        {"status": Status.STALE},
        {"status": Status.NO_TRANSFORM},
    ],
)
def test_what_may_change_is_asked_again(drive: ModuleType, first: dict[str, Any]) -> None:
    assert drive.nearest_pallet(Answers(1, **first), 3).region_id == 1


def test_a_center_outside_of_the_map_is_no_goal(drive: ModuleType) -> None:
    answers = Answers(1)
    answers.frame = "camera_optical_frame"
    with pytest.raises(drive.NoAnswerError, match="-p target_frame:=map"):
        drive.nearest_pallet(answers, 3)


def test_a_pallet_without_depth_is_no_goal(drive: ModuleType) -> None:
    answers = Answers(1)
    answers.center = (math.nan,) * 3
    with pytest.raises(drive.NoAnswerError, match="region 1 has no center"):
        drive.nearest_pallet(answers, 3)


def test_contradiction_keeps_the_robot_where_it_is(drive: ModuleType) -> None:
    answers = Answers(2)  # the nearest is another one
    with pytest.raises(drive.NoAnswerError, match="contradict each other"):
        drive.nearest_pallet(answers, 3)
    assert len(answers.asked) == drive.ATTEMPTS * 2


def test_goal_looks_at_the_pallet(drive: ModuleType) -> None:
    goal = drive.goal_in_front_of(Point(x=4.0, y=3.0), Point(x=1.0, y=-1.0), standoff=2.5)
    position, turn = goal.pose.position, goal.pose.orientation
    assert (position.x, position.y) == pytest.approx((2.5, 1.0))
    assert 2 * math.atan2(turn.z, turn.w) == pytest.approx(math.atan2(4, 3))
    assert goal.header.frame_id == "map"


def test_ports_of_the_tree_are_fields_of_the_interface() -> None:
    root = ElementTree.parse(EXAMPLES / "nearest_pallet_tree.xml").getroot()
    models = {model.get("ID"): model for model in root.iterfind("TreeNodesModel/Action")}
    inputs = {port.get("name") for port in models["SpatialQuery"].iter("input_port")}
    outputs = {port.get("name") for port in models["SpatialQuery"].iter("output_port")}
    assert inputs <= SpatialQuery.Request.get_fields_and_field_types().keys()
    assert outputs <= SpatialAnswer.get_fields_and_field_types().keys()
    for name, model in models.items():
        ports = {port.get("name") for port in model}
        for use in root.iterfind(f"BehaviorTree//{name}"):
            assert set(use.keys()) <= ports
    disagree = f"agreement != {SpatialAnswer.AGREEMENT_DISAGREE}"
    assert {use.get("code") for use in root.iter("ScriptCondition")} == {disagree, "pallets > 0"}
