"""The own pixels of regions, and what a model reads off them."""

import math

import numpy as np
import pytest
import torch

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.model.region_colors import RegionColors, color_losses
from smolrgpt_core.model_inputs.region_colors import IMAGE, region_colors
from smolrgpt_core.model_inputs.region_samples import AROUND, region_samples
from smolrgpt_core.scene.spatial_scene import COLORS

COUNT = 16


@pytest.fixture
def image():
    """Red says in which row a pixel is, green in which column."""
    rows, columns = np.meshgrid(np.arange(48), np.arange(64), indexing="ij")
    return np.stack([rows, columns, np.full_like(rows, 9)], axis=2).astype(np.uint8)


@pytest.fixture
def masks():
    found = np.zeros((2, 48, 64), dtype=bool)
    found[0, 10:20, 30:50] = found[1, 0:6, 0:5] = True
    return list(found)


def test_colors_are_those_of_the_pixels_whose_depth_is_read(image, masks):
    camera = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
    samples = region_samples(masks, np.full((48, 64), 3.0, np.float32), camera, COUNT)
    colors = region_colors(masks, image, COUNT)
    assert colors.shape == (2, COUNT + AROUND + IMAGE, 3)
    near = colors[:, : COUNT + AROUND] * 255
    places = np.stack([samples[..., 1] * 50 + 23.5, samples[..., 0] * 50 + 31.5], axis=2)
    is_inside = np.isfinite(samples[..., 2])
    assert np.allclose(near[is_inside][:, :2], places[is_inside], atol=1e-3)
    assert np.isnan(near[~is_inside]).all()
    assert not is_inside[1].all()
    assert is_inside[0].all()


def test_the_last_are_the_whole_image(image, masks):
    cells = region_colors(masks, image, COUNT)[0, -IMAGE:] * 255
    assert cells.mean(axis=0) == pytest.approx(image.mean(axis=(0, 1)), abs=0.6)
    assert np.all(np.diff(cells.reshape(8, 8, 3)[:, 0, 0]) > 0)


def test_a_mask_without_a_pixel_is_refused(image):
    with pytest.raises(SpatialError, match="has no pixel"):
        region_colors([np.zeros((48, 64), dtype=bool)], image, COUNT)


def test_names_are_those_of_the_own_pixels(image, masks):
    torch.manual_seed(0)
    reader = RegionColors(16, 8)
    for layer in reader.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.1)
    colors = torch.from_numpy(region_colors(masks, image, COUNT))
    red = colors.clone()
    red[0, :COUNT] = torch.tensor([0.8, 0.1, 0.1])
    first, second = reader(colors), reader(red)
    assert (first[0] - second[0]).abs().max() > 1e-4
    torch.testing.assert_close(first[1], second[1])
    torch.testing.assert_close(first.sum(dim=1), torch.ones(2))


def test_only_known_colors_have_a_loss():
    names = torch.full((1, 3, len(COLORS)), 0.01)
    names[..., COLORS.index("red")] = 0.9
    truths = torch.tensor([[COLORS.index("red"), COLORS.index("blue"), math.nan]])
    right, wrong, unknown = color_losses(names, truths)[0].tolist()
    assert right == pytest.approx(-math.log(0.9), abs=1e-3)
    assert wrong == pytest.approx(-math.log(0.01), abs=1e-3)
    assert unknown == 0


def test_a_color_that_is_asked_for_matches():
    """By a gate that starts closed, so that a model that is trained on keeps its answers."""
    model = RegionColors(4, 8)
    names = torch.eye(len(COLORS))[None, :3]
    states, exists = torch.ones(1, 3, 4), torch.tensor([[True, True, False]])
    torch.nn.init.zeros_(model.gate.weight)
    torch.nn.init.zeros_(model.gate.bias)
    assert not model.matches(states, names, exists).any()
    model.gate.weight.data[1] = 1.0
    found = model.matches(states, names, exists)[0].tolist()
    assert found[0] == found[2] == 0
    assert found[1] > 1
