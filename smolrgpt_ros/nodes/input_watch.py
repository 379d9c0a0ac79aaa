"""Diagnostics of the inputs of a node: silent ones, and why they are."""

from __future__ import annotations

from collections.abc import Collection

from diagnostic_msgs.msg import DiagnosticStatus

from smolrgpt_ros.inputs.sensor_inputs import InputStatistics, SensorInputs
from smolrgpt_ros.runtime.diagnostic_status import diagnostic


class InputWatch:
    """Compares the inputs of one activation from report to report.

    Args:
        node: its name.
        inputs: of the node.
        steady: inputs that must always come; others, as a calibration, may come once.
    """

    def __init__(self, node: str, inputs: SensorInputs, steady: Collection[str]) -> None:
        self._node = node
        self._inputs = inputs
        self._steady = steady
        self._received_before: dict[str, int] = {}

    def diagnostics(self) -> list[DiagnosticStatus]:
        """One for each input: ERROR if nothing has come since the last report."""
        return [self._diagnostic(name) for name in self._inputs.topics]

    def _diagnostic(self, name: str) -> DiagnosticStatus:
        counts: InputStatistics = self._inputs.statistics[name]
        before = self._received_before.get(name, 0)
        self._received_before[name] = counts.received
        is_silent = counts.received == (before if name in self._steady else 0)
        return diagnostic(
            f"{self._node}: {name}",
            DiagnosticStatus.ERROR if is_silent else DiagnosticStatus.OK,
            self._inputs.cause_of_silence(name).advice if is_silent else "",
            {
                "topic": self._inputs.topics[name],
                "publishers": self._inputs.publisher_count(name),
                "received": counts.received,
                "lost": counts.lost,
            },
        )
