"""The input of a model from a record: image, regions and text; never the truth."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.canvas import Canvas, Lettering, label_color, roomiest_point
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerSpec
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, StoredImage
from smolrgpt_core.regions import Region

MARK_TEXT, MARK_OUTLINE = 0.36, 2.0
"""Font scale of a number, and width of an outline in pixels, in an image of the reference size."""

MARK_FILL, MARK_INK = (0, 0, 0), (255, 255, 255)

_REGION = re.compile(r"Region \[([0-9]+)\]")
_IMAGE, _DEPTH = "<image>", "<depth>"


class RegionForm(str, Enum):
    """How a model without region tokens is shown which regions a question is about."""

    MARKS = "marks"
    """Set-of-Marks: each region outlined, with its number; the words say "Region [0]"."""
    BOXES = "boxes"
    """HiSpatial's: a box in a color for each; the words say "the crate (highlighted by the red
    box)"."""


class AnswerMethod(str, Enum):
    """How a model's answer is obtained."""

    WORDS = "words"
    """The model writes, and scorers read."""
    LIKELIHOOD = "likelihood"
    """Of the answers that a question can have, the most likely one; words where it may be any."""


@dataclass(frozen=True, eq=False)
class BenchmarkQuestion:
    """A question as presented to a model.

    Attributes:
        id: of its record.
        prompt: as the benchmark's authors ask; where there are regions, with "Region [k]".
        masked: the same with a `<mask>` for each region, for models with region tokens; the prompt
            where there are none.
        image: None where the data has none.
        regions: in the order of their numbers.
        others: regions that the question does not name, for answerers that measure.
        depth: as published; None where there is none.
        camera: calibration, and unit of the depth.
        asked: what it asks for; None where that is not known.
    """

    id: str
    prompt: str
    masked: str
    image: StoredImage | None
    regions: tuple[Region, ...] = ()
    others: tuple[Region, ...] = ()
    depth: StoredImage | None = None
    camera: CameraRecord | None = None
    asked: AnswerSpec | None = None

    @property
    def labels(self) -> list[str]:
        """Classes of the regions, in their order."""
        return [region.label for region in self.regions]


def question_of(record: BenchmarkRecord, asked: AnswerSpec | None = None) -> BenchmarkQuestion:
    """The question of a record, without its truth."""
    words = record.prompt.replace(f" {_DEPTH}", "").replace(_IMAGE, "").strip()
    return BenchmarkQuestion(
        id=record.id,
        prompt=record.question if record.stored_regions else record.prompt,
        masked=words if record.stored_regions else record.prompt,
        image=record.image,
        regions=record.regions,
        others=tuple(stored.region() for stored in record.other_regions),
        depth=record.depth,
        camera=record.camera,
        asked=asked,
    )


def without_image(question: BenchmarkQuestion) -> BenchmarkQuestion:
    """The question without its image: text alone, with the classes of the regions.

    A size can often be guessed from the class; this measures what a model knows without looking.
    """

    def named(match: re.Match[str]) -> str:
        label = question.labels[int(match[1])]
        return f"{match[0]} ({label})" if label else match[0]

    prompt = _REGION.sub(named, question.prompt) if question.regions else question.prompt
    return replace(question, prompt=prompt, image=None, depth=None)


def draw_marks(rgb: NDArray[np.uint8], regions: tuple[Region, ...]) -> NDArray[np.uint8]:
    """A copy of an image (H, W, 3) with the outline of each region, and its number from 0 in it."""
    canvas = Canvas(rgb)
    for region in regions:
        canvas.outline(region, MARK_OUTLINE, label_color(str(region.id)))
    for number, region in enumerate(regions):
        point, _ = roomiest_point(region)
        canvas.badge(str(number), point, Lettering(MARK_TEXT, MARK_FILL, MARK_INK))
    return canvas.image
