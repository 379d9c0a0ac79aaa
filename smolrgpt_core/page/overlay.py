"""Overlays of the image: outlines of regions, measurements, and color-coded depth.

Plain data in image pixels; `image_view` turns it into elements, so that no label is ever parsed as
HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.canvas import Color, Point, label_color, roomiest_point
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category
from smolrgpt_core.language.marks import Mark, MarkKind
from smolrgpt_core.marks_in_image import (
    outline_in_image,
    point_in_image,
    segments_in_image,
    side_arrow,
)
from smolrgpt_core.regions import Region, RegionSet

OUTLINE_TOLERANCE_PX = 1.0
"""How far a drawn outline may be off the mask; fewer corners are sent to the browser."""

DEPTH_PERCENTILES = (2, 98)
"""The depth between these has the whole range of colors."""

SHORT_LINE_PX, NAME_PX = 110, 14
"""A line of less than this has its label above the names of its ends, this much higher."""

NO_READING: Color = (40, 40, 40)


@dataclass(frozen=True)
class RegionShape:
    """A region as it is drawn and clicked.

    Attributes:
        id: of the region.
        name: such as "pallet 7", with the original label.
        path: SVG path data of its outline, pixels.
        color: of its class.
        anchor: where its name stands: the widest place of the mask.
    """

    id: int
    name: str
    path: str
    color: Color
    anchor: Point


@dataclass(frozen=True)
class MarkShape:
    """A measurement in the image.

    Attributes:
        kind: how to draw it.
        lines: a line, the ends of an arrow (from, to), a place, or the outlines of an area: what
            lies inside of an odd number of them belongs to it.
        label: text beside it; may be empty.
        anchor: the point above which the label is placed.
    """

    kind: MarkKind
    lines: tuple[tuple[Point, ...], ...]
    label: str
    anchor: Point


@dataclass(frozen=True, eq=False)
class DepthColors:
    """Color-coded depth.

    Attributes:
        image: uint8 (H, W, 3) RGB; gray where there is no reading.
        nearest: depth at the near end of the color scale, meters; NaN without any reading.
        farthest: depth at the far end.
    """

    image: NDArray[np.uint8]
    nearest: float
    farthest: float


def region_shapes(regions: RegionSet) -> list[RegionShape]:
    """The regions of a frame, large ones first, so that smaller ones on top can be clicked."""
    return [_region_shape(region) for region in sorted(regions, key=lambda item: -item.area)]


def _region_shape(region: Region) -> RegionShape:
    return RegionShape(
        region.id,
        region.name,
        outline_path(region),
        label_color(region.label),
        roomiest_point(region)[0],
    )


def outline_path(region: Region) -> str:
    """SVG path data along the border of a mask, holes included (rule "evenodd")."""
    padded = np.pad(region.mask.astype(np.uint8), 1)
    found, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = []
    for contour in found:
        corners = cv2.approxPolyDP(contour, OUTLINE_TOLERANCE_PX, True)[:, 0]
        # Of a thin line nothing would be left to click on.
        corners = contour[:, 0] if len(corners) < 3 else corners
        moved = corners + np.array([region.box.x - 0.5, region.box.y - 0.5])
        rings.append("M" + "L".join(f"{x:g} {y:g}" for x, y in moved) + "Z")
    return "".join(rings)


def mark_shapes(frame: RGBDFrame, answer: SpatialAnswer) -> list[MarkShape]:
    """The measurement of an answer, as far as it is visible in the image.

    Args:
        frame: that was asked about.
        answer: with its marks.
    """
    marks = answer.shown_marks
    found = _area([mark for mark in marks if mark.kind is MarkKind.AREA], frame)
    for mark in marks:
        found += _shapes_of(mark, frame)
    ids = answer.region_ids
    shows_side = answer.ok and answer.category is Category.LEFT_RIGHT and len(ids) == 2
    if shows_side and not marks and answer.side is not Side.NONE:
        ends = side_arrow((frame.regions[ids[0]], frame.regions[ids[1]]), answer.side)
        found.append(MarkShape(MarkKind.ARROW, (ends,), answer.side.name.lower(), _above(ends)))
    return found


def _area(marks: Sequence[Mark], frame: RGBDFrame) -> list[MarkShape]:
    """All areas of an answer together, as some are holes of others."""
    outlines = {mark: outline_in_image(mark, frame) for mark in marks}
    seen = {mark: tuple(outline) for mark, outline in outlines.items() if len(outline) > 2}
    labeled = [_clipped(outline, frame) for mark, outline in seen.items() if mark.label]
    if not seen:
        return []
    label = next((mark.label for mark in seen if mark.label), "")
    place = _middle(labeled[0]) if labeled else (0.0, 0.0)
    return [MarkShape(MarkKind.AREA, tuple(seen.values()), label, place)]


def _shapes_of(mark: Mark, frame: RGBDFrame) -> list[MarkShape]:
    """What is drawn of a mark that is no area."""
    if mark.kind is MarkKind.AREA:
        return []
    if mark.kind is MarkKind.NUMBER:
        places = [roomiest_point(frame.regions[id])[0] for id in mark.region_ids if id is not None]
        return [MarkShape(mark.kind, ((place,),), mark.label, place) for place in places]
    if mark.kind is MarkKind.POINT:
        point = point_in_image(mark, frame)
        return [] if point is None else [MarkShape(mark.kind, ((point,),), mark.label, point)]
    segments = segments_in_image(mark, frame)
    return [
        MarkShape(mark.kind, (ends,), "" if index else mark.label, _above(ends))
        for index, ends in enumerate(segments)
    ]


def _above(ends: tuple[Point, Point]) -> Point:
    """The middle of a line; of a short one, above which the names of regions stand, its top."""
    (x1, y1), (x2, y2) = ends
    is_short = np.hypot(x2 - x1, y2 - y1) < SHORT_LINE_PX
    return (x1 + x2) / 2, min(y1, y2) - NAME_PX if is_short else (y1 + y2) / 2


def _middle(points: Sequence[Point]) -> Point:
    x, y = np.mean(points, axis=0)
    return float(x), float(y)


def _clipped(points: Sequence[Point], frame: RGBDFrame) -> list[Point]:
    height, width = frame.depth.shape
    return [(min(max(x, 0), width - 1), min(max(y, 0), height - 1)) for x, y in points]


def depth_colors(depth: NDArray[np.float32]) -> DepthColors:
    """Color-code depth, warm colors for near pixels.

    Args:
        depth: float32 (H, W), meters, NaN where there is no reading.
    """
    known = np.isfinite(depth)
    if not known.any():
        return DepthColors(np.full((*depth.shape, 3), NO_READING, np.uint8), np.nan, np.nan)
    nearest, farthest = np.percentile(depth[known], DEPTH_PERCENTILES)
    span = max(float(farthest - nearest), 1e-6)
    nearness = np.clip((farthest - np.nan_to_num(depth)) / span, 0, 1)
    colors = cv2.applyColorMap((nearness * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    image = cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)
    image[~known] = NO_READING
    return DepthColors(np.asarray(image, np.uint8), float(nearest), float(farthest))
