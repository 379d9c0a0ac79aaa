"""The image of a frame with clickable regions, color-coded depth, and measurements.

Everything is an element with attributes and text that are sent to the browser as data: no label is
ever parsed as HTML.
"""

from __future__ import annotations

import base64
from asyncio import to_thread
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nicegui import ui
from nicegui.events import GenericEventArguments

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.canvas import Point
from smolrgpt_core.files import encode_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language.marks import MarkKind
from smolrgpt_core.page.overlay import (
    DepthColors,
    MarkShape,
    RegionShape,
    depth_colors,
    mark_shapes,
    region_shapes,
)

LETTERS = 45
"""Letters of a name in the width of the image, roughly; sets their size."""

PICKED = "(e) => { const r = e.target.closest('[data-region]'); if (r) emit(r.dataset.region); }"
PICKED_BY_KEY = (
    "(e) => { const r = e.target.closest('[data-region]'); "
    "if (r && ['Enter', ' '].includes(e.key)) { e.preventDefault(); emit(r.dataset.region); } }"
)


@dataclass(frozen=True, eq=False)
class DrawnFrame:
    """What is sent to the browser for a frame."""

    frame: RGBDFrame
    color: str
    depth: str
    scale: DepthColors
    shapes: list[RegionShape]


def drawn_frame(frame: RGBDFrame) -> DrawnFrame:
    """Encode a frame for the browser; takes tens of milliseconds."""
    scale = depth_colors(frame.depth)
    return DrawnFrame(
        frame, _as_address(frame.rgb), _as_address(scale.image), scale, region_shapes(frame.regions)
    )


def _as_address(image: object) -> str:
    encoded = encode_image(image, ".jpg")  # type: ignore[arg-type]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded).decode('ascii')}"


class ImageView:
    """The image, in the current container.

    Args:
        on_pick: called with the id of a region that was clicked or chosen with the keyboard.
    """

    def __init__(self, on_pick: Callable[[int], None]) -> None:
        self._on_pick = on_pick
        self._paths: dict[int, ui.element] = {}
        self._drawn: DrawnFrame | None = None
        self._forget()
        self._svg = ui.element("svg").classes("picture")
        self._svg.on("click", self._picked, js_handler=PICKED)
        self._svg.on("keydown", self._picked, js_handler=PICKED_BY_KEY)
        self._svg.props["role"] = "group"
        self._legend = ui.element("div").classes("legend")
        self.show_depth(False)

    async def show(self, frame: RGBDFrame) -> None:
        """Show another frame."""
        drawn = await to_thread(drawn_frame, frame)
        self._drawn = drawn
        self._svg.clear()
        self._forget()
        height, width = frame.depth.shape
        self._svg.props["viewBox"] = f"0 0 {width} {height}"
        self._svg.props["aria-label"] = f"Image with {len(frame.regions)} regions to select"
        with self._svg:
            self._image = _svg("image", width=width, height=height, href=drawn.color)
            self._paths = {shape.id: self._region(shape) for shape in drawn.shapes}
            self._marks = ui.element("g")
        self._write_legend(drawn.scale)
        self.show_depth(self._shows_depth)

    def _forget(self) -> None:
        """Nothing is marked in a new image."""
        self._selected: set[int] = set()
        self._classed: dict[str, set[int]] = {"asked": set(), "chosen": set()}

    def set_visibility(self, shown: bool) -> None:
        """Show or hide the image."""
        self._svg.set_visibility(shown)
        self._legend.set_visibility(shown and self._shows_depth)

    def show_depth(self, shown: bool) -> None:
        """Show color-coded depth below the regions, or the color image."""
        self._shows_depth = shown
        self._legend.set_visibility(shown)
        if self._drawn is not None:
            self._image.props["href"] = self._drawn.depth if shown else self._drawn.color

    def select(self, ids: Iterable[int]) -> None:
        """Mark the selected regions."""
        selected = set(ids)
        for id in selected ^ self._selected:
            path = self._paths[id]
            path.props["aria-pressed"] = "true" if id in selected else "false"
            _set_class(path, "picked", id in selected)
        self._selected = selected

    def draw(self, answer: SpatialAnswer | None) -> None:
        """Show the regions and measurements of an answer; None: nothing."""
        chosen = () if answer is None else (answer.region_id, *answer.answer_ids)
        about = {
            "asked": () if answer is None else answer.region_ids,
            "chosen": tuple(id for id in chosen if id is not None),
        }
        for name, ids in about.items():
            known = set(ids) & self._paths.keys()
            for id in known ^ self._classed[name]:
                _set_class(self._paths[id], name, id in known)
            self._classed[name] = known
        if self._drawn is None:
            return
        self._marks.clear()
        shapes = [] if answer is None else mark_shapes(self._drawn.frame, answer)
        with self._marks:
            for shape in shapes:
                self._mark(shape)

    @property
    def _letter(self) -> float:
        return float(self._drawn.frame.depth.shape[1] / LETTERS) if self._drawn else 1.0

    def _picked(self, event: GenericEventArguments) -> None:
        # What a browser sends may be anything.
        if isinstance(event.args, str) and event.args.isascii() and event.args.isdigit():
            self._on_pick(int(event.args))

    def _region(self, shape: RegionShape) -> ui.element:
        path = _svg("path", d=shape.path).classes("region")
        red, green, blue = shape.color
        path.style(f"--tone: rgb({red}, {green}, {blue})")
        attributes = {
            "data-region": str(shape.id),
            "tabindex": "0",
            "role": "button",
            "aria-label": shape.name,
            "aria-pressed": "false",
        }
        path.props.update(attributes)
        self._text(shape.name, shape.anchor, "name")
        return path

    def _text(self, text: str, place: Point, kind: str) -> None:
        words = _Words(text).classes(kind)
        x, y = place
        # Half of its width, roughly, so that it is not cut off at the border.
        half, width = len(text) * self._letter * 0.28, self._letter * LETTERS
        x = min(max(x, half), max(width - half, half))
        words.props.update({"x": x, "y": y, "font-size": self._letter, "aria-hidden": "true"})

    def _mark(self, shape: MarkShape) -> None:
        if shape.kind in (MarkKind.POINT, MarkKind.NUMBER):
            ((x, y),) = shape.lines[0]
            _svg("circle", cx=x, cy=y, r=self._letter * 0.45).classes("mark place")
        elif shape.kind is MarkKind.AREA:
            _svg("path", d="".join(f"{line_path(line)}Z" for line in shape.lines)).classes(
                "mark area"
            )
        else:
            (line,) = shape.lines
            _svg("path", d=line_path(line)).classes("mark")
            if shape.kind is MarkKind.ARROW:
                head = arrow_head(line[-2], line[-1], self._letter)
                _svg("path", d=line_path(head)).classes("mark")
        if shape.label:
            x, y = shape.anchor
            self._text(shape.label, (x, y - self._letter), "label")

    def _write_legend(self, scale: DepthColors) -> None:
        self._legend.clear()
        with self._legend:
            ui.label(f"{scale.nearest:.1f} m")
            ui.element("div").classes("colors")
            ui.label(f"{scale.farthest:.1f} m")
            ui.label("gray: no reading")


class _Words(ui.element):
    """Text in a drawing."""

    def __init__(self, text: str) -> None:
        super().__init__("text")
        self._text = text


def line_path(points: Iterable[Point]) -> str:
    """SVG path data of a line."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def arrow_head(start: Point, end: Point, size: float) -> list[Point]:
    """The polyline (3 points) of the head of an arrow.

    Args:
        start: of the arrow, (x, y) in pixels.
        end: of the arrow, where the head is.
        size: of the head, pixels.
    """
    (x1, y1), (x2, y2) = start, end
    length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1e-6)
    along = ((x2 - x1) / length * size, (y2 - y1) / length * size)
    sides = [
        (x2 - along[0] + turn * along[1] / 2, y2 - along[1] - turn * along[0] / 2)
        for turn in (1, -1)
    ]
    return [sides[0], end, sides[1]]


def _svg(tag: str, **attributes: float | str) -> ui.element:
    made = ui.element(tag)
    made.props.update(attributes)
    return made


def _set_class(element: ui.element, name: str, wanted: bool) -> None:
    element.classes(add=name) if wanted else element.classes(remove=name)
