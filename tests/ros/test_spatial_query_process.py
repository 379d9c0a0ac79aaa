"""Start, names, clocks, parameters and end of the query node as a process of its own."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rosgraph_msgs.msg import Clock
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_ros.parameters import pages as parameter_pages
from smolrgpt_ros.parameters.query import QueryParameters
from smolrgpt_ros.query.report import described_answerer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config" / "warehouse.yaml"
SCRIPTED = Path(__file__).parent / "node_with_scripted_answerer.py"


@pytest.fixture
def start_query_node(start_node: Any, graph: Any, wait_for: Any) -> Iterator[Any]:
    """Start the one query node of a test; it ends with the test."""
    client = graph.client(SpatialQuery, "/spatial_query")
    started = []

    def start(
        *arguments: str, executable: str | Path = "spatial_query_node", **options: Any
    ) -> Any:
        started.append(start_node(executable, *arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    wait_for(lambda: not client.service_is_ready(), "the end of the service")


def test_configuration_file_has_the_defaults() -> None:
    section = yaml.safe_load(CONFIG.read_text())["/**"]["spatial_query"]["ros__parameters"]
    defaults = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(QueryParameters()).items()
    }
    assert section == defaults


def test_pages_about_parameters_are_those_of_the_declarations() -> None:
    """If not, run `python -m smolrgpt_ros.parameters.pages`."""
    assert CONFIG.read_text() == parameter_pages.yaml_text()
    page = (ROOT / parameter_pages.PAGE).read_text()
    assert page == parameter_pages.with_tables(page)
    for name in asdict(QueryParameters()):
        assert f"| `{name}` | `" in page


def test_an_adapter_is_for_answerers_with_a_checkpoint() -> None:
    values = QueryParameters(answerer="model", adapter="hall")
    assert values.model_settings().adapter == described_answerer(values)["adapter"] == "hall"
    others = QueryParameters(answerer="geometric", adapter="hall")
    assert others.model_settings().adapter == ""
    assert "adapter" not in described_answerer(others)


def test_documentation_has_every_status() -> None:
    page = (ROOT / "docs" / "ros_interfaces.md").read_text()
    for status in Status:
        assert f"| `{status.name}` | {status.value} |" in page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shutdown_during_an_answer(
    start_query_node: Any,
    graph: Any,
    camera: Any,
    make_operator: Any,
    slow_answer: Any,
    wait_for: Any,
    number: int,
) -> None:
    process = start_query_node(
        "-p", "answerer:=scripted", executable=SCRIPTED, environment=slow_answer.environment
    )
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    with slow_answer.held():
        slow = operator.ask_async(category=Category.LEFT_RIGHT, region_ids=[1, 2])
        wait_for(lambda: "a slow answer" in process.output, "the answer to begin")
        process.process.send_signal(number)
        wait_for(lambda: "shutting down" in operator.ask_distance().message, "a refusal")
        process.process.send_signal(signal.SIGINT)  # `ros2 launch` sends Ctrl-C on, so two arrive
    assert graph.result(slow).answer.status == Status.OK
    assert process.wait() == 0
    assert "Traceback" not in process.output


def test_waits_to_be_activated_without_autostart(
    start_query_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any
) -> None:
    process = start_query_node(
        *("--params-file", str(CONFIG), "-p", "autostart:=false", "-p", "answerer:=geometric"),
        *("-p", "instance_labels:=[]"),  # without a type for ROS
    )
    operator = make_operator(graph)
    answer = operator.ask_distance()
    assert Status(answer.status) is Status.NOT_ACTIVE
    assert "`ros2 lifecycle set /spatial_query configure`" in answer.message
    assert graph.node.count_subscribers("/rgb") == 0
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    assert graph.node.count_subscribers("/rgb") == 1
    assert operator.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert "finalized" in operator.ask_distance().message
    assert process.stop() == 0


def test_namespace_name_and_remapped_topics(
    start_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any
) -> None:
    remaps = [f"{name}:=/{name}" for name in ("rgb", "depth", "camera_info", "regions")]
    names = ["__ns:=/robot1", "__node:=eyes", *remaps]
    process = start_node(
        "spatial_query_node",
        *[argument for name in names for argument in ("-r", name)],
        *["--params-file", str(CONFIG), "-p", "max_age:=0.7"],
    )
    operator = make_operator(graph, node="/robot1/eyes", service="/robot1/spatial_query")
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    request = GetParameters.Request(names=["max_age"])
    response = graph.call(GetParameters, "/robot1/eyes/get_parameters", request)
    assert parameter_value_to_python(response.values[0]) == 0.7
    assert process.stop() == 0


def test_simulated_time(
    start_query_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any
) -> None:
    process = start_query_node("-p", "use_sim_time:=true", "-p", "input_wait:=0.3")
    operator = make_operator(graph)
    answer = operator.ask_distance()
    assert Status(answer.status) is Status.BAD_INPUT
    assert "nothing has arrived on /clock" in answer.message
    publisher = graph.node.create_publisher(Clock, "/clock", 1)

    def tick_and_ask() -> bool:
        publisher.publish(Clock(clock=graph.node.get_clock().now().to_msg()))
        return operator.ask_distance().status == Status.OK

    wait_for(tick_and_ask, "an answer by simulated time")
    assert process.stop(signal.SIGTERM) == 0


def test_signal_during_start(start_new_node: Any, wait_for: Any) -> None:
    process = start_new_node("spatial_query_node")
    status = Path(f"/proc/{process.process.pid}/status")

    def catches_sigterm() -> bool:
        caught = re.search(r"SigCgt:\s*(\w+)", status.read_text())
        return bool(caught and int(caught[1], 16) & 1 << signal.SIGTERM - 1)

    wait_for(catches_sigterm, "the first line of main")
    assert process.stop(signal.SIGTERM) == 0
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    "wrong",
    [
        "max_age:=-1.0",
        "region_source:=nowhere",
        "timeout:=soon",
        "label_map:=x",
        "object_sizes:=pallet",
    ],
)
def test_wrong_parameter_ends_the_start_with_the_reason(start_node: Any, wrong: str) -> None:
    process = start_node("spatial_query_node", "-p", wrong)
    assert process.wait() == 1
    assert "Traceback" not in process.output
    assert wrong.partition(":=")[0] in process.output
