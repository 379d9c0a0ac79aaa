"""The examples against a real node; the part that needs Nav2 is left to robots that have it."""

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

import pytest
from geometry_msgs.msg import Point
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status

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
    assert "/nowhere is not there" in process.output
    assert "Traceback" not in process.output


def test_decision_is_made_over_the_graph(operator: Any, drive: ModuleType) -> None:
    # The camera of the test sees a wall and no floor, so nobody can say what stands on it.
    with pytest.raises(drive.NoAnswerError, match="CANNOT_TELL"):
        drive.nearest_pallet(operator.ask, 3)


class Answers:
    """Says what a node would say of a buffer 3 with the pallets 1 and 2, pallet 1 nearer."""

    def __init__(self, count: int, **first: int) -> None:
        self._count, self._first = count, first
        self.frame = "map"
        self.asked = 0

    def __call__(self, question: str = "", **fields: Any) -> SpatialAnswer:
        self.asked += 1
        ids = list(fields.get("region_ids", (1, 2, 3)))
        value = self._count if question else {(1, 3): 0.0, (2, 3): 4.0, (1,): 5.0}[tuple(ids)]
        centers = [Point(x=float(id), y=0.0, z=5.0) for id in ids]
        answer = SpatialAnswer(
            value=float(value), region_ids=ids, centers=centers, centers_frame=self.frame
        )
        for name, number in self._first.items():
            setattr(answer, name, number)
        self._first = {}
        return answer


def test_no_pallet_is_no_reason_to_drive(drive: ModuleType) -> None:
    answers = Answers(count=0)
    assert drive.nearest_pallet(answers, 3) is None
    assert answers.asked == 1


def test_the_pallet_in_the_buffer_is_chosen(drive: ModuleType) -> None:
    pallet = drive.nearest_pallet(Answers(count=1), 3)
    assert (pallet.region_id, pallet.centre.x) == (1, 1.0)


@pytest.mark.parametrize(
    "first",
    [
        {"agreement": SpatialAnswer.AGREEMENT_DISAGREE},
        {"status": SpatialAnswer.STATUS_STALE},
        {"status": SpatialAnswer.STATUS_NO_TRANSFORM},
    ],
)
def test_what_may_change_is_asked_again(drive: ModuleType, first: dict[str, int]) -> None:
    assert drive.nearest_pallet(Answers(count=1, **first), 3).region_id == 1


def test_a_centre_outside_of_the_map_is_no_goal(drive: ModuleType) -> None:
    answers = Answers(count=1)
    answers.frame = "camera_optical_frame"
    with pytest.raises(drive.NoAnswerError, match="-p target_frame:=map"):
        drive.nearest_pallet(answers, 3)


def test_contradiction_keeps_the_robot_where_it_is(drive: ModuleType) -> None:
    answers = Answers(count=2)  # by the distances, only one stands there
    with pytest.raises(drive.NoAnswerError, match="1 have the distance 0"):
        drive.nearest_pallet(answers, 3)
    assert answers.asked == drive.ATTEMPTS * 3


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
