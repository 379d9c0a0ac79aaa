"""The launch file: run for real where ROS brings `ros2 launch`, else only read."""

from __future__ import annotations

import ast
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.types import CAMERA_TOPICS, GROUND_TRUTH
from smolrgpt_ros.inputs import input_types

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch" / "warehouse.launch.py"
SENSOR_TOPICS = CAMERA_TOPICS.keys() - {GROUND_TRUTH}
needs_launch = pytest.mark.skipif(
    shutil.which("ros2") is None, reason="ros2 launch comes only with a ROS installation"
)


@pytest.fixture(scope="module")
def tree() -> ast.Module:
    return ast.parse(LAUNCH_FILE.read_text())


def constants(tree: ast.AST) -> set[object]:
    """All numbers and strings of the code."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_topics_are_those_of_the_nodes(tree: ast.Module) -> None:
    topics = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TOPICS"
    )
    inputs = {topic for source in ("regions", "instances") for topic, _ in
              input_types(source).values()}  # fmt: skip
    assert set(topics) == SENSOR_TOPICS == inputs


def test_documented_arguments_exist(tree: ast.Module) -> None:
    documented = set(re.findall(r"(\w+):=", ast.get_docstring(tree) or ""))
    assert documented == {"use_sim", *(f"{n}_topic" for n in SENSOR_TOPICS if n != "instances")}


def test_no_parameter_default_is_repeated(tree: ast.Module) -> None:
    nodes = yaml.safe_load((ROOT / "config" / "warehouse.yaml").read_text())["/**"]
    names = {name for node in nodes.values() for name in node["ros__parameters"]}
    assert not names & constants(tree)


def test_files_and_executables_exist(tree: ast.Module) -> None:
    used = constants(tree)
    for name in ("sim_camera_node", "spatial_query_node"):
        assert name in used
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111
    for name in ("warehouse.yaml", "fastdds.xml"):
        assert name in used
        assert (ROOT / "config" / name).exists()


@needs_launch
def test_question_to_the_launched_system(
    start_command: Any, graph: Any, make_operator: Any, wait_for: Any
) -> None:
    """The first lines that a user types."""
    launch = start_command("ros2", "launch", str(LAUNCH_FILE), "namespace:=launched")
    operator = make_operator(graph, "/launched/spatial_query", "/launched/spatial_query")
    wait_for(lambda: graph.service_exists("/launched/spatial_query"), "the service", 30.0)
    question = "How many pallets are in buffer 2?"
    wait_for(lambda: operator.ask(question).status == Status.OK, "an answer", timeout=30.0)
    assert operator.ask(question).has_value
    assert launch.stop(signal.SIGINT) == 0, launch.output
