"""An executor with a fixed number of threads that runs until shutdown, despite exceptions."""

from __future__ import annotations

import threading

from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger


def executor_with_threads(count: int, context: Context | None = None) -> MultiThreadedExecutor:
    """An executor whose threads all run from the start.

    rclpy starts one whenever a callback comes while the others are busy, up to `count`. Nobody
    could then tell, of a node that has more threads than an hour ago, that it is no leak.

    Args:
        count: number of threads that execute callbacks.
        context: None: the default one.
    """
    executor = MultiThreadedExecutor(count, context=context)
    all_run = threading.Barrier(count + 1)
    for _ in range(count):
        executor._executor.submit(all_run.wait)
    all_run.wait()
    return executor


def spin(executor: Executor, logger: RcutilsLogger) -> None:
    """Execute callbacks until shutdown.

    rclpy ends `spin` with the exception of any callback, even of one that only failed to send a
    response because its client has gone. That would take the node down for everybody else, so the
    error is logged and the executor continues.
    """
    while executor.context.ok():
        try:
            executor.spin()
            return
        except ExternalShutdownException:
            return
        except Exception as error:
            logger.error(f"a callback failed: {error!r}")
