"""A frame through a lens with distortion becomes that of a camera without, all of it alike."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.rectification import Lens, rectified
from smolrgpt_core.regions import Box, Region, RegionSet

CAMERA = CameraIntrinsics(320, 240, 160.0, 160.0, 159.5, 119.5)
LENSES = {
    "plumb_bob": Lens("pinhole", (-0.25, 0.06, 0.001, -0.002, 0.0), CAMERA, CAMERA),
    "rational_polynomial": Lens(
        "pinhole", (0.1, -0.2, 0.0, 0.0, 0.05, 0.4, -0.2, 0.03), CAMERA, CAMERA
    ),
    "equidistant": Lens("fisheye", (-0.02, 0.01, -0.003, 0.001), CAMERA, CAMERA),
}
TRUE_BOXES = {1: Box(20, 20, 50, 40), 2: Box(230, 160, 60, 50), 3: Box(140, 100, 30, 30)}
DEPTHS_M = {1: 2.0, 2: 4.0, 3: 3.0}


def seen_through(lens: Lens) -> tuple[RGBDFrame, RGBDFrame]:
    """The frame that the lens gives, and the true one; boxes before a wall at 6 m.

    Made the other way round: where each pixel of the distorted image looks, by OpenCV's inverse.
    """
    labels = np.zeros((CAMERA.height, CAMERA.width), np.int32)
    for id, box in TRUE_BOXES.items():
        labels[box.slices] = id
    columns, rows = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    pixels = np.stack([columns, rows], -1).reshape(-1, 1, 2).astype(np.float64)
    matrix = np.array([[160.0, 0, 159.5], [0, 160.0, 119.5], [0, 0, 1]])
    undo = cv2.fisheye.undistortPoints if lens.model == "fisheye" else cv2.undistortPoints
    true = undo(pixels, matrix, np.array(lens.coefficients), P=matrix).reshape(*labels.shape, 2)
    column, row = np.rint(true).astype(int).transpose(2, 0, 1)
    inside = (column >= 0) & (column < CAMERA.width) & (row >= 0) & (row < CAMERA.height)
    distorted = np.where(inside, labels[row.clip(0, 239), column.clip(0, 319)], 0)
    return frame_of(distorted), frame_of(labels)


def frame_of(labels: np.ndarray) -> RGBDFrame:
    depth = np.full(labels.shape, 6.0, np.float32)
    for id, meters in DEPTHS_M.items():
        depth[labels == id] = meters
    rgb = np.repeat((labels * 60).astype(np.uint8)[..., None], 3, axis=2)
    regions = RegionSet.from_label_image(labels, dict.fromkeys(DEPTHS_M, "pallet"))
    return RGBDFrame(rgb, depth, CAMERA, regions, stamp_ns=7, frame_id="optical")


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


@pytest.mark.parametrize("name", LENSES)
def test_color_depth_and_regions_are_where_they_are_without_distortion(name: str) -> None:
    distorted, true = seen_through(LENSES[name])
    found = rectified(distorted, LENSES[name])
    assert (found.stamp_ns, found.frame_id, found.intrinsics) == (7, "optical", CAMERA)
    assert [region.id for region in found.regions] == [1, 2, 3]
    for id, meters in DEPTHS_M.items():
        mask = found.regions.full_mask(id)
        assert overlap(mask, true.regions.full_mask(id)) > 0.93
        assert (
            overlap(distorted.regions.full_mask(id), true.regions.full_mask(id)) < 0.93 or id == 3
        )
        assert np.all(found.depth[mask] == np.float32(meters))
    assert set(np.unique(found.depth[np.isfinite(found.depth)])) <= {2.0, 3.0, 4.0, 6.0}
    assert np.mean(np.abs(found.rgb.astype(int) - true.rgb) < 10) > 0.97


def test_rectified_calibration_of_its_own() -> None:
    target = CameraIntrinsics(320, 240, 120.0, 120.0, 150.0, 125.0)
    lens = Lens("pinhole", (0.0, 0.0, 0.0, 0.0, 1e-9), CAMERA, target)
    found = rectified(seen_through(LENSES["plumb_bob"])[1], lens)
    box = found.regions[3].box
    assert box.x == pytest.approx((140 - 159.5) * 0.75 + 150, abs=1)
    assert box.width == pytest.approx(30 * 0.75, abs=1)
    assert found.intrinsics == target


def test_what_the_image_does_not_show_is_no_reading() -> None:
    lens = Lens("pinhole", (-0.25, 0.06, 0.0, 0.0, 0.0), CAMERA, CAMERA)
    narrow = Lens("pinhole", (0.3, 0.0, 0.0, 0.0, 0.0), CAMERA, CAMERA)
    full = frame_of(np.zeros((240, 320), np.int32))
    assert np.isfinite(rectified(full, lens).depth).all()
    found = rectified(full, narrow)
    assert np.isnan(found.depth[0, 0])
    assert np.isfinite(found.depth[120, 160])


def test_boxes_overlap_and_regions_at_the_rim_may_vanish() -> None:
    narrow = Lens("pinhole", (-0.25, 0.06, 0.0, 0.0, 0.0), CAMERA, CAMERA)
    regions = RegionSet(
        (240, 320),
        (
            Region.from_box(1, "pallet", Box(100, 80, 60, 60), 0.7),
            Region.from_box(2, "pallet", Box(130, 80, 60, 60)),
            Region.from_box(3, "pallet", Box(0, 0, 2, 2)),
        ),
    )
    plain = frame_of(np.zeros((240, 320), np.int32))
    frame = RGBDFrame(plain.rgb, plain.depth, CAMERA, regions)
    found = rectified(frame, narrow).regions
    assert [region.id for region in found] == [1, 2]
    assert found[1].score == 0.7
    shared = found.full_mask(1) & found.full_mask(2)
    assert np.count_nonzero(shared) == pytest.approx(30 * 60, rel=0.1)


def test_coefficients_of_no_lens_are_refused() -> None:
    lens = Lens("pinhole", (50.0, 900.0, 0.0, 0.0, 0.0), CAMERA, CAMERA)
    with pytest.raises(SpatialError, match="cannot belong to this camera"):
        rectified(frame_of(np.zeros((240, 320), np.int32)), lens)


def test_regions_that_the_rectified_image_does_not_show_are_named() -> None:
    distorted, _ = seen_through(LENSES["plumb_bob"])
    corner = Region.from_box(9, "pallet", Box(0, 0, 3, 3))
    regions = replace(
        distorted.regions,
        regions=(*distorted.regions, corner),
        declared_classes=frozenset({"drum"}),
        doubt="shifted",
    )
    frame = rectified(replace(distorted, regions=regions), LENSES["plumb_bob"])
    assert frame.regions.lost == ("pallet 9",)
    assert (frame.regions.declared_classes, frame.regions.doubt) == ({"drum"}, "shifted")
    asked = AskedQuestion("How many pallets do you see?")
    answer = ask(frame, asked, GeometricAnswerer())
    assert answer.value == 3
    assert "the image no longer shows pallet 9" in answer.message
    whole = ask(rectified(distorted, LENSES["plumb_bob"]), asked, GeometricAnswerer())
    assert (whole.value, whole.message) == (3, "")
