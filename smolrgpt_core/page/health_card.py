"""The state of the monitored nodes."""

from __future__ import annotations

from nicegui import ui

from smolrgpt_core.page.health import HealthBoard, Level, NodeHealth

LEVELS = {
    Level.OK: "OK",
    Level.WARNING: "Warning",
    Level.ERROR: "Error",
    Level.SILENT: "No report",
}


class HealthCard:
    """A card with the nodes, in the current container; hidden until a node reports.

    Args:
        board: of the nodes.
    """

    def __init__(self, board: HealthBoard) -> None:
        self._board = board
        self._card = (
            ui.element("div")
            .classes("card")
            .props("role=group")
            .props('aria-label="State of the nodes"')
        )
        self._card.set_visibility(False)
        with self._card:
            ui.label("State of the nodes").classes("heading")
        self._rows: dict[str, _NodeRow] = {}

    def update(self) -> None:
        """Show the changes."""
        nodes = self._board.nodes()
        for gone in self._rows.keys() - {health.node for health in nodes}:
            self._rows.pop(gone).delete()
        for health in nodes:
            if health.node not in self._rows:
                with self._card:
                    self._rows[health.node] = _NodeRow(health.node)
            self._rows[health.node].show(health)
        self._card.set_visibility(bool(nodes))


class _NodeRow:
    """One node with its parts, which are seen while something is wrong, or when it is opened."""

    def __init__(self, node: str) -> None:
        with ui.element("details").classes("node") as self._details:
            with ui.element("summary"):
                self._level = ui.label().classes("level").props("role=status")
                ui.label(node).classes("name-of-node")
                self._summary = ui.label().classes("soft")
            self._parts = ui.element("ul")
        self._texts: dict[str, tuple[ui.label, ui.label]] = {}
        self._shown: Level | None = None

    def show(self, health: NodeHealth) -> None:
        """Show the state of the node now."""
        if health.level is not self._shown:
            self._shown = health.level
            _write_level(self._level, health.level)
            self._details.props["open"] = health.level > Level.OK
        self._summary.text = health.summary
        if list(self._texts) != [part.part for part in health.parts]:
            self._build(health)
        for part in health.parts:
            level, text = self._texts[part.part]
            _write_level(level, part.level)
            text.text = part.text

    def delete(self) -> None:
        """Remove the card from the page."""
        self._details.delete()

    def _build(self, health: NodeHealth) -> None:
        self._parts.clear()
        with self._parts:
            self._texts = {part.part: _part_row(part.part) for part in health.parts}


def _part_row(name: str) -> tuple[ui.label, ui.label]:
    """The elements of its level and its text."""
    with ui.element("li").classes("part"):
        level = ui.label().classes("level")
        ui.label(name.replace("_", " ")).classes("name-of-part")
        return level, ui.label().classes("soft")


def _write_level(label: ui.label, level: Level) -> None:
    if label.text != LEVELS[level]:
        label.text = LEVELS[level]
        label.classes(replace=f"level {level.name.lower()}")
