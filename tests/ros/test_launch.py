"""The launch file: run by `ros2 launch` where ROS brings it, else by the stand-in for it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.types import CAMERA_TOPICS, GROUND_TRUTH
from smolrgpt_ros.inputs.mounting import IMU_TOPIC
from smolrgpt_ros.parameters.query import QueryParameters

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch" / "warehouse.launch.py"
SENSOR_TOPICS = {"rgb", "depth", "camera_info", *REGION_SOURCES, IMU_TOPIC}
PARAMETERS = [item.name for item in fields(QueryParameters)]
STAND_IN = Path(__file__).parent / "launch_stand_in"
IS_REAL = shutil.which("ros2") is not None
COMMAND = ["ros2", "launch"] if IS_REAL else [sys.executable, str(STAND_IN / "ros2_launch.py")]


@pytest.fixture(scope="module")
def tree() -> ast.Module:
    return ast.parse(LAUNCH_FILE.read_text())


def constants(tree: ast.AST) -> set[object]:
    """All numbers and strings of the code."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def constant(tree: ast.Module, name: str) -> Any:
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )


@pytest.fixture(scope="module")
def arguments() -> dict[str, str]:
    """The arguments that the file declares, with their defaults; known to the stand-in only."""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    command = [sys.executable, str(STAND_IN / "ros2_launch.py"), str(LAUNCH_FILE), "--show-args"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split("=") for line in done.stdout.splitlines())


def python_path() -> str:
    return os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])


@pytest.fixture
def launch(start_command: Any) -> Callable[..., Any]:
    """Launch the file with arguments such as "use_sim:=false"."""

    def start(*arguments: str, **environment: str) -> Any:
        path = {} if IS_REAL else {"PYTHONPATH": python_path()}
        return start_command(*COMMAND, LAUNCH_FILE, *arguments, environment={**path, **environment})

    return start


def test_topics_are_those_of_the_nodes(tree: ast.Module) -> None:
    assert set(constant(tree, "TOPICS")) == SENSOR_TOPICS
    assert CAMERA_TOPICS.keys() - {GROUND_TRUTH} < SENSOR_TOPICS


def test_documented_arguments_exist(tree: ast.Module, arguments: dict[str, str]) -> None:
    assert set(re.findall(r"(\w+):=", ast.get_docstring(tree) or "")) < arguments.keys()
    page = (ROOT / "docs" / "demo.md").read_text()
    section = page[page.index("## The launch file") :].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    assert "every parameter of the query node" in section
    others = [name for name in arguments if name not in PARAMETERS]
    assert re.findall(r"`(\w+)`", " ".join(rows)) == others


def test_every_parameter_of_the_query_node_is_an_argument(arguments: dict[str, str]) -> None:
    """Empty: what is not given stays as in the file of parameters."""
    assert set(PARAMETERS) <= arguments.keys()
    assert {arguments[name] for name in PARAMETERS} == {""}


def test_no_parameter_default_is_repeated(tree: ast.Module) -> None:
    nodes = yaml.safe_load((ROOT / "config" / "warehouse.yaml").read_text())["/**"]
    names = {name for node in nodes.values() for name in node["ros__parameters"]}
    assert not names & constants(tree)


def test_files_and_executables_exist(tree: ast.Module) -> None:
    used = constants(tree)
    for name in ("sim_camera_node", "spatial_query_node", "page_node"):
        assert name in used
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111
    for name in ("warehouse.yaml", "fastdds.xml"):
        assert name in used
        assert (ROOT / "config" / name).exists()


def test_question_to_the_launched_system(
    launch: Any, graph: Any, make_operator: Any, wait_for: Any
) -> None:
    """The first lines that a user types."""
    system = launch("namespace:=launched")
    operator = make_operator(graph, "/launched/spatial_query", "/launched/spatial_query")
    client = graph.client(SpatialQuery, "/launched/spatial_query")
    wait_for(client.service_is_ready, "the service", 60.0)
    question = "How many pallets are in buffer 1?"
    answers: list[Any] = []

    def is_answered() -> bool:
        answers.append(operator.ask(question))
        return answers[-1].status == Status.OK

    wait_for(is_answered, "an answer")
    assert answers[-1].value == 5.0
    system.stop(signal.SIGINT, timeout=30.0)
    assert system.output.count("finished cleanly") == 2, system.output
    assert "has ended" not in system.output


def test_the_page_reads_frames_as_the_query_node_does(launch: Any, graph: Any) -> None:
    system = launch(
        "use_sim:=false", "namespace:=watched", "page:=true", "autostart:=false", "max_depth:=12",
        "label_map:=0:pallet", "max_batch:=4",
    )  # fmt: skip
    names = ["max_depth", "label_map", "autostart"]
    for node in ("page", "spatial_query"):
        service = f"/watched/{node}/get_parameters"
        values = graph.call(GetParameters, service, GetParameters.Request(names=names)).values
        assert [parameter_value_to_python(v) for v in values] == [12.0, "0:pallet", False]
    system.stop(signal.SIGINT, timeout=30.0)


def test_topics_and_log_level_reach_the_node(launch: Any, graph: Any, wait_for: Any) -> None:
    topics = {name: f"/of_the_test/{name}" for name in ("rgb", "depth", "camera_info", "regions")}
    system = launch(
        "use_sim:=false",
        "log_level:=warning",
        *(f"{name}_topic:={topic}" for name, topic in topics.items()),
    )
    for topic in topics.values():
        wait_for(lambda t=topic: graph.node.count_subscribers(t) == 1, topic, 60.0)
    system.stop(signal.SIGINT, timeout=30.0)
    assert "[INFO] [1" not in system.output


def test_parameters_reach_the_node(
    launch: Any, graph: Any, make_operator: Any, wait_for: Any, tmp_path: Path
) -> None:
    """In the types that the node wants, over those of the file, which holds for the others."""
    file = tmp_path / "parameters.yaml"
    values = "{timeout: 7.0, max_depth: 8.0, answerer: geometric}"
    file.write_text(f"/**:\n  spatial_query:\n    ros__parameters: {values}\n")
    system = launch(
        "use_sim:=false", "namespace:=set", f"params_file:={file}", "label_map:=0:pallet,1:buffer",
        "min_depth:=1", "max_depth:=12", "max_batch:=4", "instance_labels:=['7:pallet', '8:crate']",
        "autostart:=false",
    )  # fmt: skip
    names = ["timeout", "label_map", "min_depth", "max_depth", "max_batch", "instance_labels"]
    request = GetParameters.Request(names=[*names, "autostart"])
    service = "/set/spatial_query/get_parameters"
    values = graph.call(GetParameters, service, request).values
    assert [parameter_value_to_python(value) for value in values] == [
        7.0, "0:pallet,1:buffer", 1.0, 12.0, 4, ["7:pallet", "8:crate"], False,
    ]  # fmt: skip
    system.stop(signal.SIGINT, timeout=30.0)


def test_transports_reach_the_node(launch: Any, graph: Any, wait_for: Any) -> None:
    """One is given, the other stays as in the file of parameters."""
    system = launch("use_sim:=false", "rgb_topic:=/front/image", "rgb_transport:=compressed")
    for topic in ("/front/image/compressed", "/depth"):
        wait_for(lambda t=topic: graph.node.count_subscribers(t) == 1, topic, 60.0)
    assert not graph.node.count_subscribers("/front/image")
    system.stop(signal.SIGINT, timeout=30.0)


@pytest.mark.parametrize("wrong", ["log_level:=loud", "use_sim:=perhaps"])
def test_wrong_argument_is_refused_with_the_choices(launch: Any, wrong: str) -> None:
    system = launch(wrong)
    assert system.wait(60.0) != 0
    name, _, value = wrong.partition(":=")
    for word in (name, value, "Valid options"):
        assert word in system.output


def test_launch_ends_with_the_reason_when_the_camera_dies(launch: Any) -> None:
    system = launch(MUJOCO_GL="nonsense")
    system.wait(60.0)
    assert "cannot render the warehouse" in system.output
    assert "sim_camera_node has ended with exit status 1" in system.output
    assert "use_sim:=false" in system.output


def test_launch_ends_when_the_query_node_dies(launch: Any, tmp_path: Path) -> None:
    parameters = tmp_path / "wrong.yaml"
    parameters.write_text("/**:\n  spatial_query:\n    ros__parameters:\n      timeout: -1.0\n")
    system = launch("use_sim:=false", f"params_file:={parameters}")
    system.wait(60.0)
    assert "timeout" in system.output
    assert "spatial_query_node has ended with exit status 1" in system.output
    assert "respawn:=true" in system.output


def test_query_node_is_started_again(
    launch: Any, graph: Any, tmp_path: Path, wait_for: Any
) -> None:
    parameters = tmp_path / "wrong.yaml"
    parameters.write_text("/**:\n  spatial_query:\n    ros__parameters:\n      timeout: -1.0\n")
    system = launch("use_sim:=false", "respawn:=true", f"params_file:={parameters}")
    wait_for(lambda: system.output.count("[exit code 1]") >= 2, "the second end", 90.0)
    assert "has ended" not in system.output
    system.stop(signal.SIGINT, timeout=30.0)
