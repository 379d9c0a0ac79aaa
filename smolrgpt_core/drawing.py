"""Images for people: regions, a question and its answer, drawn on the RGB image.

What is drawn comes from the frame and the answer alone; nothing is measured here, so that a wrong
answer is shown as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.canvas import (
    DARK,
    FONT,
    GRAY,
    GREEN,
    RED,
    WHITE,
    Canvas,
    Color,
    Lettering,
    Point,
    label_color,
    roomiest_point,
    text_size,
    wrap,
)
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import MASK, Category
from smolrgpt_core.language.marks import Mark, MarkKind
from smolrgpt_core.marks_in_image import (
    outline_in_image,
    point_in_image,
    segments_in_image,
    side_arrow,
)
from smolrgpt_core.regions import Region, RegionSet

CAPTION_TEXT = 0.52
"""OpenCV font scale of the caption in an image of the reference size."""

MAX_CAPTION_LINES = 4
"""Of the question and of the answer each."""

FREE_TINT = 0.3
"""Opacity of green in the pixels of a part of the floor."""

DIMMED = 0.75
"""Brightness of the image behind the regions that a question is about."""


@dataclass(frozen=True)
class Style:
    """How strongly a region is drawn; sizes for an image of the reference size.

    Attributes:
        tint: opacity of the label's color in the region, 0 to 1.
        outline: width of the outline in pixels.
        text: OpenCV font scale of the name.
        brightness: of the outline and of the name, 0 to 1.
        asked: the question is about it: its name is always drawn.
        chosen: it is the answer or belongs to it: bright rim and tick.
    """

    tint: float
    outline: float
    text: float
    brightness: float = 1.0
    asked: bool = False
    chosen: bool = False


FAINT = Style(tint=0.0, outline=1.0, text=0.34, brightness=0.7)
PLAIN = Style(tint=0.3, outline=1.4, text=0.38)
ASKED = Style(tint=0.4, outline=2.0, text=0.42, asked=True)
CHOSEN = Style(tint=0.4, outline=2.0, text=0.42, asked=True, chosen=True)

SIGN = Lettering(size=CAPTION_TEXT, fill=WHITE, ink=DARK)


def draw_regions(frame: RGBDFrame) -> NDArray[np.uint8]:
    """All regions with their names, uint8 (H, W, 3) RGB."""
    canvas = Canvas(frame.rgb)
    styles = {region.id: PLAIN for region in frame.regions}
    _draw_masks(canvas, frame.regions, styles)
    _draw_names(canvas, frame.regions, styles)
    return canvas.image


def draw_answer(frame: RGBDFrame, question_text: str, answer: SpatialAnswer) -> NDArray[np.uint8]:
    """The image with the regions asked about, the answer, and a caption below.

    Args:
        frame: the frame that was asked about.
        question_text: as asked; a `<mask>` is shown as the name of its region. Empty: what was
            understood is shown.
        answer: the answer, or a refusal, whose status and message stand in the caption.

    Returns:
        uint8 (H', W, 3) RGB: W as in the frame, H' = H and the height of the caption.
    """
    canvas = Canvas(frame.rgb)
    styles = _styles(frame.regions, answer)
    if ASKED in styles.values():
        canvas.dim(DIMMED)
    _draw_masks(canvas, frame.regions, styles)
    _draw_marks(canvas, frame, answer)
    _draw_names(canvas, frame.regions, styles)
    canvas.write_signs()
    question = name_regions(question_text, answer.region_ids, frame.regions) or answer.understood
    return np.vstack([canvas.image, _caption(canvas, question, answer)])


def name_regions(question_text: str, region_ids: Iterable[int], regions: RegionSet) -> str:
    """The question on one line, each `<mask>` replaced by the name of its region.

    Only the id is put in where the class stands already, as in "the pallet <mask>".

    Args:
        question_text: with a `<mask>` for each region.
        region_ids: in the order of the `<mask>`.
        regions: of the frame.
    """
    text = " ".join(question_text.split())
    for id in region_ids:
        noun = regions[id].label if id in regions else ""
        noun = noun or "region"
        before = text.partition(MASK)[0]
        named = re.search(rf"\b{re.escape(noun)}s?( region| zone| area)? $", before, re.IGNORECASE)
        text = text.replace(MASK, str(id) if named else f"{noun} {id}", 1)
    return text


def _styles(regions: RegionSet, answer: SpatialAnswer) -> dict[int, Style]:
    """How each region of the frame is drawn, the strongest last."""
    rest = FAINT if answer.region_ids else PLAIN
    chosen = [id for id in (answer.region_id, *answer.answer_ids) if id is not None]
    asked = {
        id: CHOSEN if id in chosen else ASKED
        for id in (*answer.region_ids, *chosen)
        if id in regions
    }
    styles = {region.id: rest for region in regions if region.id not in asked} | asked
    return dict(sorted(styles.items(), key=lambda item: item[1].asked + item[1].chosen))


def _draw_masks(canvas: Canvas, regions: RegionSet, styles: Mapping[int, Style]) -> None:
    """Tints first, so that none lies on an outline."""
    for id, style in styles.items():
        canvas.tint(regions[id], style.tint)
    for id, style in styles.items():
        if style.chosen:
            canvas.outline(regions[id], style.outline + 4, GREEN)
        color = _dimmed(label_color(regions[id].label), style.brightness)
        canvas.outline(regions[id], style.outline, color)


def _draw_names(canvas: Canvas, regions: RegionSet, styles: Mapping[int, Style]) -> None:
    """The strongest first, so that they find the best places."""
    for id, style in reversed(list(styles.items())):
        color = label_color(regions[id].label)
        if style.asked:
            fill = GREEN if style.chosen else color
            lettering = Lettering(style.text, fill, DARK, ticked=style.chosen)
        else:
            ink = _dimmed(color, style.brightness)
            lettering = Lettering(style.text, DARK, ink, opacity=style.brightness)
        canvas.name(regions[id], lettering, required=style.asked)


def _dimmed(color: Color, brightness: float) -> Color:
    red, green, blue = (round(part * brightness) for part in color)
    return red, green, blue


def _draw_marks(canvas: Canvas, frame: RGBDFrame, answer: SpatialAnswer) -> None:
    """What was measured; the labels last, so that no line crosses them."""
    marks = answer.shown_marks
    outlines = [outline_in_image(mark, frame) for mark in marks if mark.kind is MarkKind.AREA]
    canvas.areas([outline for outline in outlines if len(outline) > 2], GREEN, FREE_TINT)
    labels = [(_draw_mark(canvas, frame, mark), mark) for mark in marks]
    ids = answer.region_ids
    side_in_image = answer.ok and answer.category is Category.LEFT_RIGHT and not marks
    if side_in_image and len(ids) == 2:
        _draw_side(canvas, (frame.regions[ids[0]], frame.regions[ids[1]]), answer.side)
    for place, mark in labels:
        if place is not None and mark.label:
            canvas.sign(mark.label, place, SIGN)


def _draw_mark(canvas: Canvas, frame: RGBDFrame, mark: Mark) -> Point | None:
    """Draw all of a mark but its label; returns the place of that, None if nothing is seen."""
    if mark.kind is MarkKind.AREA:
        outline = outline_in_image(mark, frame)
        return _label_of_area(canvas, outline, frame) if len(outline) > 2 else None
    if mark.kind is MarkKind.NUMBER:
        for id in mark.region_ids:
            if id is not None:
                canvas.badge(mark.label, roomiest_point(frame.regions[id])[0], SIGN)
        return None
    if mark.kind is MarkKind.POINT:
        point = point_in_image(mark, frame)
        if point is None:
            return None
        canvas.cross(point)
        return point[0], point[1] - canvas.pixels(22)
    segments = segments_in_image(mark, frame)
    draw = canvas.line if mark.label and len(mark.points) == 2 else canvas.edge
    for segment in segments:
        (canvas.arrow if mark.kind is MarkKind.ARROW else draw)(*segment)
    if not segments:
        return None
    if len(mark.points) > 2:
        return _label_of_area(canvas, [start for start, _ in segments], frame)
    return _beside(canvas, *segments[0])


def _beside(canvas: Canvas, start: Point, end: Point) -> Point:
    """The place of a label: in the middle of a line, above a short one."""
    (x1, y1), (x2, y2) = start, end
    short = np.hypot(x2 - x1, y2 - y1) < canvas.pixels(110)
    return (x1 + x2) / 2, min(y1, y2) - canvas.pixels(20) if short else (y1 + y2) / 2


def _label_of_area(canvas: Canvas, points: Sequence[Point], frame: RGBDFrame) -> Point:
    """The place of a label: in the middle of what is seen of an area, above a small one."""
    height, width = frame.depth.shape
    inside = np.clip(points, 0, [width - 1, height - 1])
    x, y = inside.mean(axis=0)
    small = np.ptp(inside[:, 1]) < canvas.pixels(70)
    return float(x), float(inside[:, 1].min()) - canvas.pixels(18) if small else float(y)


def _draw_side(canvas: Canvas, pair: tuple[Region, Region], side: Side) -> None:
    """An arrow between two regions that points to the side that was answered."""
    start, end = side_arrow(pair, side)
    canvas.arrow(start, end)
    middle = ((start[0] + end[0]) / 2, start[1] - canvas.pixels(20))
    canvas.sign(side.name.lower(), middle, SIGN)


def _caption(canvas: Canvas, question: str, answer: SpatialAnswer) -> NDArray[np.uint8]:
    """A strip (h, W, 3) with the question and, below it, the answer or the reason for none."""
    status = answer.status.name.lower().replace("_", " ")
    reply = answer.text if answer.ok else f"No answer ({status}): {answer.message}"
    scale, margin, width = CAPTION_TEXT * canvas.unit, canvas.pixels(10), canvas.image.shape[1]
    lines = [
        (line, color)
        for text, color in ((question, GRAY), (reply, GREEN if answer.ok else RED))
        for line in wrap(text, scale, width - 2 * margin, MAX_CAPTION_LINES)
    ]
    capitals = text_size("H", scale)[1]
    pitch = round(capitals * 1.9)
    strip = np.full((len(lines) * pitch + margin, width, 3), DARK, np.uint8)
    for index, (line, color) in enumerate(lines):
        baseline = margin // 2 + index * pitch + round(capitals * 1.45)
        cv2.putText(strip, line, (margin, baseline), FONT, scale, color, 1, cv2.LINE_AA)
    return strip
