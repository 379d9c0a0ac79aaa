"""The latencies of the latest answers, by stage."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.answer import SpatialAnswer

TOTAL = "total"

NAMES = {
    "wait": "waiting",
    "convert": "reading the frame",
    "answer": "answering",
    "transform": "transform",
}
"""The stages of the query node in words; others are shown by their own name."""


@dataclass(frozen=True)
class StageTimes:
    """Latencies of some answers, earliest first.

    Attributes:
        stages: milliseconds of each answer by stage; stages that took no time are omitted.
        totals: milliseconds of each answer.
    """

    stages: dict[str, list[float]]
    totals: list[float]

    @property
    def summary(self) -> str:
        """The summary in words."""
        count = len(self.totals)
        middle, longest = statistics.median(self.totals), max(self.totals)
        return f"The last {count} took {middle:.0f} ms (median), at most {longest:.0f} ms."


def stage_times(answers: Sequence[SpatialAnswer]) -> StageTimes | None:
    """The latencies of answers and refusals; None if none is known.

    Args:
        answers: earliest first.
    """
    timed = [answer.latency_s for answer in answers if _is_known(answer)]
    if not timed:
        return None
    names = dict.fromkeys(name for latency_s in timed for name in latency_s if name != TOTAL)
    by_stage = {
        NAMES.get(name, name): [_ms(latency_s.get(name, 0.0)) for latency_s in timed]
        for name in names
    }
    return StageTimes(
        {name: times for name, times in by_stage.items() if any(times)},
        [_ms(latency_s[TOTAL]) for latency_s in timed],
    )


def _is_known(answer: SpatialAnswer) -> bool:
    return math.isfinite(answer.latency_s.get(TOTAL, math.nan))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1) if math.isfinite(seconds) else 0.0
