"""Processes images on a thread of its own: always the newest ones, at a limited rate.

Images that come while one is processed are skipped, never queued: what follows a robot must be
about now.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_core.messages.stamps import NANOSECONDS, nearest

MESSAGES_PER_INPUT = 30
"""Messages that wait for those that belong to them: one second at 30 Hz."""

EARLY = 0.8
"""An image may have its turn after this fraction of a period: one that came late must not make all
that follow wait, as they would if the turns were a full period apart."""

LATENCIES = 200
"""Number of images for the latency percentiles."""

Images = Mapping[str, StampedMessage]
"""Messages that belong together, by input."""


class NewestImages:
    """Finds the newest messages that belong together, around the first color image of each period.

    Args:
        images: inputs whose stamps must match; the first one is the color image.
        others: inputs of which the latest message is used, if there is one.
        tolerance_s: largest difference of the stamps, seconds.
        rate: periods per second of the stamps.

    Attributes:
        rate: images per second at most; may be changed at any time.
    """

    def __init__(
        self, images: Sequence[str], others: Sequence[str], tolerance_s: float, rate: float
    ) -> None:
        self.rate = rate
        self._stamp_ns = 0
        self._first = images[0]
        self._images = {name: deque[StampedMessage](maxlen=MESSAGES_PER_INPUT) for name in images}
        self._others: dict[str, StampedMessage | None] = dict.fromkeys(others)
        self._tolerance_ns = int(tolerance_s * NANOSECONDS)
        self._last: StampedMessage | None = None

    def add(self, name: str, sample: StampedMessage) -> Images | None:
        """Add a message; returns the newest set if this message completed a new one."""
        if name in self._others:
            self._others[name] = sample
            return None
        if name != self._first or self._begins_period(sample.stamp_ns):
            self._images[name].append(sample)
        found = self._newest()
        if found is None or found[self._first] is self._last:
            return None
        self._last = found[self._first]
        return found | {name: other for name, other in self._others.items() if other}

    def _begins_period(self, stamp_ns: int) -> bool:
        """Whether this is the first image of a period; stamps that do not advance have none."""
        before_ns, self._stamp_ns = self._stamp_ns, stamp_ns
        period_ns = NANOSECONDS / self.rate
        return stamp_ns <= before_ns or stamp_ns // period_ns != before_ns // period_ns

    def _newest(self) -> dict[str, StampedMessage] | None:
        for image in reversed(self._images[self._first]):
            found = {name: self._nearest(name, image) for name in self._images}
            if all(self._belongs(sample, image) for sample in found.values()):
                return {name: sample for name, sample in found.items() if sample}
        return None

    def _nearest(self, name: str, image: StampedMessage) -> StampedMessage | None:
        if name == self._first:
            return image
        samples = sorted(self._images[name], key=_stamp_ns)
        return nearest(samples, image.stamp_ns, _stamp_ns) if samples else None

    def _belongs(self, sample: StampedMessage | None, image: StampedMessage) -> bool:
        return sample is not None and abs(sample.stamp_ns - image.stamp_ns) <= self._tolerance_ns


def _stamp_ns(sample: StampedMessage) -> int:
    return sample.stamp_ns


@dataclass
class WorkerStatistics:
    """Counts since activation.

    Attributes:
        processed: images.
        skipped: images that were replaced by a newer one before their turn.
        failed: images whose processing raised an error.
        seconds: processing time of the last images.
        last_error: of the last image; empty if it was processed.
    """

    processed: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    last_error: str = ""

    def values(self) -> dict[str, str]:
        """For diagnostics."""
        times = list(self.seconds)
        return {
            "processed": str(self.processed),
            "skipped": str(self.skipped),
            "failed": str(self.failed),
            "latency_median_s": f"{np.median(times):.4f}" if times else "",
            "latency_p99_s": f"{np.quantile(times, 0.99):.4f}" if times else "",
        }


class ImageWorker:
    """Calls `process` with the newest images, about `rate` times per second of real time at most.

    Args:
        process: called on the thread of the worker.
        rate: times per second.
        on_error: called with an exception that `process` has raised.

    Attributes:
        rate: images per second at most; may be changed at any time.
        statistics: counts so far.
    """

    def __init__(
        self,
        process: Callable[[Images], None],
        rate: float,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.rate = rate
        self.statistics = WorkerStatistics()
        self._process = process
        self._on_error = on_error
        self._waiting: Images | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)
        self._thread.start()

    def offer(self, images: Images) -> None:
        """The newest images; they replace those that still wait."""
        with self._changed:
            if self._waiting is not None:
                self.statistics.skipped += 1
            self._waiting = images
            self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Process nothing more; returns whether the running image was finished in time."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_s = time.monotonic()
        while images := self._take(next_s):
            started_s = time.monotonic()
            next_s = started_s + EARLY / self.rate
            try:
                self._process(images)
            except Exception as error:
                self.statistics.failed += 1
                self.statistics.last_error = str(error)
                self._on_error(error)
            else:
                self.statistics.processed += 1
                self.statistics.last_error = ""
                self.statistics.seconds.append(time.monotonic() - started_s)

    def _take(self, next_s: float) -> Images | None:
        """The newest images, once it is time and there are some; None after `close`."""
        with self._changed:
            while not self._closed:
                wait_s = next_s - time.monotonic()
                if wait_s <= 0 and self._waiting is not None:
                    images, self._waiting = self._waiting, None
                    return images
                self._changed.wait(wait_s if wait_s > 0 else None)
        return None
