"""A frame accepts only arrays that belong together, with depth in metres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame, check_depth_unit, clean_depth
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
def test_arrays_that_do_not_match_are_refused(field: str, value: object, expected: str) -> None:
    with pytest.raises(SpatialError, match=expected) as caught:
        replace(make_frame(), **{field: value})
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("missing", [0.0, -1.0, np.inf])
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
def test_unusable_calibration_is_refused(changes: dict[str, float], expected: str) -> None:
    with pytest.raises(SpatialError, match=expected) as caught:
        replace(INTRINSICS, **changes)
    assert caught.value.status is Status.BAD_INPUT


def test_vertical_field_of_view() -> None:
    intrinsics = CameraIntrinsics.from_vertical_fov(640, 480, 90.0)
    assert (intrinsics.fx, intrinsics.fy) == (pytest.approx(240), pytest.approx(240))
    assert (intrinsics.cx, intrinsics.cy) == (319.5, 239.5)
    for degrees in (0.0, -20.0, 180.0, float("nan")):
        with pytest.raises(SpatialError, match="field of view"):
            CameraIntrinsics.from_vertical_fov(640, 480, degrees)


def test_clean_depth_turns_every_kind_of_no_reading_into_nan() -> None:
    raw = np.array([[0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 0.5, 30.0]])
    cleaned = clean_depth(raw)
    assert cleaned.dtype == np.float32
    assert np.array_equal(np.isfinite(cleaned[0]), [False] * 7 + [True] * 2)
    assert cleaned[0, -2:] == pytest.approx([0.5, 30.0])


@pytest.mark.parametrize("metres_per_unit", [1000.0, 0.001])
def test_depth_in_the_wrong_unit_is_refused(metres_per_unit: float) -> None:
    depth = np.linspace(1.0, 9.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    check_depth_unit(depth)
    with pytest.raises(SpatialError, match="the depth unit is wrong; set the depth scale"):
        check_depth_unit(depth * np.float32(metres_per_unit))


def test_a_few_odd_readings_are_no_wrong_unit() -> None:
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[:5] = 0.01
    depth[5:6] = np.nan
    check_depth_unit(depth)


def test_frame_without_any_depth_is_accepted() -> None:
    frame = make_frame(np.full((HEIGHT, WIDTH), np.nan, np.float32))
    assert np.isnan(frame.depth).all()
