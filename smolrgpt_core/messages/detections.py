"""Converts detections from `yolo_msgs` and `vision_msgs` to regions.

Plain functions for the messages of any library, so neither package has to be installed. A box
becomes a completely filled region, including background; an outline, if the detector provides one,
becomes a mask. Detections are clipped to the image. Those completely outside are skipped, but
answers say so: a detector finds nothing there, unless its image had another size.

Tracking ids become region ids, so that a region keeps its id from frame to frame. An integer is
used as it is; any other text is hashed (CRC-32), which always gives the same number. Without
tracking, regions are numbered from 1 in the order of the message; detections that the tracker does
not follow (yet) are numbered from `UNTRACKED_IDS`, so that they never get the id of a tracked one.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.messages.older import first_of
from smolrgpt_core.messages.types import Message
from smolrgpt_core.regions import Box, Region, RegionSet

UNTRACKED_IDS = 1_000_000
"""First id of detections without a tracking id if others have one."""

MAX_ID_DIGITS = 10
"""Tracking ids with fewer digits are used as region ids directly."""

UNTRACKED = frozenset({"", "-1", "none"})
"""Tracking ids that mean none, in lower case."""

MIN_OUTLINE = 3
"""Smallest number of points of an outline."""

MAX_OFFSET = 16_000
"""Pixels; larger coordinates come from a broken detector, and would exhaust the memory."""

_SUBPIXEL_BITS = 4
"""OpenCV draws polygons in sixteenths of a pixel."""


@dataclass(frozen=True)
class _Detection:
    """A detection of either message type.

    Attributes:
        tracking_id: empty without tracking.
        label: class.
        score: 0 to 1.
        outline: float64 (N, 2), x and y in pixels: for a box its corners, where pixel 0 spans 0
            to 1; otherwise the centers of the outermost pixels, where the center of pixel 0 is 0.
        is_upright_box: whether it is a box without rotation.
    """

    tracking_id: str
    label: str
    score: float
    outline: NDArray[np.float64]
    is_upright_box: bool = False


def regions_from_yolo_detections(message: Message, image_size: tuple[int, int]) -> RegionSet:
    """Regions from a `yolo_msgs/DetectionArray`: outlines if present, otherwise boxes.

    Args:
        message: from the detector.
        image_size: (height, width) of the image that the detector got.

    Raises:
        SpatialError: BAD_INPUT when numbers are not finite, a box has no size, a mask is for an
            image of another size, coordinates are fractions of the image, or two detections have
            the same tracking id.
    """
    return _regions([_yolo_detection(item, image_size) for item in message.detections], image_size)


def regions_from_detections(message: Message, image_size: tuple[int, int]) -> RegionSet:
    """Regions from a `vision_msgs/Detection2DArray`: boxes with the label of the best hypothesis.

    Supports version 4 (Humble and newer), 3 (Galactic), 2 (Foxy), and ROS 1.

    Args:
        message: from the detector.
        image_size: (height, width) of the image that the detector got.

    Raises:
        SpatialError: BAD_INPUT when numbers are not finite, a box has no size or an angle in
            degrees, coordinates are fractions of the image, or two detections have the same
            tracking id.
    """
    return _regions([_vision_detection(item) for item in message.detections], image_size)


def _yolo_detection(message: Message, image_size: tuple[int, int]) -> _Detection:
    mask = message.mask
    if len(mask.data) < MIN_OUTLINE:
        size = message.bbox.size
        return _box(message, message.id, message.class_name, message.score, size.x, size.y)
    if (mask.height, mask.width) != image_size:
        raise bad_input(
            f"masks are for an image of {mask.width}x{mask.height}, the rgb image is "
            f"{image_size[1]}x{image_size[0]}; run the detector on the rgb image itself"
        )
    outline = np.array([(point.x, point.y) for point in mask.data], np.float64)
    return _Detection(message.id, message.class_name, message.score, outline)


def _vision_detection(message: Message) -> _Detection:
    size = (message.bbox.size_x, message.bbox.size_y)
    tracking_id = _vision_tracking_id(message)
    # Before version 3 (Galactic), a result is the hypothesis itself, with `id` for `class_id`.
    hypotheses = [getattr(result, "hypothesis", result) for result in message.results]
    if not hypotheses:
        return _box(message, tracking_id, "", 1.0, *size)
    best = max(hypotheses, key=lambda hypothesis: first_of(hypothesis, "score"))
    # A number in ROS 1.
    label = str(first_of(best, "class_id", "id"))
    return _box(message, tracking_id, label, best.score, *size)


def _vision_tracking_id(message: Message) -> str:
    """Empty if this version of the message has none."""
    if hasattr(message, "id"):
        return str(message.id)
    return str(message.tracking_id) if getattr(message, "is_tracking", False) else ""


def _box(
    message: Message, tracking_id: str, label: str, score: float, width: float, height: float
) -> _Detection:
    """A box of this size, rotated about its center by `theta` radians."""
    center = message.bbox.center
    # Before version 4 (Humble) of vision_msgs, the center has x and y itself.
    position = getattr(center, "position", center)
    x, y = first_of(position, "x"), first_of(position, "y")
    if not np.all(np.isfinite([x, y, center.theta, width, height])):
        raise _broken(label)
    _check_box(label, width, height, center.theta)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    cosine, sine = np.cos(center.theta), np.sin(center.theta)
    turned = half @ np.array([[cosine, sine], [-sine, cosine]])
    corners = turned + np.array([x, y])
    return _Detection(tracking_id, label, score, corners, is_upright_box=center.theta == 0.0)


def _check_box(label: str, width: float, height: float, angle: float) -> None:
    """Raises BAD_INPUT for a box without size, or with an angle that cannot be in radians."""
    name = label or "without label"
    if not (width > 0 and height > 0):
        raise bad_input(
            f"a detection ({name}) has a box of {width:g}x{height:g} pixels; its size must be "
            "positive: check that the detector fills size_x and size_y, not corners"
        )
    if abs(angle) > 2 * np.pi:
        raise bad_input(
            f"a detection ({name}) has the angle {angle:g}; theta must be in radians: is it in "
            "degrees?"
        )


def _regions(detections: Sequence[_Detection], image_size: tuple[int, int]) -> RegionSet:
    ids = _region_ids([item.tracking_id.strip() for item in detections])
    found = [_region(id, item, image_size) for id, item in zip(ids, detections, strict=True)]
    regions = RegionSet(
        image_size,
        tuple(region for region in found if region),
        doubt=_outside_doubt(detections, image_size),
    )
    if regions.is_in_fractions:
        raise bad_input(
            "all detections lie in the first two rows and columns of the image: their coordinates "
            "look like fractions of the image size; the detector must output pixels"
        )
    return regions


def _outside_doubt(detections: Sequence[_Detection], image_size: tuple[int, int]) -> str:
    """Why the detections may be of another image: a detector finds nothing beyond its border."""
    height, width = image_size
    centers = [(item.outline.min(axis=0) + item.outline.max(axis=0)) / 2 for item in detections]
    outside = sum(not (0 <= x <= width and 0 <= y <= height) for x, y in centers)
    if not outside:
        return ""
    return (
        f"{outside} of {len(detections)} detections have their center outside of the image of "
        f"{width}x{height}: was the detector run on an image of another size?"
    )


def _region_ids(tracking_ids: Sequence[str]) -> list[int]:
    """Raises BAD_INPUT for a tracking id that several detections have."""
    tracked = [text for text in tracking_ids if text.lower() not in UNTRACKED]
    twice = Counter(tracked).most_common(1)
    if twice and twice[0][1] > 1:
        raise bad_input(
            f"{twice[0][1]} detections have the tracking id {twice[0][0]!r}; a tracking id must "
            "belong to a single object, and be empty if the detector does not track"
        )
    first = UNTRACKED_IDS if tracked else 1
    return [
        first + index if text.lower() in UNTRACKED else _number(text)
        for index, text in enumerate(tracking_ids)
    ]


def _number(tracking_id: str) -> int:
    # Longer digit strings are not numbers of a tracker, and would take long to parse.
    if tracking_id.isascii() and tracking_id.isdigit() and len(tracking_id) < MAX_ID_DIGITS:
        return int(tracking_id)
    return zlib.crc32(tracking_id.encode())


def _region(id: int, detection: _Detection, image_size: tuple[int, int]) -> Region | None:
    """The part of a detection inside the image; None if it is outside."""
    outline, label = detection.outline, detection.label
    # Also refuses NaN, for which no comparison holds.
    if not (np.isfinite(detection.score) and np.all(np.abs(outline) <= MAX_OFFSET)):
        raise _broken(label)
    box = _box_in_image(outline, image_size, detection.is_upright_box)
    if min(box.width, box.height) < 1:
        return None
    score = float(np.clip(detection.score, 0.0, 1.0))
    if detection.is_upright_box:
        return Region.from_box(id, label, box, score)
    mask = _filled(outline - np.array([box.x, box.y]), (box.height, box.width))
    if not mask.any():
        return None
    region = Region.from_bitmap(id, label, mask, score)
    return replace(region, box=replace(region.box, x=region.box.x + box.x, y=region.box.y + box.y))


def _box_in_image(outline: NDArray[np.float64], image_size: tuple[int, int], is_box: bool) -> Box:
    """The pixels that an outline spans; empty outside the image."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    if is_box:
        return Box.covering(low, high, image_size)
    return Box.cut(np.floor(low) - 1, np.ceil(high) + 2, image_size)


def _filled(outline: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (H, W) of the pixels in a polygon, including those on its outline."""
    mask = np.zeros(size, np.uint8)
    points = np.round(outline * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [points], 1, shift=_SUBPIXEL_BITS)
    return mask.astype(bool)


def _broken(label: str) -> SpatialError:
    return bad_input(
        f"a detection ({label or 'without label'}) has a score or coordinates that are not finite, "
        "or far outside any image; check the detector"
    )
