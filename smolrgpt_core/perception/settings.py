"""Settings of the models that find the objects of an image; imports no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_core.perception.mask_selection import (
    DEFAULT_MIN_PIXELS,
    DEFAULT_MIN_SCORE,
    MaskRules,
)


@dataclass(frozen=True)
class RegionFinderSettings:
    """Which models find the objects of an image.

    Either `segmenter` alone, or `detector` together with `box_segmenter`; all three empty mean the
    small segmenter that comes with the package.

    Attributes:
        segmenter: folder or hub id of a segmentation model, such as Mask2Former.
        detector: folder or hub id of an open-vocabulary detector, such as Grounding DINO.
        box_segmenter: folder or hub id of SAM or SAM 2.
        classes: names of objects. A detector looks for these; of what a segmenter finds, only these
            are kept, or all if there are none.
        min_score: lowest confidence of an object, 0 to 1.
        min_pixels: smallest mask.
        device: "auto", or a device of PyTorch.

    Raises:
        ValueError: when the models do not go together, or a value is outside its range.
    """

    segmenter: str = ""
    detector: str = ""
    box_segmenter: str = ""
    classes: tuple[str, ...] = ()
    min_score: float = DEFAULT_MIN_SCORE
    min_pixels: int = DEFAULT_MIN_PIXELS
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.segmenter and (self.detector or self.box_segmenter):
            raise ValueError(
                "use either segmenter, or detector and box_segmenter, got "
                f"segmenter={self.segmenter!r} detector={self.detector!r} "
                f"box_segmenter={self.box_segmenter!r}"
            )
        if bool(self.detector) != bool(self.box_segmenter):
            raise ValueError(
                "a detector finds boxes and box_segmenter their masks, so both are needed, got "
                f"detector={self.detector!r} box_segmenter={self.box_segmenter!r}; "
                "IDEA-Research/grounding-dino-tiny goes with facebook/sam-vit-base"
            )
        if self.detector and not self.classes:
            raise ValueError(
                "classes must name what the detector looks for, such as pallet and buffer zone, "
                "got none"
            )
        self.mask_rules()

    def mask_rules(self) -> MaskRules:
        """Which masks are objects."""
        return MaskRules(self.min_score, self.min_pixels, classes=self.classes)
