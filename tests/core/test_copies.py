"""The copies of a scene are off by as much as each of its parts may be."""

import numpy as np
import pytest

from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.footprints import corners
from smolrgpt_core.scene.measured_scene import MeasuredScene


@pytest.fixture(scope="module")
def copies(ray_caster, block):
    """A buffer that leaves the image on the right, with a pallet."""
    blocks = (
        block(9, "buffer", 3.6, 5.0, 0.0, 4.0, 2.0, top=0.0),
        block(10, "pallet", -1.0, 5.0, 0.3, 1.2, 0.8, top=0.9),
    )
    frame = ray_caster(blocks, height=2.5, pitch_deg=25).render()
    found = SceneCopies(MeasuredScene(FrameGeometry(frame)))
    found.measure(np.ones(2, dtype=bool))
    return found


def test_only_the_side_that_is_not_seen_moves(copies):
    shape = corners(copies, np.full(copies.count, copies.index(9)))
    left, right = shape[:, :, 0].min(axis=1), shape[:, :, 0].max(axis=1)
    near, far = shape[:, :, 1].min(axis=1), shape[:, :, 1].max(axis=1)
    assert right.std() > 0.3
    assert max(left.std(), near.std(), far.std()) < 0.1
    assert left[0] == pytest.approx(1.6, abs=0.03)


def test_copies_scatter_as_the_scene_says(copies):
    placed = copies.scene.place(10)
    index = copies.index(10)
    many = SceneCopies(copies.scene, copies=4000)
    many.measure(np.ones(2, dtype=bool))
    size_std = np.std(many.size[1:, index], axis=0)
    np.testing.assert_allclose(size_std, placed.size_std, rtol=0.3)
    upwards = np.std(many.center[1:, index, 2])
    assert upwards == pytest.approx(placed.center_std[2], rel=0.3)
    assert np.all(many.center[0, index] == placed.center)


def test_most_copies_are_near_and_a_few_are_far_off(copies):
    placed = copies.scene.place(10)
    many = SceneCopies(copies.scene, copies=4000)
    many.measure(np.ones(2, dtype=bool))
    off = np.abs(many.size[1:, copies.index(10), 0] - placed.size[0]) / placed.size_std[0]
    assert np.median(off) < 0.6, "a normal distribution has 0.67"
    assert 0.005 < np.mean(off > 3) < 0.03, "a normal distribution has 0.003"


def test_at_its_limits_a_copy_is_off_by_one_standard_deviation_in_each_part(copies):
    placed = copies.scene.place(10)
    limits = SceneCopies(copies.scene, at_limits=True)
    limits.measure(np.ones(2, dtype=bool))
    off = np.abs(limits.size[1:, copies.index(10)] - placed.size)
    assert np.all(off <= placed.face_std.sum(axis=1) + 1e-9)
    np.testing.assert_allclose(off.max(axis=0), placed.face_std.sum(axis=1))


def test_a_size_is_one_of_the_standard_ones_in_each_copy(ray_caster, block):
    # Only its long side is seen: it is 0.8 or 1.0 m deep, and nothing between.
    frame = ray_caster((block(10, "pallet", 0.0, 5.0, 0.0, 1.2, 0.8, top=1.8),)).render()
    many = SceneCopies(MeasuredScene(FrameGeometry(frame)), copies=2000)
    many.measure(np.ones(1, dtype=bool))
    width = many.size[1:, 0, :2].min(axis=1)
    near = [np.mean(np.abs(width - standard) < 0.05) for standard in (0.8, 1.0)]
    assert min(near) > 0.2
    assert sum(near) > 0.8


def test_the_sizes_of_the_copies_scatter_as_the_weights_say(copies):
    placed = copies.scene.place(10)
    assert placed.choices is not None
    many = SceneCopies(copies.scene, copies=4000)
    many.measure(np.ones(2, dtype=bool))
    sizes = placed.size + placed.choices.outward.sum(axis=2)
    mean = placed.choices.weights @ sizes
    np.testing.assert_allclose(many.size[1:, copies.index(10)].mean(axis=0), mean, atol=0.02)
