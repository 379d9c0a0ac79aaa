"""A callback group that knows when the last response has left, so that a node can end after it."""

from __future__ import annotations

import threading

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.service import Service


class RequestGroup(ReentrantCallbackGroup):
    """Runs requests side by side and counts them until their responses are sent."""

    def __init__(self) -> None:
        super().__init__()
        self._running = 0
        self._changed = threading.Condition()

    def beginning_execution(self, entity: Service) -> bool:
        """Count a request that is taken."""
        with self._changed:
            self._running += 1
        return True

    def ending_execution(self, entity: Service) -> None:
        """Uncount a request whose response was sent."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Whether every request got its response within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout_s)
