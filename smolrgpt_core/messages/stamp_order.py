"""Tells from the stamps of an input whether they can name its messages.

A driver whose stamp stands still, a simulation that starts again, or a second publisher gives one
stamp to several moments. Colour and depth of one stamp need not belong together then. The query
node and recordings both ask here.
"""

from __future__ import annotations

from enum import Enum

from smolrgpt_core.messages.stamps import NANOSECONDS

CLOCK_TOLERANCE_NS = 1 * NANOSECONDS
"""Stamps further behind the newest one are of another clock, or of a clock that was set back;
closer ones may have overtaken each other on the way."""

OVERTAKEN = 2
"""So many messages in a row may have been overtaken by one; with more, the clock was set back."""


class Succession(Enum):
    """What a message is to those before it."""

    NEXT = "next"
    """Its stamp names it alone."""
    AGAIN = "again"
    """The newest message once more."""
    STILL = "still"
    """Another message with the stamp of the newest one: that stamp names none of them."""
    RESTART = "restart"
    """Stamps begin anew: what came before belongs to another time. Messages since the newest one
    may do so, too."""


class StampOrder:
    """Looks at the messages of one input in the order in which they are received."""

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._content: object = None
        self._stands_still = False
        self._recent: set[int] = set()
        self._behind = 0

    def add(self, stamp_ns: int, content: object) -> Succession:
        """What the next message is.

        Args:
            stamp_ns: of its header.
            content: equals that of another message if the messages are equal.
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
