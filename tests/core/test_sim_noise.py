"""Sensor noise: each disturbance has its documented effect, and none happens unasked."""

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.sim import SensorNoise, apply_sensor_noise

SIZE = (240, 320)
CAMERA = CameraIntrinsics.from_vertical_fov(SIZE[1], SIZE[0], 60.0)
SILENT = dict.fromkeys(
    (
        "depth_noise_per_m",
        "depth_step_m",
        "min_range_m",
        "dropout_fraction",
        "dropout_blobs",
        "flying_fraction",
        "edge_dropout_fraction",
        "exposure_deviation",
        "white_balance_deviation",
        "color_noise",
        "object_dropout_fraction",
        "mask_edge_px",
    ),
    0,
)


def frame_of(depth):
    mask = np.zeros(SIZE, bool)
    mask[60:180, 80:240] = True
    regions = RegionSet(SIZE, (Region.from_bitmap(10, "pallet", mask),))
    rgb = np.full((*SIZE, 3), 120, np.uint8)
    return RGBDFrame(rgb, np.asarray(depth, np.float32), CAMERA, regions, stamp_ns=7)


def disturbed(depth, seed=0, **strength):
    noise = SensorNoise(**{**SILENT, **strength})
    return apply_sensor_noise(frame_of(depth), noise, np.random.default_rng(seed))


def wall_with_box():
    depth = np.full(SIZE, 6.0)
    depth[60:180, 80:240] = 3.0
    return depth


def slanted_floor():
    rows = np.arange(SIZE[0])[:, None]
    return np.broadcast_to(1.5 * CAMERA.fy / (rows + 20.0), SIZE)


def test_whole_objects_lose_their_depth_and_nothing_else_does():
    mask = frame_of(wall_with_box()).regions.full_mask(10)
    is_lost = []
    for seed in range(40):
        depth = disturbed(wall_with_box(), seed, object_dropout_fraction=0.3).depth
        assert np.isfinite(depth[~mask]).all()
        missing = np.isnan(depth[mask])
        assert missing.all() or not missing.any()
        is_lost.append(bool(missing.all()))
    assert 0.15 < np.mean(is_lost) < 0.45


def test_all_off_changes_nothing():
    depth = wall_with_box()
    depth[:5] = np.nan
    before = frame_of(depth)
    after = disturbed(depth)
    assert np.array_equal(after.depth, before.depth, equal_nan=True)
    assert np.array_equal(after.rgb, before.rgb)
    assert np.array_equal(after.regions.full_mask(10), before.regions.full_mask(10))
    assert (after.stamp_ns, after.frame_id) == (7, before.frame_id)


def test_same_generator_same_frame_and_the_input_stays():
    frame = frame_of(wall_with_box())
    untouched = frame.depth.copy(), frame.rgb.copy()
    noise = SensorNoise(mask_edge_px=1)
    one, two = (apply_sensor_noise(frame, noise, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.depth, two.depth, equal_nan=True)
    assert np.array_equal(one.rgb, two.rgb)
    assert np.array_equal(one.regions.full_mask(10), two.regions.full_mask(10))
    assert np.array_equal(frame.depth, untouched[0])
    assert np.array_equal(frame.rgb, untouched[1])


@pytest.mark.parametrize("patch", [0.0, 3.0])
def test_depth_noise_grows_with_the_square_of_the_distance(patch):
    for distance in (2.0, 8.0):
        result = disturbed(
            np.full(SIZE, distance), depth_noise_per_m=0.002, depth_noise_patch_px=patch
        ).depth
        assert result.std() == pytest.approx(0.002 * distance**2, rel=0.05)
        assert result.mean() == pytest.approx(distance, rel=0.002)


def test_depth_is_rounded_to_steps():
    result = disturbed(slanted_floor(), depth_step_m=0.05).depth / 0.05
    assert np.abs(result - np.round(result)).max() < 1e-3


def test_near_surfaces_have_no_reading():
    depth = np.linspace(0.2, 3.0, SIZE[0])[:, None] * np.ones(SIZE)
    result = disturbed(depth, min_range_m=0.5).depth
    assert np.array_equal(np.isnan(result), depth < 0.5)


def test_single_dropouts_have_their_fraction():
    result = disturbed(wall_with_box(), dropout_fraction=0.1).depth
    assert np.isnan(result).mean() == pytest.approx(0.1, abs=0.01)


def test_holes_are_larger_than_a_pixel():
    result = np.isnan(disturbed(wall_with_box(), dropout_blobs=8, dropout_blob_px=20).depth)
    assert 0.001 < result.mean() < 0.2
    beside = result[:, 1:] & result[:, :-1]
    assert beside.sum() > 0.7 * result.sum()


def test_flying_pixels_lie_between_the_surfaces_and_only_at_edges():
    result = disturbed(wall_with_box(), flying_fraction=0.5).depth
    flying = (result != 3.0) & (result != 6.0)
    assert np.all((result[flying] > 3.0) & (result[flying] < 6.0))
    at_edge = np.zeros(SIZE, bool)
    at_edge[58:182, 78:242] = True
    at_edge[62:178, 82:238] = False
    assert not np.any(flying & ~at_edge)
    assert 0.3 < flying.sum() / (2 * 2 * (120 + 160)) < 0.7


def test_edges_lose_readings():
    lost = np.isnan(disturbed(wall_with_box(), edge_dropout_fraction=0.5).depth)
    assert 0.3 < lost.sum() / (2 * 2 * (120 + 160)) < 0.7


def test_a_slanted_floor_is_no_edge():
    floor = slanted_floor()
    result = disturbed(floor, flying_fraction=0.5, edge_dropout_fraction=0.5).depth
    inner = slice(2, -2)
    assert np.array_equal(result[inner], floor[inner].astype(np.float32))


def test_exposure_and_white_balance_change_whole_images():
    pictures = [
        disturbed(wall_with_box(), seed, exposure_deviation=0.1, white_balance_deviation=0.05).rgb
        for seed in range(40)
    ]
    assert all(picture.std(axis=(0, 1)).max() == 0 for picture in pictures)
    means = np.array([picture[0, 0] for picture in pictures], float)
    assert means[:, 1].std() / 120 == pytest.approx(0.1, abs=0.035)
    assert (means[:, 0] / means[:, 2]).std() > 0.03


def test_color_noise_has_its_strength():
    picture = disturbed(wall_with_box(), color_noise=5.0).rgb.astype(float)
    assert picture.std() == pytest.approx(5.0 * np.sqrt(120 / 128), rel=0.05)


def test_masks_move_by_at_most_so_many_pixels():
    areas = {
        disturbed(wall_with_box(), seed, mask_edge_px=1).regions[10].area for seed in range(20)
    }
    assert areas == {118 * 158, 120 * 160, 122 * 162 - 4}


def test_a_mask_that_would_vanish_stays():
    mask = np.zeros(SIZE, bool)
    mask[10, 10:14] = True
    frame = frame_of(wall_with_box())
    frame = RGBDFrame(
        frame.rgb, frame.depth, CAMERA, RegionSet(SIZE, (Region.from_bitmap(3, "pallet", mask),))
    )
    noise = SensorNoise(mask_edge_px=3)
    for seed in range(8):
        assert 3 in apply_sensor_noise(frame, noise, np.random.default_rng(seed)).regions


def test_defaults_are_those_of_a_stereo_camera():
    result = apply_sensor_noise(
        frame_of(np.full(SIZE, 4.0)), SensorNoise(), np.random.default_rng(0)
    ).depth
    valid = np.isfinite(result)
    assert 0.9 < valid.mean() < 0.999
    # The data sheet of the D455 promises less than 2 % of the distance at 4 m.
    assert 0.004 < result[valid].std() / 4.0 < 0.02


@pytest.mark.parametrize(
    ("field", "value"),
    [("dropout_fraction", 1.5), ("depth_noise_per_m", -0.1), ("color_noise", np.nan)],
)
def test_errors_name_the_field(field, value):
    with pytest.raises(SpatialError, match=f"SensorNoise.{field}"):
        SensorNoise(**{field: value})


def test_fractions_at_edges_must_fit_together():
    with pytest.raises(SpatialError, match="flying_fraction"):
        SensorNoise(flying_fraction=0.7, edge_dropout_fraction=0.7)
