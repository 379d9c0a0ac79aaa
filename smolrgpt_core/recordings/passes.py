"""The messages of each input by stamp, and which of them can belong together where stamps go back.

A recording has several passes when a simulation was started again while the recorder ran, or when
it holds two runs. A stamp then occurs in each of them. What tells them apart are the times at which
the recorder received the messages: what belongs together is received one after another, always at
about the same distance. Where that does not tell, nothing belongs together: no frame is better than
one of two moments.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from smolrgpt_core.messages.stamp_order import StampOrder, Succession
from smolrgpt_core.messages.stamps import NANOSECONDS, nearest, without_stamp

MAX_SPREAD_NS = 1 * NANOSECONDS
"""By how much the distances may differ at which two inputs are received."""


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
class InputStamps:
    """All messages of one input.

    Attributes:
        messages: those that their stamp names within their pass, by stamp.
        passes: how often the stamps begin, at least once.
        apart_ns: the shortest time from a stamp of one pass to the same one of the next; 0 = with
            a single pass.
        count: messages in the recording.
        unstamped: of them, those with the stamp 0.
        again: of them, those that are the message before once more.
        still: of them, those whose stamp belongs to several different messages in a row.
        still_ns: these stamps, in ascending order.
        contents: how many different messages there are, apart from their stamps.
    """

    messages: Sequence[StampedMessage]
    passes: int
    apart_ns: int
    count: int
    unstamped: int
    again: int
    still: int
    still_ns: Sequence[int]
    contents: int

    def near(self, stamp_ns: int, tolerance_ns: int) -> Sequence[StampedMessage]:
        """The messages with a stamp within a tolerance."""
        start = bisect_left(self.messages, stamp_ns - tolerance_ns, key=stamp_of)
        stop = bisect_right(self.messages, stamp_ns + tolerance_ns, key=stamp_of)
        return self.messages[start:stop]

    def stands_still_at(self, stamp_ns: int, tolerance_ns: int) -> bool:
        """Whether a stamp is within the tolerance of one that stands still."""
        index = bisect_left(self.still_ns, stamp_ns - tolerance_ns)
        return index < len(self.still_ns) and self.still_ns[index] <= stamp_ns + tolerance_ns


@dataclass(frozen=True)
class UsualDelay:
    """How much later than an image the recorder receives what belongs to it, of one input.

    Attributes:
        least_ns: at least; below 0 when it is received first.
        most_ns: at most.
    """

    least_ns: int
    most_ns: int

    def fits(self, image: StampedMessage, other: StampedMessage) -> bool:
        """Whether a message was received when what belongs to the image is."""
        return self.least_ns <= other.received_ns - image.received_ns <= self.most_ns


NEVER = UsualDelay(0, -1)
"""Nothing fits."""


def usual_delay(
    rgb: InputStamps, other: InputStamps, apart_ns: int, tolerance_ns: int
) -> UsualDelay:
    """The delay of most messages, if it is plain that it is the right one, else `NEVER`.

    Between the passes, the delays of messages of one stamp differ by the time from one pass to the
    next. The right delay is that which occurs most often, and the shortest of those that are
    frequent: an input that is later than half a pass cannot be told from one of the pass before.

    Args:
        rgb: stamps of the images.
        other: of the other input.
        apart_ns: the shortest time from a pass to the next.
        tolerance_ns: how far stamps of one moment may lie apart.
    """
    spread_ns = min(MAX_SPREAD_NS, apart_ns // 2)
    delays = sorted(
        item.received_ns - image.received_ns
        for image in rgb.messages
        for item in other.near(image.stamp_ns, tolerance_ns)
    )
    windows = _windows(delays, spread_ns)
    if not windows:
        return NEVER
    best = max(windows, key=lambda window: (window[0], -abs(window[1])))
    others = [window for window in windows if abs(window[1] - best[1]) > spread_ns]
    is_shorter = any(2 * n >= best[0] and abs(centre) < abs(best[1]) for n, centre in others)
    # What is received before its image is implausible, what comes later is not.
    is_as_frequent = any(n >= best[0] and centre > 0 for n, centre in others)
    if is_shorter or is_as_frequent:
        return NEVER
    return UsualDelay(best[1] - spread_ns // 2, best[1] + spread_ns // 2)


def _windows(delays: Sequence[int], width_ns: int) -> list[tuple[int, int]]:
    """For each delay as the first one of a window: how many are in it, and its centre."""
    counts = (
        (bisect_right(delays, delay + width_ns) - index, index)
        for index, delay in enumerate(delays)
    )
    return [(count, (delays[index] + delays[index + count - 1]) // 2) for count, index in counts]


@dataclass
class StampReader:
    """Takes the messages of one input in the order of the recording.

    Attributes:
        needs_stamp: whether messages with the stamp 0 are of no use.
    """

    needs_stamp: bool
    _order: StampOrder = field(default_factory=StampOrder)
    _passes: list[list[StampedMessage]] = field(default_factory=lambda: [[]])
    _still: Counter[tuple[int, int]] = field(default_factory=Counter)
    _contents: set[int] = field(default_factory=set)
    _count: int = 0
    _unstamped: int = 0
    _again: int = 0

    def add(self, stamp_ns: int, received_ns: int, serialized: bytes) -> None:
        """Take the next message."""
        number, self._count = self._count, self._count + 1
        if stamp_ns <= 0 and self.needs_stamp:
            self._unstamped += 1
            return
        self._contents.add(zlib.crc32(without_stamp(serialized)))
        succession = self._order.add(stamp_ns, zlib.crc32(serialized))
        if succession is Succession.RESTART:
            self._passes.append([])
        index = len(self._passes) - 1
        if succession is Succession.AGAIN:
            self._again += 1
        elif succession is Succession.STILL:
            self._still[index, stamp_ns] += 1
        else:
            self._passes[-1].append(StampedMessage(stamp_ns, number, index, received_ns))

    def finish(self) -> InputStamps:
        """All that was taken."""
        return InputStamps(
            messages=sorted(
                item
                for messages in self._passes
                for item in messages
                if (item.number_of_pass, item.stamp_ns) not in self._still
            ),
            passes=len(self._passes),
            apart_ns=self._apart_ns(),
            count=self._count,
            unstamped=self._unstamped,
            again=self._again,
            still=self._still.total() + len(self._still),
            still_ns=sorted({stamp_ns for _, stamp_ns in self._still}),
            contents=len(self._contents),
        )

    def _apart_ns(self) -> int:
        """From the first message of a pass to the one in the pass before with the nearest stamp."""
        distances = [
            after[0].received_ns - nearest(sorted(before), after[0].stamp_ns, stamp_of).received_ns
            for before, after in zip(self._passes, self._passes[1:], strict=False)
        ]
        return min(distances, default=0)


def stamp_of(message: StampedMessage) -> int:
    """What messages are ordered by."""
    return message.stamp_ns
