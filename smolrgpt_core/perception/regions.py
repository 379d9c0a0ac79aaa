"""Objects with their masks from color alone, by settings: one model, or a detector and SAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.checkpoints import NANO_REGIONS
from smolrgpt_core.perception.detection import DetectionConfig, checked_classes, load_box_detector
from smolrgpt_core.perception.mask_selection import (
    MaskRules,
    select_regions,
)
from smolrgpt_core.perception.masks import load_box_segmenter
from smolrgpt_core.perception.segmentation import load_segmenter
from smolrgpt_core.perception.settings import RegionFinderSettings
from smolrgpt_core.perception.stages import BoxDetector, BoxSegmenter, RegionFinder
from smolrgpt_core.regions import RegionSet


@dataclass(frozen=True, eq=False)
class PromptedRegionFinder:
    """Finds objects by their names: boxes of a detector, then their masks.

    The score of a region is the lower of the two confidences.

    Attributes:
        detector: of boxes.
        segmenter: of masks from boxes.
        classes: what to look for.
        rules: which masks are objects.
    """

    detector: BoxDetector
    segmenter: BoxSegmenter
    classes: tuple[str, ...]
    rules: MaskRules

    def find(self, rgb: NDArray[np.uint8]) -> RegionSet:
        """The objects of an image; see `RegionFinder`.

        Raises:
            SpatialError: BAD_INPUT when the image or a class is not usable.
        """
        found = self.detector.detect(rgb, self.classes)
        boxes = np.array([one.box for one in found], dtype=np.float32).reshape(-1, 4)
        masks, confidence = self.segmenter.masks(rgb, boxes)
        scores = np.minimum(np.array([one.score for one in found], dtype=np.float32), confidence)
        return select_regions(masks, [one.label for one in found], scores, self.rules)


def load_region_finder(settings: RegionFinderSettings) -> RegionFinder:
    """The finder of objects that settings describe.

    Args:
        settings: which models.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when a checkpoint is of another kind, its weights are incomplete, or there is no
            such device.
        SpatialError: BAD_INPUT when a class cannot be looked for.
    """
    rules = settings.mask_rules()
    if settings.detector:
        classes = tuple(checked_classes(settings.classes))
        limits = DetectionConfig(min_score=settings.min_score)
        detector = load_box_detector(settings.detector, settings.device, limits)
        segmenter = load_box_segmenter(settings.box_segmenter, settings.device)
        return PromptedRegionFinder(detector, segmenter, classes, rules)
    if settings.segmenter:
        return load_segmenter(settings.segmenter, settings.device, rules)
    if not NANO_REGIONS.exists():
        raise FileNotFoundError(
            f"the segmenter of the package is missing: {NANO_REGIONS}; give segmenter, or "
            "detector and box_segmenter"
        )
    return load_segmenter(NANO_REGIONS, settings.device, rules)
