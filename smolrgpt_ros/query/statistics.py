"""Counts answers and refusals of the query node, and their latencies, since it started."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.errors import Status

LATENCIES = 1000
"""Number of answers for the latency percentiles."""

TOTAL = "total"


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one stage in seconds, over the last answers.

    Attributes:
        median_s, p99_s: percentiles 50 and 99.
    """

    median_s: float
    p99_s: float


@dataclass(frozen=True)
class StatisticsSnapshot:
    """One moment of `ServiceStatistics`.

    Attributes:
        counts: responses by status.
        calls: calls of the answerer.
        asked: questions in them.
        latencies: by stage: wait, convert, answer, parts of answer as "answer.PART", total.
        warnings: about the messages of the last frame.
        facts: how they were processed, by name.
    """

    counts: Mapping[Status, int]
    calls: int
    asked: int
    latencies: Mapping[str, LatencySummary]
    warnings: tuple[str, ...]
    facts: Mapping[str, str]

    @property
    def answers(self) -> int:
        """Number of responses with an answer."""
        return self.counts.get(Status.OK, 0)

    @property
    def refusals(self) -> dict[str, int]:
        """Number of other responses by status name."""
        refused = sorted(status for status in self.counts if status is not Status.OK)
        return {status.name: self.counts[status] for status in refused}

    @property
    def mean_batch(self) -> float:
        """Mean number of questions per call of the answerer; 0 before the first."""
        return self.asked / self.calls if self.calls else 0.0


class ServiceStatistics:
    """Answers and refusals since the node started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Status] = Counter()
        self._calls = 0
        self._asked = 0
        self._latencies_s: deque[Mapping[str, float]] = deque(maxlen=LATENCIES)
        self._warnings: tuple[str, ...] = ()
        self._facts: Mapping[str, str] = {}

    def record(self, status: Status, latency_s: Mapping[str, float]) -> None:
        """Count one response.

        Args:
            status: of the response.
            latency_s: seconds by stage; only used for answers.
        """
        with self._lock:
            self._counts[status] += 1
            if status is Status.OK:
                self._latencies_s.append(dict(latency_s))

    def record_frame(self, warnings: tuple[str, ...], facts: Mapping[str, str]) -> None:
        """Record warnings and facts about the frame of the last response.

        Args:
            warnings: about its messages.
            facts: how they were processed, by name.
        """
        with self._lock:
            self._warnings, self._facts = warnings, facts

    def record_batch(self, size: int) -> None:
        """Count one call of the answerer, with this many questions."""
        with self._lock:
            self._calls += 1
            self._asked += size

    def snapshot(self) -> StatisticsSnapshot:
        """All statistics at this moment."""
        with self._lock:
            latencies_s = list(self._latencies_s)
            counts, calls, asked = dict(self._counts), self._calls, self._asked
            warnings, facts = self._warnings, self._facts
        return StatisticsSnapshot(counts, calls, asked, _summaries(latencies_s), warnings, facts)


def _summaries(latencies_s: list[Mapping[str, float]]) -> dict[str, LatencySummary]:
    stages = dict.fromkeys(stage for latency_s in latencies_s for stage in latency_s)
    summaries = {}
    for stage in stages:
        seconds = [latency_s[stage] for latency_s in latencies_s if stage in latency_s]
        median_s, p99_s = np.percentile(seconds, [50, 99])
        summaries[stage] = LatencySummary(float(median_s), float(p99_s))
    return summaries
