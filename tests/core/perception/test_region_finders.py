"""Every family of segmenters and detectors is loaded from disk and finds regions in an image."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.perception.regions import load_region_finder
from smolrgpt_core.perception.segmentation import load_segmenter
from smolrgpt_core.perception.settings import RegionFinderSettings

FAMILIES = ["mask2former", "maskformer", "oneformer", "eomt", "eomt_dinov3", "detr"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_segmenter_finds_disjoint_regions_of_its_classes(checkpoint, picture, family) -> None:
    settings = RegionFinderSettings(str(checkpoint(family)), min_score=0.05, min_pixels=4)
    found = load_region_finder(settings).find(picture)
    assert found.image_size == picture.shape[:2]
    assert len(found) > 0
    assert {region.label for region in found} <= {"pallet", "buffer zone", "forklift"}
    assert [region.id for region in found] == list(range(len(found)))
    scores = [region.score for region in found]
    assert scores == sorted(scores, reverse=True)
    covered = np.zeros(picture.shape[:2], dtype=int)
    for region in found:
        covered[region.box.slices] += region.mask
    assert covered.max() == 1


@pytest.mark.parametrize("detector", ["grounding-dino", "mm-grounding-dino", "owlvit", "owlv2"])
def test_a_detector_and_sam_find_regions_of_the_classes_asked_for(
    checkpoint, picture, detector
) -> None:
    settings = RegionFinderSettings(
        detector=str(checkpoint(detector)), box_segmenter=str(checkpoint("sam2")),
        classes=("Pallet", "buffer zone", "fork lift"), min_score=0.01, min_pixels=1,
    )  # fmt: skip
    found = load_region_finder(settings).find(picture)
    assert found.image_size == picture.shape[:2]
    assert {region.label for region in found} <= {"pallet", "buffer zone", "fork lift"}


def test_without_models_the_segmenter_of_the_package_is_meant(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("smolrgpt_core.perception.regions.NANO_REGIONS", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"give segmenter, or detector and box_segmenter"):
        load_region_finder(RegionFinderSettings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segmenter": "a", "detector": "b"}, "either segmenter, or detector"),
        ({"segmenter": "a", "box_segmenter": "b"}, "either segmenter, or detector"),
        ({"detector": "a", "classes": ("pallet",)}, "both are needed"),
        ({"box_segmenter": "a"}, "both are needed"),
        ({"detector": "a", "box_segmenter": "b"}, "classes must name"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_pixels": 0}, "min_pixels"),
    ],
)
def test_models_that_do_not_go_together_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        RegionFinderSettings(**settings)


def test_a_semantic_model_does_not_separate_objects_and_is_refused(checkpoint) -> None:
    with pytest.raises(ValueError, match="must separate objects"):
        load_segmenter(checkpoint("eomt_semantic"))
