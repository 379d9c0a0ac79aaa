"""State of the query node, for queries, and for requests that wait until it has loaded.

The lifecycle of rclpy knows one transition at a time and does not report when it ends; `loading`
here lasts until questions can be answered, over configuration and, at an automatic start,
activation.
"""

from __future__ import annotations

import threading
import time

UNCONFIGURED = "unconfigured"
LOADING = "loading"
INACTIVE = "inactive"
ACTIVE = "active"
FINALIZED = "finalized"
SHUTTING_DOWN = "shutting down"

FIRST_LOADING_S = 15.0
"""Expected loading time in a process that has not loaded anything yet."""


class NodeState:
    """The state by name. Thread-safe."""

    def __init__(self) -> None:
        self._name = UNCONFIGURED
        self._changed = threading.Condition()
        self._loading_since_s = 0.0
        self._expected_s = FIRST_LOADING_S

    @property
    def name(self) -> str:
        """One of the constants of this module."""
        return self._name

    @property
    def is_ending(self) -> bool:
        """Whether the process is shutting down."""
        return self._name == SHUTTING_DOWN

    def set(self, name: str) -> None:
        """Change the state, and wake waiting threads; `SHUTTING_DOWN` is final."""
        with self._changed:
            if self.is_ending or name == self._name:
                return
            now_s = time.monotonic()
            if name == LOADING:
                self._loading_since_s = now_s
            elif name in (INACTIVE, ACTIVE) and self._name == LOADING:
                self._expected_s = now_s - self._loading_since_s
            self._name = name
            self._changed.notify_all()

    def wait_while_loading(self, timeout_s: float) -> None:
        """Wait until nothing is being loaded, at most for the given time."""
        with self._changed:
            self._changed.wait_for(lambda: self._name != LOADING, max(timeout_s, 0.0))

    def loading_left_s(self) -> int:
        """Estimated whole seconds until loading ends, at least 1, from the last loading time.

        If loading takes longer, the estimate grows.
        """
        elapsed_s = time.monotonic() - self._loading_since_s
        return max(1, round(max(self._expected_s - elapsed_s, elapsed_s / 4)))
