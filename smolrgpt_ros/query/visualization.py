"""Visualization of answers: markers and an annotated image, computed only for subscribers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from geometry_msgs.msg import Point, Vector3
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.drawing import draw_answer
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language.marks import Mark, MarkKind
from smolrgpt_ros.messages.conversions import frame_header, image_to_message

SPHERE_DIAMETER_M = 0.25
TEXT_HEIGHT_M = 0.2
LINE_WIDTH_M = 0.04
LABEL_OFFSET_M = 0.3
"""Height of a text above its object; up is -y in the optical frame."""

WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
BLUE = ColorRGBA(r=0.2, g=0.5, b=1.0, a=0.8)
GREEN = ColorRGBA(r=0.2, g=0.9, b=0.3, a=0.9)


def answer_markers(frame: RGBDFrame, answer: SpatialAnswer) -> MarkerArray:
    """Named centers, measurements and the answer as text, in the optical frame.

    The first marker deletes those of the previous answer. Objects without a center are skipped.
    """
    header = frame_header(frame)
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    points = {
        id: Point(x=x, y=y, z=z)
        for id, (x, y, z) in zip(answer.region_ids, answer.centers.tolist(), strict=True)
        if x == x  # NaN where depth is missing
    }
    markers += _object_markers(header, frame, answer, points)
    for number, mark in enumerate(answer.shown_marks):
        markers += _mark_markers(header, number, mark)
    if points:
        markers.append(_text(header, "answer", 0, next(iter(points.values())), answer.text, 3))
    return MarkerArray(markers=markers)


def _object_markers(
    header: Header, frame: RGBDFrame, answer: SpatialAnswer, points: dict[int, Point]
) -> Iterator[Marker]:
    for id, point in points.items():
        marker = Marker(header=header, ns="centers", id=id, type=Marker.SPHERE)
        marker.pose.position = point
        marker.scale = Vector3(x=SPHERE_DIAMETER_M, y=SPHERE_DIAMETER_M, z=SPHERE_DIAMETER_M)
        marker.color = GREEN if id == answer.region_id else BLUE
        yield marker
        yield _text(header, "names", id, point, frame.regions[id].name, 1)


def _text(header: Header, ns: str, id: int, point: Point, text: str, line: int) -> Marker:
    marker = Marker(header=header, ns=ns, id=id, type=Marker.TEXT_VIEW_FACING, text=text)
    marker.pose.position = Point(x=point.x, y=point.y - line * LABEL_OFFSET_M, z=point.z)
    marker.scale.z = TEXT_HEIGHT_M
    marker.color = WHITE
    return marker


def _mark_markers(header: Header, id: int, mark: Mark) -> Iterator[Marker]:
    """One mark and its label; nothing for a mark with an unknown point."""
    points = [Point(x=x, y=y, z=z) for x, y, z in mark.points.tolist()]
    if not np.isfinite(mark.points).all():
        return
    if mark.kind is not MarkKind.NUMBER:
        yield _shape(header, id, mark.kind, points)
    if mark.label:
        middle = Point(**dict(zip("xyz", mark.points.mean(axis=0).tolist(), strict=True)))
        yield _text(header, "labels", id, middle, mark.label, 2)


def _shape(header: Header, id: int, kind: MarkKind, points: list[Point]) -> Marker:
    marker = Marker(header=header, ns="measured", id=id, color=WHITE)
    if kind is MarkKind.ARROW:
        marker.type, marker.points = Marker.ARROW, points
        marker.scale = Vector3(x=LINE_WIDTH_M, y=3 * LINE_WIDTH_M, z=5 * LINE_WIDTH_M)
        return marker
    marker.type, marker.scale.x = Marker.LINE_LIST, LINE_WIDTH_M
    if kind is MarkKind.POINT:
        marker.points = _cross(*points)
    else:
        closed = [*points, points[0]] if kind is MarkKind.AREA else points
        marker.color = GREEN if kind is MarkKind.AREA else WHITE
        marker.points = [end for pair in pairwise(closed) for end in pair]
    return marker


def _cross(middle: Point) -> list[Point]:
    """Ends of three lines through a point."""
    ends = []
    for axis in np.eye(3) * SPHERE_DIAMETER_M:
        for x, y, z in (axis, -axis):
            ends.append(Point(x=middle.x + x, y=middle.y + y, z=middle.z + z))
    return ends


class AnswerVisuals:
    """Publishes `~/markers` and `~/annotated_image` after the response, without delaying it.

    If answers arrive faster than images are drawn, the latest one is drawn.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", 1)
        self._image = node.create_lifecycle_publisher(Image, "~/annotated_image", 1)
        self._newest: tuple[RGBDFrame, str, SpatialAnswer] | None = None
        self._lock = threading.Lock()

    def show(self, frame: RGBDFrame, question: str, answer: SpatialAnswer) -> None:
        """Publish an answer soon, if there is a subscriber.

        Args:
            frame: of the answer; None if none was used.
            question: as asked.
            answer: to show.
        """
        if not (self._markers.get_subscription_count() or self._image.get_subscription_count()):
            return
        with self._lock:
            is_scheduled = self._newest is not None
            self._newest = frame, question, answer
        if not is_scheduled:
            self._node.executor.create_task(self._publish)

    def _publish(self) -> None:
        with self._lock:
            assert self._newest is not None
            frame, question, answer = self._newest
            self._newest = None
        if self._markers.get_subscription_count():
            self._markers.publish(answer_markers(frame, answer))
        if self._image.get_subscription_count():
            image = draw_answer(frame, question, answer)
            self._image.publish(image_to_message(image, "rgb8", frame_header(frame)))
