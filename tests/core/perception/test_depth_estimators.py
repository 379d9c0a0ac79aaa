"""Depth of every family in meters at the size of the image; what has no unit is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.perception.depth import DepthProEstimator, load_depth_estimator
from smolrgpt_core.perception.images import StretchProcessor, resize_maps

CAMERA = CameraIntrinsics(52, 36, 40.0, 40.0, 25.5, 17.5)


@pytest.mark.parametrize("family", ["depth_anything", "depth_pro", "zoedepth", "glpn"])
def test_depth_has_the_size_of_the_image_in_meters(checkpoint, picture, family) -> None:
    found = load_depth_estimator(checkpoint(family)).estimate(picture)
    assert found.depth.dtype == np.float32
    assert found.depth.shape == picture.shape[:2]
    known = np.isfinite(found.depth)
    assert known.any()
    assert np.all(found.depth[known] > 0)


@pytest.mark.parametrize("family", ["depth_anything", "glpn"])
def test_a_plain_model_gives_its_own_output_resized(checkpoint, picture, family) -> None:
    folder = checkpoint(family)
    model = AutoModelForDepthEstimation.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(picture, return_tensors="pt")
    with torch.no_grad():
        raw = model(**pixels).predicted_depth
    found = load_depth_estimator(folder).estimate(picture, CAMERA)
    np.testing.assert_allclose(found.depth, resize_maps(raw, (36, 52))[0].numpy(), rtol=1e-5)
    assert found.intrinsics is CAMERA


def test_zoedepth_is_cut_to_the_image_inside_of_its_padding(checkpoint, picture) -> None:
    """A model that says how far down and right it looks, where the image itself must be."""
    estimator = load_depth_estimator(checkpoint("zoedepth"))
    above, left = int(math.sqrt(36 / 2) * 3), int(math.sqrt(52 / 2) * 3)

    class Ramp(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, pixel_values):
            height, width = 36 + 2 * above, 52 + 2 * left
            rows = torch.arange(height)[:, None] + 1000.0 * torch.arange(width)
            return type("Output", (), {"predicted_depth": rows[None]})

    object.__setattr__(estimator, "model", Ramp())
    depth = estimator.estimate(picture).depth
    assert (depth[0, 0], depth[-1, -1]) == (above + 1000 * left, above + 35 + 1000 * (left + 51))


def test_depth_pro_uses_the_calibration_or_estimates_one(checkpoint, picture) -> None:
    folder = checkpoint("depth_pro")
    estimator = load_depth_estimator(folder)
    seen = estimator.estimate(picture)
    processor = StretchProcessor((32, 32), (0.5,) * 3, (0.5,) * 3, antialias=False)
    model = AutoModelForDepthEstimation.from_pretrained(folder).eval()
    with torch.no_grad():
        output = model(pixel_values=processor(picture))
    degrees = float(output.field_of_view)
    focal = 52 / 2 / math.tan(math.radians(degrees) / 2)
    assert seen.intrinsics is not None
    assert seen.intrinsics.fx == seen.intrinsics.fy == pytest.approx(focal, rel=1e-5)
    assert (seen.intrinsics.cx, seen.intrinsics.cy) == (25.5, 17.5)
    inverse = resize_maps(output.predicted_depth, (36, 52))[0].numpy()
    valid = inverse * 52 / focal > 1e-4
    np.testing.assert_allclose(seen.depth[valid], focal / 52 / inverse[valid], rtol=1e-4)
    # Twice the focal length, and what is seen is twice as far away.
    twice = CameraIntrinsics(52, 36, 2 * focal, 2 * focal, 25.5, 17.5)
    given = estimator.estimate(picture, twice)
    both = np.isfinite(given.depth) & np.isfinite(seen.depth)
    np.testing.assert_allclose(given.depth[both], 2 * seen.depth[both], rtol=1e-4)
    assert given.intrinsics is twice


def test_depth_pro_without_a_field_of_view_needs_the_calibration(checkpoint, picture) -> None:
    estimator = load_depth_estimator(checkpoint("depth_pro_without_fov"))
    with pytest.raises(SpatialError, match="give the calibration"):
        estimator.estimate(picture)
    assert np.isfinite(estimator.estimate(picture, CAMERA).depth).any()


@pytest.mark.parametrize("degrees", [0.0, 178.0, -60.0])
def test_a_field_of_view_that_no_camera_has_is_refused(checkpoint, picture, degrees) -> None:
    estimator = load_depth_estimator(checkpoint("depth_pro"))
    assert isinstance(estimator, DepthProEstimator)
    head = estimator.model.fov_model.head.layers[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(degrees)
    with pytest.raises(SpatialError, match="estimates a field of view"):
        estimator.estimate(picture)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("depth_anything_relative", "has depth_estimation_type = 'relative'; use the metric"),
        ("dpt", "is of type 'dpt': DPT and MiDaS give relative inverse depth without a unit"),
        ("owlvit", "must be a checkpoint of type depth_anything, .* is of type 'owlvit'"),
    ],
)
def test_what_gives_no_meters_is_refused(checkpoint, family, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_depth_estimator(checkpoint(family))


def test_a_calibration_or_image_of_another_form_is_refused(checkpoint, picture) -> None:
    estimator = load_depth_estimator(checkpoint("glpn"))
    with pytest.raises(SpatialError, match="is for 52x36 pixels, but the image has 50x36"):
        estimator.estimate(picture[:, :50], CAMERA)
    with pytest.raises(SpatialError, match="rgb must be uint8"):
        estimator.estimate(picture.astype(np.float32))
