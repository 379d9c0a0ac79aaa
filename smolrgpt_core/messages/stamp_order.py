"""Checks whether the stamps of an input identify its messages.

A driver that repeats a stamp, a restarted simulation, or a second publisher gives the same stamp to
different messages. Color and depth with the same stamp then need not belong together. Used by the
query node and for recordings.
"""

from __future__ import annotations

from enum import Enum

from smolrgpt_core.messages.stamps import NANOSECONDS

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
