"""`smolrgpt annotate` takes depth and regions from checkpoints, through the real loaders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.annotation.filters import PhotographFilter, SkippedError
from smolrgpt_core.annotation.frames import FrameReader, load_models
from smolrgpt_core.annotation.settings import Sources
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_image
from smolrgpt_core.perception.depth import load_depth_estimator
from smolrgpt_core.perception.mask_selection import MaskRules
from smolrgpt_core.perception.segmentation import QuerySegmenter, load_segmenter

EVERYTHING = MaskRules(min_score=0.0, min_pixels=1)
LENIENT = PhotographFilter(max_invalid_fraction=1.0)


@pytest.fixture
def image(picture, tmp_path) -> Path:
    path = tmp_path / "images" / "photograph.png"
    write_image(path, picture)
    return path


def test_depth_and_regions_are_those_of_the_models(checkpoint, picture, image):
    depth, segmenter = checkpoint("depth_anything"), checkpoint("mask2former")
    height, width = picture.shape[:2]
    focal = (40.0, 40.0, (width - 1) / 2, (height - 1) / 2)
    sources = Sources(depth_model=str(depth), segmenter=str(segmenter), focal=focal)
    models = load_models(sources)
    assert isinstance(models.regions, QuerySegmenter)
    found = replace(models.regions, rules=EVERYTHING)
    frame = FrameReader(sources, LENIENT, replace(models, regions=found)).read(image)
    expected = load_depth_estimator(depth).estimate(picture)
    known = np.isfinite(frame.depth)
    assert known.any()
    np.testing.assert_array_equal(frame.depth[known], expected.depth[known])
    regions = load_segmenter(segmenter, rules=EVERYTHING).find(picture)
    assert [item.label for item in frame.regions] == [item.label for item in regions]
    assert (frame.intrinsics.fx, frame.intrinsics.width) == (40.0, width)


def test_depth_that_cannot_be_leaves_the_image_out(checkpoint, image):
    sources = Sources(
        depth_model=str(checkpoint("depth_pro")), segmenter=str(checkpoint("mask2former"))
    )
    with pytest.raises(SkippedError, match="depth unit is wrong"):
        FrameReader(sources, LENIENT, load_models(sources)).read(image)


def test_a_model_that_estimates_no_focal_length_needs_a_calibration(checkpoint, image):
    sources = Sources(
        depth_model=str(checkpoint("depth_anything")), segmenter=str(checkpoint("mask2former"))
    )
    reader = FrameReader(sources, LENIENT, load_models(sources))
    with pytest.raises(SkippedError, match="focal length"):
        reader.read(image)


def test_a_checkpoint_of_another_kind_is_refused(checkpoint, image, tmp_path):
    sources = Sources(depth_model=str(checkpoint("dpt")), segmenter=str(checkpoint("mask2former")))
    with pytest.raises(SpatialError, match="metric depth model"):
        load_models(sources)
    command = ["annotate", str(image.parent), "--out", str(tmp_path / "out"),
               "--depth-model", str(checkpoint("dpt"))]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "metric depth model" in done.output
