"""A frame accepts only arrays that belong together, with depth in meters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.depth import clean_depth
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import RegionSet

HEIGHT, WIDTH = 12, 16
INTRINSICS = CameraIntrinsics(WIDTH, HEIGHT, 20.0, 20.0, 7.5, 5.5)


def make_frame(depth: np.ndarray | None = None) -> RGBDFrame:
    return RGBDFrame(
        rgb=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        depth=np.full((HEIGHT, WIDTH), 2.5, np.float32) if depth is None else depth,
        intrinsics=INTRINSICS,
        regions=RegionSet((HEIGHT, WIDTH)),
    )


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("rgb", np.zeros((HEIGHT, WIDTH), np.uint8), "rgb must be uint8"),
        ("rgb", np.zeros((HEIGHT, WIDTH, 4), np.uint8), "rgb must be uint8"),
        ("rgb", np.zeros((WIDTH, HEIGHT, 3), np.uint8), "rgb must be uint8"),
        ("rgb", np.zeros((HEIGHT, WIDTH, 3), np.float32), "got float32"),
        ("depth", np.ones((HEIGHT, WIDTH), np.float64), "depth must be float32"),
        ("depth", np.ones((HEIGHT, WIDTH), np.uint16), "got uint16"),
        ("depth", np.ones((HEIGHT // 2, WIDTH // 2), np.float32), r"got float32 \(6, 8\)"),
        ("depth", np.ones((HEIGHT, WIDTH, 1), np.float32), "depth must be float32"),
        ("regions", RegionSet((WIDTH, HEIGHT)), r"segmented on an image .*\(16, 12\)"),
    ],
)
def test_arrays_that_do_not_match_are_refused(field: str, value: Any, expected: str) -> None:
    with pytest.raises(SpatialError, match=expected) as caught:
        replace(make_frame(), **{field: value})
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("missing", [0.0, -1.0, np.inf, 100.5])
def test_missing_depth_must_be_nan(missing: float) -> None:
    depth = np.full((HEIGHT, WIDTH), 2.5, np.float32)
    depth[0, 0] = missing
    with pytest.raises(SpatialError, match=r"clean_depth\(\)"):
        make_frame(depth)
    assert np.isnan(make_frame(clean_depth(depth)).depth[0, 0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"width": 0}, "width=0"),
        ({"height": -3}, "height=-3"),
        ({"fx": 0.0}, "fx=0.0"),
        ({"fy": -20.0}, "fy=-20.0"),
        ({"fx": np.nan}, "fx=nan"),
        ({"fy": np.inf}, "fy=inf"),
        ({"cx": np.nan}, "cx=nan"),
        ({"cy": -np.inf}, "cy=-inf"),
    ],
)
def test_unusable_calibration_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpatialError, match=expected) as caught:
        replace(INTRINSICS, **changes)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize(
    ("pinhole", "expected"),
    [
        ((900, 900, 640, 360), "looks like that of an image of 1281x721"),
        ((200, 200, 159.5, 119.5), "looks like that of an image of 320x240"),
        ((50, 50, 39.5, 29.5), "looks like that of an image of 80x60"),
        ((75, 75, 59.5, 44.5), "looks like that of an image of 120x90"),
        ((0.9, 0.9, 0.5, 0.5), "normalized by the image size"),
        ((0.625, 0.83, 0.5, 0.5), "normalized by the image size"),
        ((100, 100, 59.5, 79.5), "swapped"),
        ((100, 1, 79.5, 59.5), "field of view would be 77.3 x 178 degrees"),
        ((100, 300, 79.5, 59.5), "fx and fy differ by a factor of 3"),
        ((4000, 4000, 79.5, 59.5), "field of view would be 2.29 x"),
        ((100, 100, 0, 0), "off center by -50%"),
        ((100, 100, -79.5, 59.5), "off center by -99%"),
    ],
)
def test_calibration_of_another_image_is_refused(pinhole: tuple[float, ...], expected: str) -> None:
    with pytest.raises(SpatialError, match=expected) as caught:
        CameraIntrinsics(160, 120, *pinhole)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize(
    ("size", "pinhole"),
    [
        ((640, 480), (615.2, 615.2, 298.4, 247.5)),  # a RealSense
        ((1242, 375), (721.5, 721.5, 609.6, 172.9)),  # wide and low
        ((160, 120), (18.0, 18.0, 79.5, 59.5)),  # wide angle
        ((1280, 720), (1400.0, 1050.0, 640.0, 360.0)),  # stretched from 4:3
        ((640, 480), (3000.0, 3000.0, 330.0, 220.0)),  # telephoto
    ],
)
def test_calibrations_of_real_kinds_are_taken(
    size: tuple[int, int], pinhole: tuple[float, ...]
) -> None:
    CameraIntrinsics(*size, *pinhole)


def test_a_cut_out_image_may_have_its_principal_point_anywhere() -> None:
    CameraIntrinsics(160, 120, 200.0, 100.0, -20.0, 130.0, is_cut=True)
    with pytest.raises(SpatialError, match="field of view"):
        CameraIntrinsics(160, 120, 1.5, 100.0, 79.5, 59.5, is_cut=True)


def test_vertical_field_of_view() -> None:
    intrinsics = CameraIntrinsics.from_vertical_fov(640, 480, 90.0)
    assert (intrinsics.fx, intrinsics.fy) == (pytest.approx(240), pytest.approx(240))
    assert (intrinsics.cx, intrinsics.cy) == (319.5, 239.5)
    for degrees in (0.0, -20.0, 180.0, float("nan")):
        with pytest.raises(SpatialError, match="field of view"):
            CameraIntrinsics.from_vertical_fov(640, 480, degrees)


def test_frame_without_any_depth_is_accepted() -> None:
    frame = make_frame(np.full((HEIGHT, WIDTH), np.nan, np.float32))
    assert np.isnan(frame.depth).all()
