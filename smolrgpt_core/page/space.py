"""The 3-D view of the page."""

from __future__ import annotations

from asyncio import to_thread

import numpy as np
from nicegui import ui

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.canvas import Color
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.scene_view import Line, SceneView, turned_along

POINT_SIZE_M = 0.05
WIDTH_PX, HEIGHT_PX = 640, 480
MEASURED = "#84cc16"

BAR_M = 0.04
"""Radius of what was measured."""


class Space:
    """The view, in the current container; built when it is first shown."""

    def __init__(self) -> None:
        self._place = ui.element("div").classes("space")
        self._place.props('role=img aria-label="Points and boxes in space; drag to turn"')
        self._view: SceneView | None = None
        self._frame: RGBDFrame | None = None
        self._measured: list[ui.scene.cylinder] = []
        self.set_visibility(False)

    def set_visibility(self, shown: bool) -> None:
        """Show or hide the view."""
        self._place.set_visibility(shown)

    def forget(self) -> None:
        """Release the frame."""
        self._place.clear()
        self._view = self._frame = None

    async def show(self, frame: RGBDFrame, answer: SpatialAnswer | None) -> None:
        """Show a frame and the measurement of an answer.

        Args:
            frame: to show.
            answer: None: nothing has been asked.
        """
        if frame is not self._frame:
            self._frame = frame
            view = await to_thread(SceneView, frame)
            if frame is not self._frame:
                return
            self._view = view
            self._build(view)
        if self._view is not None:
            self._draw(self._view, answer)

    def _build(self, view: SceneView) -> None:
        self._place.clear()
        self._measured = []
        with self._place:
            self._scene = ui.scene(
                WIDTH_PX, HEIGHT_PX, grid=False, background_color="#20242e"
            ).classes("w-full")
            with self._scene as scene:
                points, colors = view.points.round(3).tolist(), view.colors.round(2).tolist()
                scene.point_cloud(points, colors, POINT_SIZE_M)
                for item in view.objects:
                    for start, end in item.edges:
                        scene.line(list(start), list(end)).material(_hex(item.color))
            middle = view.points.mean(axis=0).tolist() if len(view.points) else [0.0, 5.0, 0.0]
            scene.move_camera(
                x=0.0, y=-0.5, z=2.5,
                look_at_x=middle[0], look_at_y=middle[1], look_at_z=middle[2], duration=0,
            )  # fmt: skip

    def _draw(self, view: SceneView, answer: SpatialAnswer | None) -> None:
        for bar in self._measured:
            bar.delete()
        measured = [] if answer is None else view.measured(answer)
        with self._scene as scene:
            self._measured = [_bar(scene, line) for line in measured]


def _bar(scene: ui.scene, line: Line) -> ui.scene.cylinder:
    """A line between points is one pixel wide, and lost among them."""
    start, end = np.asarray(line)
    bar = scene.cylinder(BAR_M, BAR_M, float(np.linalg.norm(end - start)))
    bar.move(*((start + end) / 2).tolist()).rotate_R(turned_along(line).tolist())
    return bar.material(MEASURED)


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
