"""Statuses for `/diagnostics`, as all nodes make them."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue


def overall(name: str, state: str, parts: list[DiagnosticStatus]) -> DiagnosticStatus:
    """State of the node, with the worst level of its parts; WARN while it is not active.

    Args:
        name: of the status.
        state: lifecycle state.
        parts: the other statuses.
    """
    level = max([part.level for part in parts], default=DiagnosticStatus.OK)
    message = "; ".join(f"{part.name}: {part.message}" for part in parts if part.message)
    if state != "active":
        level = max(level, DiagnosticStatus.WARN)
    return diagnostic(name, level, message or state, {"state": state})


def diagnostic(
    name: str, level: bytes, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """A status.

    Args:
        name: of the status.
        level: OK, WARN or ERROR of DiagnosticStatus.
        message: what is wrong; empty: "ok".
        values: shown beside it.
    """
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message or "ok",
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
