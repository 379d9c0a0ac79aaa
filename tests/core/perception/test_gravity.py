"""What is up: as the frame says, else by its floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.perception.gravity import find_up


def test_the_floor_tells_what_is_up(ray_caster, block) -> None:
    caster = ray_caster((block(1, "pallet", 0.5, 5.0),), height=1.6, pitch_deg=12.0, roll_deg=5.0)
    found = find_up(caster.render())
    assert found is not None
    assert not found.from_frame
    expected = caster.world_from_optical.T @ [0, 0, 1]
    assert np.degrees(np.arccos(min(1.0, found.up @ expected))) < 0.5
    assert found.camera_height == pytest.approx(1.6, abs=0.02)


def test_what_the_frame_says_is_taken_as_it_is(ray_caster, block) -> None:
    frame = ray_caster((block(1, "pallet", 0.5, 5.0),)).render()
    given = np.array([0.6, -0.8, 0.0])
    found = find_up(replace(frame, up=given, camera_height=2.5))
    assert found is not None
    assert found.from_frame
    np.testing.assert_array_equal(found.up, given)
    assert found.camera_height == 2.5


def test_without_a_floor_it_is_not_known(ray_caster) -> None:
    frame = ray_caster((), wall_m=3.0, floor=False, pitch_deg=0.0).render()
    assert find_up(frame) is None
