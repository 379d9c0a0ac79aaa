"""What runs the callbacks of a node: it survives a bad one, and its threads do not grow."""

from __future__ import annotations

import threading

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from smolrgpt_ros.runtime.spinning import executor_with_threads, spin


def test_executor_goes_on_after_a_callback_that_raises(
    ros_domain: int, capfd: pytest.CaptureFixture[str]
) -> None:
    context = Context()
    rclpy.init(context=context)
    node = Node("clumsy", context=context)
    calls: list[int] = []
    went_on = threading.Event()

    def callback() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the client has gone")
        went_on.set()

    node.create_timer(0.01, callback)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=spin, args=(executor, node.get_logger()))
    thread.start()
    assert went_on.wait(60.0)
    executor.shutdown()
    thread.join(60.0)
    assert not thread.is_alive()
    assert "the client has gone" in capfd.readouterr().err
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_threads_of_an_executor_are_there_from_the_start(ros_domain: int) -> None:
    context = Context()
    rclpy.init(context=context)
    before = threading.active_count()
    executor = executor_with_threads(4, context)
    assert threading.active_count() == before + 4
    together = threading.Barrier(5, timeout=60.0)
    for _ in range(4):
        executor.create_task(together.wait)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    together.wait()
    assert threading.active_count() == before + 5
    executor.shutdown()
    thread.join(60.0)
    assert not thread.is_alive()
    rclpy.shutdown(context=context)
