"""Decides which messages belong together if stamps go back.

A recording has several passes if a simulation was restarted while recording, or if it contains two
runs. A stamp then occurs in each of them. The passes are distinguished by the times at which the
recorder received the messages: those that belong together are received with about the same delay.
If the delay does not decide it, nothing is combined: no frame is better than a mixed one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.messages.input_stamps import InputStamps, StampedMessage
from smolrgpt_core.messages.stamps import NANOSECONDS

MAX_SPREAD_NS = 1 * NANOSECONDS
"""Largest variation of the delay between two inputs."""


@dataclass(frozen=True)
class UsualDelay:
    """Delay with which the recorder receives the matching message of an input after the image.

    Attributes:
        least_ns: smallest delay; negative if it is received before the image.
        most_ns: largest delay.
    """

    least_ns: int
    most_ns: int

    def fits(self, image: StampedMessage, other: StampedMessage) -> bool:
        """Whether a message was received with this delay after the image."""
        return self.least_ns <= other.received_ns - image.received_ns <= self.most_ns


NEVER = UsualDelay(0, -1)
"""No message matches."""


def usual_delay(
    rgb: InputStamps, other: InputStamps, apart_ns: int, tolerance_ns: int
) -> UsualDelay:
    """The delay of most messages if it is unambiguous, otherwise `NEVER`.

    Between passes, the delays of messages with the same stamp differ by the time between passes.
    The correct delay is the most frequent one and the shortest of the frequent ones: an input that
    is late by more than half a pass cannot be distinguished from one of the previous pass.

    Args:
        rgb: stamps of the images.
        other: of the other input.
        apart_ns: the shortest time from a pass to the next.
        tolerance_ns: largest difference of the stamps of a frame.
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
    is_shorter = any(2 * n >= best[0] and abs(center) < abs(best[1]) for n, center in others)
    # Receiving a message before its image is implausible, receiving it later is not.
    is_as_frequent = any(n >= best[0] and center > 0 for n, center in others)
    if is_shorter or is_as_frequent:
        return NEVER
    return UsualDelay(best[1] - spread_ns // 2, best[1] + spread_ns // 2)


def _windows(delays: Sequence[int], width_ns: int) -> list[tuple[int, int]]:
    """For each delay as the start of a window: the number of delays in it, and its center."""
    counts = (
        (bisect_right(delays, delay + width_ns) - index, index)
        for index, delay in enumerate(delays)
    )
    return [(count, (delays[index] + delays[index + count - 1]) // 2) for count, index in counts]
