"""Converts boxes, polygons and masks in files to regions.

Coordinates are pixels, where the upper left pixel spans 0 to 1; boxes and polygons cover the
pixels whose centers lie in them. Shapes that extend slightly beyond the image are clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Box, Region, decode_rle

_HUGE = 1e9
"""Coordinates are smaller; NaN and infinity are invalid too."""

EDGE_TOLERANCE = 0.1
"""A shape that extends further, as a fraction of the image, belongs to an image of another size."""


def box_region(
    id: int, label: str, corners: Sequence[float], image_size: tuple[int, int], score: float = 1.0
) -> Region:
    """A region from the corners of a box.

    Args:
        id: of the region.
        label: object class.
        corners: (left, top, right, bottom) in pixels.
        image_size: (height, width).
        score: confidence, 0 to 1.

    Raises:
        ValueError: the box is empty, or extends beyond the image.
    """
    left, top, right, bottom = corners
    points = np.array([[left, top], [right, bottom]], np.float64)
    check_points(points, image_size)
    if not (right > left and bottom > top):
        raise ValueError(f"expected a box with positive width and height, got {right - left:g} by "
                         f"{bottom - top:g} pixels")  # fmt: skip
    box = Box.covering(points[0], points[1], image_size)
    if min(box.width, box.height) < 1:
        raise ValueError("the box lies outside of the image")
    return Region.from_box(id, label, box, score)


def polygon_region(
    id: int,
    label: str,
    polygons: Sequence[NDArray[np.float64]],
    image_size: tuple[int, int],
    score: float = 1.0,
) -> Region:
    """From outlines, float64 (N, 2) each, which together cover the object.

    Args:
        id: of the region.
        label: object class.
        polygons: float64 (N, 2) each, pixels.
        image_size: (height, width).
        score: confidence, 0 to 1.

    Raises:
        ValueError: an outline has fewer than three points, or extends beyond the image.
    """
    # Imported here because a robot that gets its masks over ROS does not need pycocotools.
    from pycocotools import mask as coco_mask

    for points in polygons:
        if len(points) < 3:
            raise ValueError(f"expected polygons of at least three points, got {len(points)}")
        check_points(points, image_size)
    if not polygons:
        raise ValueError("expected at least one polygon")
    flat = [points.ravel().tolist() for points in polygons]
    rle = coco_mask.merge(coco_mask.frPyObjects(flat, *image_size))
    return Region.from_rle(id, label, rle, score)


def segmentation_region(
    id: int, label: str, segmentation: Any, image_size: tuple[int, int], score: float = 1.0
) -> Region:
    """From a COCO segmentation: run lengths, polygons [[x, y, x, y, ...], ...], or rows of a mask.

    Args:
        id: of the region.
        label: object class.
        segmentation: as in COCO.
        image_size: (height, width).
        score: confidence, 0 to 1.

    Raises:
        ValueError: it is none of these.
        SpatialError: BAD_INPUT; the run lengths are broken.
    """
    if isinstance(segmentation, dict):
        return rle_region(id, label, segmentation, image_size, score)
    rows = _rows_of_mask(segmentation, image_size)
    if rows is not None:
        return Region.from_bitmap(id, label, rows, score)
    return polygon_region(id, label, _polygons(segmentation), image_size, score)


def rle_region(
    id: int, label: str, rle: Any, image_size: tuple[int, int], score: float = 1.0
) -> Region:
    """From COCO run lengths of the whole image.

    Args:
        id: of the region.
        label: object class.
        rle: COCO run lengths.
        image_size: (height, width).
        score: confidence, 0 to 1.

    Raises:
        ValueError: they are for an image of another size.
        SpatialError: BAD_INPUT; they are broken.
    """
    mask = decode_rle(rle)
    if mask.shape != image_size:
        raise ValueError(f"expected a mask of (height, width) {image_size}, got {mask.shape}")
    return Region.from_bitmap(id, label, mask, score)


def united(id: int, parts: Sequence[Region], image_size: tuple[int, int]) -> Region:
    """One region from several shapes of the same object.

    Args:
        id: of the region.
        parts: at least one.
        image_size: (height, width).
    """
    if len(parts) == 1:
        return parts[0]
    mask = np.zeros(image_size, dtype=bool)
    for part in parts:
        mask[part.box.slices] |= part.mask
    return Region.from_bitmap(id, parts[0].source_label, mask)


def numbers(values: Any, count: int, expected: str) -> list[float]:
    """A list of a given number of finite numbers.

    Args:
        values: from a file.
        count: how many.
        expected: what they should be, for the message.

    Raises:
        ValueError: they are not.
    """
    right = isinstance(values, (list, tuple)) and len(values) == count
    if not right or not all(type(n) in (int, float) and abs(n) < _HUGE for n in values):
        raise ValueError(f"expected {expected}, got {values!r:.100}")
    return [float(value) for value in values]


def points_of(values: Any) -> NDArray[np.float64]:
    """Points, float64 (N, 2), from [[x, y], ...].

    Raises:
        ValueError: they have another form.
    """
    if not isinstance(values, list):
        raise ValueError(f"expected points [[x, y], ...], got {values!r:.100}")
    return np.array([numbers(point, 2, "a point [x, y]") for point in values]).reshape(-1, 2)


def _polygons(segmentation: Any) -> list[NDArray[np.float64]]:
    expected = "a segmentation as run lengths or polygons [[x1, y1, x2, y2, ...], ...]"
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f"expected {expected}, got {segmentation!r:.100}")
    polygons = []
    for flat in segmentation:
        size = len(flat) if isinstance(flat, list) else -1
        if size % 2:
            raise ValueError(f"expected {expected}, got {flat!r:.100}")
        polygons.append(np.array(numbers(flat, size, expected)).reshape(-1, 2))
    return polygons


def _rows_of_mask(value: Any, image_size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """A mask given as rows of true and false, or 1 and 0; None if it is something else."""
    height, width = image_size
    if not isinstance(value, list) or len(value) != height:
        return None
    if not all(isinstance(row, list) and len(row) == width for row in value):
        return None
    array = np.array(value)
    return array.astype(bool) if np.isin(array, (0, 1)).all() else None


def check_points(points: NDArray[np.float64], image_size: tuple[int, int]) -> None:
    """Check that points, float64 (N, 2), are not far outside the image.

    Raises:
        ValueError: they are; the message has their range.
    """
    size = np.array(image_size[::-1])
    # Also refuses NaN, for which no comparison holds.
    if not np.all((points >= -EDGE_TOLERANCE * size) & (points <= (1 + EDGE_TOLERANCE) * size)):
        raise ValueError(
            f"extends beyond the image of (height, width) {image_size}: x from "
            f"{points[:, 0].min():g} to {points[:, 0].max():g}, y from "
            f"{points[:, 1].min():g} to {points[:, 1].max():g}; "
            "regions and image must have the same resolution"
        )
