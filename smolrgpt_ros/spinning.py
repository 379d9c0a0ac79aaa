"""Runs an executor until it is shut down, whatever a callback raises."""

from __future__ import annotations

from rclpy.executors import Executor, ExternalShutdownException
from rclpy.impl.rcutils_logger import RcutilsLogger


def spin(executor: Executor, logger: RcutilsLogger) -> None:
    """Execute callbacks until shutdown.

    rclpy ends `spin` with the exception of any callback, even of one that only failed to send a
    response because its client has gone. That would take the node down for everybody else, so the
    error is logged and the executor goes on.
    """
    while executor.context.ok():
        try:
            executor.spin()
            return
        except ExternalShutdownException:
            return
        except Exception as error:
            logger.error(f"a callback failed: {error!r}")
