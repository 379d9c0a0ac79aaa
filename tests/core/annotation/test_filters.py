"""Which images and objects are used."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.annotation import filters
from smolrgpt_core.annotation.filters import PhotographFilter, SkippedError, check_photograph
from smolrgpt_core.annotation.objects import ObjectFilter, know
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.scene.measured_scene import MeasuredScene


def image_with(pure: int, value: int) -> np.ndarray:
    """100 pixels, so many of them pure."""
    rgb = np.full((10, 10, 3), 99, dtype=np.uint8)
    rgb.reshape(100, 3)[:pure] = value
    return rgb


@pytest.mark.parametrize("value", [0, 255])
def test_images_with_more_than_a_fraction_of_pure_pixels_are_skipped(value):
    PhotographFilter().check_color(image_with(35, value))
    with pytest.raises(SkippedError) as caught:
        PhotographFilter().check_color(image_with(36, value))
    assert caught.value.reason == filters.PURE
    assert "36%" in caught.value.detail


def test_a_saturated_color_is_not_white():
    rgb = np.zeros((10, 10, 3), dtype=np.uint8)
    rgb[..., 0] = 255
    PhotographFilter().check_color(rgb)


def test_images_with_more_than_a_fraction_of_missing_depth_are_skipped():
    depth = np.ones((10, 10), dtype=np.float32)
    depth.reshape(100)[:50] = np.nan
    PhotographFilter().check_depth(depth)
    depth[9, 9] = np.nan
    with pytest.raises(SkippedError) as caught:
        PhotographFilter().check_depth(depth)
    assert caught.value.reason == filters.TOO_LITTLE_DEPTH


class Says:
    """Answers every prompt alike."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def ask(self, rgb: np.ndarray | None, prompt: str, max_new_tokens: int = 64) -> str:
        return self.answer


def test_what_a_model_does_not_call_a_photograph_is_skipped():
    rgb = image_with(0, 0)
    check_photograph(rgb, Says(" Yes."))
    for answer in ("No", "", "It is a drawing"):
        with pytest.raises(SkippedError) as caught:
            check_photograph(rgb, Says(answer))
        assert caught.value.reason == filters.NO_PHOTOGRAPH


def test_an_object_whose_readings_do_not_hang_together_is_not_asked_about(scene_of):
    frame = scene_of(0)
    mask = frame.regions.full_mask(12)
    rng = np.random.default_rng(0)
    depth = frame.depth.copy()
    depth[mask] = rng.uniform(1, 30, int(mask.sum()))
    scattered = FrameGeometry(type(frame)(frame.rgb, depth, frame.intrinsics, frame.regions))
    found = know(scattered.frame, MeasuredScene(scattered), ObjectFilter())
    assert "readings" in found[12].skipped
    assert found[20].skipped == ""


def test_an_object_that_fills_the_image_is_not_asked_about(scene_of):
    frame = scene_of(0)
    geometry = FrameGeometry(frame)
    box = frame.regions[20].box
    share = box.width * box.height / (160 * 120)
    rules = ObjectFilter(max_box_fraction=share - 0.001)
    found = know(frame, MeasuredScene(geometry), rules)
    assert "of the image" in found[20].skipped
    enough = know(frame, MeasuredScene(geometry), ObjectFilter(max_box_fraction=share))
    assert enough[20].skipped == ""


@pytest.mark.parametrize("wrong", [{"max_pure_fraction": 1.1}, {"max_invalid_fraction": -0.1}])
def test_fractions_are_between_0_and_1(wrong):
    with pytest.raises(ValueError, match="within 0 to 1"):
        PhotographFilter(**wrong)
