"""What running nodes report about themselves, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from threading import Lock

from smolrgpt_core.page.uploads import MEBIBYTE

SILENT_S = 5.0
"""Nodes report once a second; one that has not for this long does not anymore."""


class Level(IntEnum):
    """The state of something, worst last."""

    OK = 0
    WARNING = 1
    ERROR = 2
    SILENT = 3
    """It has stopped to report."""


@dataclass(frozen=True)
class NodeReport:
    """What a node reports about one part of itself.

    Attributes:
        part: such as "rgb" or "answers"; empty: the node as a whole.
        level: as reported.
        message: as reported; "ok" carries no information.
        values: as reported, by name.
    """

    part: str
    level: Level
    message: str
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """What is wrong, and the values that matter, in words."""
        message = "" if self.message == "ok" else self.message
        words = WORDS.get(self.part, _input_words if "topic" in self.values else _any_words)
        return "; ".join(filter(None, (message, words(self.values))))


@dataclass(frozen=True)
class NodeHealth:
    """The latest state of one node.

    Attributes:
        node: its full name.
        level: of the node as a whole; SILENT: it has stopped reporting.
        age_s: age of the reports in seconds.
        summary: the state of the node in words.
        parts: of the node.
    """

    node: str
    level: Level
    age_s: float
    summary: str
    parts: tuple[NodeReport, ...]


class HealthBoard:
    """The latest reports of all monitored nodes; thread-safe.

    Args:
        now_s: a clock in seconds that never goes back.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = Lock()
        self._reports: dict[str, tuple[float, tuple[NodeReport, ...]]] = {}

    def put(self, node: str, reports: Sequence[NodeReport]) -> None:
        """Store the current reports of a node.

        Args:
            node: its full name.
            reports: of all its parts.
        """
        with self._lock:
            self._reports[node] = (self._now_s(), tuple(reports))

    def clear(self) -> None:
        """Forget all reports, which no longer hold."""
        with self._lock:
            self._reports.clear()

    def nodes(self) -> list[NodeHealth]:
        """All nodes that have reported, by name."""
        with self._lock:
            known = sorted(self._reports.items())
        now_s = self._now_s()
        return [_health(node, now_s - at_s, reports) for node, (at_s, reports) in known]


def _health(node: str, age_s: float, reports: tuple[NodeReport, ...]) -> NodeHealth:
    parts = tuple(report for report in reports if report.part)
    whole = next((report for report in reports if not report.part), None)
    if age_s > SILENT_S:
        summary = f"no report for {age_s:.0f} s: has the node ended?"
        return NodeHealth(node, Level.SILENT, age_s, summary, parts)
    level = max((report.level for report in reports), default=Level.OK)
    state = whole.values.get("state", "") if whole else ""
    troubled = ", ".join(part.part for part in parts if part.level > Level.OK)
    summary = "; ".join(filter(None, (state, f"look at {troubled}" if troubled else "")))
    return NodeHealth(node, level, age_s, summary, parts)


def _input_words(values: Mapping[str, str]) -> str:
    age, rate = values.get("age_s"), values.get("rate_hz")
    found = [
        values["topic"],
        f"{rate} messages a second" if rate else f"{values.get('received', '0')} messages so far",
        f"latest {float(age):.2f} s old" if age else "",
        f"{values['lost']} lost" if values.get("lost", "0") != "0" else "",
        "nobody publishes" if values.get("publishers") == "0" else "",
    ]
    return ", ".join(filter(None, found))


def _answer_words(values: Mapping[str, str]) -> str:
    counts = {name: value for name, value in values.items() if value.isdigit() and name != "calls"}
    answered = counts.pop("ok", "0")
    refused = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())
    median, most = (values.get(f"latency_total_{name}_s") for name in ("median", "p99"))
    times = f"half within {_ms(median)}, 99 of 100 within {_ms(most)}" if median and most else ""
    return "; ".join(
        filter(None, (f"{answered} answered", refused and f"refused: {refused}", times))
    )


def _ms(seconds: str) -> str:
    return f"{float(seconds) * 1000:.0f} ms"


def _service_words(values: Mapping[str, str]) -> str:
    memory = values.get("memory_bytes")
    found = [
        values.get("answerer", ""),
        f"on {values['device']}" if values.get("device") else "",
        f"{values.get('pending', '0')} of at most {values.get('max_pending', '?')} questions wait",
        f"{int(memory) / MEBIBYTE:.0f} MiB of memory" if memory else "",
    ]
    return ", ".join(filter(None, found))


def _any_words(values: Mapping[str, str]) -> str:
    known = {name: value for name, value in values.items() if value}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known.items())


WORDS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "answers": _answer_words,
    "service": _service_words,
}
"""Of the parts of a node that have values of their own kind."""
