"""Markers show what was measured, in the optical frame."""

from __future__ import annotations

import numpy as np
import pytest
from visualization_msgs.msg import Marker

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.errors import Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import Category
from smolrgpt_core.language.marks import Mark, MarkKind
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_ros.query.visualization import answer_markers

POINTS = np.array([[1.0, 0.5, 4.0], [-1.0, 0.5, 6.0], [-1.0, 0.25, 5.0]])


@pytest.fixture(scope="module")
def frame() -> RGBDFrame:
    return RGBDFrame(
        rgb=np.zeros((48, 64, 3), np.uint8),
        depth=np.full((48, 64), 4.0, np.float32),
        intrinsics=CameraIntrinsics.from_vertical_fov(64, 48, 60.0),
        regions=RegionSet((48, 64), (Region.from_box(12, "pallet", Box(1, 1, 9, 9)),)),
        frame_id="camera_optical_frame",
    )


def shown(frame: RGBDFrame, *marks: Mark) -> dict[str, list[Marker]]:
    """Markers by namespace."""
    answer = SpatialAnswer(
        Status.OK, Category.QUANTITY, text="So it is.", value=1.0, region_ids=(12,),
        centers=POINTS[:1], valid_depth=np.ones(1), marks=marks,
    )  # fmt: skip
    found: dict[str, list[Marker]] = {}
    for marker in answer_markers(frame, answer).markers:
        assert marker.header.frame_id == "camera_optical_frame"
        found.setdefault(marker.ns, []).append(marker)
    return found


def pairs(marker: Marker) -> list[list[list[float]]]:
    ends = [[point.x, point.y, point.z] for point in marker.points]
    return [ends[i : i + 2] for i in range(0, len(ends), 2)]


def test_a_line_has_its_ends_and_its_label_in_the_middle(frame: RGBDFrame) -> None:
    found = shown(frame, Mark(MarkKind.LINE, POINTS[:2], "2.83 m"))
    (line,), (label,) = found["measured"], found["labels"]
    assert line.type == Marker.LINE_LIST
    assert pairs(line) == [POINTS[:2].tolist()]
    assert (label.text, label.type) == ("2.83 m", Marker.TEXT_VIEW_FACING)
    assert (label.pose.position.x, label.pose.position.z) == (0.0, 5.0)
    assert label.pose.position.y < 0.5


def test_an_area_is_closed_and_an_arrow_is_one(frame: RGBDFrame) -> None:
    area, arrow = shown(
        frame, Mark(MarkKind.AREA, POINTS), Mark(MarkKind.ARROW, POINTS[:2])
    )["measured"]  # fmt: skip
    a, b, c = POINTS.tolist()
    assert pairs(area) == [[a, b], [b, c], [c, a]]
    assert arrow.type == Marker.ARROW
    assert pairs(arrow) == [[a, b]]
    assert area.id != arrow.id


def test_a_place_is_a_cross_and_an_order_a_number(frame: RGBDFrame) -> None:
    found = shown(
        frame,
        Mark(MarkKind.POINT, POINTS[:1]),
        Mark(MarkKind.NUMBER, POINTS[1:2], "1", (12,)),
        Mark(MarkKind.NUMBER, np.full((1, 3), np.nan), "2", (12,)),
    )
    (cross,), (number,) = found["measured"], found["labels"]
    assert np.mean(pairs(cross), axis=(0, 1)) == pytest.approx(POINTS[0])
    assert len(pairs(cross)) == 3
    assert (number.text, number.pose.position.x) == ("1", -1.0)
