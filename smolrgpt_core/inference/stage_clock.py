"""Time of one call: seconds by stage, and the deadline that all stages share."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX, Lock

import torch

from smolrgpt_core.errors import SpatialError, Status


class StageClock:
    """Measures stages and ends them when the time is over.

    A computation that runs is not interrupted: the deadline is looked at between stages and between
    tokens.

    Args:
        device: whose work a stage includes.
        deadline_s: seconds from now for the whole call; None for no limit.

    Raises:
        ValueError: for a deadline that is not a positive number.
    """

    def __init__(self, device: torch.device, deadline_s: float | None = None) -> None:
        if deadline_s is not None and not (math.isfinite(deadline_s) and deadline_s > 0):
            raise ValueError(f"deadline_s must be seconds above 0, or None, got {deadline_s}")
        self.latency_s: dict[str, float] = {}
        self._device = device
        self._limit_s = deadline_s
        self._started = time.monotonic()

    def check(self, stage: str, progress: str = "") -> None:
        """Raise when the time is over.

        Args:
            stage: what is about to happen.
            progress: how far it has come, for the message.

        Raises:
            SpatialError: TIMEOUT, naming the stage.
        """
        if self._left_s() <= 0:
            raise self._timeout(stage, progress)

    def _left_s(self) -> float:
        if self._limit_s is None:
            return math.inf
        return self._started + self._limit_s - time.monotonic()

    def _timeout(self, stage: str, progress: str) -> SpatialError:
        where = f"{stage!r} ({progress})" if progress else f"{stage!r}"
        spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.latency_s.items())
        return SpatialError(
            Status.TIMEOUT,
            f"no answer within {self._limit_s:g} s: the time was over in stage {where}; spent: "
            f"{spent or 'nothing'}; allow more time, or ask for a short answer or fewer questions",
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside; a stage that comes again adds up.

        Raises:
            SpatialError: TIMEOUT when the time is over before it begins.
        """
        self.check(name)
        started = time.monotonic()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            spent = time.monotonic() - started
            self.latency_s[name] = self.latency_s.get(name, 0.0) + spent

    @contextmanager
    def turn(self, lock: Lock) -> Iterator[None]:
        """Hold the lock; waiting for it is the stage "wait".

        Raises:
            SpatialError: TIMEOUT when it does not come in time.
        """
        with self.stage("wait"):
            has_turn = lock.acquire(timeout=min(max(0.0, self._left_s()), TIMEOUT_MAX))
        if not has_turn:
            raise self._timeout("wait", "another thread uses the engine")
        try:
            yield
        finally:
            lock.release()
