"""The main function of a node that is a process: how it begins, serves and ends."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from smolrgpt_ros.runtime.ending_signals import EndingSignals, end_without_threads, limit_the_end
from smolrgpt_ros.runtime.responding import retry_lost_responses
from smolrgpt_ros.runtime.spinning import executor_with_threads, spin

NodeType = TypeVar("NodeType", bound=Node)


def run_node(
    name: str,
    make: Callable[[], NodeType],
    serve: Callable[[NodeType, EndingSignals], int],
    args: list[str] | None = None,
) -> NoReturn:
    """Make a node, serve, and end the process; with status 1 after a wrong parameter.

    Args:
        name: of the node, for the log.
        make: the class of the node.
        serve: executes callbacks until a signal asks to end, and returns the exit status. All of
            its threads have ended then.
        args: of the command line; None: of this process.
    """
    signals = EndingSignals()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
    except (ParameterException, ValueError) as error:
        get_logger(name).fatal(f"wrong parameter: {error}")
        rclpy.shutdown()
        sys.exit(1)
    retry_lost_responses(node)
    status = serve(node, signals)
    node.destroy_node()
    rclpy.shutdown()
    end_without_threads(status)


def serve_on_threads(
    node: Node, signals: EndingSignals, threads: int, finish: Callable[[], None]
) -> int:
    """Execute callbacks until a signal asks to end; returns the exit status 0.

    Args:
        node: to serve.
        signals: that end it.
        threads: that execute callbacks.
        finish: called when a signal has come, while callbacks are still executed.
    """
    executor = executor_with_threads(threads)
    executor.add_node(node)
    serving = threading.Thread(target=spin, args=(executor, node.get_logger()), name="executor")
    serving.start()
    signals.wait()
    limit_the_end()
    finish()
    executor.shutdown()
    serving.join()
    return 0
