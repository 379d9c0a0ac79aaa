"""Points in an answer of RoboSpatial-Home, by the rules of several scoring scripts.

Also whether a point lies in the polygon or the mask of the truth.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer.scoring import as_float
from smolrgpt_core.public_benchmarks.published_files import literal
from smolrgpt_core.public_benchmarks.records import Point

PER_MILLE = 1000.0

NORMALIZED_UP_TO = 1.5
"""VLMEvalKit takes numbers up to this for fractions of the image, larger ones for another scale."""

_UNSIGNED = r"[0-9]+(?:\.[0-9]*)?"
_SIGNED = rf"[-+]?{_UNSIGNED}"


def first_point(answer: str) -> Point | None:
    """RoboSpatial's own: the first (x, y), else the first [x, y]; unsigned, and never scaled."""
    for left, right in ((r"\(", r"\)"), (r"\[", r"\]")):
        if found := re.search(rf"{left}\s*({_UNSIGNED})\s*,\s*({_UNSIGNED})\s*{right}", answer):
            return float(found[1]), float(found[2])
    return _first_of_list(answer)


def fenced_points(answer: str, size: tuple[int, int]) -> list[tuple[int, int]]:
    """lmms-eval: pixels (x, y) of every `point_2d`, per mille, of a fenced JSON block.

    Args:
        answer: of a model.
        size: (height, width) of the mask.
    """
    block = re.search(r"```\w*\n(.*?)```", answer, re.DOTALL)
    points = _json_points(block[1]) if block else []
    return [_pixel(x / PER_MILLE * size[1], y / PER_MILLE * size[0]) for x, y in points]


def scaled_point(answer: str, size: tuple[int, int] | None) -> Point | None:
    """VLMEvalKit: the first point as fractions of the image; its scale is inferred from its
    magnitude.

    Up to 1.5: fractions; up to 1000 in JSON: per mille; else pixels.

    Args:
        answer: of a model.
        size: (height, width) of the image; None: not known, pixels cannot be read.
    """
    text = re.sub(r"^```[^\n]*\n|```$", "", answer.strip()).strip()
    if points := _json_points(text):
        x, y = points[0]
        if NORMALIZED_UP_TO < max(abs(x), abs(y)) <= PER_MILLE:
            return x / PER_MILLE, y / PER_MILLE
        return _fractions(x, y, size)
    found = re.search(rf"\(({_SIGNED}),\s*({_SIGNED})\)", answer)
    return _fractions(float(found[1]), float(found[2]), size) if found else None


def pixels_in_brackets(answer: str, size: tuple[int, int]) -> list[tuple[int, int]]:
    """FlagEvalMM: every (x, y) as a pixel; numbers with a decimal point are fractions.

    Args:
        answer: its last line.
        size: (height, width) of the mask.
    """
    pixels = []
    for x, y in re.findall(rf"\(({_SIGNED}),\s*({_SIGNED})\)", answer):
        is_fraction = "." in x or "." in y
        scale = (size[1], size[0]) if is_fraction else (1, 1)
        pixels.append(_pixel(float(x) * scale[0], float(y) * scale[1]))
    return pixels


def polygon_of(truth: str) -> list[Point]:
    """The points of a true answer, in their listed order.

    Raises:
        ValueError: it is not a list of at least three points.
    """
    points = literal(truth)
    if not isinstance(points, (list, tuple)) or len(points) < 3:
        raise ValueError(f"expected a list of at least three points, got {truth!r:.60}")
    return [(float(x), float(y)) for x, y in points]


def in_polygon(point: Point, polygon: Sequence[Point]) -> bool:
    """Even-odd rule, points in their listed order: one out of order makes the outline cross."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in _edges(polygon):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def in_polygon_by_old_rule(point: Point, polygon: Sequence[Point]) -> bool:
    """The test of VLMEvalKit and FlagEvalMM, which RoboSpatial has replaced.

    It crosses an exactly vertical edge wherever the point is, and fails to its right.
    """
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in _edges(polygon):
        if min(y1, y2) < y <= max(y1, y2) and (
            x1 == x2 or x <= (y - y1) * (x2 - x1) / (y2 - y1) + x1
        ):
            inside = not inside
    return inside


def in_hull(point: Point, polygon: Sequence[Point]) -> bool:
    """Whether a point lies in the convex hull, which RoboSpatial's author means."""
    hull = cv2.convexHull(np.array(polygon, dtype=np.float32))
    return bool(cv2.pointPolygonTest(hull, point, False) >= 0)


def fraction_in_mask(pixels: Sequence[tuple[int, int]], mask: NDArray) -> float:
    """Fraction of pixels (x, y) that lie in a mask (H, W), non-zero = inside; 0 without any."""
    height, width = mask.shape
    inside = [0 <= x < width and 0 <= y < height and bool(mask[y, x]) for x, y in pixels]
    return sum(inside) / len(inside) if inside else 0.0


def _pixel(x: float, y: float) -> tuple[int, int]:
    """The pixel at a point; far outside, also of an infinite one."""
    far = float(2**31)
    return int(np.clip(x, -far, far)), int(np.clip(y, -far, far))


def _edges(polygon: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def _fractions(x: float, y: float, size: tuple[int, int] | None) -> Point | None:
    if max(abs(x), abs(y)) <= NORMALIZED_UP_TO:
        return x, y
    return (x / size[1], y / size[0]) if size else None


def _json_points(text: str) -> list[Point]:
    """Every `point_2d` or `point` of a JSON text or Python literal."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        try:
            entries = literal(text)
        except ValueError:
            # An answer without JSON is an ordinary case here.
            return []
    entries = [entries] if isinstance(entries, dict) else entries
    return [point for entry in entries if (point := _point_of(entry))] if _is_list(entries) else []


def _point_of(entry: Any) -> Point | None:
    value = (entry.get("point_2d") or entry.get("point")) if isinstance(entry, dict) else None
    return _pair(value)


def _pair(value: Any) -> Point | None:
    numbers = _is_list(value) and all(isinstance(number, (int, float)) for number in value)
    if not numbers or len(value) != 2:
        return None
    point = as_float(value[0]), as_float(value[1])
    return point if all(map(math.isfinite, point)) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _first_of_list(answer: str) -> Point | None:
    """The first point of the first text in brackets, such as of "[0.5, 0.3,]"."""
    start = answer.find("[") + 1
    end = answer.find("]", start)
    if not 0 < start <= end:
        return None
    try:
        values = literal(f"[{answer[start:end].strip().rstrip(',')}]")
    except ValueError:
        # Not a list of points: unreadable, and counted as such by whoever asks.
        return None
    return _pair(values) or (_pair(values[0]) if values else None)
