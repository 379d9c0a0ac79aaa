from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry import (
    SIZE_PRIORS,
    FloorRectangle,
    FrameGeometry,
    GroundPlane,
    OrientedBox,
    SizePrior,
    back_project,
    find_ground_plane,
    fit_box,
    fit_zone,
    free_floor,
    measure_surface,
    pixel_rays,
    project,
)
from smolrgpt_core.geometry.box_fitting import BoxFitter, _complete
from smolrgpt_core.geometry.box_sides import Sides
from smolrgpt_core.geometry.floor_rectangle import turn
from smolrgpt_core.geometry.masks import STEPS, border_pixels
from smolrgpt_core.geometry.surface import EDGE_PX
from smolrgpt_core.regions import Region, RegionSet

EUR, INDUSTRIAL = (1.2, 0.8), (1.2, 1.0)


def test_back_projection_and_projection_are_inverse():
    camera = CameraIntrinsics(40, 30, 50.0, 60.0, 18.5, 14.0)
    depth = np.random.default_rng(0).uniform(1, 5, (30, 40)).astype(np.float32)
    depth[3, 7] = np.nan
    points = back_project(depth, camera)
    assert points.shape == (30, 40, 3)
    np.testing.assert_allclose(points[10, 28] / depth[10, 28], [9.5 / 50, -4 / 60, 1], rtol=1e-6)
    assert np.isnan(points[3, 7]).all()
    assert np.isnan(points).any(axis=-1).sum() == 1
    pixels = project(points[5:6, :], camera)
    np.testing.assert_allclose(pixels[0, :, 0], 5, atol=1e-9)
    np.testing.assert_allclose(pixels[0, :, 1], np.arange(40), atol=1e-9)
    assert np.isnan(project(np.array([0.0, 0.0, -1.0]), camera)).all()
    np.testing.assert_allclose(pixel_rays(14.0, 18.5, camera), [0, 0, 1])


def floor_of(frame: RGBDFrame) -> GroundPlane:
    plane = find_ground_plane(frame)
    assert plane is not None
    return plane


def box_of(frame: RGBDFrame, id: int) -> OrientedBox:
    box = FrameGeometry(frame).locate(id).box
    assert box is not None
    return box


@pytest.mark.parametrize(
    ("height", "pitch", "roll"),
    [(1.6, 12, 0), (0.4, 3, 0), (1.2, 20, 8), (5, 45, -5), (6, 70, 0), (2, -5, 0)],
)
def test_the_floor_is_found_from_any_usual_mounting(ray_caster, block, height, pitch, roll):
    blocks = (block(1, "pallet", 0.5, 4.0, 0.4), block(2, "pallet", -1.2, 5.0, top=0.144))
    scene = ray_caster(blocks, height, pitch, roll, wall_m=12.0)
    plane = floor_of(scene.render())
    assert np.rad2deg(np.arccos(min(1.0, plane.up @ scene.up))) < 0.05
    assert plane.camera_height == pytest.approx(height, abs=0.005)
    assert plane.noise < 1e-4


def test_noise_is_measured_and_hardly_moves_the_floor(ray_caster, stereo_noise):
    scene = ray_caster(pitch_deg=15)
    plane = floor_of(stereo_noise(scene.render(), std_per_m=0.002))
    assert np.rad2deg(np.arccos(plane.up @ scene.up)) < 0.3
    assert plane.camera_height == pytest.approx(1.6, abs=0.01)
    assert plane.noise == pytest.approx(0.002, rel=0.2)


def test_a_wall_that_fills_most_of_the_view_is_not_the_floor(ray_caster):
    scene = ray_caster(wall_m=4.0, pitch_deg=8)
    plane = floor_of(scene.render())
    np.testing.assert_allclose(plane.up, scene.up, atol=1e-3)


def test_a_painted_zone_gives_the_floor_away(ray_caster, block):
    zone = block(1, "buffer", 0, 2.6, length=2, width=1, top=0.0)
    scene = ray_caster((zone,), pitch_deg=2)
    frame = scene.render()
    only_zone = np.where(frame.regions.full_mask(1), frame.depth, np.nan).astype(np.float32)
    plane = floor_of(replace(frame, depth=only_zone))
    np.testing.assert_allclose(plane.up, scene.up, atol=2e-3)


@pytest.mark.parametrize("pitch", [88, 90 - 1e-9, 90, 90 + 1e-9])
def test_a_camera_that_looks_straight_down_needs_a_zone(ray_caster, block, pitch):
    assert find_ground_plane(ray_caster(height=6, pitch_deg=pitch).render()) is None
    zone = block(1, "buffer", 0.2, 0.5, length=2, width=1, top=0.0)
    scene = ray_caster((zone,), height=6, pitch_deg=pitch)
    plane = floor_of(scene.render())
    np.testing.assert_allclose(plane.up, scene.up, atol=1e-3)


def test_depth_that_stands_still_is_no_floor_below_its_objects(ray_caster, block):
    """Exactly straight down, rounding decided whether the camera hangs upside down."""
    objects = (
        block(1, "buffer", 0.0, 4.0, length=2, width=2, top=0.0),
        block(2, "pallet", -1.2, 4.5),
        block(3, "pallet", 1.2, 4.5),
    )
    frame = ray_caster(objects, pitch_deg=20).render()
    for depth in (1.0, 2.5, 3.0, 7.3):
        assert find_ground_plane(replace(frame, depth=np.full_like(frame.depth, depth))) is None


def test_no_floor_is_found_where_none_is_seen(ray_caster):
    frame = ray_caster().render()
    assert find_ground_plane(replace(frame, depth=np.full_like(frame.depth, np.nan))) is None
    assert find_ground_plane(ray_caster(floor=False, wall_m=5.0, pitch_deg=5).render()) is None
    assert find_ground_plane(ray_caster(floor=False, wall_m=5.0, pitch_deg=-5).render()) is None


def test_floor_coordinates(ray_caster):
    scene = ray_caster(height=2.0, pitch_deg=30)
    plane = floor_of(scene.render())
    world = np.array([[0.0, 3.0, 0.0], [1.0, 4.0, 0.5]])
    points = scene.to_optical(world)
    np.testing.assert_allclose(plane.to_floor(points), world, atol=1e-3)
    np.testing.assert_allclose(plane.from_floor(plane.to_floor(points)), points, atol=1e-9)
    np.testing.assert_allclose(plane.intersect(points[:1] / points[0, 2]), world[:1, :2], atol=1e-3)
    assert np.isnan(plane.intersect(plane.up[None])).all()


def test_depth_inside_a_rectangle():
    rectangle = FloorRectangle(np.array([1.0, 2.0]), np.pi / 6, np.array([4.0, 2.0]))
    assert rectangle.depth_inside(np.array([1.0, 2.0])) == pytest.approx(1.0)
    np.testing.assert_allclose(rectangle.depth_inside(rectangle.corners), 0, atol=1e-9)
    along = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])
    assert rectangle.depth_inside(rectangle.center + 2.5 * along) == pytest.approx(-0.5)
    low, high = rectangle.bounds
    same = FloorRectangle.from_bounds(rectangle.yaw, low, high)
    np.testing.assert_allclose(same.corners, rectangle.corners, atol=1e-9)


def test_flying_pixels_are_not_points_of_the_surface(ray_caster, block):
    frame = ray_caster((block(1, "pallet", 0, 4.0, top=1.2),)).render()
    mask = frame.regions.full_mask(1)
    depth = frame.depth.copy()
    rng = np.random.default_rng(0)
    flying = mask & (rng.random(mask.shape) < 0.1)
    depth[flying] += rng.uniform(0.5, 3, flying.sum()).astype(np.float32)
    surface = measure_surface(replace(frame, depth=depth), frame.regions[1])
    assert surface.points[:, 2].max() < frame.depth[mask].max() + 0.05
    assert len(surface.depth) > 0.5 * mask.sum()


def test_background_under_the_edge_of_a_mask_is_ignored(ray_caster, block):
    frame = ray_caster((block(1, "pallet", 0, 4.0, top=1.2),), wall_m=9.0).render()
    mask = frame.regions.full_mask(1)
    grown = np.zeros_like(mask)
    for shift in range(-2, 3):
        grown |= np.roll(mask, shift, axis=1)
    surface = measure_surface(frame, Region.from_bitmap(1, "pallet", grown))
    assert surface.points[:, 2].max() < frame.depth[mask].max() + 0.05


def test_holes_count_as_missing_depth(ray_caster, block):
    frame = ray_caster((block(1, "pallet", 0, 4.0),)).render()
    holes = np.random.default_rng(0).random(frame.depth.shape) < 0.4
    depth = np.where(holes, np.nan, frame.depth).astype(np.float32)
    surface = measure_surface(replace(frame, depth=depth), frame.regions[1])
    assert surface.valid_fraction == pytest.approx(0.6, abs=0.03)
    assert np.isfinite(surface.depth).all()


@pytest.mark.parametrize(("rows", "columns"), [(2, 40), (1, 30), (40, 1), (5, 5)])
def test_thin_and_tiny_masks_survive(ray_caster, rows, columns):
    frame = ray_caster(wall_m=5.0, pitch_deg=0).render()
    mask = np.zeros(frame.depth.shape, dtype=bool)
    mask[40 : 40 + rows, 100 : 100 + columns] = True
    surface = measure_surface(frame, Region.from_bitmap(3, "pole", mask))
    assert len(surface.depth) >= rows * columns / 4
    np.testing.assert_allclose(surface.depth, 5.0, atol=1e-4)


def test_missing_depth_is_refused_with_the_region_and_the_numbers(ray_caster, block):
    frame = ray_caster((block(7, "pallet", 0, 4.0),)).render()
    depth = frame.depth.copy()
    depth[frame.regions.full_mask(7)] = np.nan
    with pytest.raises(SpatialError, match=r"pallet 7.*0%.*at least 1% and 6") as caught:
        measure_surface(replace(frame, depth=depth), frame.regions[7])
    assert caught.value.status is Status.NO_VALID_DEPTH


def fitted(scene, id, prior=None, noise=None):
    frame = scene.render() if noise is None else noise(scene.render())
    plane = floor_of(frame)
    surface = measure_surface(frame, frame.regions[id], noise=plane.noise)
    return fit_box(surface, plane, frame, prior)


def assert_box(box, truth, position=0.03, size=0.05):
    np.testing.assert_allclose(box.center[:2], truth.center[:2], atol=position)
    assert box.top == pytest.approx(truth.top, abs=0.05)
    assert box.bottom == pytest.approx(truth.bottom, abs=0.05)
    is_turned = abs(np.sin(box.footprint.yaw - truth.yaw)) > np.sin(np.pi / 4)
    lengths = (truth.width, truth.length) if is_turned else (truth.length, truth.width)
    np.testing.assert_allclose(box.footprint.size, lengths, atol=size)


@pytest.mark.parametrize(
    ("height", "pitch"), [(1.6, 12), (1.2, 5), (2.0, 25), (5.0, 45), (5.5, 70)]
)
@pytest.mark.parametrize("yaw", [0.35, 1.2, 2.5])
@pytest.mark.parametrize("top", [0.9, 0.144])
def test_boxes_are_measured_from_every_side(ray_caster, block, height, pitch, yaw, top):
    distance = 4.0 if height < 3 else height / np.tan(np.deg2rad(pitch))
    truth = block(1, "box", 0.4, distance, yaw, 1.3, 0.7, top=top)
    scene = ray_caster((truth,), height, pitch)
    pixel_m = np.hypot(distance, height) / scene.intrinsics.fy
    assert_box(fitted(scene, 1), truth, size=max(0.05, 4 * pixel_m))


@pytest.mark.parametrize("footprint", [EUR, INDUSTRIAL])
def test_a_face_seen_straight_on_is_completed_to_a_standard_pallet(ray_caster, block, footprint):
    length, width = footprint
    truth = block(1, "pallet", 0.0, 4.0, np.pi / 2, length, width, top=1.7)
    scene = ray_caster((truth,), height=1.5, pitch_deg=3)
    blind = fitted(scene, 1)
    assert blind.center[1] < 3.8
    assert_box(fitted(scene, 1, SIZE_PRIORS["pallet"]), truth)


def test_noise_averages_out(ray_caster, block, stereo_noise):
    truth = block(1, "pallet", 0.8, 5.0, 0.6, *EUR, top=1.1)
    box = fitted(ray_caster((truth,)), 1, SIZE_PRIORS["pallet"], stereo_noise)
    np.testing.assert_allclose(box.center, truth.center, atol=0.06)


# The body of a truck without a mast is no deck, but to a fit without its standard sizes it is one.
@pytest.mark.parametrize(("label", "top"), [("pallet", 1.7), ("transporter", 1.2)])
def test_fits_of_one_object_reuse_only_what_is_visible(ray_caster, block, stereo_noise, label, top):
    frame = stereo_noise(ray_caster((block(1, label, 0.8, 4.0, 0.6, *EUR, top=top),)).render())
    plane, prior = floor_of(frame), SIZE_PRIORS[label]
    surface = measure_surface(frame, frame.regions[1], noise=plane.noise)
    cargo = FloorRectangle(np.array([1.0, 4.6]), 0.6, np.array(EUR))
    fitter = BoxFitter(surface, plane, frame)
    before = [fitter.fit(), fitter.fit(prior), fitter.fit(prior, cargo)]
    again = [fitter.fit(prior, cargo), fitter.fit(prior), fitter.fit()][::-1]
    alone = [
        BoxFitter(surface, plane, frame).fit(*given) for given in ((), (prior,), (prior, cargo))
    ]
    for boxes in (again, alone):
        for box, expected in zip(boxes, before, strict=True):
            np.testing.assert_array_equal(box.center, expected.center)
            np.testing.assert_array_equal(box.footprint.corners, expected.footprint.corners)
            np.testing.assert_array_equal(box.side_std, expected.side_std)


def test_the_edge_of_a_mask_has_each_way_out_of_it():
    mask = np.random.default_rng(0).random((9, 14)) < 0.6
    pixels, steps = border_pixels(mask)
    found = [(*pixel, *step) for pixel, step in zip(pixels.tolist(), steps.tolist(), strict=True)]
    padded = np.pad(mask, 1)
    assert found == [
        (row, column, *step)
        for step in STEPS
        for row, column in np.argwhere(mask).tolist()
        if not padded[row + 1 + step[0], column + 1 + step[1]]
    ]


def test_noise_far_away_leaves_a_usable_box(ray_caster, block, stereo_noise):
    truth = block(1, "pallet", 1.5, 10.0, 0.6, *INDUSTRIAL, top=1.3)
    scene = ray_caster((truth,), intrinsics=CameraIntrinsics.from_vertical_fov(640, 480, 60.0))
    box = fitted(scene, 1, SIZE_PRIORS["pallet"], stereo_noise)
    np.testing.assert_allclose(box.center, truth.center, atol=0.2)


def test_what_an_occluder_hides_is_completed_as_far_as_it_can_be_known(ray_caster, block):
    truth = block(1, "pallet", 0.0, 5.0, 0.3, *EUR, top=1.2)
    occluder = block(2, "pallet", -0.75, 3.5, 0.1, *EUR, top=1.4)
    scene = ray_caster((truth, occluder))
    frame = scene.render()
    seen = frame.regions[1].area
    assert seen < 0.75 * ray_caster((truth,)).render().regions[1].area
    box = fitted(scene, 1, SIZE_PRIORS["pallet"])
    surface = measure_surface(frame, frame.regions[1])
    visible = floor_of(frame).to_floor(surface.points)
    error = np.linalg.norm(box.center[:2] - truth.center[:2])
    assert error < np.linalg.norm(visible.mean(axis=0)[:2] - truth.center[:2]) / 2
    assert error < box.size_std.max(), "a center is off by half of what the size is off"
    assert box.in_part


def test_what_the_image_border_cuts_is_completed(ray_caster, block):
    truth = block(1, "pallet", 2.5, 3.6, 0.4, *EUR, top=0.8)
    frame = ray_caster((truth,)).render()
    box = frame.regions[1].box
    assert box.x + box.width == frame.intrinsics.width
    fit = fitted(ray_caster((truth,)), 1, SIZE_PRIORS["pallet"])
    np.testing.assert_allclose(fit.center[:2], truth.center[:2], atol=0.15)
    assert fit.size_std.max() > 0.02


def test_stacked_objects_stand_on_each_other(ray_caster, block):
    lower = block(1, "pallet", 0.2, 4.0, 0.5, *EUR, top=0.7)
    upper = block(2, "pallet", 0.2, 4.0, 0.5, *EUR, bottom=0.7, top=1.3)
    scene = ray_caster((lower, upper), height=1.8, pitch_deg=15)
    assert_box(fitted(scene, 1, SIZE_PRIORS["pallet"]), lower)
    assert_box(fitted(scene, 2, SIZE_PRIORS["pallet"]), upper)


def test_what_is_hidden_below_stands_on_the_floor_and_says_how_sure_that_is(ray_caster, block):
    truth = block(1, "pallet", 0.0, 6.0, 0.3, *EUR, top=1.4)
    occluder = block(2, "pallet", 0.0, 4.6, 0.0, length=2.4, width=0.8, top=0.8)
    box = fitted(ray_caster((truth, occluder), height=1.6, pitch_deg=5), 1, SIZE_PRIORS["pallet"])
    assert box.bottom == 0
    assert 0.1 < box.bottom_std < 0.6
    assert box.top == pytest.approx(1.4, abs=0.05)
    seen = fitted(ray_caster((truth,), height=1.6, pitch_deg=5), 1, SIZE_PRIORS["pallet"])
    assert (seen.bottom, seen.bottom_std) == (0, 0)


@pytest.mark.parametrize(("gap", "top"), [(0.0, 0.38), (0.02, 0.36), (0.3, 0.36)])
def test_what_is_seen_over_its_neighbor_as_high_is_not_as_flat_as_that(
    ray_caster, block, stereo_noise, gap, top
):
    """Pallets in a block: of those behind only the rim is seen, and no step in depth cuts it."""
    truth = block(1, "pallet", 0.0, 6.0, 0.0, *EUR, top=0.38)
    neighbor = block(2, "pallet", 0.0, 5.2 - gap, 0.0, length=2.4, width=0.8, top=top)
    frame = ray_caster((truth, neighbor), height=1.6, pitch_deg=10).render()
    for seed in range(2):
        box = box_of(stereo_noise(frame, seed=seed), 1)
        assert box.bottom == 0
        assert box.bottom_std > 0.1
        assert box.top == pytest.approx(0.38, abs=0.02)


@pytest.mark.parametrize(("forward", "height"), [(4.0, 2.0), (9.0, 2.0), (5.0, 0.8)])
def test_noise_does_not_make_things_lower(ray_caster, block, stereo_noise, forward, height):
    truth = block(1, "pallet", 0.4, forward, 0.5, *EUR, top=1.0)
    frame = ray_caster((truth,), height=height, pitch_deg=10).render()
    errors, stds = [], []
    for seed in range(8):
        box = box_of(stereo_noise(frame, std_per_m=0.003, seed=seed), 1)
        errors.append(box.top - 1.0)
        stds.append(box.top_std)
    edge_m = EDGE_PX * forward / frame.intrinsics.fy
    assert abs(np.mean(errors)) < max(edge_m, 0.02), "the edge of a mask is left out"
    assert np.sqrt(np.mean(np.square(errors))) < 1.5 * np.mean(stds)


def test_the_highest_part_of_an_uneven_load_counts(ray_caster, block, stereo_noise):
    """Of most of its deck the readings are lower, and noise hides that a part of it is not."""
    load = (
        block(1, "pallet", 0.3, 12.0, 0.3, *EUR, top=0.9),
        block(1, "pallet", 0.3, 12.0, 0.3, 0.6, 0.8, bottom=0.9, top=1.2),
    )
    frame = ray_caster(load, height=5.0, pitch_deg=20).render()
    boxes = [box_of(stereo_noise(frame, seed=seed), 1) for seed in range(6)]
    off = np.array([box.top - 1.2 for box in boxes])
    assert np.sqrt(np.mean(np.square(off))) < np.mean([box.top_std for box in boxes])


def test_a_pallet_beside_a_truck_may_be_lifted(ray_caster, block):
    pallet = block(1, "pallet", 0.0, 5.0, 0.3, *EUR, top=0.4)
    truck = block(60, "transporter", 0.9, 5.6, 0.3, 0.6, 0.85, top=1.9)
    alone = box_of(ray_caster((pallet,)).render(), 1)
    beside = box_of(ray_caster((pallet, truck)).render(), 1)
    assert (alone.bottom, alone.bottom_std) == (0, 0)
    assert beside.bottom == 0
    assert beside.bottom_std >= 0.05, "forks lift it by some centimeters"


def test_the_foot_of_a_pallet_may_be_behind_what_noise_puts_beside_it(
    ray_caster, block, stereo_noise
):
    """Each reading of the pallet in front is within noise of the one behind."""
    scene = ray_caster(
        (
            block(1, "pallet", 0.2, 17.0, 0.1, *EUR, top=1.3),
            block(2, "pallet", 0.2, 15.6, 0.1, *EUR, top=0.5),
        ),
        height=1.6,
        pitch_deg=5,
    ).render()
    for seed in range(3):
        box = box_of(stereo_noise(scene, seed=seed), 1)
        assert box.bottom == 0
        assert box.bottom_std > 0.1


def test_the_mast_of_a_truck_is_as_high_as_it_is(ray_caster, block, stereo_noise):
    truck = (
        block(1, "transporter", 0.0, 13.0, 0.3, 0.6, 0.85, top=0.9),
        block(1, "transporter", 0.0, 13.0, 0.3, 0.12, 0.4, bottom=0.9, top=2.0),
        block(1, "transporter", -0.9, 12.7, 0.3, 1.3, 0.55, bottom=0.05, top=0.15),
    )
    frame = ray_caster(truck, height=5.0, pitch_deg=20).render()
    boxes = [box_of(stereo_noise(frame, seed=seed), 1) for seed in range(4)]
    assert np.mean([box.top for box in boxes]) == pytest.approx(2.0, abs=0.1)


def test_a_near_side_is_surer_than_one_of_a_standard_size(ray_caster, block):
    box = fitted(ray_caster((block(1, "pallet", 0.0, 5.0, 0.0, *EUR, top=1.6),)), 1, None)
    near, far = np.abs(np.array(box.footprint.bounds)[:, 1]).argsort()
    assert box.side_std[1, near] < 0.05 < box.side_std[1, far]
    standard = fitted(
        ray_caster((block(1, "pallet", 0.0, 5.0, 0.0, *EUR, top=1.6),)), 1, SIZE_PRIORS["pallet"]
    )
    assert standard.size_std[1] < box.size_std[1]


def test_a_size_that_no_standard_one_fits_is_doubted(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 0.3, 5.0, 0.6, 1.2, 0.65, top=1.0),))
    box = fitted(scene, 1, SIZE_PRIORS["pallet"])
    off = np.min(box.footprint.size) - 0.65
    assert off > 0.1, "it is taken for one of the standard width"
    assert box.size_std.max() > off / 2


def test_the_body_of_a_truck_does_not_tell_how_far_its_forks_reach(ray_caster, block):
    size = {"length": 0.86, "width": 1.2}
    body = block(1, "transporter", 0.3, 4.0, 0.0, **size, top=1.2)
    flat = block(1, "transporter", 0.3, 4.0, 0.0, **size, top=0.3)
    high = fitted(ray_caster((body,), height=3.0, pitch_deg=30), 1, SIZE_PRIORS["transporter"])
    low = fitted(ray_caster((flat,), height=3.0, pitch_deg=30), 1, SIZE_PRIORS["transporter"])
    assert high.size_std.max() > 0.25
    assert low.size_std.max() < 0.15


def test_a_truck_with_a_mast_is_as_long_as_a_stacker(ray_caster, block):
    body = block(1, "transporter", 0.3, 4.0, 0.0, length=0.86, width=0.6, top=2.0)
    box = fitted(ray_caster((body,), height=3.0, pitch_deg=30), 1, SIZE_PRIORS["transporter"])
    assert np.max(box.footprint.size) == pytest.approx(2.0, abs=0.15)
    assert box.size_std.max() > 0.1


@pytest.mark.parametrize(("away", "told"), [(0.9, True), (1.2, False)])
def test_a_pallet_that_may_be_on_hidden_forks_is_reported(ray_caster, block, away, told):
    body = block(60, "transporter", 0.0, 5.0, 0.0, length=0.86, width=0.6, top=2.0)
    pallet = block(10, "pallet", away, 5.9, 0.5, *EUR, top=0.8)
    frame = ray_caster((body, pallet), height=3.0, pitch_deg=25).render()
    located = FrameGeometry(frame).locate(60)
    assert located.load.cargo == (10 if told else None)
    assert (0.5 < located.load.probability < 0.8) == told
    assert any("may carry pallet 10" in note for note in located.notes) == told


@pytest.mark.parametrize(("beyond", "told"), [(0.4, False), (0.05, True)])
def test_a_pallet_that_hardly_fits_is_reported_as_taken_for_the_load(
    ray_caster, block, beyond, told
):
    # The middle of what is hidden of the truck lies about 0.35 m behind the middle of its body.
    body = block(60, "transporter", 0.0, 5.0, 0.0, length=0.6, width=0.86, top=2.0)
    pallet = block(10, "pallet", 1.0, 5.0 + beyond, 0.0, *EUR, top=0.8)
    frame = ray_caster((body, pallet), height=3.0, pitch_deg=25).render()
    located = FrameGeometry(frame).locate(60)
    assert located.load.cargo == 10
    assert any("is taken for its load" in note for note in located.notes) == told


def test_a_load_is_not_sure_where_another_pallet_stands_at_the_other_end(ray_caster, block):
    body = block(60, "transporter", 0.0, 5.0, 0.0, length=0.6, width=0.86, top=2.0)
    fits = block(10, "pallet", 1.0, 5.4, 0.0, *EUR, top=0.8)
    other = block(11, "pallet", -1.0, 5.4, 0.0, *EUR, top=0.8)
    frame = ray_caster((body, fits, other), height=3.0, pitch_deg=25).render()
    located = FrameGeometry(frame).locate(60)
    assert located.load.cargo in (10, 11)
    assert any("is taken for its load" in note for note in located.notes)


def test_a_raised_pallet_beside_a_flat_transporter_may_be_on_it(ray_caster, block):
    flat = block(60, "transporter", 0.0, 5.0, 0.0, length=1.35, width=0.9, top=0.3)
    pallet = block(10, "pallet", 0.95, 5.0, 0.0, *EUR, bottom=0.3, top=0.9)
    frame = ray_caster((flat, pallet), height=2.0, pitch_deg=18).render()
    located = FrameGeometry(frame).locate(60)
    assert located.load.cargo == 10
    assert 0.5 < located.load.probability < 0.8
    assert any("may carry pallet 10" in note for note in located.notes)


@pytest.mark.parametrize("loaded", [True, False])
def test_a_load_without_a_region_is_one(ray_caster, block, loaded):
    flat = block(60, "transporter", 0.0, 5.0, 0.3, length=1.6, width=0.86, top=0.3)
    missed = block(10, "pallet", 0.0, 5.0, 0.3, *EUR, bottom=0.3, top=1.1)
    beside = block(11, "pallet", 1.8, 5.0, 0.3, *EUR, top=0.8)
    frame = ray_caster((flat, beside, *([missed] if loaded else [])), height=2.0, pitch_deg=18)
    rendered = frame.render()
    regions = tuple(region for region in rendered.regions if region.id != 10)
    seen = replace(rendered, regions=RegionSet(rendered.regions.image_size, regions))
    located = FrameGeometry(seen).locate(60)
    assert located.load.cargo is None
    assert (located.load.probability > 0.5) == loaded
    assert any("carry something that has no region" in note for note in located.notes) == loaded


@pytest.mark.parametrize("loaded", [True, False])
def test_a_load_without_a_region_is_found_on_the_forks_that_it_hides(ray_caster, block, loaded):
    body = block(60, "transporter", 0.0, 5.0, 0.4, length=0.6, width=0.86, top=2.0)
    missed = block(10, "pallet", 0.83, 5.35, 0.4, *EUR, top=0.8)
    rendered = ray_caster((body, *([missed] if loaded else [])), height=3.0, pitch_deg=30).render()
    seen = replace(
        rendered, regions=RegionSet(rendered.regions.image_size, (rendered.regions[60],))
    )
    load = FrameGeometry(seen).locate(60).load
    assert (load.probability > 0.5) == loaded
    assert load.cargo is None


@pytest.mark.parametrize("yaw", [0.3, 0.8, 1.2])
def test_an_end_that_something_nearer_cuts_off_is_none(ray_caster, block, yaw):
    flat = block(60, "transporter", 0.6, 7.0, yaw, length=2.0, width=1.0, top=0.38)
    screen = block(10, "pallet", 1.3, 4.5, 0.0, length=1.2, width=0.2, top=1.6)
    box = fitted(ray_caster((flat, screen), height=1.8), 60, SIZE_PRIORS["transporter"])
    off = np.sort(box.footprint.size) - [1.0, 2.0]
    assert np.all(np.abs(off) < 0.1 + 2 * np.sort(box.size_std))


@pytest.mark.parametrize("top", [2.4, 4.5])
def test_thin_uprights_without_readings_end_a_rack(ray_caster, block, top):
    beam = block(80, "shelf", 0.0, 9.0, 0.0, length=2.8, width=1.2, bottom=1.8, top=2.0)
    ends = [block(80, "shelf", x, 9.0, 0.0, length=0.06, width=1.2, top=top) for x in (-1.37, 1.37)]
    frame = ray_caster((beam, *ends), height=1.6, pitch_deg=0, wall_m=14.0).render()
    depth = frame.depth.copy()
    uprights = frame.regions.full_mask(80)
    uprights[: np.nonzero(uprights)[0].max()] &= depth[: np.nonzero(uprights)[0].max()] < 14
    above = np.zeros_like(uprights)
    above[: int(240 - 0.45 / 8.4 * frame.intrinsics.fy)] = True
    depth[uprights & above] = np.nan
    plane = floor_of(frame)
    frame = replace(frame, depth=depth)
    box = fit_box(measure_surface(frame, frame.regions[80]), plane, frame, SIZE_PRIORS["shelf"])
    assert box.top == pytest.approx(top, rel=0.05)


def test_a_face_that_rays_graze_does_not_tell_how_far_down_it_reaches(
    ray_caster, block, stereo_noise
):
    """Of a pallet on a deck, seen from above, with one side along the view."""
    deck = block(60, "transporter", 0.42, 6.4, 1.59, length=2.0, width=1.0, top=0.32)
    load = block(10, "pallet", 0.42, 6.4, 1.59, *EUR, bottom=0.32, top=1.57)
    frame = ray_caster((deck, load), height=5.7, pitch_deg=40).render()
    for seed in range(3):
        box = box_of(stereo_noise(frame, 0.0018, seed=seed), 10)
        assert box.bottom == pytest.approx(0.32, abs=0.05)


def test_all_readings_tell_how_a_near_pallet_is_turned(ray_caster, block, stereo_noise):
    for yaw in (0.2, 0.35, 0.65, 0.8):
        truth = block(1, "pallet", 0.6, 5.5, yaw)
        box = fitted(ray_caster((truth,), 3.0, 25), 1, SIZE_PRIORS["pallet"], stereo_noise)
        off = (box.footprint.yaw - yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
        assert abs(np.degrees(off)) < 1.2


def test_a_rack_that_the_border_cuts_may_be_much_higher(ray_caster, block, stereo_noise):
    levels, ends = (1.0, 2.2, 3.4), 1.35 * np.array([[-np.cos(0.3), -np.sin(0.3)]]) * [[1], [-1]]
    beams = [block(1, "shelf", 0.0, 9.0, 0.3, 2.8, 1.1, z, z + 0.12) for z in levels]
    posts = [block(1, "shelf", x, 9.0 + y, 0.3, 0.1, 1.1, top=7.5) for x, y in ends]
    scene = ray_caster((*beams, *posts), 4.5, 25)
    box = fitted(scene, 1, SIZE_PRIORS["shelf"], stereo_noise)
    assert box.top < 6.0
    assert box.top_std > 0.4 * box.top


@pytest.mark.parametrize("yaw", [0.1, 0.5, 1.3])
def test_a_deck_that_is_seen_edge_on_may_not_be_on_the_floor(ray_caster, block, stereo_noise, yaw):
    empty = block(1, "pallet", 2.0, 16.0, yaw, bottom=1.02, top=1.164)
    box = fitted(ray_caster((empty,), 1.25, 5), 1, SIZE_PRIORS["pallet"], stereo_noise)
    assert abs(box.bottom - empty.bottom) < 3 * box.bottom_std


def test_all_readings_of_a_deck_tell_its_height(ray_caster, block, stereo_noise):
    deck = block(1, "transporter", 0.3, 9.0, 0.3, length=1.35, width=0.9, top=0.35)
    frame = ray_caster((deck,), height=5.0, pitch_deg=30).render()
    boxes = [box_of(stereo_noise(frame, 0.002, seed=seed), 1) for seed in range(8)]
    off = np.array([box.top - 0.35 for box in boxes])
    assert np.sqrt(np.mean(off**2)) < 0.05
    assert np.abs(off / [box.top_std for box in boxes]).max() < 3


@pytest.mark.parametrize("std_per_m", [0.002, 0.01])
def test_sides_are_as_certain_as_they_are_correct(ray_caster, block, stereo_noise, std_per_m):
    truth = block(1, "pallet", 0.6, 6.0, 0.4, length=1.16, width=0.84, top=0.9)
    zone = block(9, "buffer", 0.0, 5.0, length=2.0, width=2.0, top=0.0)
    frame = ray_caster((truth, zone), height=3.0, pitch_deg=20).render()
    off = []
    for seed in range(12):
        box = box_of(stereo_noise(frame, std_per_m, seed=seed), 1)
        away = turn(truth.center[:2] - box.center[:2], box.footprint.yaw)
        off.append(away / box.center_std)
    assert 0.1 < np.sqrt(np.mean(np.square(off))) < 1.3


@pytest.mark.parametrize("yaw", [0.4, 2.0])
def test_forks_belong_to_the_truck(ray_caster, block, yaw):
    along = np.array([np.cos(yaw), np.sin(yaw)])
    middle = np.array([0.0, 4.5])
    body, forks = middle + 0.65 * along, middle - 0.3 * along
    truck = (
        block(1, "transporter", *body, yaw, 0.6, 0.85, top=1.9),
        block(1, "transporter", *forks, yaw, 1.3, 0.55, bottom=0.05, top=0.15),
    )
    box = fitted(ray_caster(truck), 1, SIZE_PRIORS["transporter"])
    np.testing.assert_allclose(box.footprint.center, middle, atol=0.15)
    assert max(box.footprint.size) == pytest.approx(1.9, abs=0.2)


def test_no_floor_leaves_what_the_visible_surface_tells(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 0, 4.0),), floor=False, pitch_deg=0)
    geometry = FrameGeometry(scene.render())
    assert geometry.plane is None
    located = geometry.locate(1)
    assert located.footprint is None
    assert located.box is None
    assert 3.6 < located.center[2] < 4.1, "its face is at 3.6 m, its middle at 4.0 m"
    assert np.linalg.norm(located.center - scene.center(1)) < 2 * located.std
    assert located.std < 0.3
    assert "no floor seen" in located.notes
    with pytest.raises(SpatialError, match="too little of the floor") as caught:
        geometry.footprint(1)
    assert caught.value.status is Status.CANNOT_TELL


def zone_of(scene, id, noise=None):
    frame = scene.render() if noise is None else noise(scene.render())
    plane = floor_of(frame)
    objects = np.any(
        [frame.regions.full_mask(r.id) for r in frame.regions if r.label != "buffer"]
        or np.zeros((1, *frame.depth.shape), bool),
        axis=0,
    )
    zone = fit_zone(frame, frame.regions[id], plane, free_floor(frame, plane, objects))
    return zone.footprint, zone.side_std


def assert_zone(rectangle, truth, tolerance):
    expected = FloorRectangle(
        truth.center[:2], truth.yaw, np.array([truth.length, truth.width])
    ).corners
    gaps = np.linalg.norm(rectangle.corners[:, None] - expected[None], axis=-1)
    assert gaps.min(axis=1).max() < tolerance


@pytest.mark.parametrize(("height", "pitch"), [(1.5, 15), (5.0, 45)])
def test_zones_are_measured(ray_caster, block, stereo_noise, height, pitch):
    truth = block(9, "buffer", 0.3, 5.0, 0.4, 3.0, 2.0, top=0.0)
    scene = ray_caster((truth,), height, pitch)
    rectangle, std = zone_of(scene, 9)
    assert_zone(rectangle, truth, 0.06)
    assert std.shape == (2, 2)
    assert std.max() < 0.06, "a pixel at the far side covers 5 cm"
    assert_zone(zone_of(scene, 9, stereo_noise)[0], truth, 0.12)


def test_objects_in_a_zone_do_not_change_it(ray_caster, block):
    truth = block(9, "buffer", 0.0, 5.0, 0.3, 3.5, 2.4, top=0.0)
    pallets = (
        block(1, "pallet", -0.9, 4.6, 0.4, *EUR),
        block(2, "pallet", 0.9, 5.4, 0.2, *EUR, top=0.6),
        block(3, "pallet", 0.6, 3.2, 1.2, *EUR, top=0.5),
    )
    rectangle, _ = zone_of(ray_caster((truth, *pallets), height=2.0, pitch_deg=20), 9)
    assert_zone(rectangle, truth, 0.12)


def test_a_hidden_side_of_a_zone_lies_between_paint_and_free_floor(ray_caster, block):
    truth = block(9, "buffer", 0.0, 5.0, 0.0, 3.0, 2.0, top=0.0)
    wall_of_pallets = block(1, "shelf", 0.0, 5.8, 0.0, 5.0, 0.8, top=1.0)
    rectangle, std = zone_of(ray_caster((truth, wall_of_pallets), height=2.0, pitch_deg=20), 9)
    far_side = rectangle.corners[:, 1].max()
    assert 5.5 < far_side < 7.5
    assert rectangle.depth_inside(np.array([0.0, 5.6])) > 0
    assert np.count_nonzero(std > 0.2) == 1
    assert np.sort(std.ravel())[2] < 0.06, "the other sides are seen"


def test_paint_that_ends_beside_holes_in_depth_may_end_there(ray_caster, block):
    truth = block(9, "buffer", 0.0, 5.0, 0.0, 3.0, 2.0, top=0.0)
    before_its_middle = block(1, "pallet", 0.0, 5.8, 0.0, 1.6, 0.8, top=1.0)
    scene = ray_caster((truth, before_its_middle), height=2.0, pitch_deg=20)

    def without_readings_behind_the_zone(frame):
        depth = frame.depth.copy()
        rows = np.flatnonzero(frame.regions.full_mask(9).any(axis=1))
        depth[: rows[0] + 3] = np.nan
        return replace(frame, depth=depth)

    assert zone_of(scene, 9)[1].max() < 0.1, "its far corners are seen"
    rectangle, std = zone_of(scene, 9, without_readings_behind_the_zone)
    assert rectangle.corners[:, 1].max() == pytest.approx(6.0, abs=0.1)
    assert std.max() > 0.5, "nothing confirms that the zone ends there"


def test_a_side_beyond_the_border_of_the_image_is_not_known_and_the_others_are(ray_caster, block):
    truth = block(9, "buffer", 3.6, 5.0, 0.0, 4.0, 2.0, top=0.0)
    scene = ray_caster((truth,), height=2.5, pitch_deg=25)
    region = scene.render().regions[9]
    assert region.box.x + region.box.width == scene.render().intrinsics.width
    rectangle, std = zone_of(scene, 9)
    along = int(abs(np.sin(rectangle.yaw)) > 0.5)  # the axis to the right
    right = int(np.cos(rectangle.yaw - along * np.pi / 2) > 0)
    assert std[along, right] > 0.5
    assert np.sort(std.ravel())[2] < 0.06
    left = rectangle.corners[:, 0].min()
    assert left == pytest.approx(1.6, abs=0.02)


def test_a_zone_above_the_horizon_is_refused(ray_caster):
    frame = ray_caster(wall_m=6.0).render()
    mask = np.zeros(frame.depth.shape, dtype=bool)
    mask[5:25, 50:80] = True
    regions = RegionSet(mask.shape, (Region.from_bitmap(4, "buffer", mask),))
    with pytest.raises(SpatialError, match="buffer 4 does not lie on the floor") as caught:
        FrameGeometry(replace(frame, regions=regions)).locate(4)
    assert caught.value.status is Status.CANNOT_TELL


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: SizePrior(((1.2, 0.0),), 0.1, True), "footprints"),
        (lambda: SizePrior(((1.2, 0.8),), 0.0, True), "tolerance"),
    ],
)
def test_size_priors_name_the_wrong_field(make, field):
    with pytest.raises(ValueError, match=field):
        make()


def test_a_transporter_that_is_seen_in_part_may_be_long_along_either_side():
    # Both ends of what is seen seem to be its own, and no transporter is as short as that.
    bounds = np.array([[1.48, 2.31], [6.94, 7.83]])
    std = np.array([[0.07, 0.09], [0.08, 0.21]])
    sides = Sides(bounds, std, np.ones((2, 2), dtype=bool), np.zeros((2, 2)), bottom=0.0)
    prior = SIZE_PRIORS["transporter"]
    size_std = _complete(sides, 0.36, prior).std
    assert (size_std > prior.tolerance).all()
    # What is seen well is not doubted for that.
    whole = replace(sides, bounds=np.array([[1.0, 2.35], [6.9, 7.8]]), std=np.full((2, 2), 0.02))
    done = _complete(whole, 0.36, prior)
    assert done.size == pytest.approx([1.35, 0.9], abs=0.01)
    assert (done.std < 0.05).all()
