"""Pixels as DepthPro and SAM 2 take them, and maps of models back at the size of the image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessorPil

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.images import StretchProcessor, check_rgb, resize_maps

DEFAULTS = {
    "size": {"height": 8, "width": 8}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    "rescale_factor": 1 / 255,
}  # fmt: skip


def test_each_channel_is_normalized_by_its_own_numbers() -> None:
    processor = StretchProcessor((2, 2), (0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
    rgb = np.full((4, 6, 3), (51, 102, 255), dtype=np.uint8)
    values = processor(rgb)
    assert values.shape == (1, 3, 2, 2)
    assert values.dtype == torch.float32
    expected = [(0.2 - 0.1) / 0.5, (0.4 - 0.2) / 0.25, (1 - 0.3) / 2]
    np.testing.assert_allclose(values[0, :, 0, 0], expected, rtol=1e-5)


def test_shrinking_averages_or_reads_the_nearest_four() -> None:
    """Two of eight columns remain; each spans 0, 0, 0, 255 and lies in the middle of them."""
    rgb = np.zeros((8, 8, 3), dtype=np.uint8)
    rgb[:, 3::4] = 255
    nearest = StretchProcessor((2, 2), (0.0,) * 3, (1.0,) * 3, antialias=False)(rgb)
    np.testing.assert_array_equal(nearest, 0)
    averaged = StretchProcessor((2, 2), (0.0,) * 3, (1.0,) * 3)(rgb)
    assert 0.1 < float(averaged.min()) < float(averaged.max()) < 0.4


@pytest.mark.parametrize("size", [(16, 24), (48, 30), (100, 90)])
def test_values_are_those_of_pillow(picture, size) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    reference = ViTImageProcessorPil(
        size={"height": size[0], "width": size[1]}, image_mean=mean, image_std=std, resample=2
    )(picture, return_tensors="pt")["pixel_values"]
    values = StretchProcessor(size, mean, std)(picture)
    # Pillow rounds to whole levels.
    one_level = 1 / 255 / min(std)
    assert float((values - reference).abs().max()) <= 1.01 * one_level


def write(folder, settings, name="preprocessor_config.json") -> None:
    (folder / name).write_text(json.dumps(settings))


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_settings_come_from_the_checkpoint(tmp_path, name) -> None:
    settings = {"size": {"height": 4, "width": 6}, "image_std": [0.25] * 3, "do_pad": None}
    nested = {"image_processor": settings, "processor_class": "Sam2Processor"}
    write(tmp_path, settings if name.startswith("pre") else nested, name)
    found = StretchProcessor.from_pretrained(tmp_path, DEFAULTS, antialias=True)
    assert found == StretchProcessor((4, 6), (0.5,) * 3, (0.25,) * 3, 1 / 255, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_resize": False}, "must have do_resize = True, got False"),
        ({"do_normalize": False}, "must have do_normalize = True"),
        ({"resample": 3}, "must have resample = 2, got 3"),
        ({"size": {"longest_edge": 8}}, "must have a size of height and width"),
    ],
)
def test_settings_that_are_not_followed_are_refused(tmp_path, settings, message) -> None:
    write(tmp_path, settings)
    with pytest.raises(ValueError, match=message):
        StretchProcessor.from_pretrained(tmp_path, DEFAULTS, antialias=True)


def test_a_checkpoint_without_settings_is_refused(tmp_path) -> None:
    with pytest.raises(OSError, match="preprocessor_config"):
        StretchProcessor.from_pretrained(tmp_path, DEFAULTS, antialias=True)


def test_maps_are_resized_with_pixel_centers_in_the_middle() -> None:
    maps = torch.tensor([[[0.0, 4.0]], [[8.0, 8.0]]])
    resized = resize_maps(maps, (2, 4))
    np.testing.assert_allclose(resized[0], [[0, 1, 3, 4]] * 2)
    np.testing.assert_allclose(resized[1], 8)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_color_image_is_refused(shape) -> None:
    with pytest.raises(SpatialError, match=r"rgb must be uint8 \(H, W, 3\)"):
        check_rgb(np.zeros(shape, dtype=np.uint8))
