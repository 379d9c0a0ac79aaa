"""The last messages of one input, and what is odd about their stamps.

Pure Python, like `frame_buffer`.
"""

from __future__ import annotations

import time
from bisect import insort
from dataclasses import dataclass, field, replace
from typing import Any

from smolrgpt_core.messages.stamp_order import StampOrder, Succession
from smolrgpt_core.messages.stamps import SYNCHRONISED

ZERO = "are 0: what publishes them must fill header.stamp, a detector with that of its image"
AGAIN = "repeat: the same message comes again and again; look after what publishes them"
STILL = (
    "repeat although the messages differ: look after what publishes them, and whether only one does"
)
RESTARTS = "go back: a simulation or a recording began anew, or two publishers send there at a time"
"""What may be wrong with the stamps of an input; goes on after "the stamps"."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One message of one input.

    Attributes:
        stamp_ns: of its header.
        payload: whatever the owner of the buffer put in.
        arrived_s: `time.monotonic()` of its arrival.
    """

    stamp_ns: int
    payload: Any
    arrived_s: float = field(default_factory=time.monotonic)


@dataclass
class StampCounts:
    """How many messages of an input had an odd stamp.

    Attributes:
        zero: the stamp 0.
        again: the same message as before.
        still: another message with the stamp of the one before.
        restarts: a stamp that goes back.
    """

    zero: int = 0
    again: int = 0
    still: int = 0
    restarts: int = 0

    def trouble_since(self, before: StampCounts, is_too_old: bool) -> str:
        """What is wrong with the stamps since then; empty if nothing is.

        Args:
            before: the counts then.
            is_too_old: whether the newest message is; a message that comes twice is harmless else.
        """
        if self.zero > before.zero:
            return ZERO
        if self.still > before.still:
            return STILL
        if is_too_old and self.again > before.again:
            return AGAIN
        return RESTARTS if self.restarts > before.restarts else ""


class InputSamples:
    """Messages of one input. Not thread-safe.

    Args:
        name: of the input.
        size: messages kept.

    Attributes:
        samples: by stamp; none of two with one stamp.
        counts: of odd stamps.
        arrived_s: `time.monotonic()` of the last arrival, None before the first.
        trouble: what is wrong with the stamp of the last message, empty if nothing is.
        restarted_s: `time.monotonic()` when stamps began anew for the last time, else None.
    """

    def __init__(self, name: str, size: int) -> None:
        self.samples: list[Sample] = []
        self.counts = StampCounts()
        self.arrived_s: float | None = None
        self.trouble = ""
        self.restarted_s: float | None = None
        self._is_synchronised = name in SYNCHRONISED
        self._size = size
        self._order = StampOrder()

    def add(self, stamp_ns: int, payload: Any) -> bool:
        """Keep a message, forget the oldest one; returns whether stamps begin anew with it."""
        sample = Sample(stamp_ns, payload)
        self.arrived_s = sample.arrived_s
        if stamp_ns == 0 and self._is_synchronised:
            self.counts.zero += 1
            self.trouble = ZERO
            return False
        succession = self._order.add(stamp_ns, payload)
        self.trouble = ""
        if succession is Succession.AGAIN:
            self.counts.again += 1
            self.trouble = AGAIN
            return False
        if succession is Succession.STILL:
            self.counts.still += 1
            self.trouble = STILL
            self.samples[:] = [item for item in self.samples if item.stamp_ns != stamp_ns]
            if self._is_synchronised:
                return False
        if succession is Succession.RESTART:
            self.counts.restarts += 1
            self.restarted_s = sample.arrived_s
            self.samples.clear()
        # A calibration holds until the next one, whatever its stamp.
        insort(self.samples, sample, key=stamp_of)
        del self.samples[: -self._size]
        return succession is Succession.RESTART

    def forget(self) -> None:
        """Let go of all messages that could be found."""
        self.samples.clear()

    def release(self) -> None:
        """Let go of everything, also of what the next message would be compared with."""
        self.samples.clear()
        self._order = StampOrder()

    def snapshot(self) -> StampCounts:
        """The counts as they are now."""
        return replace(self.counts)


def stamp_of(sample: Sample) -> int:
    """What samples are ordered by."""
    return sample.stamp_ns
