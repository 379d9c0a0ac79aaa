"""Which messages can belong together where stamps go back.

A recording has several passes when a simulation was started again while the recorder ran, or when
it holds two runs. A stamp then occurs in each of them. What tells them apart are the times at which
the recorder received the messages: what belongs together is received one after another, always at
about the same distance. Where that does not tell, nothing belongs together: no frame is better than
one of two moments.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.messages.input_stamps import InputStamps, Sample
from smolrgpt_core.messages.stamps import NANOSECONDS

MAX_SPREAD_NS = 1 * NANOSECONDS
"""By how much the distances may differ at which two inputs are received."""


@dataclass(frozen=True)
class UsualDelay:
    """How much later than an image the recorder receives what belongs to it, of one input.

    Attributes:
        least_ns: at least; below 0 when it is received first.
        most_ns: at most.
    """

    least_ns: int
    most_ns: int

    def fits(self, image: Sample, other: Sample) -> bool:
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
        for image in rgb.samples
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
