"""Regions that are looked at in one pass have the places that each has by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry import FrameGeometry
from smolrgpt_core.geometry.frame_geometry import Located


def hall(block, ray_caster, stereo_noise) -> RGBDFrame:
    """Pallets, one of them small in the image, a crate, a loaded truck, a rack, and a zone."""
    seen = ray_caster(
        blocks=(
            block(1, "pallet", -1.4, 4.0, 0.4),
            block(2, "pallet", 0.9, 5.2, -0.3, width=1.0, top=0.144),
            block(3, "pallet", 2.5, 16.0, 1.2, top=1.5),
            block(4, "crate", -0.5, 6.0, 0.9, length=0.7, width=0.5, top=0.6),
            block(5, "transporter", 3.0, 6.5, 0.2, length=1.6, width=0.8, top=1.2),
            block(6, "shelf", -3.5, 9.0, 0.0, length=2.8, width=1.1, top=2.4),
            block(7, "buffer", 0.9, 6.0, 0.1, length=4.0, width=3.2, top=0.0),
        )
    ).render()
    return stereo_noise(seen, 0.0018)


def placed(geometry: FrameGeometry, id: int) -> Located | str:
    try:
        return geometry.locate(id)
    except SpatialError as error:
        return error.message


def assert_same(place: Located | str, other: Located | str) -> None:
    if isinstance(place, str) or isinstance(other, str):
        assert place == other
        return
    for name in ("center", "size", "axes", "center_std", "size_std"):
        np.testing.assert_array_equal(getattr(place, name), getattr(other, name), err_msg=name)
    assert (place.std, place.notes, place.cut) == (other.std, other.notes, other.cut)
    assert place.load == other.load


@pytest.mark.parametrize("expected", [(), (2, 4), (6, 5, 3, 1), tuple(range(1, 8))])
def test_a_place_is_the_same_whatever_is_expected_with_it(
    expected, block, ray_caster, stereo_noise
) -> None:
    frame = hall(block, ray_caster, stereo_noise)
    together = FrameGeometry(frame)
    together.expect(expected)
    for region in frame.regions:
        alone = FrameGeometry(frame)
        assert_same(placed(together, region.id), placed(alone, region.id))
    assert together.doubts == FrameGeometry(frame).doubts


def test_what_has_no_depth_is_refused_only_when_it_is_asked_for(
    block, ray_caster, stereo_noise
) -> None:
    frame = hall(block, ray_caster, stereo_noise)
    depth = frame.depth.copy()
    depth[frame.regions.full_mask(1)] = np.nan
    geometry = FrameGeometry(replace(frame, depth=depth))
    geometry.expect([1, 2, 4])
    assert isinstance(placed(geometry, 2), Located)
    with pytest.raises(SpatialError, match="pallet 1 has a depth reading at 0%"):
        geometry.locate(1)
