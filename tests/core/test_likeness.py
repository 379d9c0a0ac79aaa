"""What is like the training of a model: by class, camera, depth and masks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.answerers.likeness import (
    FEATURES,
    FORMAT,
    Likeness,
    LikenessTest,
    classes_of,
    features_of,
    range_of,
    read_likeness,
    write_likeness,
)
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.checkpoints.files import LIKENESS_FILE
from smolrgpt_core.checkpoints.weights import WEIGHTS_FILE, check_weights, weights_fingerprint
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.frame_files import FrameFiles, read_frame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.language import measures_of, read_question
from smolrgpt_core.regions import Box, Region, RegionSet

DATA = Path(__file__).parents[1] / "data" / "warehouse"

QUESTIONS = (
    "How far is pallet 13 from pallet 15?",
    "How many pallets are in buffer 2?",
    "Which pallet among pallets 16, 12, 14, 10 and 15 is in buffer 1?",
)
ASKED = QUESTIONS[0]


@pytest.fixture(scope="module")
def frame() -> RGBDFrame:
    truth = json.loads((DATA / "truth.json").read_text())
    intrinsics = tuple(float(number) for number in truth["intrinsics"].split(","))
    files = (DATA / "rgb.jpg", DATA / "depth.png", DATA / "regions.json")
    return read_frame(FrameFiles(*files, intrinsics))


@pytest.fixture(scope="module")
def likeness(frame: RGBDFrame) -> Likeness:
    """Of the questions about the frame alone."""
    geometry = FrameGeometry(frame)
    asked = [read_question(text, frame.regions) for text in QUESTIONS]
    features = [features_of(geometry, question) for question in asked]
    ranges = {name: range_of(name, [item[name] for item in features]) for name in FEATURES}
    classes = set.union(*(classes_of(frame, question) for question in asked))
    return Likeness(tuple(sorted(classes)), ranges, "warehouse/train", 1, 3, "0a" * 32, FORMAT)


def differences(likeness: Likeness, frame: RGBDFrame, text: str = ASKED) -> list[str]:
    return likeness.differences(FrameGeometry(frame), read_question(text, frame.regions))


def with_depth_under(frame: RGBDFrame, id: int, value: float) -> RGBDFrame:
    depth = frame.depth.copy()
    region = frame.regions[id]
    depth[region.box.slices][region.mask] = value
    return replace(frame, depth=depth)


def with_labels(frame: RGBDFrame, label: str) -> RGBDFrame:
    regions = tuple(replace(item, label=label, source_label="") for item in frame.regions)
    return replace(frame, regions=RegionSet(frame.regions.image_size, regions))


def with_holes(frame: RGBDFrame) -> RGBDFrame:
    depth = frame.depth.copy()
    depth[:, ::2] = np.nan
    return replace(frame, depth=depth)


def with_tiny_region(frame: RGBDFrame) -> RGBDFrame:
    tiny = Region.from_box(13, "pallet", Box(200, 200, 2, 2))
    regions = [tiny if item.id == 13 else item for item in frame.regions]
    return replace(frame, regions=RegionSet(frame.regions.image_size, tuple(regions)))


def zoomed(frame: RGBDFrame) -> RGBDFrame:
    """By a lens of twice the focal length."""
    lens = frame.intrinsics
    return replace(frame, intrinsics=replace(lens, fx=2 * lens.fx, fy=2 * lens.fy))


def cut(frame: RGBDFrame) -> RGBDFrame:
    """The picture without its upper quarter."""
    gone, lens = frame.intrinsics.height // 4, frame.intrinsics
    lens = replace(lens, height=lens.height - gone, cy=lens.cy - gone, is_cut=True)
    regions = [
        Region.from_bitmap(item.id, item.label, mask)
        for item in frame.regions
        if (mask := frame.regions.full_mask(item.id)[gone:]).any()
    ]
    size = (lens.height, lens.width)
    return RGBDFrame(frame.rgb[gone:], frame.depth[gone:], lens, RegionSet(size, tuple(regions)))


def enlarged(frame: RGBDFrame, factor: int) -> RGBDFrame:
    """The same view with more pixels."""
    lens = frame.intrinsics
    size = (lens.width * factor, lens.height * factor)
    many = CameraIntrinsics(
        *size,
        lens.fx * factor,
        lens.fy * factor,
        (lens.cx + 0.5) * factor - 0.5,
        (lens.cy + 0.5) * factor - 0.5,
    )
    regions = []
    for item in frame.regions:
        box = item.box
        larger = Box(*(value * factor for value in (box.x, box.y, box.width, box.height)))
        mask = item.mask.repeat(factor, axis=0).repeat(factor, axis=1)
        regions.append(replace(item, box=larger, mask=mask))
    return RGBDFrame(
        cv2.resize(frame.rgb, size),
        frame.depth.repeat(factor, axis=0).repeat(factor, axis=1),
        many,
        RegionSet(size[::-1], tuple(regions)),
    )


def test_operators_that_the_training_had_not_are_named(
    likeness: Likeness, frame: RGBDFrame
) -> None:
    programs = [read_question(text, frame.regions).program for text in QUESTIONS]
    known = set.union(*(measures_of(program) for program in programs if program is not None))
    recorded = replace(likeness, operators=tuple(sorted(known)))
    assert all(differences(recorded, frame, text) == [] for text in QUESTIONS)
    less = replace(likeness, operators=tuple(sorted(known - {"Distance"})))
    assert differences(less, frame, QUESTIONS[0]) == ["what is measured: Distance"]
    assert differences(likeness, frame, QUESTIONS[0]) == [], "not recorded"


def test_regions_that_are_named_by_id_are_asked_about(likeness: Likeness, frame: RGBDFrame) -> None:
    question = read_question("Is pallet 16 taller than pallet 12?", frame.regions)
    assert question.region_ids == ()
    test = LikenessTest(likeness, GeometryCache())
    masked = "Is pallet <mask> taller than pallet <mask>?"
    pointed = read_question(masked, frame.regions, None, (16, 12))
    assert pointed.region_ids == (16, 12)
    assert test.doubt(frame, question) == test.doubt(frame, pointed)
    assert "number of regions" not in test.doubt(frame, question)
    unseen = with_depth_under(frame, 16, np.nan)
    assert test.doubt(unseen, question) == "no depth reading under the mask of pallet 16"


def test_what_was_measured_is_alike(likeness: Likeness, frame: RGBDFrame) -> None:
    assert set(likeness.classes) == {"pallet", "buffer"}
    for text in QUESTIONS:
        assert differences(likeness, frame, text) == []


def test_the_number_of_pixels_does_not_matter(likeness: Likeness, frame: RGBDFrame) -> None:
    assert differences(likeness, enlarged(frame, 2)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: with_labels(f, "crate"), "class: crate (trained on buffer, pallet)"),
        (lambda f: with_labels(f, ""), "class: without a label"),
        (zoomed, "horizontal field of view, degrees: 42."),
        (cut, "aspect ratio of the image (width / height): 1.78 (trained on 1.27 to 1.4)"),
        (lambda f: replace(f, depth=f.depth / 4), "height of the camera above the floor, m: "),
        (lambda f: replace(f, depth=f.depth / 4), "median depth of the image, m: "),
        (lambda f: replace(f, depth=f.depth / 4), "under the nearest mask asked about, m: "),
        (
            lambda f: replace(f, depth=np.full_like(f.depth, 3.0)),
            "floor is visible (1) or not (0): 0",
        ),
        (with_holes, "fraction of the image with a depth reading: 0.499"),
        (lambda f: with_depth_under(f, 13, np.nan), "mask asked about that has depth readings: 0 "),
        (with_tiny_region, "smallest mask asked about: 5.21e-05"),
    ],
)
def test_what_is_unlike_is_reported(
    likeness: Likeness, frame: RGBDFrame, change: Any, words: str
) -> None:
    text = "How far is region 13 from region 15?"
    assert differences(likeness, frame, text) == []
    assert words in "; ".join(differences(likeness, change(frame), text))


def test_more_regions_than_in_training_are_reported(likeness: Likeness, frame: RGBDFrame) -> None:
    few = replace(likeness, ranges={**likeness.ranges, "regions": (0.95, 3.15)})
    assert differences(few, frame) == []
    (found,) = differences(few, frame, QUESTIONS[2])
    assert "number of regions asked about: 6 (trained on 0.95 to 3.15)" in found


def test_a_frame_without_depth_is_reported(likeness: Likeness, frame: RGBDFrame) -> None:
    found = differences(likeness, replace(frame, depth=np.full_like(frame.depth, np.nan)))
    assert any("fraction of the image with a depth reading: 0 " in item for item in found)


def test_what_training_never_had_is_unlike(likeness: Likeness, frame: RGBDFrame) -> None:
    ranges = {name: item for name, item in likeness.ranges.items() if name != "camera_height_m"}
    found = differences(replace(likeness, ranges=ranges), frame)
    assert len(found) == 1
    assert "height of the camera" in found[0]


def test_a_range_has_a_margin_and_leaves_strays_out() -> None:
    assert range_of("regions", [2.0, 10.0]) == pytest.approx((1.9, 10.5), abs=0.02)
    assert range_of("camera_roll_deg", [0.0, 0.1]) == pytest.approx((-2.0, 2.1), abs=0.01)
    strays = [*np.linspace(1.0, 2.0, 5000).tolist(), 1000.0]
    assert range_of("depth_median_m", strays)[1] < 2.2


def test_it_is_written_whole_and_read_again(likeness: Likeness, tmp_path: Path) -> None:
    path = tmp_path / "new" / LIKENESS_FILE
    write_likeness(path, likeness)
    assert read_likeness(path) == likeness
    assert [item.name for item in path.parent.iterdir()] == [LIKENESS_FILE]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format must be 1, got 2.*`smolrgpt calibrate` again"),
        ({"weights_sha256": "none"}, "weights_sha256 must be"),
        ({"ranges": {"luck": [0, 1]}}, "'luck'"),
        ({"ranges": {"aspect": [2, 1]}}, r"ranges\.aspect must be \[low, high\]"),
        ({"ranges": {"aspect": [math.nan, 1]}}, r"ranges\.aspect must be"),
        ({"ranges": {"aspect": 1}}, r"ranges\.aspect` must be a range"),
        ({"classes": "pallet"}, "classes` must be a list"),
        ({"color": "red"}, "color"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    likeness: Likeness, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / LIKENESS_FILE
    write_likeness(path, likeness)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(SpatialError, match=words) as caught:
        read_likeness(path)
    assert caught.value.status is Status.BAD_INPUT
    assert str(path) in caught.value.message


def test_the_one_that_comes_with_the_package_is_of_its_weights_and_its_simulator(
    frame: RGBDFrame,
) -> None:
    path = NANO / LIKENESS_FILE
    shipped = read_likeness(path)
    check_weights(path, shipped.weights_sha256, weights_fingerprint([NANO / WEIGHTS_FILE]))
    low, high = shipped.ranges["camera_height_m"]
    # Robots and ceilings.
    assert low < 1.3
    assert high > 5.7
    for text in QUESTIONS:
        assert differences(shipped, frame, text) == []
    assert differences(shipped, replace(frame, depth=frame.depth / np.float32(4)))
