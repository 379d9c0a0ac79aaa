"""What the query node says about itself once a second: state, inputs, answers."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.stamps import SYNCHRONISED
from smolrgpt_ros.frame_buffer import INPUTS
from smolrgpt_ros.inputs import InputStatistics
from smolrgpt_ros.query_session import QuerySession

LATENCIES = 200
"""Answers over which the percentiles of the latency are taken."""

LOSS_ADVICE = (
    "messages get lost on the way: set FASTRTPS_DEFAULT_PROFILES_FILE to config/fastdds.xml of "
    "this package, for this node and for the publisher"
)


class AnswerStatistics:
    """Answers and refusals since the node started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Status] = Counter()
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)
        self._warnings: tuple[str, ...] = ()
        self._errors_reported = 0

    def record(self, status: Status, latency_s: float, warnings: tuple[str, ...]) -> None:
        """Count one response, with the warnings about the messages that it came from."""
        with self._lock:
            self._counts[status] += 1
            if status is Status.OK:
                self._latencies_s.append(latency_s)
                self._warnings = warnings

    def diagnostic(self, name: str) -> DiagnosticStatus:
        """Counts by status and latency; WARN for inputs in doubt and new errors of the answerer."""
        with self._lock:
            counts, latencies_s = dict(self._counts), list(self._latencies_s)
            problems = list(self._warnings)
        errors = counts.get(Status.MODEL_ERROR, 0)
        if errors > self._errors_reported:
            problems.append("the answerer failed, see the log of the node")
        self._errors_reported = errors
        values: dict[str, object] = {
            status.name.lower(): count for status, count in sorted(counts.items())
        }
        if latencies_s:
            median, high = np.percentile(latencies_s, [50, 99])
            values |= {"latency_median_s": f"{median:.4f}", "latency_p99_s": f"{high:.4f}"}
        level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
        return _diagnostic(name, level, "; ".join(problems), values)


class InputMonitor:
    """Rates, ages and losses of the inputs of one session, from one report to the next."""

    def __init__(self, session: QuerySession) -> None:
        self._session = session
        self._before = {name: InputStatistics() for name in INPUTS}
        self._reported_s = time.monotonic()

    def diagnostics(self, prefix: str, max_age_s: float) -> list[DiagnosticStatus]:
        """One status for each input: ERROR when it is silent, WARN when messages were lost."""
        now_s = time.monotonic()
        period_s, self._reported_s = now_s - self._reported_s, now_s
        return [self._diagnostic(prefix, name, period_s, max_age_s) for name in INPUTS]

    def _diagnostic(
        self, prefix: str, name: str, period_s: float, max_age_s: float
    ) -> DiagnosticStatus:
        inputs = self._session.inputs
        before, now = self._before[name], replace(inputs.statistics[name])
        self._before[name] = now
        age_s = self._age_s(name)
        level, message = DiagnosticStatus.OK, ""
        if age_s is None or (name in SYNCHRONISED and age_s > max_age_s):
            level, message = DiagnosticStatus.ERROR, inputs.cause_of_silence(name).advice
        elif now.lost > before.lost:
            level, message = DiagnosticStatus.WARN, LOSS_ADVICE
        values = {
            "topic": inputs.topics[name],
            "publishers": inputs.publisher_count(name),
            "rate_hz": f"{(now.received - before.received) / period_s:.1f}",
            "age_s": "" if age_s is None else f"{age_s:.3f}",
            "received": now.received,
            "lost": now.lost,
        }
        return _diagnostic(f"{prefix}: {name}", level, message, values)

    def _age_s(self, name: str) -> float | None:
        stamp_ns = self._session.buffer.newest_stamp_ns(name)
        return None if stamp_ns is None else (self._session.now_ns() - stamp_ns) / 1e9


def overall(name: str, state: str, parts: list[DiagnosticStatus]) -> DiagnosticStatus:
    """The state of the node, as bad as the worst of its parts; WARN while it is not active."""
    level = max([part.level for part in parts], default=DiagnosticStatus.OK)
    message = "; ".join(f"{part.name}: {part.message}" for part in parts if part.message)
    if state != "active":
        level = max(level, DiagnosticStatus.WARN)
    return _diagnostic(name, level, message or state, {"state": state})


def _diagnostic(
    name: str, level: bytes, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message or "ok",
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
