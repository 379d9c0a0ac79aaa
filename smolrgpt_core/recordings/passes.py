"""The messages of each input by stamp, and which of them are of the same pass.

A pass ends where the stamps of an input begin anew: a simulation that was started again while the
recorder ran, or two runs in one recording. Each input goes through the passes by itself, since a
late one is still in the first when the others are in the second. What tells which passes of two
inputs are the same one are the times at which the recorder received them. Where they do not tell,
the passes do not belong together: no frame is better than one of two moments.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from smolrgpt_core.messages.stamp_order import OVERTAKEN, StampOrder, Succession
from smolrgpt_core.messages.stamps import nearest, without_stamp

AT_ONCE_NS = 1_000
"""Messages that were recorded so close to each other were recorded together."""

MOST = 0.5
"""Share of a pass."""


@dataclass(frozen=True, order=True)
class StampedMessage:
    """A message by its place in the recording.

    Attributes:
        stamp_ns: of its header.
        number: the n-th of its topic.
        number_of_pass: of its input.
        received_ns: by the clock of the recorder.
    """

    stamp_ns: int
    number: int
    number_of_pass: int = 0
    received_ns: int = 0


@dataclass(frozen=True)
class Pass:
    """Messages of one input between two restarts, by stamp.

    Attributes:
        messages: with stamps in ascending order, no two alike.
        first_ns: when the first of them was received.
        last_ns: when the last was.
    """

    messages: Sequence[StampedMessage]
    first_ns: int
    last_ns: int

    def nearest(self, stamp_ns: int) -> StampedMessage | None:
        """The message with the nearest stamp, None without any."""
        return nearest(self.messages, stamp_ns, stamp_of) if self.messages else None

    def coincides(self, other: Pass, share: float) -> bool:
        """Whether both were received at the same time, by more than a share of the shorter one."""
        common_ns = min(self.last_ns, other.last_ns) - max(self.first_ns, other.first_ns)
        shorter_ns = min(self.last_ns - self.first_ns, other.last_ns - other.first_ns)
        return common_ns + AT_ONCE_NS > share * shorter_ns


@dataclass(frozen=True)
class InputStamps:
    """All messages of one input.

    Attributes:
        passes: in the order of the recording, at least one.
        count: messages in the recording.
        unstamped: of them, those with the stamp 0.
        again: of them, those that are the message before once more.
        still: of them, those whose stamp belongs to several different messages in a row.
        still_ns: these stamps, in ascending order.
        unclear: of them, those of which it cannot be told whether they are before a restart.
        contents: how many different ones there are, without their stamps.
    """

    passes: Sequence[Pass]
    count: int
    unstamped: int
    again: int
    still: int
    still_ns: Sequence[int]
    unclear: int
    contents: int

    @property
    def messages(self) -> Sequence[StampedMessage]:
        """Those that their stamp names, by stamp."""
        return sorted(message for item in self.passes for message in item.messages)

    def stands_still_at(self, stamp_ns: int, tolerance_ns: float) -> bool:
        """Whether a stamp is within the tolerance of one that stands still."""
        index = bisect_left(self.still_ns, stamp_ns - tolerance_ns)
        return index < len(self.still_ns) and self.still_ns[index] <= stamp_ns + tolerance_ns


def same_passes(own: InputStamps, number: int, other: InputStamps) -> Iterator[Pass]:
    """The passes of another input that are the same one as a pass of this input.

    Args:
        own: this input.
        number: of its pass.
        other: the other input.
    """
    if len(own.passes) == len(other.passes) == 1:
        yield other.passes[0]
        return
    mine = own.passes[number]
    # Passes of one input follow each other, so those that overlap with this one are neighbours.
    earliest_ns, latest_ns = mine.first_ns - AT_ONCE_NS, mine.last_ns + AT_ONCE_NS
    start = bisect_left(other.passes, earliest_ns, key=lambda item: item.last_ns)
    stop = bisect_right(other.passes, latest_ns, key=lambda item: item.first_ns)
    if len(own.passes) == len(other.passes):
        # Both go through all passes, so the n-th is the n-th: if it does not look like it, none is.
        indices, share = range(max(start, number), min(stop, number + 1)), 0.0
    else:
        indices, share = range(start, stop), MOST
    yield from (
        item for item in other.passes[indices.start : indices.stop] if mine.coincides(item, share)
    )


@dataclass
class _OpenPass:
    """A pass that is being read; messages that stand still are sorted out at its end."""

    messages: list[StampedMessage] = field(default_factory=list)
    first_ns: int = 0
    last_ns: int = 0


class StampReader:
    """Takes the messages of one input in the order of the recording.

    Args:
        needs_stamp: whether messages with the stamp 0 are of no use.
    """

    def __init__(self, needs_stamp: bool) -> None:
        self._needs_stamp = needs_stamp
        self._order = StampOrder()
        self._passes = [_OpenPass()]
        self._still: Counter[tuple[int, int]] = Counter()
        self._contents: set[int] = set()
        self._count = self._unstamped = self._again = self._unclear = 0

    def add(self, stamp_ns: int, received_ns: int, serialized: bytes) -> None:
        """Take the next message."""
        number, self._count = self._count, self._count + 1
        if stamp_ns <= 0 and self._needs_stamp:
            self._unstamped += 1
            return
        self._contents.add(zlib.crc32(without_stamp(serialized)))
        succession = self._order.add(stamp_ns, zlib.crc32(serialized))
        if succession is Succession.RESTART:
            self._end_pass()
        index, current = len(self._passes) - 1, self._passes[-1]
        current.first_ns = current.first_ns or received_ns
        current.last_ns = received_ns
        if succession is Succession.AGAIN:
            self._again += 1
        elif succession is Succession.STILL:
            self._still[index, stamp_ns] += 1
        else:
            current.messages.append(StampedMessage(stamp_ns, number, index, received_ns))

    def finish(self) -> InputStamps:
        """All that was taken."""
        passes = [self._without_still(index) for index in range(len(self._passes))]
        return InputStamps(
            passes=passes,
            count=self._count,
            unstamped=self._unstamped,
            again=self._again,
            still=self._still.total() + len(self._still),
            still_ns=sorted({stamp_ns for _, stamp_ns in self._still}),
            unclear=self._unclear,
            contents=len(self._contents),
        )

    def _end_pass(self) -> None:
        """Begin another one; what came after the newest message may belong to either."""
        messages = self._passes[-1].messages
        while len(messages) > 1 and messages[-1] < max(messages[-OVERTAKEN - 1 :]):
            messages.pop()
            self._unclear += 1
        self._passes.append(_OpenPass())

    def _without_still(self, index: int) -> Pass:
        found = self._passes[index]
        messages = [item for item in found.messages if (index, item.stamp_ns) not in self._still]
        return Pass(sorted(messages), found.first_ns, found.last_ns)


def stamp_of(message: StampedMessage) -> int:
    """What messages are ordered by."""
    return message.stamp_ns
