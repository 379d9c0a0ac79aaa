"""Pictures for people: regions, a question and its answer, drawn on the RGB image.

What is drawn comes from the frame and the answer alone; nothing is measured here, so that a wrong
answer is shown as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.canvas import (
    DARK,
    FONT,
    GREEN,
    GREY,
    RED,
    WHITE,
    Canvas,
    Colour,
    Lettering,
    centre_of_area,
    label_colour,
    text_size,
    wrap,
)
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import project
from smolrgpt_core.language import MASK, Category
from smolrgpt_core.regions import Region, RegionSet

CAPTION_TEXT = 0.52
"""OpenCV font scale of the caption in an image of the reference size."""

MAX_CAPTION_LINES = 4
"""Of the question and of the answer each."""

DIMMED = 0.75
"""Brightness of the image behind the regions that a question is about."""


@dataclass(frozen=True)
class Style:
    """How strongly a region is drawn; sizes for an image of the reference size.

    Attributes:
        tint: share of the label's colour in the region's pixels, 0 to 1.
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
        question_text: as asked; a `<mask>` is shown as the name of its region.
        answer: the answer, or a refusal, whose status and message stand in the caption.

    Returns:
        uint8 (H', W, 3) RGB: W as in the frame, H' = H and the height of the caption.
    """
    canvas = Canvas(frame.rgb)
    styles = _styles(frame.regions, answer)
    if ASKED in styles.values():
        canvas.dim(DIMMED)
    _draw_masks(canvas, frame.regions, styles)
    _draw_relation(canvas, frame, answer)
    _draw_names(canvas, frame.regions, styles)
    question = name_regions(question_text, answer.region_ids, frame.regions)
    return np.vstack([canvas.image, _caption(canvas, question, answer)])


def name_regions(question_text: str, region_ids: Iterable[int], regions: RegionSet) -> str:
    """The question on one line, each `<mask>` replaced by the name of its region.

    Only the id is put in where the class stands already, as in "the pallet <mask>".
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
        colour = _dimmed(label_colour(regions[id].label), style.brightness)
        canvas.outline(regions[id], style.outline, colour)


def _draw_names(canvas: Canvas, regions: RegionSet, styles: Mapping[int, Style]) -> None:
    """The strongest first, so that they find the best places."""
    for id, style in reversed(list(styles.items())):
        colour = label_colour(regions[id].label)
        if style.asked:
            fill = GREEN if style.chosen else colour
            lettering = Lettering(style.text, fill, DARK, ticked=style.chosen)
        else:
            ink = _dimmed(colour, style.brightness)
            lettering = Lettering(style.text, DARK, ink, opacity=style.brightness)
        canvas.name(regions[id], lettering, required=style.asked)


def _dimmed(colour: Colour, brightness: float) -> Colour:
    red, green, blue = (round(part * brightness) for part in colour)
    return red, green, blue


def _draw_relation(canvas: Canvas, frame: RGBDFrame, answer: SpatialAnswer) -> None:
    """What the answer says about one region and the camera, or about two regions."""
    ids = answer.region_ids
    if answer.ok and answer.category is Category.DISTANCE and len(ids) in (1, 2):
        _draw_distance(canvas, frame, answer)
    if answer.ok and answer.category is Category.LEFT_RIGHT and len(ids) == 2:
        _draw_side(canvas, (frame.regions[ids[0]], frame.regions[ids[1]]), answer.side)


def _draw_distance(canvas: Canvas, frame: RGBDFrame, answer: SpatialAnswer) -> None:
    """A line between the 3-D centres with the value in its middle, or above a short line.

    The camera is below the middle of the image.
    """
    height, width = frame.depth.shape
    ends = [(width / 2, float(height))] if len(answer.region_ids) == 1 else []
    for id, (row, column) in zip(
        answer.region_ids, project(answer.centers, frame.intrinsics), strict=True
    ):
        known = np.isfinite(row + column)
        ends.append((column, row) if known else centre_of_area(frame.regions[id]))
    (x1, y1), (x2, y2) = ends
    canvas.line(*ends)
    short = np.hypot(x2 - x1, y2 - y1) < canvas.pixels(110)
    row = min(y1, y2) - canvas.pixels(20) if short else (y1 + y2) / 2
    canvas.sign(f"{answer.value:.2f} {answer.unit}", ((x1 + x2) / 2, row), SIGN)


def _draw_side(canvas: Canvas, pair: tuple[Region, Region], side: Side) -> None:
    """An arrow between two regions that points to the side that was answered."""
    (x1, y1), (x2, y2) = (centre_of_area(region) for region in pair)
    left, right = ((x, (y1 + y2) / 2) for x in sorted((x1, x2)))
    start, end = (right, left) if side is Side.LEFT else (left, right)
    canvas.arrow(start, end)
    middle = ((x1 + x2) / 2, (y1 + y2) / 2 - canvas.pixels(20))
    canvas.sign(side.name.lower(), middle, SIGN)


def _caption(canvas: Canvas, question: str, answer: SpatialAnswer) -> NDArray[np.uint8]:
    """A strip (h, W, 3) with the question and, below it, the answer or the reason for none."""
    status = answer.status.name.lower().replace("_", " ")
    reply = answer.text if answer.ok else f"No answer ({status}): {answer.message}"
    scale, margin, width = CAPTION_TEXT * canvas.unit, canvas.pixels(10), canvas.image.shape[1]
    lines = [
        (line, colour)
        for text, colour in ((question, GREY), (reply, GREEN if answer.ok else RED))
        for line in wrap(text, scale, width - 2 * margin, MAX_CAPTION_LINES)
    ]
    capitals = text_size("H", scale)[1]
    pitch = round(capitals * 1.9)
    strip = np.full((len(lines) * pitch + margin, width, 3), DARK, np.uint8)
    for index, (line, colour) in enumerate(lines):
        baseline = margin // 2 + index * pitch + round(capitals * 1.45)
        cv2.putText(strip, line, (margin, baseline), FONT, scale, colour, 1, cv2.LINE_AA)
    return strip
