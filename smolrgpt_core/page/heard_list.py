"""The answers of a running query node to all clients, as they arrive."""

from __future__ import annotations

from nicegui import ui

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.page.feed import Feed


class HeardList:
    """A card with the latest answers, in the current container; hidden until there is one.

    Args:
        feed: of the node.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._shown = 0
        self._card = ui.element("div").classes("card").props('aria-label="Answers of the node"')
        self._card.set_visibility(False)

    def update(self) -> None:
        """Show the new answers."""
        if self._feed.total == self._shown:
            return
        self._shown = self._feed.total
        self._card.set_visibility(True)
        self._card.clear()
        with self._card:
            ui.label("Answers of the node").classes("heading")
            for heard in self._feed.latest():
                with ui.element("div").classes("heard"):
                    ui.label(heard.question or heard.answer.understood)
                    ui.label(outcome(heard.answer)).classes("said")


def outcome(answer: SpatialAnswer) -> str:
    """An answer in a few words: its sentence, or the status of a refusal."""
    return answer.text if answer.ok else answer.status.name.lower().replace("_", " ")
