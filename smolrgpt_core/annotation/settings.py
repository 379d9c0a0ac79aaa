"""All settings that determine the content of an annotated data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from smolrgpt_core.annotation.filters import PhotographFilter
from smolrgpt_core.annotation.objects import ObjectFilter
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import bad_input
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.recordings.options import MEASURED_MARGINS
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.mixtures import MIXTURES


@dataclass(frozen=True)
class Sources:
    """Where depth, regions and calibration of an image come from: files or models.

    Attributes:
        depth: folder with depth images of the same stem; None: `depth_model`.
        depth_model: folder or hub id of a metric depth model; empty: `depth`.
        depth_scale: meters per unit of the depth images; None: by their data type.
        limits: depth outside of them counts as no reading.
        regions: folder with region files of the same stem, or one file about all images; None: a
            model.
        labels: how regions of files get their labels.
        segmenter: folder or hub id of a segmentation model.
        detector: folder or hub id of an open-vocabulary detector, which also checks references.
        box_segmenter: folder or hub id of SAM or SAM 2, for the boxes of the detector.
        classes: what a detector looks for, and the only classes of a segmenter that are used.
        cameras: `cameras.json` with a calibration for each image; None: `focal`.
        focal: fx, fy, cx, cy in pixels, for all images; None: estimated by the depth model.
        up: unit vector in the optical frame, opposite to gravity; None: by the visible floor.
        camera_height: of all images, meters above the floor; None: by the visible floor.
        caption_model: folder or hub id of an image-text model, or the address of a server, that
            writes references and detects images that are not photographs; empty: neither.
        device: of the models.

    Raises:
        SpatialError: BAD_INPUT when a source is set twice, or not at all.
    """

    depth: Path | None = None
    depth_model: str = ""
    depth_scale: float | None = None
    limits: DepthLimits = field(default_factory=DepthLimits)
    regions: Path | None = None
    labels: RegionLabels = field(default_factory=RegionLabels)
    segmenter: str = ""
    detector: str = ""
    box_segmenter: str = ""
    classes: tuple[str, ...] = ()
    cameras: Path | None = None
    focal: tuple[float, float, float, float] | None = None
    up: tuple[float, float, float] | None = None
    camera_height: float | None = None
    caption_model: str = ""
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.depth is None) == (not self.depth_model):
            raise bad_input("depth comes from a folder or from a model: use one of them")
        if self.cameras is not None and self.focal is not None:
            raise bad_input(
                "the calibration comes from a file or from --intrinsics: give one of them"
            )
        if self.caption_model and not (self.detector and self.box_segmenter):
            raise bad_input(
                "references in words must be checked: caption_model needs detector and "
                "box_segmenter"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        numbers = self.labels.by_number
        return asdict(replace(self, labels=RegionLabels())) | {
            "depth": _text(self.depth),
            "regions": _text(self.regions),
            "cameras": _text(self.cameras),
            "limits": asdict(self.limits),
            "labels": {"by_number": repr(numbers), "label_map": repr(self.labels.label_map)},
            "classes": list(self.classes),
            "focal": self.focal and list(self.focal),
            "up": self.up and list(self.up),
        }


@dataclass(frozen=True)
class AnnotationSettings:
    """How to annotate a folder of images.

    Attributes:
        images: folder of the images.
        sources: where depth, regions and calibrations come from.
        seed: random seed.
        questions: maximum number per image.
        mixture: name in `MIXTURES`: which tasks, and how often.
        reference_fraction: fraction of the questions that use references in place of masks, where
            possible.
        split: that all images belong to.
        photographs: which images are used.
        objects: which objects are asked about.
        margins: which questions are too close to call.
        min_confidence: of the measured answer, see `interpreter.Finding`; less certain questions
            are skipped.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    images: Path
    sources: Sources
    seed: int = 0
    questions: int = 16
    mixture: str = "hispatial"
    reference_fraction: float = 0.5
    split: str = "train"
    photographs: PhotographFilter = field(default_factory=PhotographFilter)
    objects: ObjectFilter = field(default_factory=ObjectFilter)
    margins: AmbiguityMargins = MEASURED_MARGINS
    min_confidence: float = 0.9

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise bad_input(f"seed must not be negative, got {self.seed}")
        if self.questions < 1:
            raise bad_input(f"questions must be at least 1, got {self.questions}")
        if self.mixture not in MIXTURES:
            raise bad_input(f"mixture must be one of {sorted(MIXTURES)}, got {self.mixture!r}")
        for name in ("reference_fraction", "min_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise bad_input(f"{name} must be within 0 to 1, got {getattr(self, name)}")
        if self.split not in SPLITS:
            raise bad_input(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {name: getattr(self, name) for name in ("seed", "questions", "mixture", "split")}
        nested = {
            name: asdict(getattr(self, name)) for name in ("photographs", "objects", "margins")
        }
        return (
            plain
            | nested
            | {
                "images": str(self.images),
                "reference_fraction": self.reference_fraction,
                "min_confidence": self.min_confidence,
                "sources": self.sources.to_json(),
            }
        )


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
