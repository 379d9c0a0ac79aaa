"""Finds the messages that belong to one moment, or says precisely why there are none.

Pure Python: it sees stamps and opaque payloads, never a ROS type, and decodes nothing. Stamps and
"now" are nanoseconds of the node's clock (which may be simulated); waiting is in real time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.stamp_order import CLOCK_TOLERANCE_NS
from smolrgpt_core.messages.stamps import INPUTS, SYNCHRONISED, nearest
from smolrgpt_ros.input_samples import InputSamples, Sample, StampCounts, stamp_of

SILENCE_NS = 1_000_000_000
"""An input that sent nothing for so long has stopped."""


class Patience(Enum):
    """How long it makes sense to wait for what is missing."""

    NONE = "none"
    """It will never come."""
    INPUT_WAIT = "input_wait"
    """An input is not as it should be; it may be about to start."""
    TIMEOUT = "timeout"
    """Nothing is wrong, it is only not there yet."""


class FrameUnavailableError(SpatialError):
    """No frame for a request.

    Attributes:
        patience: how long it makes sense to wait.
        silent: inputs from which nothing comes (any more).
    """

    def __init__(
        self, status: Status, message: str, patience: Patience, silent: tuple[str, ...] = ()
    ) -> None:
        super().__init__(status, message)
        self.patience = patience
        self.silent = silent


class BufferClosedError(Exception):
    """The node was deactivated while a request waited."""


@dataclass(frozen=True)
class FrameSamples:
    """The messages of one moment."""

    rgb: Sample
    depth: Sample
    camera_info: Sample
    regions: Sample


@dataclass(frozen=True)
class FrameRequest:
    """Which frame is wanted.

    Attributes:
        stamp_ns: of the frame; 0 = the newest.
        max_age_ns: oldest stamp to accept, before now.
        sync_tolerance_ns: how far stamps may lie apart.
        input_wait_s: how long to wait for inputs that are missing, stale or out of sync.
        timeout_s: how long to wait at all.
    """

    stamp_ns: int
    max_age_ns: int
    sync_tolerance_ns: int
    input_wait_s: float
    timeout_s: float

    def accepts(self, samples: FrameSamples, now_ns: int) -> bool:
        """Whether a frame will do where the newest is wanted: young enough, and its stamps agree.

        Args:
            samples: of the frame.
            now_ns: of the clock that made its stamps.
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
        size: messages kept of each input.
        topics: name of the topic of each input, for messages to the operator.

    Attributes:
        on_message: called after every message, on the thread that adds it.
    """

    def __init__(self, size: int, topics: Mapping[str, str]) -> None:
        self.on_message: Callable[[], None] = lambda: None
        self._topics = topics
        self._inputs = {name: InputSamples(name, size) for name in INPUTS}
        self._samples = {name: item.samples for name, item in self._inputs.items()}
        self._changed = threading.Condition()
        self._closed = False

    def add(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Keep a message, forget the oldest one, and wake who waits."""
        with self._changed:
            before_s = self._inputs[name].arrived_s
            if self._inputs[name].add(stamp_ns, payload) and name in SYNCHRONISED:
                self._forget_time_before(before_s)
            self._changed.notify_all()
        self.on_message()

    def _forget_time_before(self, before_s: float | None) -> None:
        """An input began anew: what others sent before is of another time, whatever its stamp.

        Such as when a simulation starts again, or a recording is played in a loop.

        Args:
            before_s: `time.monotonic()` of the message before; who began anew since, goes along.
        """
        for name in SYNCHRONISED:
            restarted_s = self._inputs[name].restarted_s
            if restarted_s is None or (before_s is not None and restarted_s < before_s):
                self._inputs[name].forget()

    def newest_stamp_ns(self, name: str) -> int | None:
        """Stamp of the newest message of an input, None before the first."""
        with self._changed:
            samples = self._samples[name]
            return samples[-1].stamp_ns if samples else None

    def stamp_counts(self, name: str) -> StampCounts:
        """How many messages of an input had an odd stamp."""
        with self._changed:
            return self._inputs[name].snapshot()

    def close(self) -> None:
        """Let go of all messages and of everybody who waits."""
        with self._changed:
            self._closed = True
            for item in self._inputs.values():
                item.release()
            self._changed.notify_all()

    def wait(
        self, request: FrameRequest, now_ns: Callable[[], int], arrived_s: float | None = None
    ) -> FrameSamples:
        """The frame that was asked for, as soon as it is there.

        Args:
            request: which frame.
            now_ns: the clock of the stamps.
            arrived_s: `time.monotonic()` from which the timeout of the request counts, in seconds;
                None: now.

        Raises:
            FrameUnavailableError: when waiting longer makes no sense.
            BufferClosedError: when the buffer was closed.
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
        raise BufferClosedError

    def select(self, request: FrameRequest, now_ns: int) -> FrameSamples:
        """The frame that was asked for, without waiting.

        Raises:
            FrameUnavailableError: with the reason why there is none.
        """
        with self._changed:
            return self._select(request, now_ns)

    def _select(self, request: FrameRequest, now_ns: int) -> FrameSamples:
        self._check_arrived()
        if request.stamp_ns:
            return self._select_stamp(request, now_ns)
        self._check_clock(now_ns)
        self._check_stamps(request, now_ns)
        self._check_silence(request, now_ns)
        for rgb in reversed(self._samples["rgb"]):
            if now_ns - rgb.stamp_ns > request.max_age_ns:
                break
            found = self._complete(rgb, request.sync_tolerance_ns)
            if found:
                return found
        self._check_age(request, now_ns)
        raise self._out_of_sync(request)

    def _select_stamp(self, request: FrameRequest, now_ns: int) -> FrameSamples:
        age_ns = now_ns - request.stamp_ns
        if -age_ns > request.timeout_s * 1e9:
            raise FrameUnavailableError(
                Status.TIMEOUT,
                f"the requested stamp is {_seconds(-age_ns)} ahead of this node's clock, further "
                f"than the timeout of {request.timeout_s:.3f} s; use the stamp of an image",
                Patience.NONE,
            )
        if age_ns > request.max_age_ns:
            raise FrameUnavailableError(
                Status.STALE,
                f"the requested stamp is {_seconds(age_ns)} old, max_age is "
                f"{_seconds(request.max_age_ns)}; ask sooner or raise max_age",
                Patience.NONE,
            )
        rgb = self._nearest("rgb", request.stamp_ns)
        if abs(rgb.stamp_ns - request.stamp_ns) <= request.sync_tolerance_ns:
            found = self._complete(rgb, request.sync_tolerance_ns)
            if found:
                return found
        raise self._no_such_stamp(request)

    def _complete(self, rgb: Sample, tolerance_ns: int) -> FrameSamples | None:
        """The set around an image, None if a part is further away than the tolerance."""
        depth, regions = (self._nearest(name, rgb.stamp_ns) for name in ("depth", "regions"))
        if max(abs(part.stamp_ns - rgb.stamp_ns) for part in (depth, regions)) > tolerance_ns:
            return None
        return FrameSamples(rgb, depth, self._nearest("camera_info", rgb.stamp_ns), regions)

    def _nearest(self, name: str, stamp_ns: int) -> Sample:
        return nearest(self._samples[name], stamp_ns, stamp_of)

    def _check_arrived(self) -> None:
        missing = tuple(name for name in INPUTS if not self._samples[name])
        if not missing:
            return
        first = self._inputs[missing[0]]
        if first.trouble:
            raise self._odd_stamps(missing[0])
        if first.arrived_s is not None:
            raise FrameUnavailableError(
                Status.STALE,
                f"nothing has arrived from {self._named(missing)} since the stamps went back, as "
                "when a simulation or a driver starts again",
                Patience.INPUT_WAIT,
                missing,
            )
        raise FrameUnavailableError(
            INPUTS[missing[0]],
            f"nothing has ever arrived from {self._named(missing)}",
            Patience.INPUT_WAIT,
            missing,
        )

    def _check_stamps(self, request: FrameRequest, now_ns: int) -> None:
        """Refuse an input that is too old because of its stamps alone."""
        for name in SYNCHRONISED:
            age_ns = now_ns - self._samples[name][-1].stamp_ns
            is_silent = self._silence_ns(name) > max(request.max_age_ns, SILENCE_NS)
            if self._inputs[name].trouble and age_ns > request.max_age_ns and not is_silent:
                raise self._odd_stamps(name)

    def _odd_stamps(self, name: str) -> FrameUnavailableError:
        return FrameUnavailableError(
            Status.STALE,
            f"the stamps of {self._named([name])} {self._inputs[name].trouble}",
            Patience.INPUT_WAIT,
        )

    def _silence_ns(self, name: str) -> int:
        """Since the last message of an input, of which there was one."""
        arrived_s = self._inputs[name].arrived_s
        assert arrived_s is not None
        return int((time.monotonic() - arrived_s) * 1e9)

    def _check_clock(self, now_ns: int) -> None:
        for name in SYNCHRONISED:
            ahead_ns = self._samples[name][-1].stamp_ns - now_ns
            if ahead_ns > CLOCK_TOLERANCE_NS:
                cause = (
                    "this node uses simulated time, but nothing has arrived on /clock"
                    if now_ns == 0
                    else "synchronise the clocks, and set use_sim_time alike everywhere"
                )
                raise FrameUnavailableError(
                    Status.BAD_INPUT,
                    f"stamps of {self._named([name])} are {_seconds(ahead_ns)} ahead of this "
                    f"node's clock: {cause}",
                    Patience.INPUT_WAIT,
                )

    def _check_silence(self, request: FrameRequest, now_ns: int) -> None:
        for name in SYNCHRONISED:
            newest = self._samples[name][-1]
            age_ns = now_ns - newest.stamp_ns
            silence_ns = self._silence_ns(name)
            if age_ns > request.max_age_ns and silence_ns > max(request.max_age_ns, SILENCE_NS):
                raise FrameUnavailableError(
                    Status.STALE,
                    f"the newest message from {self._named([name])} is {_seconds(age_ns)} old, "
                    f"max_age is {_seconds(request.max_age_ns)}",
                    Patience.INPUT_WAIT,
                    (name,),
                )

    def _check_age(self, request: FrameRequest, now_ns: int) -> None:
        """Refuse when even the freshest input is too old, although messages arrive."""
        name = max(SYNCHRONISED, key=lambda name: self._samples[name][-1].stamp_ns)
        age_ns = now_ns - self._samples[name][-1].stamp_ns
        silence_ns = self._silence_ns(name)
        if age_ns <= request.max_age_ns:
            return
        remedy = (
            "synchronise the clocks, or set use_sim_time alike everywhere"
            if age_ns - silence_ns > CLOCK_TOLERANCE_NS
            else "publish more often, or raise max_age"
        )
        raise FrameUnavailableError(
            Status.STALE,
            f"the newest image is {_seconds(age_ns)} old by this node's clock, max_age is "
            f"{_seconds(request.max_age_ns)}; it arrived {_seconds(silence_ns)} ago: {remedy}",
            Patience.INPUT_WAIT,
        )

    def _out_of_sync(self, request: FrameRequest) -> FrameUnavailableError:
        newest_ns = {name: self._samples[name][-1].stamp_ns for name in SYNCHRONISED}
        offsets_ns = {name: newest_ns[name] - newest_ns["rgb"] for name in ("depth", "regions")}
        offsets = " and ".join(
            f"{name} is {_milliseconds(abs(offset_ns))} {'older' if offset_ns < 0 else 'newer'}"
            for name, offset_ns in offsets_ns.items()
        )
        return FrameUnavailableError(
            Status.OUT_OF_SYNC,
            f"no rgb, depth and regions of the last {_seconds(request.max_age_ns)} (max_age) have "
            f"stamps within {_milliseconds(request.sync_tolerance_ns)} (sync_tolerance); of the "
            f"newest messages, {offsets} than rgb; give them one stamp, or raise sync_tolerance, "
            "or buffer_size and max_age for an input that is late",
            Patience.INPUT_WAIT,
        )

    def _no_such_stamp(self, request: FrameRequest) -> FrameUnavailableError:
        last_ns = request.stamp_ns - request.sync_tolerance_ns
        behind = [name for name in SYNCHRONISED if self._samples[name][-1].stamp_ns < last_ns]
        if behind:
            lag_ns = request.stamp_ns - min(self._samples[name][-1].stamp_ns for name in behind)
            return FrameUnavailableError(
                Status.TIMEOUT,
                f"{self._named(behind)} did not reach the requested stamp in time, "
                f"{_seconds(lag_ns)} are missing; raise timeout, or check the stamp",
                Patience.TIMEOUT,
            )
        offsets = [
            f"{name} by {_milliseconds(abs(self._offset_ns(name, request.stamp_ns)))}"
            for name in SYNCHRONISED
        ]
        return FrameUnavailableError(
            Status.STALE,
            "the requested stamp has passed, and no frame within sync_tolerance "
            f"({_milliseconds(request.sync_tolerance_ns)}) of it is kept; the nearest messages "
            f"miss it: {', '.join(offsets)}; ask sooner, raise buffer_size, or use the stamp of "
            "an image",
            Patience.NONE,
        )

    def _offset_ns(self, name: str, stamp_ns: int) -> int:
        """Stamp of the nearest message of an input, minus a stamp."""
        return self._nearest(name, stamp_ns).stamp_ns - stamp_ns

    def _named(self, names: tuple[str, ...] | list[str]) -> str:
        return ", ".join(f"{name} ({self._topics[name]})" for name in names)


def _patience_s(patience: Patience, request: FrameRequest) -> float:
    return {
        Patience.NONE: 0.0,
        Patience.INPUT_WAIT: min(request.input_wait_s, request.timeout_s),
        Patience.TIMEOUT: request.timeout_s,
    }[patience]


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.0f} ms"
