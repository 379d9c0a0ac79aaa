"""Diagnostics of the query node: state, inputs, answers, resources."""

from __future__ import annotations

import time
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus

from smolrgpt_core.errors import Status
from smolrgpt_core.label_map import described_changes, label_changes, unknown_labels
from smolrgpt_core.messages.input_stamps import RESTARTS, StampCounts
from smolrgpt_core.messages.stamps import INPUTS, SYNCHRONIZED
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.inputs.frame_transforms import FrameTransforms
from smolrgpt_ros.inputs.sensor_inputs import InputStatistics
from smolrgpt_ros.query.report import ServiceReport
from smolrgpt_ros.query.session import QuerySession
from smolrgpt_ros.query.statistics import StatisticsSnapshot
from smolrgpt_ros.runtime.diagnostic_status import diagnostic

LOSS_ADVICE = (
    "messages are lost in transit: set FASTRTPS_DEFAULT_PROFILES_FILE to config/fastdds.xml of "
    "this package, for this node and for the publisher"
)


NO_LABEL_KNOWN = (
    "no label of the regions is known: questions about classes are refused; map the labels with "
    "label_map"
)


class AnswerMonitor:
    """Answers and refusals from one report to the next."""

    def __init__(self) -> None:
        self._errors_reported = 0

    def diagnostic(self, name: str, statistics: StatisticsSnapshot) -> DiagnosticStatus:
        """Counts by status, latencies; WARN for doubtful inputs and new errors of the answerer."""
        problems = list(statistics.warnings)
        errors = statistics.counts.get(Status.MODEL_ERROR, 0)
        if errors > self._errors_reported:
            problems.append("the answerer failed, see the log of the node")
        self._errors_reported = errors
        values: dict[str, object] = {
            status.name.lower(): count for status, count in sorted(statistics.counts.items())
        }
        values["calls"] = statistics.calls
        values["questions_per_call"] = f"{statistics.mean_batch:.2f}"
        for stage, latency in statistics.latencies.items():
            values[f"latency_{stage}_median_s"] = f"{latency.median_s:.4f}"
            values[f"latency_{stage}_p99_s"] = f"{latency.p99_s:.4f}"
        values |= statistics.facts
        level = DiagnosticStatus.WARN if problems else DiagnosticStatus.OK
        return diagnostic(name, level, "; ".join(problems), values)


def service_diagnostic(name: str, report: ServiceReport) -> DiagnosticStatus:
    """Answerer, queue and resources of the process; always OK."""
    values = {
        **report.answerer,
        "queue_length": report.queue_length,
        "pending": report.pending,
        "max_pending": report.max_pending,
        "memory_bytes": "" if report.memory_bytes is None else report.memory_bytes,
        "threads": report.threads,
    }
    return diagnostic(name, DiagnosticStatus.OK, "", values)


class InputMonitor:
    """Rates, ages and losses of the inputs of one session, from one report to the next."""

    def __init__(self, session: QuerySession) -> None:
        self._session = session
        self._before = {name: InputStatistics() for name in INPUTS}
        self._stamps_before = {name: StampCounts() for name in INPUTS}
        self._reported_s = time.monotonic()

    def diagnostics(self, prefix: str, max_age_s: float) -> list[DiagnosticStatus]:
        """One status per input.

        ERROR when nothing comes of it, or its stamps are of no use; WARN when messages were lost,
        or its stamps went back.
        """
        now_s = time.monotonic()
        period_s, self._reported_s = now_s - self._reported_s, now_s
        return [self._diagnostic(prefix, name, period_s, max_age_s) for name in INPUTS]

    def _diagnostic(
        self, prefix: str, name: str, period_s: float, max_age_s: float
    ) -> DiagnosticStatus:
        inputs = self._session.inputs
        before, now = self._before[name], replace(inputs.statistics[name])
        self._before[name] = now
        stamps_before, stamps = self._stamps_before[name], self._session.buffer.stamp_counts(name)
        self._stamps_before[name] = stamps
        age_s = self._age_s(name)
        is_too_old = age_s is None or (name in SYNCHRONIZED and age_s > max_age_s)
        trouble = stamps.trouble_since(stamps_before, is_too_old) if name in SYNCHRONIZED else ""
        level, message = DiagnosticStatus.OK, ""
        if trouble:
            level = DiagnosticStatus.WARN if trouble is RESTARTS else DiagnosticStatus.ERROR
            message = f"stamps {trouble}"
        elif is_too_old:
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
            "stamps_zero": stamps.zero,
            "stamps_repeated": stamps.again + stamps.still,
            "stamps_back": stamps.restarts,
        }
        return diagnostic(f"{prefix}: {name}", level, message, values)

    def _age_s(self, name: str) -> float | None:
        stamp_ns = self._session.buffer.newest_stamp_ns(name)
        return None if stamp_ns is None else (self._session.now_ns() - stamp_ns) / 1e9


def label_diagnostic(name: str, label_map: str, regions: RegionSet) -> DiagnosticStatus:
    """How the labels of the latest regions are mapped; WARN if the class of none is known.

    Args:
        name: of the status.
        label_map: as the parameter.
        regions: the latest.
    """
    unknown = unknown_labels(regions)
    values = {
        "label_map": label_map,
        "mapped": described_changes(label_changes(regions)),
        "unknown": ", ".join(label or "(no label)" for label in unknown),
    }
    none_is_known = bool(unknown) and len(unknown) == len({r.source_label for r in regions})
    level = DiagnosticStatus.WARN if none_is_known else DiagnosticStatus.OK
    return diagnostic(name, level, NO_LABEL_KNOWN if none_is_known else "", values)


def transform_diagnostic(name: str, transforms: FrameTransforms, now_ns: int) -> DiagnosticStatus:
    """The two frames, and the age of the latest transform; WARN if the last lookup failed.

    Args:
        name: of the status.
        transforms: to the target frame.
        now_ns: the node's clock.
    """
    newest_ns = transforms.newest_ns()
    values = {
        "target_frame": transforms.target_frame,
        "source_frame": transforms.source_frame,
        # A static transform has no age.
        "newest_age_s": f"{(now_ns - newest_ns) / 1e9:.3f}" if newest_ns else "",
    }
    level = DiagnosticStatus.WARN if transforms.failure else DiagnosticStatus.OK
    return diagnostic(name, level, transforms.failure, values)
