"""What errs in the same way all over an image makes answers less sure, as far as it shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.geometry import FloorRectangle, FrameGeometry, find_ground_plane
from smolrgpt_core.geometry.edge_shift import edge_shift
from smolrgpt_core.geometry.plane_error import fit_with_offset
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene


@pytest.fixture(scope="module")
def hall(ray_caster, block):
    """A zone on an open floor with pallets around it."""
    blocks = (
        block(1, "buffer", 0.3, 7.0, 0.4, length=3.0, width=2.0, top=0.0),
        block(10, "pallet", -2.3, 4.6, 0.4, 1.2, 0.8, top=0.9),
        block(11, "pallet", -2.0, 6.6, 1.2, 1.2, 0.8, top=0.7),
        block(12, "pallet", 2.6, 6.5, 0.8, 1.2, 1.0, top=1.0),
        block(13, "pallet", 2.0, 4.5, 0.5, 1.2, 0.8, top=0.6),
        block(14, "pallet", 0.2, 4.0, 0.3, 1.2, 0.8, top=0.5),
    )
    return ray_caster(blocks, height=1.7, pitch_deg=14)


@pytest.fixture(scope="module")
def frame(hall, stereo_noise):
    """Not to be changed."""
    return stereo_noise(hall.render())


def zone_error_and_std(frame, hall) -> tuple[float, float]:
    """Largest distance of a corner of the zone from the true one, and the largest std of a side."""
    box, true = FrameGeometry(frame).locate(1).box, hall[1]
    assert box is not None
    expected = FloorRectangle(true.center[:2], true.yaw, np.array([true.length, true.width]))
    gaps = np.linalg.norm(box.footprint.corners[:, None] - expected.corners[None], axis=-1)
    return float(gaps.min(axis=1).max()), float(box.side_std.max())


def shifted(frame, rows: int, columns: int):
    """The frame with all masks elsewhere."""
    moved = []
    for region in frame.regions:
        mask = np.roll(frame.regions.full_mask(region.id), (rows, columns), axis=(0, 1))
        moved.append(Region.from_bitmap(region.id, region.label, mask))
    return replace(frame, regions=RegionSet(frame.regions.image_size, tuple(moved)))


def test_zones_are_well_known_in_a_good_frame(frame, hall):
    error, std = zone_error_and_std(frame, hall)
    assert error < 0.25
    assert std < 0.15


@pytest.mark.parametrize("offset_m", [-0.2, 0.3])
def test_depth_that_is_off_by_a_length_makes_zones_less_sure(frame, hall, offset_m):
    off = replace(frame, depth=frame.depth + np.float32(offset_m))
    error, std = zone_error_and_std(off, hall)
    assert error > 0.2
    assert std > error / 2


@pytest.mark.parametrize(("rows", "columns"), [(-4, 0), (4, 0), (3, 3)])
def test_masks_that_are_shifted_make_zones_less_sure(frame, hall, rows, columns):
    error, std = zone_error_and_std(shifted(frame, rows, columns), hall)
    assert std > error / 2
    assert std > 2 * zone_error_and_std(frame, hall)[1]


def test_an_offset_of_depth_differs_from_a_lower_floor():
    grid = np.meshgrid(np.linspace(-0.6, 0.6, 20), np.linspace(0.1, 0.6, 20))
    rays = np.stack([*grid, np.ones_like(grid[0])], axis=-1).reshape(-1, 3)
    true = np.array([0.0, 0.6, 0.02])
    depth = 1 / (rays @ true) + 0.3
    plain = np.linalg.lstsq(rays, 1 / depth, rcond=None)[0]
    fitted = fit_with_offset(plain, rays, 1 / depth)
    assert np.linalg.norm(plain - true) > 0.02
    np.testing.assert_allclose(fitted, true, atol=2e-3)


def test_a_shift_of_masks_differs_from_their_growth_despite_other_edges():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 2000)
    outward = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    offsets = np.rint(outward @ [2.0, -3.0] + 1.0 + 0.5 * rng.standard_normal(2000)).astype(int)
    offsets[:400] = rng.integers(-9, 10, 400)
    np.testing.assert_allclose(edge_shift(offsets, outward), [2.0, -3.0, 1.0], atol=0.2)


def test_a_floor_laid_through_noise_is_not_well_known(frame):
    rng = np.random.default_rng(1)
    noise = 1 + 0.1 * rng.standard_normal(frame.depth.shape)
    noisy = replace(frame, depth=(frame.depth * noise).astype(np.float32))
    good, bad = find_ground_plane(frame), find_ground_plane(noisy)
    assert good is not None
    assert bad is not None
    assert good.level_std(8.0) == 0
    assert bad.level_std(8.0) > 0.2


def test_the_middle_of_a_box_is_not_that_of_its_object(frame):
    boxed = tuple(Region.from_box(region.id, region.label, region.box) for region in frame.regions)
    boxes = replace(frame, regions=RegionSet(frame.regions.image_size, boxed))
    spread = []
    for of in (frame, boxes):
        copies = SceneCopies(MeasuredScene(FrameGeometry(of)))
        copies.see(np.ones(copies.number, dtype=bool))
        spread.append(copies.column.std(axis=0))
    widths = np.array([region.box.width for region in frame.regions])
    assert (spread[0] < 4).all()
    assert (spread[1] > 0.06 * widths).all()
