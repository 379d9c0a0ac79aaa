"""Points from one frame to another: the transform that tf2 gives, applied to centers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from smolrgpt_core.geometry.rigid_transform import RigidTransform, rotation_matrix
from smolrgpt_core.simulated_data.camera_messages import quaternion

HALF = 0.5**0.5
OPTICAL_TO_BODY = (-0.5, 0.5, -0.5, 0.5)
"""What every camera driver publishes: x right, y down, z forward to x forward, y left, z up."""


def test_optical_frame_to_body_frame() -> None:
    transform = RigidTransform(OPTICAL_TO_BODY, (0.0, 0.0, 1.5))
    right_down_forward = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        transform.apply(right_down_forward), [[3.0, -1.0, -0.5], [0.0, 0.0, 1.5]], atol=1e-12
    )


def test_a_quarter_turn_to_the_left_and_a_shift() -> None:
    transform = RigidTransform((0.0, 0.0, HALF, HALF), (10.0, 20.0, 30.0))
    np.testing.assert_allclose(transform.apply(np.array([[1.0, 0.0, 0.0]])), [[10.0, 21.0, 30.0]])


def test_a_direction_is_turned_and_not_shifted() -> None:
    transform = RigidTransform((0.0, 0.0, HALF, HALF), (10.0, 20.0, 30.0))
    np.testing.assert_allclose(transform.rotate(np.array([1.0, 0.0, 0.0])), [0, 1, 0], atol=1e-12)


def test_unknown_centers_stay_unknown() -> None:
    transform = RigidTransform(OPTICAL_TO_BODY, (1.0, 2.0, 3.0))
    found = transform.apply(np.array([[np.nan] * 3, [0.0, 0.0, 1.0]]))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [2.0, 2.0, 3.0], atol=1e-12)
    assert transform.apply(np.empty((0, 3))).shape == (0, 3)


def test_rotations_are_those_of_opencv_whatever_the_length_of_the_quaternion() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        vector = generator.normal(size=3)
        expected = cv2.Rodrigues(vector)[0]
        x, y, z, w = quaternion(expected)
        np.testing.assert_allclose(rotation_matrix(x, y, z, w), expected, atol=1e-12)
        doubled = rotation_matrix(-2 * x, -2 * y, -2 * z, -2 * w)
        np.testing.assert_allclose(doubled, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rotation", "translation", "words"),
    [
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "quaternion"),
        ((0.0, np.nan, 0.0, 1.0), (0.0, 0.0, 0.0), "quaternion"),
        ((0.0, 0.0, 0.0, 1.0), (0.0, np.inf, 0.0), "finite meters"),
    ],
)
def test_what_is_no_transform_is_refused(rotation, translation, words) -> None:
    with pytest.raises(ValueError, match=words):
        RigidTransform(rotation, translation)
