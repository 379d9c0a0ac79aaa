"""Points and boxes in space, on the floor of the hall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.page.scene_view import MAX_POINTS, SceneView, turned_along


@pytest.fixture(scope="module")
def view(frame: RGBDFrame) -> SceneView:
    return SceneView(frame)


def test_points_stand_on_the_floor(view: SceneView) -> None:
    assert 0.5 * MAX_POINTS < len(view.points) <= MAX_POINTS
    assert view.colors.shape == view.points.shape
    on_floor = np.abs(view.points[:, 2]) < 0.05
    assert on_floor.mean() > 0.2
    assert (view.points[:, 2] > -0.3).mean() > 0.99


def test_objects_are_boxes_and_zones_lie_flat(view: SceneView) -> None:
    edges = {item.name: np.array(item.edges) for item in view.objects}
    assert edges["pallet 10"].shape == (12, 2, 3)
    assert edges["buffer 1"].shape == (4, 2, 3)
    assert (edges["buffer 1"][..., 2] == 0).all()


def test_the_measured_line_is_as_long_as_the_answer(view: SceneView, frame: RGBDFrame) -> None:
    asked = AskedQuestion("How far is pallet 10 from pallet 13?")
    answer = ask(frame, asked, GeometricAnswerer())
    ((start, end),) = view.measured(answer)
    assert np.linalg.norm(np.subtract(end, start)) == pytest.approx(answer.value, abs=0.01)


@pytest.mark.parametrize("along", [(0.0, 2.0, 0.0), (0.0, 0.0, -1.0), (1.0, -2.0, 0.5)])
def test_what_is_drawn_along_y_is_turned_along_a_line(along: tuple[float, float, float]) -> None:
    turn = turned_along(((1.0, 1.0, 1.0), tuple(np.add(along, 1.0))))
    assert turn @ [0, 1, 0] == pytest.approx(np.array(along) / np.linalg.norm(along))
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_a_frame_without_depth_has_neither_points_nor_objects(frame: RGBDFrame) -> None:
    empty = SceneView(replace(frame, depth=np.full_like(frame.depth, np.nan)))
    assert len(empty.points) == 0
    assert empty.objects == []
