"""A plot of the latencies of a node's latest answers."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from smolrgpt_core.page.feed import Feed
from smolrgpt_core.page.latency import StageTimes, stage_times

COLORS = ("#3b82f6", "#f59e0b", "#22c55e", "#a855f7", "#ef4444")
"""Of the stages; readable on light and on dark."""

LINES = "rgba(128, 128, 128, 0.3)"


class LatencyCard:
    """A card with the plot, in the current container; hidden until there is an answer.

    Args:
        feed: of the node.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._shown = 0
        self._card = (
            ui.element("div")
            .classes("card")
            .props("role=group")
            .props('aria-label="Time of the answers"')
        )
        self._card.set_visibility(False)
        with self._card:
            ui.label("Time of the answers").classes("heading")
            # Text of a drawing follows the colors of the page, that on a canvas would not.
            self._chart = ui.echart({}, renderer="svg").classes("latency").props("aria-hidden=true")
            self._summary = ui.label().classes("soft")

    def update(self) -> None:
        """Show the new answers."""
        if self._feed.total == self._shown:
            return
        self._shown = self._feed.total
        times = stage_times([heard.answer for heard in reversed(self._feed.latest())])
        if times is None:
            return
        self._card.set_visibility(True)
        self._summary.text = times.summary
        self._chart.options.clear()
        self._chart.options.update(chart_of(times, self._feed.total))


def chart_of(times: StageTimes, total: int) -> dict[str, Any]:
    """Options of the plot: a bar for each answer, divided by stage.

    Args:
        times: of the latest answers.
        total: number of answers so far, from which the bars are numbered.
    """
    numbers = range(total - len(times.totals) + 1, total + 1)
    return {
        "animation": False,
        "color": list(COLORS),
        "grid": {"left": 8, "right": 8, "top": 48, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemWidth": 12, "itemHeight": 12},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": list(numbers),
        },
        "yAxis": {
            "type": "value",
            "name": "ms",
            "nameGap": 8,
            "splitLine": {"lineStyle": {"color": LINES}},
        },
        "series": [
            {"name": name, "type": "bar", "stack": "time", "data": values}
            for name, values in times.stages.items()
        ],
    }
