"""Points under a mask become the object's points and boxes that follow by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.perception.cleaning import (
    box_around,
    clean_object,
    largest_cluster,
    level_axes,
    object_points,
)
from smolrgpt_core.regions import Region

CAMERA = CameraIntrinsics(200, 150, 100.0, 100.0, 99.5, 74.5)


@pytest.fixture
def facing() -> tuple[Region, np.ndarray]:
    """A square of 0.8 m at 2 m, straight ahead; its mask reaches 4 pixels onto the wall at 6 m."""
    depth = np.full((150, 200), 6.0, dtype=np.float32)
    depth[55:95, 80:120] = 2.0
    mask = np.zeros((150, 200), dtype=bool)
    mask[51:99, 76:124] = True
    return Region.from_bitmap(0, "pallet", mask), depth


def test_the_box_is_that_of_the_object_without_the_wall(facing) -> None:
    region, depth = facing
    cloud = clean_object(region, depth, CAMERA)
    assert cloud is not None
    assert cloud.raw_count == 48 * 48
    assert len(cloud.points) == 40 * 40
    # The outer pixel centers are 19.5 pixels off the axis: 19.5 / 100 * 2 m.
    np.testing.assert_allclose(cloud.camera_box.low, [-0.39, -0.39, 2.0], atol=1e-6)
    np.testing.assert_allclose(cloud.camera_box.high, [0.39, 0.39, 2.0], atol=1e-6)
    assert cloud.level_box is None
    raw = box_around(object_points(region, depth, CAMERA))
    assert raw.size[2] == pytest.approx(4.0)


def test_a_camera_that_looks_down_has_a_level_box_of_its_own(facing) -> None:
    region, depth = facing
    down = np.deg2rad(30)
    up = np.array([0.0, -np.cos(down), -np.sin(down)])
    cloud = clean_object(region, depth, CAMERA, up=up)
    assert cloud is not None
    assert cloud.level_box is not None
    # The center is 2 m along the view: forward 2 cos 30, down 2 sin 30.
    np.testing.assert_allclose(
        cloud.level_box.center, [0, 2 * np.cos(down), -2 * np.sin(down)], atol=1e-6
    )
    np.testing.assert_allclose(
        cloud.level_box.size, [0.78, 0.78 * np.sin(down), 0.78 * np.cos(down)], atol=1e-6
    )


def test_level_axes_are_right_forward_and_up() -> None:
    np.testing.assert_allclose(
        level_axes(np.array([0.0, -1.0, 0.0])), [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12
    )


@pytest.mark.parametrize(("gap", "count"), [(0.3, 60), (0.1, 110)])
def test_what_is_farther_than_eps_is_another_cluster(gap: float, count: int) -> None:
    generator = np.random.default_rng(3)
    large = generator.uniform(0, 0.2, (60, 3)) + np.array([0, 0, 2])
    small = generator.uniform(0, 0.2, (50, 3)) + np.array([0.2 + gap, 0, 2])
    assert len(largest_cluster(np.concatenate([small, large]))) == count


def test_of_two_equal_clusters_the_nearer_one_is_the_object() -> None:
    generator = np.random.default_rng(4)
    near = generator.uniform(0, 0.2, (50, 3)) + np.array([0, 0, 2])
    far = near + np.array([0, 0, 3])
    for points in (np.concatenate([far, near]), np.concatenate([near, far])):
        np.testing.assert_array_equal(largest_cluster(points), near)


def test_a_small_object_counts_by_its_points_and_not_by_its_cells() -> None:
    ball = np.random.default_rng(6).uniform(0, 0.04, (60, 3)) + np.array([0, 0, 2])
    assert len(largest_cluster(ball)) == 60


def test_points_that_stand_alone_are_no_object(facing) -> None:
    region, depth = facing
    assert len(largest_cluster(np.arange(60.0).reshape(20, 3))) == 0
    sparse = np.full_like(depth, np.nan)
    sparse[60:62, 90:94] = 2.0
    assert clean_object(region, sparse, CAMERA) is None
    assert clean_object(region, np.full_like(depth, np.nan), CAMERA) is None


def test_cells_give_the_clusters_of_all_points() -> None:
    """Against DBSCAN over each single point."""
    from sklearn.cluster import DBSCAN

    generator = np.random.default_rng(5)
    blobs = [generator.normal(at, 0.12, (n, 3)) for at, n in (([0, 0, 3], 900), ([2, 0, 4], 500))]
    points = np.concatenate([*blobs, generator.uniform(-4, 8, (60, 3))])
    labels = DBSCAN(eps=0.2, min_samples=10).fit(points).labels_
    expected = points[labels == np.bincount(labels[labels >= 0]).argmax()]
    found = largest_cluster(points)
    shared = {tuple(row) for row in expected} & {tuple(row) for row in found}
    assert len(shared) >= 0.99 * max(len(expected), len(found))


def test_trimming_leaves_out_the_outermost_points() -> None:
    points = np.stack([np.arange(101.0)] * 3, axis=1)
    assert box_around(points).size[0] == 100
    np.testing.assert_allclose(box_around(points, 5).low, 5)
    np.testing.assert_allclose(box_around(points, 5).high, 95)


def test_a_near_object_of_many_points_is_no_burden() -> None:
    rows, columns = np.mgrid[:400, :500]
    points = np.stack([columns / 500, rows / 400, 1 + 0.1 * np.sin(columns / 40)], axis=-1)
    points = points.reshape(-1, 3)
    start = time.perf_counter()
    found = largest_cluster(points)
    assert len(found) == len(points)
    assert time.perf_counter() - start < 10
