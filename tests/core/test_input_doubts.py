"""Inputs that are plausible one by one and contradict each other are told, others are not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolrgpt_core.answerers.geometric import DOUBTED, GeometricAnswerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry import frame_geometry, surface
from smolrgpt_core.geometry.frame_geometry import FLAT, FrameGeometry
from smolrgpt_core.geometry.input_doubts import MaskDoubt, edge_offsets
from smolrgpt_core.language import read_question
from smolrgpt_core.regions import Box, Region, RegionSet

ROOT = Path(__file__).parents[2]

PALLETS = [10, 11, 12, 13, 14]


@pytest.fixture(scope="module")
def hall(ray_caster, block):
    """Five pallets of standard sizes before a wall, one of them beside another."""
    blocks = (
        block(1, "buffer", -1.6, 5.0, length=3.2, width=3.2, top=0.0),
        block(10, "pallet", -2.3, 4.6, 0.4, 1.2, 0.8, top=0.9),
        block(11, "pallet", -0.8, 5.6, 1.2, 1.2, 0.8, top=0.7),
        block(12, "pallet", 0.6, 6.5, 0.8, 1.2, 1.0, top=1.0),
        block(13, "pallet", 2.0, 5.5, 0.5, 1.2, 0.8, top=0.6),
        block(14, "pallet", 0.9, 4.2, 0.3, 1.2, 0.8, top=0.5),
        block(60, "transporter", 2.6, 9.0, 0.3, 1.35, 0.9, top=0.35),
    )
    return ray_caster(blocks, height=2.6, pitch_deg=18, wall_m=14.0)


@pytest.fixture(scope="module")
def frame(hall, stereo_noise):
    """Not to be changed."""
    return stereo_noise(hall.render())


def doubts(frame) -> str:
    return "; ".join(FrameGeometry(frame).doubts)


def answer(frame, text):
    return GeometricAnswerer().answer(frame, read_question(text, frame.regions))


@pytest.fixture
def looked_at(monkeypatch):
    """Ids of the regions whose surface was measured, in order."""
    ids = []
    measure = surface.measure_surface

    def measured(frame, region, *rest):
        ids.append(region.id)
        return measure(frame, region, *rest)

    monkeypatch.setattr(frame_geometry, "measure_surface", measured)
    return ids


@pytest.mark.parametrize("doubts_first", [True, False])
def test_a_pallet_is_looked_at_once_for_its_place_and_for_doubts(frame, looked_at, doubts_first):
    expected = {region.id: FrameGeometry(frame).locate(region.id) for region in frame.regions}
    looked_at.clear()
    geometry = FrameGeometry(frame)
    told = geometry.doubts if doubts_first else ()
    for region in frame.regions:
        located = geometry.locate(region.id)
        assert np.array_equal(located.center, expected[region.id].center)
        assert np.array_equal(located.size, expected[region.id].size)
    told = told or geometry.doubts
    assert sorted(id for id in looked_at if id in PALLETS) == PALLETS
    assert told == FrameGeometry(frame).doubts


def test_nothing_of_a_prepared_frame_is_left_for_its_first_question(frame, looked_at):
    known, answerer = replace(frame), GeometricAnswerer()
    answerer.prepare(known)
    # Three of the standard sizes are enough.
    first, second, third = looked_at
    assert {first, second, third} < set(PALLETS)
    looked_at.clear()
    pallets = f"How far is pallet {first} from pallet {third}?"
    prepared = answerer.answer(known, read_question(pallets, known.regions))
    assert not looked_at
    expected = answer(frame, pallets)
    assert (prepared.value, prepared.confidence) == (expected.value, expected.confidence)


def with_masks(frame, change):
    regions = [
        Region.from_bitmap(region.id, region.label, change(frame.regions.full_mask(region.id)))
        for region in frame.regions
    ]
    return replace(frame, regions=RegionSet(frame.regions.image_size, tuple(regions)))


def with_focal(frame, across, down):
    camera = frame.intrinsics
    return replace(frame, intrinsics=replace(camera, fx=camera.fx * across, fy=camera.fy * down))


def test_good_inputs_are_not_doubted(frame):
    assert doubts(frame) == ""
    given = answer(frame, "How far is pallet 10 from pallet 12?")
    assert given.message == ""
    assert given.confidence > DOUBTED


@pytest.mark.parametrize("lost", [0.5, 0.9])
def test_missing_depth_is_no_contradiction(frame, lost):
    depth = frame.depth.copy()
    depth[np.random.default_rng(0).random(depth.shape) < lost] = np.nan
    assert "masks and depth" not in doubts(replace(frame, depth=depth))


def test_a_background_out_of_range_is_no_contradiction(frame):
    depth = np.where(frame.depth < 7.5, frame.depth, np.float32(np.nan))
    assert doubts(replace(frame, depth=depth)) == ""


def test_labels_on_a_wall_do_not_jump_and_are_no_contradiction(hall):
    frame, regions = hall.render(), []
    for id, column in enumerate(range(60, 600, 120)):
        mask = cv2.circle(np.zeros(frame.depth.shape, np.uint8), (column, 40), 30, 1, -1) > 0
        assert np.nanmin(frame.depth[mask]) > 12.0
        regions.append(Region.from_bitmap(id, "label", mask))
    labeled = replace(frame, regions=RegionSet(frame.regions.image_size, tuple(regions)))
    assert doubts(labeled) == ""


@pytest.mark.parametrize("pixels", [10, 40])
def test_depth_that_is_not_registered_is_reported(frame, pixels):
    moved = replace(frame, depth=np.roll(frame.depth, pixels, axis=1))
    assert "masks and depth do not fit" in doubts(moved)
    given = answer(moved, "How far is pallet 10 from pallet 12?")
    assert "masks and depth do not fit" in given.message
    assert given.confidence <= DOUBTED


@pytest.mark.parametrize("pixels", [-32, -16, -8, 8, 16, 32])
def test_the_offset_between_depth_and_color_is_reported(frame, pixels):
    told = doubts(replace(frame, depth=np.roll(frame.depth, pixels, axis=1)))
    assert "masks and depth do not fit" in told
    assert float(told.split("shifted by ")[1].split()[0]) == pytest.approx(pixels, abs=2)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [(-12, "too small"), (-8, "too small"), (-5, "too small"), (6, "too large"),
     (14, "too large or too small")],
)  # fmt: skip
def test_masks_of_another_size_are_not_reported_as_shifted(frame, pixels, reason):
    change = cv2.dilate if pixels > 0 else cv2.erode
    brush = np.ones((2 * abs(pixels) + 1,) * 2, np.uint8)
    found = doubts(with_masks(frame, lambda mask: change(mask.view(np.uint8), brush) > 0))
    assert reason in found
    assert "to the right" not in found


@pytest.fixture
def cartons(ray_caster, block, stereo_noise):
    """Low cartons on the floor, seen from above: depth jumps by little more than a jump."""
    places = (
        (-0.5, 0.5, 0.2),
        (0.0, 0.55, 0.5),
        (0.5, 0.5, 0.1),
        (-0.3, 1.0, 0.7),
        (0.35, 1.05, 0.3),
    )
    tops = (0.09, 0.12, 0.15, 0.1, 0.13)
    blocks = tuple(
        block(id, "carton", *place, length=0.3, width=0.2, top=top)
        for id, (place, top) in enumerate(zip(places, tops, strict=True), 1)
    )
    return stereo_noise(ray_caster(blocks, height=1.2, pitch_deg=60).render())


def wobbling(mask, rng, pixels):
    """A mask (H, W) whose border is off by so many pixels (standard deviation), here in, there out.

    As that of a segmenter that finds the object and not where it ends.
    """
    reach = cv2.GaussianBlur(rng.normal(size=mask.shape), (0, 0), 8)
    inside, outside = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (mask, ~mask)
    )
    return np.where(mask, inside, 1 - outside) > reach / reach.std() * pixels


class Trusting(FrameGeometry):
    """Geometry that takes masks as they come."""

    mask_doubt = MaskDoubt()


def test_borders_that_are_off_make_places_less_sure_and_not_worthless(cartons):
    rng = np.random.default_rng(0)
    off = with_masks(cartons, lambda mask: wobbling(mask, rng, 4.0))
    text = "How far is carton 1 from carton 5?"
    sure, given = answer(cartons, text), answer(off, text)
    assert sure.message == ""
    assert "masks and depth do not fit" in given.message
    assert given.value == pytest.approx(sure.value, rel=0.1)
    assert DOUBTED < given.confidence <= sure.confidence
    geometry = FrameGeometry(off)
    for id in (1, 5):
        place, trusted = geometry.locate(id), Trusting(off).locate(id)
        side = geometry.mask_doubt.border_px / off.intrinsics.fx * np.linalg.norm(place.center)
        assert place.std >= np.hypot(trusted.std, 0.99 * side / 2)
        assert (place.size_std >= np.hypot(trusted.size_std, 0.99 * side)).all()


@pytest.mark.parametrize("pixels", [4, 5, 7])
@pytest.mark.parametrize("change", [cv2.dilate, cv2.erode])
def test_masks_that_are_too_large_or_small_are_reported(frame, change, pixels):
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    changed = with_masks(frame, lambda mask: change(mask.astype(np.uint8), kernel) > 0)
    assert "masks and depth do not fit" in doubts(changed)


@pytest.mark.parametrize("change", [cv2.dilate, cv2.erode])
def test_how_far_masks_are_off_is_measured(frame, change):
    assert abs(np.median(edge_offsets(frame))) <= 1
    kernel = np.ones((9, 9), np.uint8)
    changed = with_masks(frame, lambda mask: change(mask.astype(np.uint8), kernel) > 0)
    expected = -4 if change is cv2.dilate else 4
    assert np.median(edge_offsets(changed)) == pytest.approx(expected, abs=1)


def with_boxes(frame, change):
    """Boxes for the masks of objects; `change` moves their corners, (2, 2) x and y."""
    size = frame.regions.image_size
    boxes = {region.id: region.box for region in frame.regions if region.label != "buffer"}
    corners = {
        id: np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]], float)
        for id, box in boxes.items()
    }
    moved = {id: change(ends) for id, ends in corners.items()}
    regions = [
        Region.from_box(id, frame.regions[id].label, Box.covering(low, high, size))
        for id, (low, high) in moved.items()
    ]
    return replace(frame, regions=RegionSet(size, tuple(regions)))


def wider(ends):
    """By a tenth on each side."""
    return ends + np.array([[-0.1], [0.1]]) * (ends[1] - ends[0])


@pytest.mark.parametrize(
    "change", [lambda ends: ends, lambda ends: ends + np.array([[-2], [2]]), wider]
)
def test_boxes_in_place_are_not_doubted(frame, change):
    assert doubts(with_boxes(frame, change)) == ""


@pytest.mark.parametrize("pixels", [40, 60])
def test_boxes_beside_their_objects_are_reported(frame, pixels):
    moved = with_boxes(frame, lambda ends: ends - [0, pixels])
    assert "objects reach over" in doubts(moved)
    given = answer(moved, "How far is pallet 11 from pallet 12?")
    assert "was the detector's image scaled or padded" in given.message
    assert given.confidence <= DOUBTED


@pytest.mark.parametrize(("across", "down"), [(0.8, 0.8), (1.25, 1.25), (1.3, 1.0)])
def test_a_wrong_focal_length_shows_in_the_pallets(frame, across, down):
    assert "times the standard sizes" in doubts(with_focal(frame, across, down))


@pytest.mark.parametrize("scale", [0.25, 0.85, 1.1, 1.2, 2.0])
def test_a_wrong_unit_of_depth_shows_in_the_pallets(frame, scale):
    scaled = replace(frame, depth=frame.depth * np.float32(scale))
    told = doubts(scaled)
    assert "times the standard sizes" in told
    factor = float(told.split("pallets measure ")[1].split()[0])
    assert factor == pytest.approx(scale, rel=0.06)


def test_what_few_pallets_tell_of_the_unit_is_mentioned_and_not_distrusted(hall, stereo_noise):
    noisy = stereo_noise(hall.render(), std_per_m=0.003, seed=1)
    assert not doubts(noisy)
    given = answer(replace(noisy, depth=noisy.depth * np.float32(0.9)), "Where is pallet 11?")
    assert "pallets seem to measure 0.92 times the standard sizes" in given.message
    assert given.confidence > 0.9


@pytest.mark.parametrize(("scale", "pallets"), [(0.1, 3), (10.0, 3), (10.0, 2), (10.0, 1)])
def test_a_wrong_unit_shows_where_too_few_pallets_are_fitted(frame, scale, pallets):
    depth = frame.depth * np.float32(scale)
    depth[depth > 60.0] = np.nan
    without_floor = np.full_like(depth, np.nan)
    for id in PALLETS[:pallets]:
        region = frame.regions[id]
        without_floor[region.box.slices][region.mask] = depth[region.box.slices][region.mask]
    assert "is the unit of depth wrong" in doubts(replace(frame, depth=without_floor))
    right = np.where(np.isfinite(without_floor), frame.depth, np.nan).astype(np.float32)
    assert "unit of depth" not in doubts(replace(frame, depth=right))


def test_pixels_that_are_not_square_are_reported(frame):
    for across, down, is_reported in ((1.0, 0.75, True), (0.97, 1.0, False)):
        told = answer(with_focal(frame, across, down), "How tall is pallet 12?").message
        assert ("times fy" in told) is is_reported


@pytest.mark.parametrize("degrees", [30, 90])
def test_an_up_that_the_floor_contradicts_is_reported(hall, frame, degrees):
    turn = cv2.Rodrigues(np.radians([degrees, 0.0, 0.0]))[0]
    assert "degrees against" in doubts(replace(frame, up=turn @ hall.up))
    assert "degrees against" not in doubts(replace(frame, up=hall.up))


def test_a_principal_point_far_from_the_middle_is_reported(frame):
    camera = replace(frame.intrinsics, cx=frame.intrinsics.cx * 1.25)
    moved = replace(frame, intrinsics=camera)
    assert "principal point is off the middle of the image by +12%" in doubts(moved)
    assert answer(moved, "What is the bearing of pallet 12?").confidence <= DOUBTED
    assert "principal point" not in doubts(replace(frame, intrinsics=replace(camera, is_cut=True)))


def test_sides_of_the_image_need_no_depth_and_are_not_doubted(frame):
    moved = replace(frame, depth=np.roll(frame.depth, 40, axis=1))
    given = answer(moved, "Is pallet 10 left or right of pallet 13?")
    assert given.message == ""
    assert given.confidence > DOUBTED


def test_the_depth_at_a_pixel_is_doubted_too(frame):
    moved = replace(frame, depth=np.roll(frame.depth, 40, axis=1))
    given = answer(moved, "What is the depth at pixel (300, 400)?")
    assert "masks and depth do not fit" in given.message
    assert given.confidence <= DOUBTED


def test_what_was_asked_before_changes_no_answer(frame):
    moved = replace(frame, depth=np.roll(frame.depth, 40, axis=1))
    answerer = GeometricAnswerer()
    texts = ("How far is pallet 10 from pallet 13?", "Is pallet 10 left or right of pallet 13?")
    first, side, again = (
        answerer.answer(moved, read_question(text, moved.regions)) for text in (*texts, texts[0])
    )
    assert side.message == ""
    assert side.confidence > DOUBTED
    assert (again.message, again.confidence) == (first.message, first.confidence)
    assert first.confidence <= DOUBTED


def test_a_pallet_that_is_part_of_the_floor_is_reported(frame):
    regions = tuple(
        Region(1, "pallet", region.box, region.mask) if region.id == 1 else region
        for region in frame.regions
    )
    given = answer(
        replace(frame, regions=RegionSet(frame.regions.image_size, regions)),
        "How far is pallet 1 from the camera?",
    )
    assert FLAT in given.message


@pytest.mark.parametrize("text", ["How high is pallet 99?", "What is the volume of pallet 99?"])
def test_sizes_that_no_object_has_are_refused(hall, text):
    frame = hall.render()
    box = Box(300, 420, 60, 40)
    sunk = frame.depth.copy()
    # 5 cm below the floor: less than is taken for a lower level.
    sunk[box.slices] *= np.float32(1 + 0.05 / hall.height)
    corner = np.arange(40)[:, None] + np.arange(60) > 10
    regions = (*frame.regions, Region(99, "pallet", box, corner))
    made = replace(frame, depth=sunk, regions=RegionSet(frame.regions.image_size, regions))
    with pytest.raises(SpatialError, match=r"is impossible.*check the unit of depth") as refused:
        answer(made, text)
    assert refused.value.status is Status.CANNOT_TELL


@pytest.mark.parametrize("text", ["How many pallets are there?", "How many pallets are visible?"])
def test_regions_without_label_are_reported_with_a_count(frame, text):
    regions = tuple(
        Region(region.id, "" if region.id == 12 else region.label, region.box, region.mask)
        for region in frame.regions
    )
    given = answer(replace(frame, regions=RegionSet(frame.regions.image_size, regions)), text)
    assert given.value == 4
    assert "1 of the 7 regions have no label" in given.message


def test_the_fuzz_of_wrong_inputs_runs_and_repeats(tmp_path):
    def run(name):
        path = tmp_path / name
        script = str(ROOT / "benchmarks" / "wrong_inputs.py")
        options = ["--cases", "48", "--scenes", "1", "--workers", "1", "--json", str(path)]
        subprocess.run([sys.executable, script, *options], check=True, cwd=ROOT, timeout=300)
        return path.read_text()

    first = run("first.json")
    results = json.loads(first)
    assert len(results) >= 30
    assert {"nothing", "focal length scaled"} <= {result["kind"] for result in results}
    assert first == run("again.json")


def test_what_doubts_cost_is_measured_on_good_frames():
    script = str(ROOT / "benchmarks" / "wrong_inputs.py")
    options = ["--cost", "--scenes", "1", "--views", "1"]
    command = [sys.executable, script, *options]
    told = subprocess.run(
        command, check=True, cwd=ROOT, timeout=300, capture_output=True, text=True
    )
    assert "1 frames: places" in told.stdout
    assert "0 undisturbed frames are doubted" in told.stdout
