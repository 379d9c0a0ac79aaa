"""The query node while it loads, and its end at a signal in every phase of its life."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.errors import Status
from smolrgpt_ros.nodes.node_state import (
    ACTIVE,
    FIRST_LOADING_S,
    INACTIVE,
    LOADING,
    SHUTTING_DOWN,
    NodeState,
)

SCRIPTED = Path(__file__).parent / "node_with_scripted_answerer.py"
SIGNALS = [signal.SIGINT, signal.SIGTERM]
SHORT = Duration(nanosec=200_000_000)
LONG = Duration(sec=50)


@pytest.fixture
def start_query_node(
    start_node: Any, start_new_node: Any, graph: Any, wait_for: Any
) -> Iterator[Any]:
    """Start the one query node of a test, in a new Python if `new`; it ends with the test."""
    client = graph.client(SpatialQuery, "/spatial_query")
    started = []

    def start(answerer: str, *arguments: str, new: bool = False, **options: Any) -> Any:
        executable = SCRIPTED if answerer in ("slow", "endless") else "spatial_query_node"
        begin = start_new_node if new else start_node
        started.append(begin(executable, "-p", f"answerer:={answerer}", *arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    wait_for(lambda: not client.service_is_ready(), "the end of the service")


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """The slow answerer is there as soon as this file is."""
    return tmp_path / "loaded"


@pytest.fixture
def loading_node(start_query_node: Any, loaded: Path, wait_for: Any) -> Any:
    """A node that loads until the file is there."""
    node = start_query_node("slow", environment={"SLOW_LOADING_FILE": str(loaded)})
    wait_for(lambda: "slow loading" in node.output, "the beginning of the load")
    return node


def state(graph: Any) -> str:
    response = graph.call(GetState, "/spatial_query/get_state", GetState.Request())
    return response.current_state.label


def test_a_question_while_loading_is_refused_with_when_to_ask_again(
    loading_node: Any, graph: Any, make_operator: Any
) -> None:
    answer = make_operator(graph).ask_distance(timeout=SHORT)
    assert Status(answer.status) is Status.NOT_ACTIVE
    assert re.search(r"is loading: ask again in about \d+ s", answer.message)
    assert "configure" not in answer.message


def test_question_while_loading_waits_for_its_answer(
    loading_node: Any, graph: Any, camera: Any, make_operator: Any, loaded: Path, wait_for: Any
) -> None:
    operator = make_operator(graph)
    waiting = operator.ask_async("How many pallets are there?", timeout=LONG)
    # A later refusal shows that the question before has arrived, and waits.
    assert Status(operator.ask_distance(timeout=SHORT).status) is Status.NOT_ACTIVE
    assert not waiting.done()
    loaded.touch()
    answer = graph.result(waiting, 60.0).answer
    assert (Status(answer.status), answer.value) == (Status.OK, 2.0), answer.message
    assert state(graph) == "active"


def test_everything_else_answers_while_loading(
    loading_node: Any, graph: Any, make_operator: Any, loaded: Path, wait_for: Any
) -> None:
    operator = make_operator(graph)
    assert operator.set(max_age=3.5).successful
    assert not operator.set(max_age=-1.0).successful
    request = GetParameters.Request(names=["max_age"])
    values = graph.call(GetParameters, "/spatial_query/get_parameters", request).values
    assert values[0].double_value == 3.5
    assert state(graph) == "configuring"
    reports = graph.collect(DiagnosticArray, "/diagnostics")
    loading = KeyValue(key="state", value="loading")
    wait_for(lambda: any(loading in r.status[0].values for r in reports), "diagnostics")
    # Not possible now: refused, instead of no response for as long as loading takes, or for ever.
    assert not operator.change(Transition.TRANSITION_CONFIGURE)
    assert not operator.change(Transition.TRANSITION_ACTIVATE)
    loaded.touch()
    wait_for(lambda: state(graph) == "active", "the end of loading")
    assert not operator.change(Transition.TRANSITION_CONFIGURE)


def test_failed_load_releases_who_waits_with_the_reason(
    start_query_node: Any, graph: Any, make_operator: Any, tmp_path: Path
) -> None:
    start_query_node("model", "-p", f"checkpoint:={tmp_path / 'nothing'}")
    answer = graph.result(make_operator(graph).ask_async("How far?", timeout=LONG), 60.0).answer
    assert Status(answer.status) is Status.NOT_ACTIVE
    assert "is unconfigured: configure failed: " in answer.message


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_loading(
    loading_node: Any, graph: Any, make_operator: Any, number: signal.Signals
) -> None:
    """The load goes on for ever here: nobody may wait for it."""
    operator = make_operator(graph)
    waiting = operator.ask_async("How many pallets are there?", timeout=LONG)
    assert Status(operator.ask_distance(timeout=SHORT).status) is Status.NOT_ACTIVE
    assert loading_node.stop(number) == 0, loading_node.output
    refused = graph.result(waiting).answer
    assert Status(refused.status) is Status.NOT_ACTIVE
    assert "shutting down" in refused.message
    assert "Traceback" not in loading_node.output


def test_signal_while_a_real_model_loads(start_query_node: Any, wait_for: Any) -> None:
    node = start_query_node("fused", new=True)
    wait_for(lambda: "loading fused" in node.output, "the beginning of the load")
    assert node.stop(signal.SIGINT) == 0, node.output
    assert "Traceback" not in node.output
    assert "interpreter shutdown" not in node.output


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_an_answer_without_end(
    start_query_node: Any,
    graph: Any,
    camera: Any,
    make_operator: Any,
    wait_for: Any,
    number: signal.Signals,
) -> None:
    node = start_query_node("endless")
    endless = make_operator(graph).ask_async("How many pallets are there?", timeout=LONG)
    wait_for(lambda: "endless answer" in node.output, "the answer")
    assert node.stop(number) == 0, node.output
    refused = graph.result(endless).answer
    assert Status(refused.status) is Status.NOT_ACTIVE
    assert "shutting down" in refused.message
    assert "Traceback" not in node.output


@pytest.mark.parametrize("executable", ["spatial_query_node", "sim_camera_node"])
@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_import(
    start_new_node: Any, wait_for: Any, executable: str, number: signal.Signals
) -> None:
    process = start_new_node(executable)
    status = Path(f"/proc/{process.process.pid}/status")

    def is_caught() -> bool:
        caught = re.search(r"SigCgt:\s*(\w+)", status.read_text())
        return bool(caught and int(caught[1], 16) & 1 << signal.SIGTERM - 1)

    wait_for(is_caught, "the first line of the program")
    assert process.stop(number) == 0
    assert process.output == ""


def test_state_of_a_node_that_ends_stays() -> None:
    seen = NodeState()
    seen.set(LOADING)
    assert 1 <= seen.loading_left_s() <= FIRST_LOADING_S
    seen.set(ACTIVE)
    seen.set(LOADING)
    assert seen.loading_left_s() == 1, "it took no time before"
    seen.set(SHUTTING_DOWN)
    seen.set(INACTIVE)
    assert seen.name == SHUTTING_DOWN
    seen.wait_while_loading(60.0)
