"""Finds the messages that form a frame, or explains precisely why there are none.

Pure Python: handles stamps and opaque payloads, no ROS types, and decodes nothing. Stamps and "now"
are nanoseconds of the node's clock (which may be simulated); waiting is in real time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.input_stamps import CLOCK_TOLERANCE_NS, StampCounts
from smolrgpt_core.messages.stamps import INPUTS, SYNCHRONIZED
from smolrgpt_core.messages.synchronizer import Moment, NoMomentError, Synchronizer

SILENCE_NS = 1_000_000_000
"""An input without messages for this long has stopped."""


class Patience(Enum):
    """How long to wait for what is missing."""

    NONE = "none"
    """It will never arrive."""
    INPUT_WAIT = "input_wait"
    """An input has a problem; it may be about to start."""
    TIMEOUT = "timeout"
    """No problem, it has just not arrived yet."""


class FrameUnavailableError(SpatialError):
    """No frame for a request.

    Attributes:
        patience: how long to wait.
        silent: inputs without (further) messages.
    """

    def __init__(
        self, status: Status, message: str, patience: Patience, silent: tuple[str, ...] = ()
    ) -> None:
        super().__init__(status, message)
        self.patience = patience
        self.silent = silent


@dataclass(frozen=True)
class FrameRequest:
    """Which frame a request is about.

    Attributes:
        stamp_ns: of the frame; 0 = the latest.
        max_age_ns: maximum age of the stamp.
        sync_tolerance_ns: largest difference of the stamps.
        input_wait_s: how long to wait for inputs that are missing, stale or out of sync.
        timeout_s: how long to wait in any case.
    """

    stamp_ns: int
    max_age_ns: int
    sync_tolerance_ns: int
    input_wait_s: float
    timeout_s: float

    def accepts(self, samples: Moment, now_ns: int) -> bool:
        """Whether a frame satisfies a request for the latest one: recent enough, and in sync.

        Args:
            samples: of the frame.
            now_ns: of the clock of its stamps.
        """
        if self.stamp_ns:
            return False
        age_ns = now_ns - samples.rgb.stamp_ns
        others = (samples.depth, samples.regions)
        apart_ns = max(abs(part.stamp_ns - samples.rgb.stamp_ns) for part in others)
        is_fresh = -CLOCK_TOLERANCE_NS <= age_ns <= self.max_age_ns
        return is_fresh and apart_ns <= self.sync_tolerance_ns


class FrameBuffer:
    """The last messages of every input. Thread-safe.

    Args:
        size: number of messages kept per input.
        topics: topic name of each input, for messages to the operator.

    Attributes:
        on_message: called after every message, on the thread that adds it.
    """

    def __init__(self, size: int, topics: Mapping[str, str]) -> None:
        self.on_message: Callable[[], None] = lambda: None
        self._stamps = Synchronizer(topics, size)
        self._inputs = self._stamps.inputs
        self._changed = threading.Condition()
        self._closed = False

    def add(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Add a message, drop the oldest one, and wake up waiting requests.

        Args:
            name: of the input.
            stamp_ns: of the message.
            payload: the message, opaque.
        """
        with self._changed:
            self._stamps.add(name, stamp_ns, payload, payload, time.monotonic_ns())
            self._changed.notify_all()
        self.on_message()

    def newest_stamp_ns(self, name: str) -> int | None:
        """Stamp of the latest message of an input; None before the first."""
        with self._changed:
            samples = self._inputs[name].samples
            return samples[-1].stamp_ns if samples else None

    def stamp_counts(self, name: str) -> StampCounts:
        """Number of messages of an input with problematic stamps."""
        with self._changed:
            return self._inputs[name].snapshot()

    def close(self) -> None:
        """Discard all messages and release waiting requests."""
        with self._changed:
            self._closed = True
            for item in self._inputs.values():
                item.release()
            self._changed.notify_all()

    def wait(
        self, request: FrameRequest, now_ns: Callable[[], int], arrived_s: float | None = None
    ) -> Moment:
        """The requested frame, as soon as it is available.

        Args:
            request: which frame.
            now_ns: the clock of the stamps.
            arrived_s: `time.monotonic()` from which the timeout of the request counts, in seconds;
                None: now.

        Raises:
            FrameUnavailableError: waiting longer makes no sense.
            ClosedError: when the buffer was closed.
        """
        started = time.monotonic()
        deadline = (started if arrived_s is None else arrived_s) + request.timeout_s
        with self._changed:
            while not self._closed:
                try:
                    return self._select(request, now_ns())
                except FrameUnavailableError as error:
                    patient_until = started + _patience_s(error.patience, request)
                    left = min(patient_until, deadline) - time.monotonic()
                    if left <= 0:
                        raise
                self._changed.wait(left)
        raise ClosedError

    def select(self, request: FrameRequest, now_ns: int) -> Moment:
        """The requested frame, without waiting.

        Raises:
            FrameUnavailableError: there is none; the message says why.
        """
        with self._changed:
            return self._select(request, now_ns)

    def _select(self, request: FrameRequest, now_ns: int) -> Moment:
        self._check_arrived()
        if request.stamp_ns:
            return self._select_stamp(request, now_ns)
        self._check_clock(now_ns)
        self._check_stamps(request, now_ns)
        self._check_silence(request, now_ns)
        for rgb in reversed(self._inputs["rgb"].samples):
            if now_ns - rgb.stamp_ns > request.max_age_ns:
                break
            with contextlib.suppress(NoMomentError):  # the one before may be complete
                return self._stamps.moment(rgb, request.sync_tolerance_ns)
        self._check_age(request, now_ns)
        raise self._out_of_sync(request)

    def _select_stamp(self, request: FrameRequest, now_ns: int) -> Moment:
        age_ns = now_ns - request.stamp_ns
        if -age_ns > request.timeout_s * 1e9:
            raise FrameUnavailableError(
                Status.TIMEOUT,
                f"the requested stamp is {_seconds(-age_ns)} ahead of this node's clock, more "
                f"than the timeout of {request.timeout_s:.3f} s; use the stamp of an image",
                Patience.NONE,
            )
        if age_ns > request.max_age_ns:
            raise FrameUnavailableError(
                Status.STALE,
                f"the requested stamp is {_seconds(age_ns)} old, but max_age is "
                f"{_seconds(request.max_age_ns)}; ask sooner or raise max_age",
                Patience.NONE,
            )
        rgb = self._inputs["rgb"].nearest(request.stamp_ns)
        if abs(rgb.stamp_ns - request.stamp_ns) <= request.sync_tolerance_ns:
            with contextlib.suppress(NoMomentError):  # the refusal reports each input's offset
                return self._stamps.moment(rgb, request.sync_tolerance_ns)
        raise self._no_such_stamp(request)

    def _check_arrived(self) -> None:
        missing = self._stamps.missing
        if not missing:
            return
        first = self._inputs[missing[0]]
        if first.trouble:
            raise self._odd_stamps(missing[0])
        if first.received_ns is not None:
            raise FrameUnavailableError(
                Status.STALE,
                f"nothing has arrived from {self._stamps.named(missing)} since the stamps went "
                "back, as when a simulation or a driver restarts",
                Patience.INPUT_WAIT,
                missing,
            )
        raise FrameUnavailableError(
            INPUTS[missing[0]],
            f"nothing has ever arrived from {self._stamps.named(missing)}",
            Patience.INPUT_WAIT,
            missing,
        )

    def _check_stamps(self, request: FrameRequest, now_ns: int) -> None:
        """Refuse an input that is too old because of its stamps alone."""
        for name in SYNCHRONIZED:
            age_ns = now_ns - self._stamps.newest_ns(name)
            is_silent = self._silence_ns(name) > max(request.max_age_ns, SILENCE_NS)
            if self._inputs[name].trouble and age_ns > request.max_age_ns and not is_silent:
                raise self._odd_stamps(name)

    def _odd_stamps(self, name: str) -> FrameUnavailableError:
        return FrameUnavailableError(
            Status.STALE,
            f"the stamps of {self._stamps.named([name])} {self._inputs[name].trouble}",
            Patience.INPUT_WAIT,
        )

    def _silence_ns(self, name: str) -> int:
        """Since the last message of an input, of which there was one."""
        received_ns = self._inputs[name].received_ns
        assert received_ns is not None
        return time.monotonic_ns() - received_ns

    def _check_clock(self, now_ns: int) -> None:
        for name in SYNCHRONIZED:
            ahead_ns = self._stamps.newest_ns(name) - now_ns
            if ahead_ns > CLOCK_TOLERANCE_NS:
                cause = (
                    "this node uses simulated time, but nothing has arrived on /clock"
                    if now_ns == 0
                    else "synchronize the clocks, and set use_sim_time consistently in all nodes"
                )
                raise FrameUnavailableError(
                    Status.BAD_INPUT,
                    f"stamps of {self._stamps.named([name])} are {_seconds(ahead_ns)} ahead of "
                    f"this node's clock: {cause}",
                    Patience.INPUT_WAIT,
                )

    def _check_silence(self, request: FrameRequest, now_ns: int) -> None:
        for name in SYNCHRONIZED:
            age_ns = now_ns - self._stamps.newest_ns(name)
            silence_ns = self._silence_ns(name)
            if age_ns > request.max_age_ns and silence_ns > max(request.max_age_ns, SILENCE_NS):
                raise FrameUnavailableError(
                    Status.STALE,
                    f"the latest message from {self._stamps.named([name])} is {_seconds(age_ns)} "
                    f"old, but max_age is {_seconds(request.max_age_ns)}",
                    Patience.INPUT_WAIT,
                    (name,),
                )

    def _check_age(self, request: FrameRequest, now_ns: int) -> None:
        """Refuse when even the freshest input is too old, although messages arrive."""
        name = max(SYNCHRONIZED, key=self._stamps.newest_ns)
        age_ns = now_ns - self._stamps.newest_ns(name)
        silence_ns = self._silence_ns(name)
        if age_ns <= request.max_age_ns:
            return
        remedy = (
            "synchronize the clocks, or set use_sim_time consistently in all nodes"
            if age_ns - silence_ns > CLOCK_TOLERANCE_NS
            else "publish more often, or raise max_age"
        )
        raise FrameUnavailableError(
            Status.STALE,
            f"the latest image is {_seconds(age_ns)} old by this node's clock, but max_age is "
            f"{_seconds(request.max_age_ns)}; it arrived {_seconds(silence_ns)} ago: {remedy}",
            Patience.INPUT_WAIT,
        )

    def _out_of_sync(self, request: FrameRequest) -> FrameUnavailableError:
        where = f"of the last {_seconds(request.max_age_ns)} (max_age)"
        return FrameUnavailableError(
            Status.OUT_OF_SYNC,
            f"{self._stamps.out_of_sync(where, request.sync_tolerance_ns)}; publish them with "
            "the same stamp, or raise sync_tolerance, or buffer_size and max_age for a late input",
            Patience.INPUT_WAIT,
        )

    def _no_such_stamp(self, request: FrameRequest) -> FrameUnavailableError:
        behind = self._stamps.behind(request.stamp_ns, request.sync_tolerance_ns)
        if behind:
            lag_ns = request.stamp_ns - min(map(self._stamps.newest_ns, behind))
            return FrameUnavailableError(
                Status.TIMEOUT,
                f"{self._stamps.named(behind)} did not reach the requested stamp in time: "
                f"they are {_seconds(lag_ns)} behind; raise timeout, or check the stamp",
                Patience.TIMEOUT,
            )
        return FrameUnavailableError(
            Status.STALE,
            "the requested stamp has passed, and no frame within sync_tolerance "
            f"({request.sync_tolerance_ns / 1e6:.0f} ms) of it is buffered; "
            f"{self._stamps.missed(request.stamp_ns)}; ask sooner, raise buffer_size, or use the "
            "stamp of an image",
            Patience.NONE,
        )


def _patience_s(patience: Patience, request: FrameRequest) -> float:
    return {
        Patience.NONE: 0.0,
        Patience.INPUT_WAIT: min(request.input_wait_s, request.timeout_s),
        Patience.TIMEOUT: request.timeout_s,
    }[patience]


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"
