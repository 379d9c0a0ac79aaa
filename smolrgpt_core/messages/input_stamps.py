"""The messages of one input by their stamps, and what is odd about these stamps."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from smolrgpt_core.messages.stamp_order import StampOrder, Succession
from smolrgpt_core.messages.stamps import SYNCHRONISED, nearest

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
        payload: whatever its owner put in.
        received_ns: when it was received, by a clock of the owner's; in a node `monotonic_ns`.
        number_of_pass: how often the stamps of its input had begun anew before it.
    """

    stamp_ns: int
    payload: Any
    received_ns: int = field(default_factory=time.monotonic_ns)
    number_of_pass: int = 0


@dataclass
class StampCounts:
    """How many messages of an input had an odd stamp.

    Attributes:
        zero: the stamp 0, or less.
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


class InputStamps:
    """Messages of one input, taken in the order in which they are received. Not thread-safe.

    Args:
        name: of the input.
        size: how many messages are kept, of the newest pass only; None: all of all passes.

    Attributes:
        samples: those that their stamp names within their pass, by stamp.
        counts: of odd stamps.
        count: messages so far.
        received_ns: of the last message, None before the first.
        restarted_ns: of the message with which stamps began anew for the last time, else None.
        trouble: what is wrong with the stamp of the last message, empty if nothing is.
    """

    def __init__(self, name: str, size: int | None = None) -> None:
        self.samples: list[Sample] = []
        self.counts = StampCounts()
        self.count = 0
        self.received_ns: int | None = None
        self.restarted_ns: int | None = None
        self.trouble = ""
        self._is_synchronised = name in SYNCHRONISED
        self._size = size
        self._order = StampOrder()
        self._first: list[Sample] = []
        self._still_ns: list[int] = []
        self._last_still: tuple[int, int] | None = None
        self._contents: set[object] = set()

    def add(self, stamp_ns: int, payload: Any, content: object, received_ns: int) -> bool:
        """Take the next message; returns whether stamps begin anew with it.

        Args:
            stamp_ns: of its header.
            payload: to be kept.
            content: equals that of another message of the same stamp if the messages are equal.
            received_ns: when it was received.
        """
        self.count, self.received_ns = self.count + 1, received_ns
        if stamp_ns <= 0 and self._is_synchronised:
            self.counts.zero += 1
            self.trouble = ZERO
            return False
        if self._size is None:
            self._contents.add(content)
        succession = self._order.add(stamp_ns, content)
        restarts = succession is Succession.RESTART
        if restarts:
            self._restart(received_ns)
        sample = Sample(stamp_ns, payload, received_ns, self.counts.restarts)
        if self._size is None and (restarts or not self._first):
            self._first.append(sample)
        if self._names(succession, stamp_ns):
            insort(self.samples, sample, key=stamp_of)
            del self.samples[: -(self._size or len(self.samples))]
        return restarts

    def _restart(self, received_ns: int) -> None:
        self.counts.restarts += 1
        self.restarted_ns = received_ns
        if self._size is not None:
            self.samples.clear()

    def _names(self, succession: Succession, stamp_ns: int) -> bool:
        """Whether a message can be found by its stamp; notes what is wrong if it cannot."""
        self.trouble = ""
        if succession is Succession.AGAIN:
            self.counts.again += 1
            self.trouble = AGAIN
            return False
        if succession is not Succession.STILL:
            return True
        self.counts.still += 1
        self.trouble = STILL
        self._stand_still(stamp_ns)
        # A calibration holds until the next one, whatever its stamp. Where all are kept side by
        # side, only the stamp could say when.
        return not self._is_synchronised and self._size is not None

    def _stand_still(self, stamp_ns: int) -> None:
        """Drop what has a stamp of several messages."""
        at = (self.counts.restarts, stamp_ns)
        if at != self._last_still:
            self._last_still = at
            insort(self._still_ns, stamp_ns)
            del self._still_ns[: -(self._size or len(self._still_ns))]
        elif self._is_synchronised:
            return
        start, stop = self._places(stamp_ns, 0)
        others = [i for i in self.samples[start:stop] if i.number_of_pass != at[0]]
        self.samples[start:stop] = others

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

    @property
    def passes(self) -> int:
        """How often the stamps begin, at least once."""
        return self.counts.restarts + 1

    @property
    def still(self) -> int:
        """Messages whose stamp belongs to several different ones in a row, where all are kept."""
        return self.counts.still + len(self._still_ns)

    @property
    def contents(self) -> int:
        """How many different messages there are, apart from their stamps; 0 unless all are kept."""
        return len(self._contents)

    @property
    def apart_ns(self) -> int:
        """The shortest time from a pass to the next one; 0 with a single pass.

        From the first message of a pass to the one in the pass before with the nearest stamp.
        """
        by_pass: defaultdict[int, list[Sample]] = defaultdict(list)
        for item in self.samples:
            by_pass[item.number_of_pass].append(item)
        distances = [
            after.received_ns - nearest(before, after.stamp_ns, stamp_of).received_ns
            for after in self._first[1:]
            if (before := by_pass[after.number_of_pass - 1])
        ]
        return min(distances, default=0)

    def nearest(self, stamp_ns: int) -> Sample:
        """The message with the nearest stamp, of at least one."""
        return nearest(self.samples, stamp_ns, stamp_of)

    def near(self, stamp_ns: int, tolerance_ns: int) -> list[Sample]:
        """The messages with a stamp within a tolerance."""
        start, stop = self._places(stamp_ns, tolerance_ns)
        return self.samples[start:stop]

    def _places(self, stamp_ns: int, tolerance_ns: int) -> tuple[int, int]:
        start = bisect_left(self.samples, stamp_ns - tolerance_ns, key=stamp_of)
        return start, bisect_right(self.samples, stamp_ns + tolerance_ns, key=stamp_of)

    def stands_still_at(self, stamp_ns: int, tolerance_ns: int) -> bool:
        """Whether a stamp is within the tolerance of one that stands still."""
        index = bisect_left(self._still_ns, stamp_ns - tolerance_ns)
        return index < len(self._still_ns) and self._still_ns[index] <= stamp_ns + tolerance_ns


def stamp_of(sample: Sample) -> int:
    """What samples are ordered by."""
    return sample.stamp_ns
