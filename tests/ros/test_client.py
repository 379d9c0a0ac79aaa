"""The client against real query nodes in processes of their own."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node

from smolrgpt_core.answer import Agreement, Side
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category
from smolrgpt_ros.client import NoServiceError, QueryAnswer, SpatialQueryClient
from smolrgpt_ros.runtime.spinning import spin

SCRIPTED = Path(__file__).with_name("node_with_scripted_answerer.py")

DISTANCE = "How far is pallet 1 from pallet 2?"


@pytest.fixture(scope="module")
def query_node(camera: Any, start_node: Any, client: SpatialQueryClient, wait_for: Any) -> Any:
    """Answers about the wall of the tests."""
    process = start_node("spatial_query_node", "-p", "input_wait:=0.3")
    wait_for(lambda: client.ask(DISTANCE, timeout=30.0).ok, "an answer")
    return process


@pytest.fixture(scope="module")
def client(ros_domain: int) -> Iterator[SpatialQueryClient]:
    with SpatialQueryClient() as client:
        yield client


@pytest.fixture
def spinning(ros_domain: int, request: Any) -> Iterator[Node]:
    """A node that spins on a thread, with an executor of the class that the test asks for."""
    context = Context()
    rclpy.init(context=context)
    node = Node("robot", context=context, namespace="")
    executor = request.param(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=spin, args=(executor, node.get_logger()))
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


one_thread = pytest.mark.parametrize("spinning", [SingleThreadedExecutor], indirect=True)
any_executor = pytest.mark.parametrize(
    "spinning", [SingleThreadedExecutor, MultiThreadedExecutor], indirect=True
)


def in_callback(node: Node, function: Any) -> Any:
    """What a function returns, or raises, in a callback of a node that spins."""
    done = threading.Event()
    results: list[Any] = []

    def call() -> None:
        timer.cancel()
        try:
            results.append(function())
        except Exception as error:
            results.append(error)
        done.set()

    timer = node.create_timer(0.0, call)
    assert done.wait(60.0), "the callback hangs"
    return results[0]


def test_plain_words(query_node: Any, client: SpatialQueryClient) -> None:
    answer = client.ask(DISTANCE)
    assert answer.ok
    assert answer.status is Status.OK
    assert answer.category is Category.DISTANCE
    assert (answer.value, answer.unit) == (pytest.approx(3.0, abs=0.3), "m")
    assert answer.side is Side.NONE
    assert answer.agreement is Agreement.UNKNOWN
    assert 0 < answer.confidence <= 1
    assert "pallet 1" in answer.understood.lower()
    assert answer.steps == ()
    assert answer.latency_s["total"] > 0
    assert answer.raise_for_status() is answer
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.value = 0.0  # type: ignore[misc]


def test_places_have_a_frame_and_a_stamp(query_node: Any, client: SpatialQueryClient) -> None:
    answer = client.ask(DISTANCE)
    assert answer.frame_id == answer.centers_frame == "camera_optical_frame"
    assert answer.stamp.sec > 0
    place = answer.center_of(2)
    assert (place.header.frame_id, place.header.stamp) == (answer.centers_frame, answer.stamp)
    assert (place.point.x, place.point.z) == pytest.approx((1.5, 3.0), abs=0.1)
    with pytest.raises(ValueError, match=r"about the regions \(1, 2\), not 3"):
        answer.center_of(3)


def test_a_region_without_depth_has_no_place() -> None:
    answer = QueryAnswer(Status.OK, None, region_ids=(4,), centers=np.full((1, 3), math.nan))
    with pytest.raises(ValueError, match="region 4 has no center"):
        answer.center_of(4)


def test_masks_and_typed_fields(query_node: Any, client: SpatialQueryClient) -> None:
    masks = client.ask("Is <mask> to the left of <mask>?", region_ids=[1, 2])
    assert masks.truth is True
    typed = client.ask(category=Category.LEFT_RIGHT, region_ids=(2, 1))
    assert typed.side is Side.RIGHT
    chosen = client.ask("Which pallet is nearest to the camera: <mask> or <mask>?", region_ids=[1])
    assert chosen.status is Status.BAD_QUESTION


def test_the_same_image_again(query_node: Any, client: SpatialQueryClient) -> None:
    first = client.ask(DISTANCE)
    again = client.ask(DISTANCE, stamp=first.stamp, max_age=60.0)
    assert again.stamp == first.stamp
    gone = client.ask(DISTANCE, stamp=Time(sec=1))
    assert gone.status is Status.STALE


def test_a_refusal_can_be_an_exception(query_node: Any, client: SpatialQueryClient) -> None:
    answer = client.ask("How far is pallet 1 from pallet 9?")
    assert not answer.ok
    with pytest.raises(SpatialError, match="region 9 is not in this frame") as caught:
        answer.raise_for_status()
    assert caught.value.status is Status.UNKNOWN_REGION


def test_the_node_gets_the_timeout(query_node: Any, client: SpatialQueryClient) -> None:
    answer = client.ask(DISTANCE, timeout=61.0)
    assert answer.status is Status.BAD_QUESTION
    assert "timeout must be at most 60 s" in answer.message


@any_executor
def test_asked_in_a_callback(query_node: Any, spinning: Node) -> None:
    with SpatialQueryClient(spinning) as client:
        answer = in_callback(spinning, lambda: client.ask(DISTANCE))
    assert answer.ok


@one_thread
def test_awaited_in_a_callback(query_node: Any, spinning: Node) -> None:
    done = threading.Event()
    answers: list[QueryAnswer] = []
    with SpatialQueryClient(spinning) as client:

        async def call() -> None:
            timer.cancel()
            answers.append(await client.ask_async(DISTANCE))
            done.set()

        timer = spinning.create_timer(0.0, call)
        assert done.wait(60.0), "the callback was not woken"
    assert answers[0].ok


def test_many_at_once(query_node: Any, client: SpatialQueryClient) -> None:
    futures = [client.ask_async(DISTANCE, timeout=30.0) for _ in range(10)]
    answers = [resolved(future) for future in futures]
    assert all(answer.ok for answer in answers)


def resolved(future: Any) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(60.0)
    return future.result()


def test_waiting_in_a_done_callback_is_refused(query_node: Any, client: SpatialQueryClient) -> None:
    done, errors = threading.Event(), []

    def call(_: Any) -> None:
        try:
            client.ask(DISTANCE)
        except RuntimeError as error:
            errors.append(str(error))
        done.set()

    client.ask_async(DISTANCE).add_done_callback(call)
    assert done.wait(60.0)
    assert "use ask_async()" in errors[0]


def test_a_node_that_is_not_there(client: SpatialQueryClient, ros_domain: int) -> None:
    with (
        SpatialQueryClient(service="nowhere", timeout=0.3) as lonely,
        pytest.raises(NoServiceError) as caught,
    ):
        lonely.ask(DISTANCE)
    assert str(caught.value) == (
        "/nowhere is not available after 0.3 s; start the query node, or look for its service: "
        "`ros2 service find smolrgpt_ros/srv/SpatialQuery`"
    )


def test_an_abandoned_question(ros_domain: int) -> None:
    with SpatialQueryClient(service="nowhere") as lonely:
        future = lonely.ask_async(DISTANCE)
        future.cancel()
        assert future.cancelled()
        with pytest.raises(NoServiceError):
            lonely.ask(DISTANCE, timeout=0.3)


@one_thread
def test_close_and_shutdown_end_what_waits(spinning: Node) -> None:
    closed = SpatialQueryClient(spinning, service="nowhere")
    future = closed.ask_async(DISTANCE)
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="the client of /nowhere is closed"):
        future.result()
    with pytest.raises(RuntimeError, match="is closed"):
        closed.ask(DISTANCE)
    shut_down = SpatialQueryClient(spinning, service="nowhere")
    future = shut_down.ask_async(DISTANCE)
    spinning.context.shutdown()
    with pytest.raises(RuntimeError, match="ROS was shut down"):
        resolved(future)
    with pytest.raises(RuntimeError, match="ROS was shut down"):
        shut_down.ask(DISTANCE)
    shut_down.close()


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
def test_a_timeout_of_nothing(client: SpatialQueryClient, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be more than 0 s"):
        client.ask(DISTANCE, timeout=timeout)


FORGOTTEN = """
from smolrgpt_ros.client import SpatialQueryClient
client = SpatialQueryClient()
print(client.ask({question!r}, timeout=30.0).text)
"""


def test_a_script_that_closes_nothing_ends(query_node: Any) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORGOTTEN.format(question=DISTANCE)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Pallet 1 is")


def test_names_of_the_node_hold(query_node: Any, ros_domain: int) -> None:
    context = Context()
    rclpy.init(context=context)
    robot = Node(
        "robot",
        context=context,
        namespace="robot1",
        cli_args=["--ros-args", "-r", "spatial_query:=/spatial_query"],
    )
    with SpatialQueryClient(robot) as remapped, SpatialQueryClient(robot, "else") as other:
        assert remapped.service_name == "/spatial_query"
        assert other.service_name == "/robot1/else"
        assert remapped.ask(DISTANCE).ok
    robot.destroy_node()
    rclpy.shutdown(context=context)


def test_a_node_that_is_restarted(
    query_node: Any, client: SpatialQueryClient, start_node: Any, wait_for: Any
) -> None:
    """The last two tests end the node of the others."""
    assert query_node.stop() == 0
    wait_for(lambda: not client.service_is_ready, "the end of the service")
    future = client.ask_async(DISTANCE, timeout=50.0)
    start_node("spatial_query_node", "-p", "input_wait:=30.0")
    assert resolved(future).ok
    assert client.ask(DISTANCE).ok


def test_a_node_that_is_killed_with_a_question(
    camera: Any, start_node: Any, slow_answer: Any, soon_missed: dict[str, str], wait_for: Any
) -> None:
    name = ("-r", "spatial_query:=killed")
    scripted = (*name, "-p", "answerer:=scripted")
    environment = slow_answer.environment | soon_missed
    process = start_node(SCRIPTED, *scripted, environment=environment)
    with SpatialQueryClient(service="killed", timeout=50.0) as client, slow_answer.held():
        wait_for(lambda: client.ask(DISTANCE).ok, "an answer")
        lost = client.ask_async("Is pallet 1 to the left of pallet 2?")
        wait_for(lambda: "a slow answer" in process.output, "the question")
        process.kill()
        wait_for(lambda: not client.service_is_ready, "the end of the service")
        start_node("spatial_query_node", *name, "-p", "input_wait:=30.0")
        assert resolved(lost).ok
