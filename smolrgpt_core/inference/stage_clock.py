"""Time of one call: seconds by stage, and when it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import TIMEOUT_MAX, Lock

from smolrgpt_core.errors import SpatialError, Status


class StageClock:
    """Measures stages and ends them when the time is over for all questions of the call.

    A computation that runs is not interrupted: deadlines are checked between stages and between
    tokens.

    Args:
        finish: waits for the work that a stage began.
        deadline_s: seconds from now for the whole call; None for no limit.
        deadlines: of each question, by `time.monotonic()`, in seconds, instead of `deadline_s`.

    Raises:
        ValueError: for seconds that are not a positive number, or a deadline that is NaN.
    """

    def __init__(
        self,
        finish: Callable[[], None],
        deadline_s: float | None = None,
        deadlines: Sequence[float] | None = None,
    ) -> None:
        if deadline_s is not None and not (math.isfinite(deadline_s) and deadline_s > 0):
            raise ValueError(f"deadline_s must be seconds above 0, or None, got {deadline_s}")
        if any(math.isnan(item) for item in deadlines or ()):
            raise ValueError(f"deadlines must be numbers, got {deadlines}")
        self.latency_s: dict[str, float] = {}
        self._finish = finish
        self._started = time.monotonic()
        self._end = math.inf if deadline_s is None else self._started + deadline_s
        self._deadlines = None if deadlines is None else list(deadlines)
        if deadlines:
            self._end = max(deadlines)

    def deadlines(self, questions: int) -> list[float]:
        """One for each of so many questions, by `time.monotonic()`, in seconds.

        Raises:
            ValueError: when fewer were passed.
        """
        found = [self._end] * questions if self._deadlines is None else self._deadlines
        if len(found) != questions:
            raise ValueError(
                f"deadlines must be one for each of {questions} questions, got {len(found)}"
            )
        return found

    def check(self, stage: str, progress: str = "") -> None:
        """Raise when the time is over for all questions.

        Args:
            stage: what is about to happen.
            progress: how far it has come, for the message.

        Raises:
            SpatialError: TIMEOUT, naming the stage.
        """
        error = self.lateness(self._end, stage, progress)
        if error:
            raise error

    def lateness(self, deadline: float, stage: str, progress: str = "") -> SpatialError | None:
        """A TIMEOUT error that names the stage if a deadline has passed; else None.

        Args:
            deadline: by `time.monotonic()`, seconds.
            stage: that is being computed.
            progress: of the stage, for the message.
        """
        if time.monotonic() < deadline:
            return None
        return self._timeout(deadline, stage, progress)

    def _left_s(self) -> float:
        return self._end - time.monotonic()

    def _timeout(self, deadline: float, stage: str, progress: str) -> SpatialError:
        limit_s = max(deadline - self._started, 0.0)
        where = f"{stage!r} ({progress})" if progress else f"{stage!r}"
        spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.latency_s.items())
        return SpatialError(
            Status.TIMEOUT,
            f"no answer within {limit_s:.3g} s: time ran out in stage {where}; spent: "
            f"{spent or 'nothing'}; allow more time, ask for short answers, or ask fewer questions",
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
            self._finish()
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
            raise self._timeout(self._end, "wait", "another thread uses the engine")
        try:
            yield
        finally:
            lock.release()
