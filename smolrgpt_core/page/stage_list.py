"""The progress of the stages in which a photograph becomes a frame."""

from __future__ import annotations

import asyncio

from nicegui import ui

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.photograph import Photograph, Stage

PERIOD_S = 0.2
"""Between two looks at the stages."""

WAITS = "Waiting for images of other visitors ..."


class StageList:
    """The list, in the current container; hidden until there is progress to show."""

    def __init__(self) -> None:
        self._photograph: Photograph | None = None
        self._place = ui.element("div").classes("stages").props("role=status")
        self._place.set_visibility(False)

    def cancel(self) -> None:
        """Cancel the frame."""
        if self._photograph is not None:
            self._photograph.cancel()

    def clear(self) -> None:
        """Show nothing."""
        self._place.set_visibility(False)

    async def follow(self, photograph: Photograph) -> RGBDFrame | None:
        """Show the stages until the frame is ready.

        Args:
            photograph: the one in the making.

        Returns:
            The frame; None if it was cancelled. Raises what its `future` raises.
        """
        self._photograph = photograph
        self._build(photograph)
        made = asyncio.wrap_future(photograph.future)
        while not made.done() and not photograph.is_cancelled:
            self._show(photograph.stages())
            await asyncio.wait({made}, timeout=PERIOD_S)
        self._photograph = None
        if photograph.is_cancelled:
            made.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.clear()
            return None
        stages = photograph.stages()
        self._show(stages, has_failed=made.exception() is not None)
        return made.result()

    def _build(self, photograph: Photograph) -> None:
        self._place.clear()
        self._place.set_visibility(True)
        with self._place:
            self._waits = ui.label(WAITS).classes("soft")
            with ui.element("ol"):
                self._rows = [_Row(stage.name) for stage in photograph.stages()]

    def _show(self, stages: list[Stage], has_failed: bool = False) -> None:
        self._waits.set_visibility(stages[0].seconds is None)
        reached = sum(stage.seconds is not None for stage in stages)
        for place, (row, stage) in enumerate(zip(self._rows, stages, strict=True)):
            row.show(stage, has_failed and place == reached - 1)


class _Row:
    """One stage."""

    def __init__(self, name: str) -> None:
        with ui.element("li").classes("stage waiting") as self._item:
            ui.label(name)
            # Not read out: it changes all the time.
            self._time = ui.label().classes("soft").props("aria-hidden=true")
            self._state = ui.label("waiting").classes("state")

    def show(self, stage: Stage, has_failed: bool) -> None:
        """Show the progress."""
        if stage.seconds is None:
            return
        state = "failed" if has_failed else "running" if stage.is_running else "done"
        self._time.text = f"{stage.seconds:.1f} s"
        if state != self._state.text:
            self._state.text = state
            self._item.classes(replace=f"stage {state}")
