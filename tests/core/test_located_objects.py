"""What is told of objects whose masks, boxes and depth are those of real sensors."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry import FrameGeometry, back_project
from smolrgpt_core.geometry.frame_geometry import MOUNTED_FLOOR
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.scene.measured_scene import MeasuredScene


def grown(mask, pixels):
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def with_mask(frame, id, mask):
    regions = tuple(
        Region.from_bitmap(id, region.label, mask) if region.id == id else region
        for region in frame.regions
    )
    return replace(frame, regions=RegionSet(frame.regions.image_size, regions))


def with_box(frame, id):
    region = frame.regions[id]
    regions = tuple(
        Region.from_box(id, region.label, region.box) if other.id == id else other
        for other in frame.regions
    )
    return replace(frame, regions=RegionSet(frame.regions.image_size, regions))


def error_m(frame, scene, id):
    return float(np.linalg.norm(FrameGeometry(frame).locate(id).center - scene.center(id)))


@pytest.fixture
def carton_scene(ray_caster, block):
    """A carton of no known class on a table-like floor, with a wall far behind it."""
    carton = block(1, "carton", 0.1, 1.2, 0.4, 0.3, 0.2, top=0.25)
    return ray_caster((carton,), height=0.7, pitch_deg=28, wall_m=4.0)


def test_a_place_tells_size_axes_and_doubts_of_a_box(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 0.4, 4.0, 0.5, 1.2, 0.8, top=1.1),))
    place = FrameGeometry(scene.render()).locate(1)
    np.testing.assert_allclose(place.size, [1.2, 0.8, 1.1], atol=0.05)
    np.testing.assert_allclose(place.axes @ place.axes.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(place.axes[2], scene.up, atol=2e-3)
    length = scene.world_from_optical @ place.axes[0]
    assert abs(length @ [np.cos(0.5), np.sin(0.5), 0]) > 0.99
    assert place.box is not None
    assert place.box.footprint is place.footprint
    assert 0 < place.center_std.max() < 0.1
    assert 0 < place.size_std.max() < 0.1
    assert place.notes == ()
    assert not place.cut


def test_what_the_image_cuts_off_is_marked(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 2.5, 3.6, 0.4, top=0.8),))
    assert FrameGeometry(scene.render()).locate(1).cut


@pytest.mark.parametrize("pixels", [2, 4, 6, 8])
def test_masks_that_reach_over_the_edge_hardly_move_an_object(carton_scene, pixels):
    frame = carton_scene.render()
    disturbed = with_mask(frame, 1, grown(frame.regions.full_mask(1), pixels))
    assert error_m(disturbed, carton_scene, 1) < error_m(frame, carton_scene, 1) + 0.03


def test_a_box_is_parted_from_floor_and_background(ray_caster, block):
    blocks = (
        block(1, "pallet", 0.5, 4.0, 0.6, 1.2, 0.8, top=0.9),
        block(2, "pallet", -2.0, 7.0, 0.1, 1.2, 0.8, top=1.2),
    )
    scene = ray_caster(blocks, wall_m=12.0)
    frame = scene.render()
    boxed = FrameGeometry(with_box(with_box(frame, 1), 2))
    for id in (1, 2):
        place = boxed.locate(id)
        true = float(np.linalg.norm(scene.center(id)))
        assert np.linalg.norm(place.center - scene.center(id)) < 0.05 * true
        assert "from a box, not a mask" in place.notes
        assert place.std > FrameGeometry(frame).locate(id).std


@pytest.mark.parametrize("away_m", [-0.6, 0.7, 3.0])
def test_one_percent_of_stray_points_does_not_move_a_side(carton_scene, away_m):
    frame = carton_scene.render()
    rows, columns = np.nonzero(frame.regions.full_mask(1))
    side = max(2, round(0.1 * len(rows) ** 0.5))
    row, column = int(np.median(rows)), int(np.median(columns))
    depth = frame.depth.copy()
    depth[row : row + side, column : column + side] += away_m
    clean, stray = (
        FrameGeometry(frame).locate(1),
        FrameGeometry(replace(frame, depth=depth)).locate(1),
    )
    np.testing.assert_allclose(stray.center, clean.center, atol=0.02)
    np.testing.assert_allclose(stray.size, clean.size, atol=0.04)


def test_a_flat_thing_on_a_wall_stays_flat_and_says_what_it_rests_on(ray_caster):
    scene = ray_caster(wall_m=1.0, pitch_deg=0, height=0.5)
    frame = scene.render()
    mask = np.zeros(frame.depth.shape, dtype=bool)
    mask[200:240, 300:340] = True
    regions = RegionSet(mask.shape, (Region.from_bitmap(4, "tag", mask),))
    place = FrameGeometry(replace(frame, regions=regions)).locate(4)
    middle = np.array([319.5 - 319.5, 219.5 - 239.5]) / frame.intrinsics.fx
    np.testing.assert_allclose(place.center, [*middle, 1.0], atol=0.04)
    assert place.size.max() < 0.12
    assert "from the visible surface only" in place.notes


def test_depth_that_is_noise_is_refused(carton_scene):
    frame = carton_scene.render()
    mask = frame.regions.full_mask(1)
    rng = np.random.default_rng(0)
    patches = cv2.resize(rng.uniform(0.5, 6.0, (60, 80)), (640, 480), interpolation=0)
    holes = cv2.resize(rng.random((60, 80)), (640, 480), interpolation=0) < 0.5
    depth = np.where(mask, np.where(holes, np.nan, patches), frame.depth).astype(np.float32)
    with pytest.raises(SpatialError, match="carton 1 is noise") as caught:
        FrameGeometry(replace(frame, depth=depth)).locate(1)
    assert caught.value.status is Status.NO_VALID_DEPTH


@pytest.mark.parametrize("share", [0.015, 0.03, 0.1])
def test_sparse_depth_is_used_with_its_doubt(ray_caster, block, share):
    scene = ray_caster((block(1, "car", 0.5, 9.0, 0.5, 4.0, 1.7, top=1.5),), pitch_deg=5)
    frame = scene.render()
    hit = np.random.default_rng(1).random(frame.depth.shape) < share
    depth = np.where(hit, frame.depth, np.float32(np.nan))
    place = FrameGeometry(replace(frame, depth=depth)).locate(1)
    assert np.linalg.norm(place.center - scene.center(1)) < min(3 * place.std, 0.9)
    assert any(note.startswith("depth at") for note in place.notes)


def test_background_between_sparse_readings_does_not_make_an_object_deeper(ray_caster, block):
    scene = ray_caster((block(1, "car", 0.5, 9.0, 0.5, 4.0, 1.7, top=1.5),), pitch_deg=5)
    frame = scene.render()
    mask = frame.regions.full_mask(1)
    rng = np.random.default_rng(1)
    hit = rng.random(frame.depth.shape) < 0.04
    clean = np.where(hit, frame.depth, np.float32(np.nan))
    behind = mask & (rng.random(mask.shape) < 0.25)  # as through windows
    farther = frame.depth + rng.uniform(0, 12, mask.shape).astype(np.float32)
    stray = np.where(behind & hit, farther, clean)
    places = [FrameGeometry(replace(frame, depth=depth)).locate(1) for depth in (clean, stray)]
    assert np.linalg.norm(places[1].center - scene.center(1)) < min(3 * places[1].std, 1.0)
    assert places[1].std > places[0].std


def test_a_part_of_a_mask_without_readings_makes_the_middle_less_sure(ray_caster):
    scene = ray_caster(wall_m=1.0, pitch_deg=0, height=0.5)
    frame = scene.render()
    rows, columns = np.indices(frame.depth.shape)
    mask = np.hypot(rows - 220, columns - 320) < 40
    regions = RegionSet(mask.shape, (Region.from_bitmap(4, "tag", mask),))
    depth = frame.depth.copy()
    depth[mask & (columns > 310)] = np.nan
    whole, part = (
        FrameGeometry(replace(frame, depth=depth, regions=regions)).locate(4)
        for depth in (frame.depth, depth)
    )
    assert abs(part.center[0] - whole.center[0]) < 2 * part.center_std[0]
    assert part.center_std[0] > 1.5 * whole.center_std[0]


def test_a_pallet_flush_with_its_neighbors_is_as_deep_as_pallets_are(ray_caster):
    frame = ray_caster(wall_m=2.0, pitch_deg=0, height=0.5, floor=False).render()
    mask = np.zeros(frame.depth.shape, dtype=bool)
    half = round(0.4 * frame.intrinsics.fx / 2.0)
    mask[200:228, 320 - half : 320 + half] = True
    mask[200, 320 - half] = False  # a whole rectangle would be a detector's box
    regions = RegionSet(mask.shape, (Region.from_bitmap(4, "pallet", mask),))
    place = FrameGeometry(replace(frame, regions=regions)).locate(4)
    assert place.notes == ("from the visible surface only", "no floor seen")
    assert abs(place.center[2] - (2.0 + 1.2 / 2)) < 0.1


def test_too_sparse_depth_is_refused_with_the_fraction(carton_scene):
    frame = carton_scene.render()
    hit = np.random.default_rng(1).random(frame.depth.shape) < 0.004
    depth = np.where(hit, frame.depth, np.float32(np.nan))
    with pytest.raises(SpatialError, match="carton 1 has a depth reading at 0%"):
        FrameGeometry(replace(frame, depth=depth)).locate(1)


def test_what_is_seen_of_an_unknown_thing_without_a_floor_carries_an_estimated_doubt(
    ray_caster, block
):
    scene = ray_caster(
        (block(1, "carton", 0.0, 0.05, 0.2, 0.25, 0.16, bottom=0.3, top=0.4),),
        height=2.0,
        pitch_deg=89.9,
    )
    place = FrameGeometry(scene.render()).locate(1)
    error = np.linalg.norm(place.center - scene.center(1))
    assert "no floor seen" in place.notes
    assert error < 3 * place.std < 0.3


def patchy(rng, low_m, high_m):
    """Depth (480, 640) that is nothing but noise, in patches."""
    return cv2.resize(rng.uniform(low_m, high_m, (48, 64)), (640, 480), interpolation=0)


def test_a_plane_through_noise_is_no_floor(ray_caster, block):
    scene = ray_caster((block(1, "carton", 0.0, 1.2, 0.2, 0.3, 0.3, bottom=0.3, top=0.6),))
    for seed in range(5):
        frame = scene.render()
        noise = patchy(np.random.default_rng(seed), 2.0, 6.0)
        depth = np.where(frame.regions.full_mask(1), frame.depth, noise).astype(np.float32)
        assert FrameGeometry(replace(frame, depth=depth)).plane is None


def test_a_plane_that_most_objects_lie_under_is_no_floor(ray_caster, block):
    """A shelf board above the camera's view of the objects fills more pixels than the floor."""
    blocks = (
        block(1, "carton", -0.5, 2.0, 0.2, 0.4, 0.3, top=0.3),
        block(2, "carton", 0.5, 2.2, 0.6, 0.4, 0.3, top=0.4),
        block(3, "board", 0.0, 1.2, 0.0, 4.0, 0.9, bottom=0.78, top=0.8),
    )
    scene = ray_caster(blocks, height=1.4, pitch_deg=35)
    frame = scene.render()
    regions = RegionSet(frame.regions.image_size, tuple(frame.regions)[:2])
    plane = FrameGeometry(replace(frame, regions=regions)).plane
    assert plane is not None
    assert plane.camera_height == pytest.approx(1.4, abs=0.02)


def test_what_stands_lower_than_the_plane_in_view_stands_on_its_own_level(ray_caster, block):
    blocks = (
        block(1, "carton", -0.3, 1.0, 0.2, 0.2, 0.15, top=0.2),
        block(2, "carton", 0.1, 1.3, 0.6, 0.2, 0.15, top=0.25),
        block(3, "chair", 0.75, 1.9, 0.4, 0.5, 0.5, bottom=-0.45, top=0.35),
    )
    scene = ray_caster(blocks, height=0.7, pitch_deg=25)
    frame = scene.render()
    points = back_project(frame.depth, frame.intrinsics) @ scene.world_from_optical.T + [0, 0, 0.7]
    table = (points[..., 0] < 0.45) & (np.abs(points[..., 2]) < 0.01)
    below = ~table & ~np.any([frame.regions.full_mask(r.id) for r in frame.regions], axis=0)
    frame = replace(frame, depth=np.where(below, np.float32(np.nan), frame.depth))
    geometry = FrameGeometry(frame)
    place = geometry.locate(3)
    assert geometry.plane is not None
    assert geometry.plane.camera_height == pytest.approx(0.7, abs=0.02)
    visible = scene.center(3)
    assert np.linalg.norm(place.center - visible) < 0.3
    assert place.box is not None
    assert place.box.bottom < 0.05


def upside_down(frame):
    """The frame as a camera that is mounted upside down sees it."""
    regions = tuple(
        Region.from_bitmap(r.id, r.label, frame.regions.full_mask(r.id)[::-1, ::-1])
        for r in frame.regions
    )
    camera = frame.intrinsics
    turned = replace(camera, cx=camera.width - 1 - camera.cx, cy=camera.height - 1 - camera.cy)
    return replace(
        frame,
        rgb=np.ascontiguousarray(frame.rgb[::-1, ::-1]),
        depth=np.ascontiguousarray(frame.depth[::-1, ::-1]),
        intrinsics=turned,
        regions=RegionSet(frame.regions.image_size, regions),
    )


def test_what_is_up_may_come_from_outside(ray_caster, block):
    blocks = (block(1, "pallet", 0.4, 4.0, 0.5, top=0.9), block(2, "pallet", -1.5, 5.0, 0.1))
    scene = ray_caster(blocks, pitch_deg=15)
    turn = np.array([-1.0, -1.0, 1.0])
    frame = upside_down(scene.render())
    assert FrameGeometry(frame).plane is None, "a camera that hangs from the floor"
    geometry = FrameGeometry(replace(frame, up=turn * scene.up))
    assert geometry.plane is not None
    np.testing.assert_allclose(geometry.plane.up, turn * scene.up, atol=2e-3)
    np.testing.assert_allclose(geometry.locate(1).center, turn * scene.center(1), atol=0.05)


def test_up_tells_the_floor_from_a_wall_for_a_camera_that_looks_straight_down(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 0.2, 0.3, 0.4, top=1.0),), height=5.0, pitch_deg=88)
    geometry = FrameGeometry(replace(scene.render(), up=scene.up))
    assert geometry.plane is not None
    assert geometry.plane.camera_height == pytest.approx(5.0, abs=0.02)
    np.testing.assert_allclose(geometry.locate(1).center, scene.center(1), atol=0.08)


def test_with_up_alone_objects_have_boxes_on_their_own_level(ray_caster, block):
    scene = ray_caster((block(1, "pallet", 0.4, 4.0, 0.5, top=0.9),), floor=False)
    place = FrameGeometry(replace(scene.render(), up=scene.up)).locate(1)
    np.testing.assert_allclose(place.center, scene.center(1), atol=0.1)
    assert place.box is not None


@pytest.mark.parametrize("up", [np.array([0.0, -2.0, 0.0]), np.zeros(3), np.array([0.0, -1.0])])
def test_up_must_be_a_unit_vector(ray_caster, up):
    frame = ray_caster().render()
    with pytest.raises(SpatialError, match="unit vector") as caught:
        replace(frame, up=up)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("seen_side", ["short", "long"])
def test_a_pallet_seen_through_its_fork_openings_has_its_standard_depth(
    ray_caster, block, seen_side
):
    across, deep = (0.8, 1.2) if seen_side == "short" else (1.2, 0.8)
    front = 1.6
    parts = [block(1, "pallet", 0.0, front + deep / 2, 0.0, across, deep, 0.122, 0.144)]
    for x in (-across / 2 + 0.07, 0.0, across / 2 - 0.07):
        parts.append(block(1, "pallet", x, front + 0.05, 0.0, 0.14, 0.1, 0.0, 0.122))
    scene = ray_caster(tuple(parts), height=0.35, pitch_deg=0)
    frame = scene.render()
    mask = frame.regions.full_mask(1)
    kernel = np.ones((61, 61), np.uint8)
    outline = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    place = FrameGeometry(with_mask(frame, 1, outline)).locate(1)
    center = scene.to_optical([0.0, front + deep / 2, 0.072])
    assert np.linalg.norm(place.center - center) < 0.1
    assert place.size[:2].min() > 0.7


def mounted(frame, scene, height, tilt_deg=0.0):
    """A frame that says how its camera is mounted, its up off by an angle."""
    tilt = np.deg2rad(tilt_deg)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return replace(frame, up=turn @ scene.up, camera_height=height)


def without_floor(frame):
    """A frame with readings of the objects only."""
    on_objects = frame.regions.to_label_image() > 0
    return replace(frame, depth=np.where(on_objects, frame.depth, np.nan).astype(np.float32))


@pytest.fixture
def pallet_scene(ray_caster, block):
    pallets = (
        block(1, "pallet", 0.4, 4.0, 0.5, 1.2, 0.8, top=1.1),
        block(2, "pallet", -1.6, 6.0, 0.9, 1.2, 0.8, top=0.8),
    )
    return ray_caster(pallets, height=2.0, pitch_deg=20)


@pytest.mark.parametrize("tilt_deg", [0.0, 1.0, -1.0])
def test_heights_above_a_floor_that_is_not_seen_follow_from_the_mounting(pallet_scene, tilt_deg):
    frame = without_floor(pallet_scene.render())
    assert FrameGeometry(frame).plane is None
    geometry = FrameGeometry(mounted(frame, pallet_scene, 2.0, tilt_deg))
    for id, top in ((1, 1.1), (2, 0.8)):
        place = MeasuredScene(geometry).place(id)
        measured, std = place.center[2] + place.size[2] / 2, place.face_std[2, 1]
        assert measured == pytest.approx(top, abs=0.05 if tilt_deg == 0 else 2.5 * std)
        assert 0.05 < std < 0.2
        assert MOUNTED_FLOOR in place.notes
    assert geometry.doubts == ()


def test_a_table_top_is_no_floor_where_the_mounting_of_the_camera_is_known(ray_caster, block):
    table = block(9, "table", 0.0, 1.8, 0.0, 6.0, 2.8, top=0.75)
    carton = block(1, "carton", 0.1, 1.2, 0.4, 0.4, 0.3, bottom=0.75, top=1.0)
    scene = ray_caster((table, carton), height=1.6, pitch_deg=50)
    frame = scene.render()
    regions = tuple(region for region in frame.regions if region.id == 1)
    frame = replace(frame, regions=RegionSet(frame.regions.image_size, regions))
    plane = FrameGeometry(frame).plane
    assert plane is not None
    assert plane.camera_height == pytest.approx(0.85, abs=0.02)
    for known in (mounted(frame, scene, 1.6), replace(frame, camera_height=1.6)):
        geometry = FrameGeometry(known)
        assert geometry.plane is not None
        assert geometry.plane.camera_height == pytest.approx(1.6, abs=0.02)
        assert geometry.doubts == ()


@pytest.mark.parametrize("said", [1.5, 2.6])
def test_a_height_that_contradicts_the_floor_is_doubted(pallet_scene, said):
    frame = pallet_scene.render()
    assert FrameGeometry(mounted(frame, pallet_scene, 2.05)).doubts == ()
    for known in (mounted(frame, pallet_scene, said), replace(frame, camera_height=said)):
        (doubt,) = FrameGeometry(known).doubts
        assert f"2.00 m below the camera, which its mounting puts {said:.2f} m" in doubt


def test_depth_that_is_scaled_contradicts_the_height_of_the_camera(pallet_scene):
    known = mounted(pallet_scene.render(), pallet_scene, 2.0)
    for scale, is_doubted in ((1.0, False), (0.97, False), (1.04, False), (0.9, True), (1.1, True)):
        scaled = replace(known, depth=known.depth * np.float32(scale))
        height_doubts = [
            text for text in FrameGeometry(scaled).doubts if "its mounting puts" in text
        ]
        assert bool(height_doubts) == is_doubted
        if is_doubted:
            assert f"is {2.0 * scale:.2f} m below the camera" in height_doubts[0]


@pytest.mark.parametrize("height", [0.0, -1.2, np.nan, 400.0])
def test_a_height_that_no_camera_has_is_refused(pallet_scene, height):
    with pytest.raises(SpatialError, match="height of the camera") as error:
        replace(pallet_scene.render(), camera_height=height)
    assert error.value.status is Status.BAD_INPUT


def test_a_truck_is_measured_where_only_up_is_known(ray_caster, block):
    scene = ray_caster((block(1, "transporter", 0.3, 4.0, 0.4, 1.6, 0.8, top=1.2),), floor=False)
    geometry = FrameGeometry(replace(scene.render(), up=scene.up))
    assert geometry.plane is None
    assert np.linalg.norm(geometry.locate(1).center - scene.center(1)) < 0.2
