"""What camera_info says is applied where it is consistent, and refused where it is not."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info, rectification

F, CX, CY = 100.0, 79.5, 59.5
SIZE = (120, 160)
BARREL = [-0.2, 0.05, 0.0, 0.0, 0.0]


def camera_info(**changes: Any) -> SimpleNamespace:
    """Of a camera of 160x120 without distortion."""
    message = SimpleNamespace(
        width=160,
        height=120,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=matrix(F, F, CX, CY),
        r=np.eye(3).ravel().tolist(),
        p=projection(F, F, CX, CY),
        binning_x=0,
        binning_y=0,
        roi=roi(0, 0, 0, 0),
    )
    return SimpleNamespace(**{**vars(message), **changes})


def matrix(fx: float, fy: float, cx: float, cy: float) -> list[float]:
    return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]


def projection(fx: float, fy: float, cx: float, cy: float) -> list[float]:
    return [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]


def roi(x: int, y: int, width: int, height: int) -> SimpleNamespace:
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=False)


def refused(message: SimpleNamespace, size: tuple[int, int] = SIZE) -> str:
    with pytest.raises(SpatialError) as caught:
        intrinsics_from_camera_info(message, size)
    assert caught.value.status is Status.BAD_INPUT
    return caught.value.message


def test_plain_calibration() -> None:
    expected = CameraIntrinsics(160, 120, F, F, CX, CY)
    for message in (
        camera_info(),
        camera_info(p=[0.0] * 12),
        camera_info(r=[0.0] * 9, d=[]),
        camera_info(binning_x=1, binning_y=1),
        camera_info(roi=roi(0, 0, 160, 120)),
    ):
        assert intrinsics_from_camera_info(message, SIZE) == expected
        assert intrinsics_from_camera_info(message) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"p": projection(554.25, 554.25, 320, 240)}, "P of camera_info: .*principal point"),
        ({"k": matrix(554.25, 554.25, 320, 240)}, "K of camera_info: .*principal point"),
        ({"k": matrix(0.6, 0.8, 0.5, 0.5)}, "K of camera_info: .*normalized by the image size"),
        ({"k": matrix(F, 1, CX, CY)}, "K of camera_info: .*degrees"),
        ({"k": matrix(F, F, CY, CX), "p": [0.0] * 12}, "swapped"),
        ({"k": np.reshape(matrix(F, F, CX, CY), (3, 3)).T.ravel()}, "K .*row by row.*in columns"),
        ({"p": np.reshape(projection(F, F, CX, CY), (3, 4)).T.ravel()}, "P .*row by row.*columns"),
        ({"p": [*matrix(F, F, CX, CY), 0.0, 0.0, 0.0]}, "P of camera_info must be .*row by row"),
        ({"k": [F, F, CX, CY, 0, 0, 0, 0, 0]}, "K of camera_info must be .*row by row"),
        ({"k": matrix(0, F, CX, CY)}, "K of camera_info: .*positive"),
        ({"width": 0, "height": 0}, "is for 0x0, .*set the size of the image in the calibration"),
        ({"p": projection(150, 150, CX, CY)}, "P .*fx=150.* differs from K .*fx=100"),
        ({"p": projection(F, F, CX + 8, CY)}, "is inconsistent"),
        ({"p": projection(-F, F, CX, CY)}, "P of camera_info: .*positive"),
        ({"p": projection(0, F, CX, CY)}, "P of camera_info: .*positive"),
        ({"k": matrix(F, math.nan, CX, CY)}, "K of camera_info: .*positive"),
        ({"d": [math.nan, 0, 0, 0, 0]}, "distortion coefficients that are not finite"),
        ({"width": 0}, "camera_info is for 0x120, the rgb image is 160x120"),
        ({"k": [0.0] * 9}, "not calibrated"),
    ],
)
def test_calibration_that_cannot_be_of_the_image(changes: dict[str, Any], expected: str) -> None:
    assert re.search(expected, refused(camera_info(**changes)))


def test_projection_of_a_camera_with_distortion_may_differ() -> None:
    message = camera_info(d=BARREL, p=projection(90, 90, 80, 60))
    assert intrinsics_from_camera_info(message, SIZE) == CameraIntrinsics(160, 120, 90, 90, 80, 60)


def test_binned_image() -> None:
    found = intrinsics_from_camera_info(camera_info(binning_x=2, binning_y=2), (60, 80))
    assert found == CameraIntrinsics(80, 60, F / 2, F / 2, 39.5, 29.5)


def test_image_that_is_binned_in_one_direction() -> None:
    found = intrinsics_from_camera_info(camera_info(binning_x=2), (120, 80))
    assert (found.fx, found.fy, found.cx, found.cy) == (F / 2, F, 39.5, CY)


def test_image_that_was_cut_out() -> None:
    message = camera_info(roi=roi(100, 30, 60, 48))
    found = intrinsics_from_camera_info(message, (48, 60))
    assert found == CameraIntrinsics(60, 48, F, F, CX - 100, CY - 30, is_cut=True)
    message = camera_info(roi=roi(40, 30, 64, 48), binning_x=2, binning_y=2)
    found = intrinsics_from_camera_info(message, (24, 32))
    assert found == CameraIntrinsics(32, 24, F / 2, F / 2, 19.5, 14.5, is_cut=True)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"binning_x": 2, "binning_y": 2}, SIZE),  # the size is that of the image already
        ({"binning_x": 2}, SIZE),
        ({"binning_x": 2, "binning_y": 2}, (120, 80)),
        ({"roi": roi(40, 30, 0, 0)}, SIZE),
        ({"roi": roi(40, 30, 160, 120)}, SIZE),
        ({"roi": roi(40, 30, 64, 0)}, (48, 64)),
        ({"roi": roi(40, 30, 64, 48)}, SIZE),
        ({"roi": roi(120, 30, 64, 48)}, (48, 64)),
    ],
)
def test_roi_and_binning_that_contradict_the_image(
    changes: dict[str, Any], size: tuple[int, int]
) -> None:
    message = refused(camera_info(**changes), size)
    assert "roi" in message
    assert "binning" in message
    assert f"no rgb image of {size[1]}x{size[0]}" in message


def test_calibration_of_another_size() -> None:
    assert "remap to" in refused(camera_info(), (60, 80))


@pytest.mark.parametrize(
    "topic", ["/camera/rgb/image_rect_color", "/left/image_rect", "/Rectified"]
)
def test_a_topic_of_rectified_images_is_left_alone(topic: str) -> None:
    found = rectification(camera_info(d=BARREL), SIZE, "auto", topic)
    assert found.lens is None
    assert topic in found.text


def test_when_distortion_is_taken_out() -> None:
    for topic in ("", "/camera/image_raw", "/direct/correction/image"):
        assert rectification(camera_info(d=BARREL), SIZE, "auto", topic).lens is not None
    assert rectification(camera_info(d=BARREL), SIZE, "never", "").lens is None
    assert rectification(camera_info(), SIZE, "auto", "").lens is None
    assert rectification(camera_info(d=[], distortion_model="odd"), SIZE, "auto", "").lens is None


def test_what_a_rectified_image_is_calibrated_by() -> None:
    wider = projection(90, 90, 80, 60)
    turned = [0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1]
    unturned = rectification(camera_info(d=BARREL, p=wider), SIZE, "auto", "").lens
    assert unturned is not None
    assert (unturned.source.fx, unturned.target.fx) == (F, 90)
    # Depth is along the axis of the camera as it stands, not as P would turn it.
    kept = rectification(camera_info(d=BARREL, p=wider, r=turned), SIZE, "auto", "").lens
    assert kept is not None
    assert kept.target == kept.source
    half = camera_info(d=BARREL, p=wider, binning_x=2, binning_y=2)
    binned = rectification(half, (60, 80), "auto", "").lens
    assert binned is not None
    assert (binned.source.fx, binned.target.fx) == (F / 2, 45)


@pytest.mark.parametrize("coefficients", [[0.0] * 4, []])
def test_a_fisheye_lens_without_coefficients_is_refused(coefficients: list[float]) -> None:
    """An ideal one bends what is off the center too, and nobody calibrates a lens to 0."""
    message = camera_info(d=coefficients, distortion_model="equidistant")
    with pytest.raises(SpatialError, match="set rectify to never if the images are rectified"):
        rectification(message, SIZE, "auto", "/camera/image_raw")
    assert rectification(message, SIZE, "never", "").lens is None
    assert rectification(message, SIZE, "auto", "/camera/image_rect").lens is None


def test_a_rotation_without_distortion_leaves_open_which_matrix_is_correct() -> None:
    turned = [0.9998, 0, 0.02, 0, 1, 0, -0.02, 0, 0.9998]
    message = camera_info(r=turned, p=projection(130, 130, CX, CY))
    with pytest.raises(
        SpatialError, match=r"R is not the identity.*fx=130.*fx=100.*rectify to never"
    ) as caught:
        rectification(message, SIZE, "auto", "/left/image_raw")
    assert caught.value.status is Status.BAD_INPUT
    assert rectification(message, SIZE, "auto", "/left/image_rect").lens is None
    assert rectification(message, SIZE, "never", "").lens is None
    same = camera_info(r=turned, p=projection(F, F, CX + 1, CY))
    assert rectification(same, SIZE, "auto", "/left/image_raw").lens is None


def test_how_many_coefficients_a_model_takes_is_named() -> None:
    with pytest.raises(SpatialError, match=r"3 coefficients .*'plumb_bob', which takes 4 or 5"):
        rectification(camera_info(d=[0.1] * 3), SIZE, "auto", "")


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("mei", BARREL), ("", BARREL), ("plumb_bob", [0.1] * 3), ("equidistant", [0.1] * 3)],
)
def test_a_distortion_that_is_not_known_is_refused(model: str, coefficients: list[float]) -> None:
    message = camera_info(d=coefficients, distortion_model=model)
    with pytest.raises(SpatialError, match="set rectify to never") as caught:
        rectification(message, SIZE, "auto", "")
    assert repr(model) in caught.value.message
    assert rectification(message, SIZE, "never", "").lens is None
