"""Point maps of frames, of estimators and of the authors' records."""

import numpy as np
import pytest
import torch

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.model.point_map.code import HISPATIAL, WAREHOUSE
from smolrgpt_core.model.point_map.points import (
    depth_point_map,
    estimated_point_map,
    model_points,
    relative_points,
    resized_point_map,
)

from .released_records import ca1m_point_map, wild_point_map

SIZE = (56, 56)


def given(points) -> np.ndarray:
    return model_points(resized_point_map(points, *SIZE), HISPATIAL).numpy()


def test_the_four_paths_of_the_authors(expected):
    arrays = {name: value.numpy() for name, value in expected.items()}
    depth = arrays["depth_decoded"]
    measured = np.nan_to_num(depth, nan=0.0, posinf=0.0)
    estimated = estimated_point_map(arrays["points_estimator"], arrays["mask_estimator"])
    paths = {
        "xyz_wild": wild_point_map(depth, arrays["intrinsics_normalized"]),
        "xyz_ca1m": ca1m_point_map(measured, arrays["intrinsics_pixels"]),
        "xyz_general": estimated,
        "infer_xyz_values": estimated,
    }
    for name, points in paths.items():
        wanted = arrays[name].reshape(4, *SIZE)
        np.testing.assert_allclose(given(points), wanted, atol=1e-4, err_msg=name)


def test_clipping_of_the_authors(expected):
    coordinates = expected["clip_in"].numpy()[None]
    points = np.concatenate([coordinates, np.ones((1, len(coordinates[0]), 1))], axis=-1)
    clipped = model_points(points.astype(np.float32), HISPATIAL).permute(1, 2, 0)[0]
    assert torch.equal(clipped, expected["clip_out"])


def test_a_frame_becomes_meters_in_the_optical_frame():
    camera = CameraIntrinsics(width=40, height=30, fx=20.0, fy=20.0, cx=19.5, cy=14.5)
    depth = np.full((30, 40), 2.0, np.float32)
    depth[0, 0] = np.nan
    points = depth_point_map(depth, camera)
    np.testing.assert_allclose(points[29, 39], [1.95, 1.45, 2.0, 1.0])
    assert np.isnan(points[0, 0, :3]).all()
    assert points[0, 0, 3] == 0


def test_a_pixel_takes_one_point_and_no_mean():
    points = np.zeros((6, 6, 4), np.float32)
    points[:, 3:] = 4
    resized = resized_point_map(points, 4, 4)
    assert set(np.unique(resized)) == {0.0, 4.0}


def test_what_was_not_measured_or_is_out_of_range_is_not_valid():
    points = np.array([[[1, 2, 3, 1], [np.nan, np.nan, np.nan, 0], [1, 2, 90, 1]]], np.float32)
    found = model_points(points, WAREHOUSE)
    assert found[3].tolist() == [[1, 0, 0]]
    assert found[:3, 0, 1:].abs().sum() == 0
    assert found[:, 0, 0].tolist() == [1, 2, 3, 1]


def test_relative_depth_knows_no_scale():
    points = np.ones((2, 3, 4), np.float32)
    points[..., 2] = np.array([[1, 2, 3], [1, 2, np.nan]])
    points[1, 2, 3] = 0
    levels = relative_points(points)
    assert levels[0].tolist() == [[0, 128, 255], [0, 128, 0]]
    assert levels[3].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert torch.equal(levels, relative_points(points * np.array([1, 1, 7, 1], np.float32)))


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(SpatialError, match=r"points \(H, W, 3\) and a mask \(H, W\)"):
        estimated_point_map(np.zeros((2, 3, 3)), np.zeros((3, 2), bool))
