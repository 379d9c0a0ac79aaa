"""Loads a model on a separate thread that does not delay the end of the process.

Importing PyTorch and reading a checkpoint takes seconds to minutes and cannot be interrupted.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

from smolrgpt_core.garbage_collection import settle

Loaded = TypeVar("Loaded")


class LoadingAbandonedError(Exception):
    """The process ends before the model is loaded."""


class BackgroundLoader:
    """Loads one model at a time, and leaves it out of garbage collections; see `settle`."""

    def __init__(self) -> None:
        self._outcome: futures.Future[Any] | None = None
        self._thread: threading.Thread | None = None
        self._abandoned = False
        self._lock = threading.Lock()

    def load(self, make: Callable[[], Loaded]) -> Loaded:
        """The result of `make`, as soon as it is available.

        Raises:
            LoadingAbandonedError: after `abandon`.
            Exception: whatever `make` raises.
        """
        outcome: futures.Future[Loaded] = futures.Future()
        with self._lock:
            if self._abandoned:
                raise LoadingAbandonedError("the node is shutting down")
            self._outcome = outcome
        self._thread = threading.Thread(
            target=_fulfil, args=(outcome, make), name="loading", daemon=True
        )
        self._thread.start()
        try:
            return outcome.result()
        finally:
            self._outcome = None
            # A failed one holds its error, whose trace holds this name.
            del outcome

    def abandon(self) -> None:
        """Release the waiting thread, and all later ones."""
        with self._lock:
            self._abandoned = True
            outcome = self._outcome
        if outcome:
            with contextlib.suppress(futures.InvalidStateError):  # it has just come
                outcome.set_exception(LoadingAbandonedError("the node is shutting down"))


def _fulfil(outcome: futures.Future[Loaded], make: Callable[[], Loaded]) -> None:
    try:
        loaded = make()
        settle()
    except Exception as error:
        with contextlib.suppress(futures.InvalidStateError):  # abandoned
            outcome.set_exception(error)
    else:
        with contextlib.suppress(futures.InvalidStateError):
            outcome.set_result(loaded)
