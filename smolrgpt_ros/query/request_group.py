"""Concurrent requests: their limit, and when the last response has been sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.service import Service

from smolrgpt_core.errors import SpatialError, Status


class RequestGroup(ReentrantCallbackGroup):
    """Runs requests concurrently and counts them until their responses are sent, so that a node can
    end after the last one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running = 0
        self._last_sent_s = -math.inf
        self._changed = threading.Condition()

    def beginning_execution(self, entity: Service) -> bool:
        """Count a request that was taken."""
        with self._changed:
            self._running += 1
        return True

    def ending_execution(self, entity: Service) -> None:
        """Uncount a request whose response was sent."""
        with self._changed:
            self._running -= 1
            self._last_sent_s = time.monotonic()
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for all responses; returns whether they were sent within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout_s)

    def seconds_since_last_response(self) -> float:
        """Seconds since a response was last sent; infinite where none was."""
        with self._changed:
            return time.monotonic() - self._last_sent_s


class ConcurrencyLimit:
    """Limits the number of pending questions. Thread-safe.

    Attributes:
        limit: maximum number of pending questions.
        taken: current number.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Count one question as pending for the duration of a `with` block.

        Raises:
            SpatialError: BUSY when the limit is reached.
        """
        with self._lock:
            if self.taken >= self.limit:
                raise SpatialError(
                    Status.BUSY,
                    f"{self.limit} questions are already pending (max_pending); ask again later",
                )
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1
