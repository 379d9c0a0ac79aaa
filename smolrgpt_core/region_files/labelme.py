"""LabelMe: shapes drawn on one image."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.region_files.shapes import (
    box_region,
    check_points,
    points_of,
    polygon_region,
    united,
)
from smolrgpt_core.region_files.source import RegionFile, entry, ids_for, part
from smolrgpt_core.regions import Region, RegionSet

_CIRCLE_POINTS = 72


def read_labelme(file: RegionFile, content: Any) -> RegionSet:
    """The shapes; those with the same label and group form one object."""
    if content.get("imageHeight") and content.get("imageWidth"):
        file.check_size(content["imageHeight"], content["imageWidth"])
    grouped: dict[Any, list[tuple[int, Any]]] = {}
    for index, shape in enumerate(content["shapes"]):
        with part(f"shapes[{index}]"):
            label, _ = entry(shape, "label", "points")
            group = shape.get("group_id")
        key = ("alone", index) if group is None else (label, group)
        grouped.setdefault(key, []).append((index, shape))
    ids = ids_for([str(shapes[0][1]["label"]) for shapes in grouped.values()])
    regions = []
    for id, shapes in zip(ids, grouped.values(), strict=True):
        parts = []
        for index, shape in shapes:
            with part(f"shapes[{index}]"):
                parts.append(_region(id, shape, file.image_size))
        regions.append(united(id, parts, file.image_size))
    return file.regions(regions, str(content.get("imagePath") or ""))


def _region(id: int, shape: Any, image_size: tuple[int, int]) -> Region:
    kind = shape.get("shape_type") or "polygon"
    if kind not in _SHAPES:
        raise ValueError(
            f"a {kind} has no area; draw one of {', '.join(_SHAPES)} around the object"
        )
    return _SHAPES[kind](id, str(shape["label"]), shape, image_size)


def _polygon(id: int, label: str, shape: Any, image_size: tuple[int, int]) -> Region:
    return polygon_region(id, label, [points_of(shape["points"])], image_size)


def _rectangle(id: int, label: str, shape: Any, image_size: tuple[int, int]) -> Region:
    low, high = _extent(shape)
    return box_region(id, label, (*low, *high), image_size)


def _circle(id: int, label: str, shape: Any, image_size: tuple[int, int]) -> Region:
    """Its points are the center and one on the circle."""
    points = points_of(shape["points"])
    if len(points) != 2:
        raise ValueError(f"expected a circle as its center and a point, got {len(points)} points")
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)
    radius = np.linalg.norm(points[1] - points[0])
    rim = points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return polygon_region(id, label, [rim], image_size)


def _mask(id: int, label: str, shape: Any, image_size: tuple[int, int]) -> Region:
    """A base64 image of the mask, cropped to its first and last pixel."""
    try:
        encoded = np.frombuffer(base64.b64decode(shape["mask"]), np.uint8)
        part = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    except (KeyError, TypeError, binascii.Error, cv2.error):
        part = None
    ends = _extent(shape)
    check_points(ends, image_size)
    (x, y), _ = np.round(ends).astype(int).tolist()
    height, width = part.shape if part is not None else (0, 0)
    if part is None or x < 0 or y < 0 or x + width > image_size[1] or y + height > image_size[0]:
        raise ValueError("expected a mask as a base64 image that lies within the image")
    bitmap = np.zeros(image_size, np.uint8)
    bitmap[y : y + height, x : x + width] = part
    return Region.from_bitmap(id, label, bitmap)


def _extent(shape: Any) -> NDArray[np.float64]:
    """Lowest and highest (x, y) of its points, float64 (2, 2)."""
    points = points_of(shape["points"])
    if len(points) < 2:
        raise ValueError(f"expected two corners, got {len(points)}")
    return np.stack([points.min(axis=0), points.max(axis=0)])


_SHAPES: dict[str, Callable[[int, str, Any, tuple[int, int]], Region]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
}
