"""The messages of one input by stamp, and problems with these stamps.

A driver that repeats a stamp, a restarted simulation, or a second publisher gives the same stamp to
different messages. Color and depth with the same stamp then need not belong together. Used by the
query node and for recordings.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from smolrgpt_core.messages.stamps import NANOSECONDS, SYNCHRONIZED, nearest

ZERO = "are 0: the publisher must set header.stamp; a detector must copy that of its image"
AGAIN = "repeat: the same message keeps arriving; check the publisher"
STILL = "repeat although the messages differ: check the publisher, and that there is only one"
RESTARTS = "go back: a simulation or a recording was restarted, or there are two publishers"
"""Problems with the stamps of an input; continue the sentence "the stamps ..."."""

CLOCK_TOLERANCE_NS = 1 * NANOSECONDS
"""Stamps further behind the latest one come from another clock, or from a clock that was set back;
others may just have arrived out of order."""

OVERTAKEN = 2
"""Up to this many messages in a row may arrive late; with more, the clock was set back."""


class Succession(Enum):
    """Relation of a message to the previous ones."""

    NEXT = "next"
    """Its stamp is unique."""
    AGAIN = "again"
    """The latest message again."""
    STILL = "still"
    """A different message with the stamp of the latest one: the stamp identifies neither."""
    RESTART = "restart"
    """Stamps start over: earlier messages belong to another time. Messages since the latest one may
    already belong to the new time."""


class StampOrder:
    """Checks the messages of one input in the order in which they are received."""

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._content: object = None
        self._stands_still = False
        self._recent: set[int] = set()
        self._behind = 0

    def add(self, stamp_ns: int, content: object) -> Succession:
        """Relation of the next message to the previous ones.

        Args:
            stamp_ns: of its header.
            content: equal for equal messages.
        """
        if self._newest_ns is None:
            return self._begin(stamp_ns, content, Succession.NEXT)
        if stamp_ns == self._newest_ns:
            self._stands_still = self._stands_still or content != self._content
            return Succession.STILL if self._stands_still else Succession.AGAIN
        is_far_back = stamp_ns < self._newest_ns - CLOCK_TOLERANCE_NS
        self._behind = self._behind + 1 if stamp_ns < self._newest_ns else 0
        if is_far_back or stamp_ns in self._recent or self._behind > OVERTAKEN:
            return self._begin(stamp_ns, content, Succession.RESTART)
        if stamp_ns > self._newest_ns:
            self._newest_ns, self._content, self._stands_still = stamp_ns, content, False
            oldest_ns = stamp_ns - CLOCK_TOLERANCE_NS
            self._recent = {item for item in self._recent if item >= oldest_ns}
        self._recent.add(stamp_ns)
        return Succession.NEXT

    def _begin(self, stamp_ns: int, content: object, succession: Succession) -> Succession:
        self._newest_ns, self._content, self._stands_still = stamp_ns, content, False
        self._recent, self._behind = {stamp_ns}, 0
        return succession


@dataclass(frozen=True, eq=False)
class StampedMessage:
    """One message of one input.

    Attributes:
        stamp_ns: of its header.
        payload: data of the owner.
        received_ns: time of reception, by the owner's clock; in a node `monotonic_ns`.
        number_of_pass: how often the stamps of its input had started over before it.
        content: equal for messages that differ only in their stamps; None unless all are kept.
    """

    stamp_ns: int
    payload: Any
    received_ns: int = field(default_factory=time.monotonic_ns)
    number_of_pass: int = 0
    content: object = None


@dataclass
class StampCounts:
    """Number of messages of an input with a problematic stamp.

    Attributes:
        zero: stamp 0 or negative.
        again: the same message as the previous one.
        still: a different message with the stamp of the previous one.
        restarts: a stamp that goes back.
    """

    zero: int = 0
    again: int = 0
    still: int = 0
    restarts: int = 0

    def trouble_since(self, before: StampCounts, is_too_old: bool) -> str:
        """The problem with the stamps since a snapshot; empty if there is none.

        Args:
            before: the earlier counts.
            is_too_old: whether the latest message is too old; otherwise repetitions are harmless.
        """
        if self.zero > before.zero:
            return ZERO
        if self.still > before.still:
            return STILL
        if is_too_old and self.again > before.again:
            return AGAIN
        return RESTARTS if self.restarts > before.restarts else ""


class InputStamps:
    """Messages of one input, added in the order in which they are received. Not thread-safe.

    Args:
        name: of the input.
        size: number of messages to keep, of the latest pass only; None: all of all passes.

    Attributes:
        samples: messages whose stamp is unique within their pass, sorted by stamp.
        counts: of problematic stamps.
        count: number of messages so far.
        received_ns: of the last message; None before the first.
        restarted_ns: of the message with which the stamps last started over; None: never.
        trouble: problem with the stamp of the last message; empty if there is none.
    """

    def __init__(self, name: str, size: int | None = None) -> None:
        self.samples: list[StampedMessage] = []
        self.counts = StampCounts()
        self.count = 0
        self.received_ns: int | None = None
        self.restarted_ns: int | None = None
        self.trouble = ""
        self._is_synchronized = name in SYNCHRONIZED
        self._size = size
        self._order = StampOrder()
        self._first: list[StampedMessage] = []
        self._still_ns: list[int] = []
        self._last_still: tuple[int, int] | None = None
        self._contents: set[object] = set()

    def add(self, stamp_ns: int, payload: Any, content: object, received_ns: int) -> bool:
        """Add the next message; returns whether the stamps start over with it.

        Args:
            stamp_ns: of its header.
            payload: data to keep.
            content: equal for equal messages with the same stamp.
            received_ns: time of reception.
        """
        self.count, self.received_ns = self.count + 1, received_ns
        if stamp_ns <= 0 and self._is_synchronized:
            self.counts.zero += 1
            self.trouble = ZERO
            return False
        known = content if self._size is None else None
        if self._size is None:
            self._contents.add(content)
        succession = self._order.add(stamp_ns, content)
        restarts = succession is Succession.RESTART
        if restarts:
            self._restart(received_ns)
        sample = StampedMessage(stamp_ns, payload, received_ns, self.counts.restarts, known)
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
        """Whether the stamp identifies the message; sets `trouble` if it does not."""
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
        # A calibration is valid until the next one, regardless of its stamp. If all are kept, only
        # the stamp could say when it is valid.
        return not self._is_synchronized and self._size is not None

    def _stand_still(self, stamp_ns: int) -> None:
        """Drop the messages whose stamp is not unique."""
        at = (self.counts.restarts, stamp_ns)
        if at != self._last_still:
            self._last_still = at
            insort(self._still_ns, stamp_ns)
            del self._still_ns[: -(self._size or len(self._still_ns))]
        elif self._is_synchronized:
            return
        start, stop = self._places(stamp_ns, 0)
        others = [i for i in self.samples[start:stop] if i.number_of_pass != at[0]]
        self.samples[start:stop] = others

    def forget(self) -> None:
        """Discard all messages."""
        self.samples.clear()

    def release(self) -> None:
        """Discard everything, including what the next message would be compared with."""
        self.samples.clear()
        self._order = StampOrder()

    def snapshot(self) -> StampCounts:
        """The counts as they are now."""
        return replace(self.counts)

    @property
    def passes(self) -> int:
        """Number of passes, at least one."""
        return self.counts.restarts + 1

    @property
    def still(self) -> int:
        """Number of messages whose stamp is not unique, if all are kept."""
        return self.counts.still + len(self._still_ns)

    @property
    def contents(self) -> int:
        """Number of different messages, ignoring stamps; 0 unless all are kept."""
        return len(self._contents)

    @property
    def apart_ns(self) -> int:
        """The shortest time from a pass to the next one; 0 with a single pass.

        Measured from the first message of a pass to the one with the nearest stamp in the previous
        pass.
        """
        by_pass: defaultdict[int, list[StampedMessage]] = defaultdict(list)
        for item in self.samples:
            by_pass[item.number_of_pass].append(item)
        distances = [
            after.received_ns - nearest(before, after.stamp_ns, stamp_of).received_ns
            for after in self._first[1:]
            if (before := by_pass[after.number_of_pass - 1])
        ]
        return min(distances, default=0)

    def nearest(self, stamp_ns: int) -> StampedMessage:
        """The message with the nearest stamp; there must be at least one."""
        return nearest(self.samples, stamp_ns, stamp_of)

    def last_before(self, stamp_ns: int) -> StampedMessage:
        """The latest message that is not newer, else the first; there must be at least one."""
        return self.samples[max(bisect_right(self.samples, stamp_ns, key=stamp_of) - 1, 0)]

    def near(self, stamp_ns: int, tolerance_ns: int) -> list[StampedMessage]:
        """The messages with a stamp within a tolerance."""
        start, stop = self._places(stamp_ns, tolerance_ns)
        return self.samples[start:stop]

    def _places(self, stamp_ns: int, tolerance_ns: int) -> tuple[int, int]:
        start = bisect_left(self.samples, stamp_ns - tolerance_ns, key=stamp_of)
        return start, bisect_right(self.samples, stamp_ns + tolerance_ns, key=stamp_of)

    def stands_still_at(self, stamp_ns: int, tolerance_ns: int) -> bool:
        """Whether a stamp is within the tolerance of one that is not unique."""
        index = bisect_left(self._still_ns, stamp_ns - tolerance_ns)
        return index < len(self._still_ns) and self._still_ns[index] <= stamp_ns + tolerance_ns


def stamp_of(sample: StampedMessage) -> int:
    """Sort key of samples."""
    return sample.stamp_ns
