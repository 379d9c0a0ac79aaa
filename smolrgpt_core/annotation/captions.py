"""References that an image-text model writes and a detector must be able to resolve.

Four levels (arXiv 2603.25411): the class alone; with an attribute; with an action or a part; with
the place in the scene. The simplest level is used for which the detector finds exactly one box and
SAM the object's mask in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.annotation.references import WORDS, Reference
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.model_inputs.regions_in_words import draw_boxes
from smolrgpt_core.perception.stages import BoxDetector, BoxSegmenter, ImageTextModel
from smolrgpt_core.regions import Region, RegionSet

MIN_IOU = 0.7
"""Smallest overlap at which the mask found by the words is that of the object."""

MAX_WORDS = 20
"""A longer answer is a description, not a reference."""

PROMPTS = {
    2: "names it by one attribute, such as its color or material",
    3: "names it by an attribute and by a part of it or by what it does",
    4: "names it by an attribute and by where it stands in the scene",
}
PROMPT = (
    "Look at the {label} in the red box. Write one short phrase that {how}, and that fits no other "
    "object of the picture. Begin with 'the', name the {label}, do not mention the box, and write "
    "nothing but the phrase."
)


@dataclass(frozen=True, eq=False)
class ReferenceWriter:
    """Writes references and checks them.

    Attributes:
        words: writes them.
        detector: finds boxes by them.
        segmenter: masks of these boxes.
    """

    words: ImageTextModel
    detector: BoxDetector
    segmenter: BoxSegmenter

    def reference(self, rgb: NDArray[np.uint8], regions: RegionSet, id: int) -> Reference | None:
        """The simplest reference that resolves to a region; None if there is none.

        Args:
            rgb: uint8 (H, W, 3).
            regions: of the image.
            id: of the region.
        """
        region = regions[id]
        if not region.label:
            return None
        box = region.box
        corners = (box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
        shown = draw_boxes(rgb, [corners], ["red"])
        for level in (1, *PROMPTS):
            text = self._written(shown, region, level)
            if text and self._finds(rgb, text, regions.full_mask(id)):
                return Reference(WORDS, text, level=level)
        return None

    def _written(self, shown: NDArray[np.uint8], region: Region, level: int) -> str:
        if level == 1:
            return f"the {region.label}"
        prompt = PROMPT.format(label=region.label, how=PROMPTS[level])
        text = self.words.ask(shown, prompt).strip().rstrip(".").strip("\"'")
        text = " ".join(text.split())
        named = region.label in text.lower() and "box" not in text.lower().split()
        return text if named and len(text.split()) <= MAX_WORDS else ""

    def _finds(self, rgb: NDArray[np.uint8], text: str, mask: NDArray[np.bool_]) -> bool:
        try:
            found = self.detector.detect(rgb, [text.removeprefix("the ")])
        except SpatialError:
            # Words that the detector cannot read lead to nothing.
            return False
        if len(found) != 1:
            return False
        masks, _ = self.segmenter.masks(rgb, np.array([found[0].box], dtype=np.float32))
        return mask_iou(masks[0], mask) > MIN_IOU


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks (H, W); 0 of two empty ones."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0
